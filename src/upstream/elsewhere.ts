/**
 * Where a server points to, and whether that is still the server.
 *
 * The relay and the message path follow one rule: nothing that carries a credential or a token goes to another origin
 * on the word of a server (MCP 2024-11-05 transports; RFC 9110 §15.4). Pure.
 */
import { ProxyError } from '../errors.ts';

/**
 * Path and query of an announced endpoint.
 * @param base the server's SSE URL, against which a relative endpoint resolves
 * @throws {ProxyError} UPSTREAM_PROTOCOL for another origin or no URL at all
 */
export function endpointPath(uri: string, base: URL, serverName: string): string {
  if (!URL.canParse(uri, base.href)) {
    throw new ProxyError('UPSTREAM_PROTOCOL', `server ${serverName} announced an endpoint that is no URL`);
  }
  const url = new URL(uri, base);
  if (url.origin !== base.origin) {
    const text = `server ${serverName} announced an endpoint at another origin; refused`;
    throw new ProxyError('UPSTREAM_PROTOCOL', text);
  }
  return url.pathname + url.search;
}

/** The failure that a redirect is; its target is named without query and userinfo, which may hold secrets. */
export function redirectError(serverName: string, location: string | undefined, base: URL): ProxyError {
  const text = `server ${serverName} redirects to ${placeOf(location, base)}; set its url to where it really is`;
  return new ProxyError('UPSTREAM_PROTOCOL', text);
}

function placeOf(location: string | undefined, base: URL): string {
  if (location === undefined || !URL.canParse(location, base.href)) return 'an invalid URL';
  const url = new URL(location, base);
  return url.origin + url.pathname;
}
