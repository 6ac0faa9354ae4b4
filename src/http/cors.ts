/**
 * What tells a browser that a page of another origin may read an answer (WHATWG Fetch §3.2, CORS protocol).
 *
 * Only origins that `allowed_origins` names are told so, at every path and for every answer, failures too, because a page
 * has to read a challenge; what has no secret (metadata), or is proven by what a program sends (the token endpoint), every
 * page may read. A preflight is answered before anybody is asked for a token, which it cannot carry. Cookies and the like
 * are never allowed: what lets somebody in is the token that the page itself sends. Whether a request may come at all is
 * decided by the guard.
 */
import type { Exchange } from './exchange.ts';

export interface CorsPolicy {
  readonly allowedOrigins: readonly string[];
  /** The path is one that every page may read. */
  readonly isPublic: (path: string) => boolean;
}

/** What a client of MCP has to read of a head, besides what every page may. */
const EXPOSED = 'Mcp-Session-Id, MCP-Protocol-Version, WWW-Authenticate, Retry-After, X-Request-Id';
/** How long a browser need not ask again; a change of the configuration is to be seen soon. */
const PREFLIGHT_SECONDS = 600;
/** A list of names of fields (RFC 9110 §5.6.1, §5.1). */
const FIELD_NAMES = /^[\w!#$%&'*+.^`|~-]+(?:[ \t]*,[ \t]*[\w!#$%&'*+.^`|~-]+)*$/;

/**
 * Puts on the answer that the page of the request may read it, if that is so.
 *
 * @returns true when the request was a preflight, which is answered then
 */
export function admitOrigin(exchange: Exchange, policy: CorsPolicy): boolean {
  const { request, response } = exchange;
  const { origin } = request.headers;
  const isPublic = policy.isPublic(exchange.path);
  const isOpen = isPublic || policy.allowedOrigins.includes('*');
  if (origin === undefined || !(isOpen || policy.allowedOrigins.includes(origin))) return false;
  response.setHeader('access-control-allow-origin', isOpen ? '*' : origin);
  if (!isOpen) response.setHeader('vary', 'Origin');
  if (request.method === 'OPTIONS' && request.headers['access-control-request-method'] !== undefined) {
    const read = exchange.path.startsWith('/.well-known/') ? 'GET' : 'POST';
    answerPreflight(exchange, isPublic ? read : 'GET, POST, DELETE');
    return true;
  }
  response.setHeader('access-control-expose-headers', EXPOSED);
  return false;
}

/** Whatever fields the page wants to send: it may be believed, and servers name some of theirs (`Mcp-Param-…`). */
function answerPreflight(exchange: Exchange, methods: string): void {
  const { request, response, entry } = exchange;
  const wanted = request.headers['access-control-request-headers'];
  entry.httpStatus = 204;
  exchange.commit(() => {
    response.writeHead(204, {
      'access-control-allow-methods': methods,
      ...(wanted !== undefined && FIELD_NAMES.test(wanted) ? { 'access-control-allow-headers': wanted } : {}),
      'access-control-max-age': String(PREFLIGHT_SECONDS),
      'x-request-id': entry.requestId,
      ...(request.complete ? {} : { connection: 'close' }),
    });
    response.end();
  });
}
