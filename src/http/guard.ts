/**
 * The first look at a request, before anybody is asked who sent it: is it one request, for us, in bounds?
 *
 * Refuses what two parties could read differently (RFC 9112 §11.2 request smuggling), what a browser was tricked
 * into sending (DNS rebinding: MCP 2025-11-25 transports, Security Warning), and paths that are not in their
 * plain form. Everything downstream may rely on: each security-relevant field occurs at most once, the path is
 * normalised, Host and Origin are allowed. It only reads the request.
 */
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';

import { isLoopbackHost } from '../config/loopback.ts';
import { ProxyError } from '../errors.ts';
import { HEADER_COUNT_MAX, TARGET_BYTES_MAX } from '../limits.ts';
import { accepts, parseMediaType } from '../text/headers.ts';

export interface GuardPolicy {
  readonly pathPrefix: string;
  /** The configured listen host; a loopback one allows only loopback names in `Host`. */
  readonly listenHost: string;
  /** Without tokens a rebound browser would be let in, so that then only known names are allowed. */
  readonly authenticated: boolean;
  readonly allowedHosts: readonly string[];
  readonly allowedOrigins: readonly string[];
  /** Paths that pages of every origin may read. */
  readonly isPublic?: (path: string) => boolean;
  /** Where clients see this service, when the operator has said it. */
  readonly publicOrigin?: string | undefined;
}

export interface GuardedTarget {
  /** Path below the prefix, without trailing slash; `/` for the root. */
  readonly path: string;
  /** With its `?`, or empty. */
  readonly query: string;
}

/** Fields whose repetition would let two readers see two requests. RFC 9110 §5.3 makes them singletons. */
const SINGLE = new Set([
  'authorization',
  'content-length',
  'content-type',
  'host',
  'origin',
  'transfer-encoding',
  'accept-encoding',
  'content-encoding',
  'last-event-id',
  'traceparent',
  'x-request-id',
  'expect',
  'proxy-authorization',
]);
const LOOPBACK_NAME = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\]|\[::ffff:127(?:\.\d{1,3}){3}\])$/;
const PLAIN_PATH = /^(?:\/[A-Za-z0-9._~!$&'()*+,;=:@-]+)*\/?$/;
/** Health probes, and what OAuth discovery asks for, come to the root whatever the prefix. */
const AT_ROOT = /^\/(?:\.well-known\/.+|healthz|readyz|health|register|authorize|token)$/;
const HOST = /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/;

/** Checks the head of a request. @throws {ProxyError} REQUEST_INVALID, HEADER_MISMATCH, ORIGIN_REJECTED, ROUTE_UNKNOWN, HEADERS_TOO_LARGE */
export function guardHead(request: IncomingMessage, policy: GuardPolicy): GuardedTarget {
  checkFields(request);
  const { host, origin } = request.headers;
  checkHost(host, policy);
  if (!isOriginAllowed(origin, host ?? '', policy) && !isPublicTarget(request.url ?? '', policy))
    throw new ProxyError('ORIGIN_REJECTED', 'requests from this Origin are not allowed; add it to allowed_origins');
  return readTarget(request.url ?? '', policy.pathPrefix);
}

/** A page of an origin that is not allowed hears of nothing else, nor what is wrong with a target. */
function isPublicTarget(target: string, policy: GuardPolicy): boolean {
  try {
    return policy.isPublic?.(readTarget(target, policy.pathPrefix).path) === true;
  } catch {
    return false;
  }
}

/** One pass over the raw fields: repetition and contradiction. */
function checkFields(request: IncomingMessage): void {
  const raw = request.rawHeaders;
  if (raw.length > 2 * HEADER_COUNT_MAX) {
    throw new ProxyError('HEADERS_TOO_LARGE', `more than ${HEADER_COUNT_MAX} header fields`);
  }
  const seen: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    const name = (raw[i] ?? '').toLowerCase();
    const isMcp = name.startsWith('mcp-');
    if (!isMcp && !SINGLE.has(name)) continue;
    if (seen.includes(name)) {
      if (isMcp && name !== 'mcp-session-id') {
        throw new ProxyError('HEADER_MISMATCH', `the header ${raw[i]} is sent more than once`);
      }
      throw new ProxyError('REQUEST_INVALID', `the header ${raw[i]} is sent more than once; send it once`);
    }
    seen.push(name);
  }
  if (seen.includes('content-length') && seen.includes('transfer-encoding')) {
    throw new ProxyError('REQUEST_INVALID', 'Content-Length and Transfer-Encoding contradict each other; send one');
  }
  const coding = request.headers['content-encoding'];
  if (coding !== undefined && coding.toLowerCase() !== 'identity') {
    throw new ProxyError('MEDIA_TYPE', 'the body is compressed (Content-Encoding); send it plain');
  }
}

function checkHost(host: string | undefined, policy: GuardPolicy): void {
  if (host === undefined || !HOST.test(host)) {
    throw new ProxyError('REQUEST_INVALID', 'the Host header is missing or malformed (RFC 9112 §3.2)');
  }
  const name = hostName(host);
  if (LOOPBACK_NAME.test(name)) return;
  if (name === hostName((policy.publicOrigin ?? '').replace(/^https?:\/\//, ''))) return;
  if (policy.allowedHosts.length > 0) {
    if (policy.allowedHosts.includes(name) || policy.allowedHosts.includes('*')) return;
  } else if (!isLoopbackHost(policy.listenHost)) {
    // Reachable from elsewhere by names that we cannot know. The token protects; without one, only an address does.
    if (policy.authenticated || isIP(name.replace(/^\[|\]$/g, '')) !== 0) return;
  }
  throw new ProxyError('ORIGIN_REJECTED', `the Host '${name}' is not allowed here; add it to allowed_hosts`);
}

function isOriginAllowed(origin: string | undefined, host: string, policy: GuardPolicy): boolean {
  if (origin === undefined) return true;
  if (policy.allowedOrigins.includes('*') || policy.allowedOrigins.includes(origin)) return true;
  if (origin === policy.publicOrigin) return true;
  const match = /^https?:\/\/([^/?#@]+)$/.exec(origin);
  if (match?.[1] !== undefined && HOST.test(match[1])) {
    const name = hostName(match[1]);
    if (LOOPBACK_NAME.test(name) && LOOPBACK_NAME.test(hostName(host))) return true;
    if (match[1].toLowerCase() === host.toLowerCase()) return true;
  }
  return false;
}

function hostName(host: string): string {
  return host.replace(/:\d{1,5}$/, '').toLowerCase();
}

function readTarget(target: string, prefix: string): GuardedTarget {
  if (target.length > TARGET_BYTES_MAX) throw new ProxyError('REQUEST_INVALID', 'the request target is too long');
  const cut = target.indexOf('?');
  const path = cut === -1 ? target : target.slice(0, cut);
  const query = cut === -1 ? '' : target.slice(cut);
  // No name of ours needs escapes; refusing them leaves nothing for two parties to decode differently.
  if (
    !path.startsWith('/') ||
    !PLAIN_PATH.test(path) ||
    path.split('/').some((part) => part === '.' || part === '..')
  ) {
    throw new ProxyError('REQUEST_INVALID', 'the path must be plain: no escapes, no empty or dot segments');
  }
  if (/[^\x21-\x7e]|[#\\]/.test(query))
    throw new ProxyError('REQUEST_INVALID', 'the query has characters that must be escaped');
  if (namesAccessToken(query)) {
    throw new ProxyError('REQUEST_INVALID', 'a token in the query is not accepted; send Authorization: Bearer TOKEN');
  }
  const trimmed = path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
  if (prefix === '') return { path: trimmed, query };
  if (trimmed === prefix) return { path: '/', query };
  if (trimmed.startsWith(`${prefix}/`)) return { path: trimmed.slice(prefix.length), query };
  if (AT_ROOT.test(trimmed)) return { path: trimmed, query };
  throw new ProxyError('ROUTE_UNKNOWN', 'there is nothing at this path');
}

/** However the name is written: servers read it with its escapes undone. */
function namesAccessToken(query: string): boolean {
  return query !== '' && [...new URLSearchParams(query).keys()].some((name) => name.toLowerCase() === 'access_token');
}

/**
 * Method, `Accept` and `Content-Type` of an MCP endpoint.
 * An absent `Accept` accepts everything (RFC 9110 §12.5.1); the upstream may still be stricter.
 *
 * @param methods those served on this path
 * @throws {ProxyError} METHOD_NOT_ALLOWED, NOT_ACCEPTABLE, MEDIA_TYPE
 */
export function guardMcp(request: IncomingMessage, methods: readonly string[]): void {
  const method = request.method ?? '';
  if (!methods.includes(method)) {
    const allow = methods.join(', ');
    throw new ProxyError('METHOD_NOT_ALLOWED', `${method} is not served here; use ${allow}`, { headers: { allow } });
  }
  const accept = request.headers.accept;
  if (method === 'GET' && !accepts(accept, 'text/event-stream')) {
    throw new ProxyError('NOT_ACCEPTABLE', 'this is an MCP endpoint: GET needs Accept: text/event-stream');
  }
  if (method !== 'POST') return;
  if (!accepts(accept, 'application/json') && !accepts(accept, 'text/event-stream')) {
    throw new ProxyError('NOT_ACCEPTABLE', 'Accept must allow application/json and text/event-stream');
  }
  const type = request.headers['content-type'];
  if (type === undefined || parseMediaType(type)?.type !== 'application/json') {
    throw new ProxyError('MEDIA_TYPE', 'the body must be sent as Content-Type: application/json');
  }
}
