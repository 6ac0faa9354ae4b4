/**
 * The `endpoint` of an HTTP+SSE server (2024-11-05), made ours: `/{server}/messages?sessionId=HANDLE`.
 *
 * The upstream announces where the client shall POST. Only its own origin is believed (protocol §1.2): otherwise
 * the user's credential would be sent to whoever it names. The path travels in a sealed handle that opens only for
 * the same principal, server and origin and for a limited time, so that nobody can point mcproxy, with a credential,
 * at a path of their choice, nor keep one for the day when the server is somewhere else.
 */
import type { Sealer } from '../auth/seal.ts';
import { ProxyError } from '../errors.ts';
import { SESSION_MS_MAX } from '../limits.ts';
import type { Clock } from '../model.ts';
import { endpointPath } from '../upstream/elsewhere.ts';

export interface EndpointScope {
  readonly serverName: string;
  readonly principalId: string;
  /** The server's SSE URL, against which a relative endpoint resolves. */
  readonly base: URL;
}

export interface EndpointSeal {
  readonly sealer: Sealer;
  readonly clock: Clock;
}

/**
 * The URI to announce to the client instead of the upstream's.
 * @throws {ProxyError} UPSTREAM_PROTOCOL for another origin or no URL at all
 */
export function announceEndpoint(uri: string, scope: EndpointScope, ours: EndpointSeal & { prefix: string }): string {
  const { sealer, clock, prefix } = ours;
  const path = endpointPath(uri, scope.base, scope.serverName);
  const handle = sealer.seal(JSON.stringify([path, clock.wallMs() + SESSION_MS_MAX]), context(scope));
  return `${prefix}/${scope.serverName}/messages?sessionId=${handle}`;
}

/** Path and query at the upstream. @throws {ProxyError} SESSION_UNKNOWN when the handle is not good for this scope now */
export function openEndpoint(query: string, scope: EndpointScope, { sealer, clock }: EndpointSeal): string {
  const handle = new URLSearchParams(query).get('sessionId');
  if (handle === null)
    throw new ProxyError('SESSION_MISSING', 'sessionId is missing; POST to the URL of the endpoint event');
  const text = sealer.open(handle, context(scope));
  const [path, endMs] = text === undefined ? [] : (JSON.parse(text) as [string, number]);
  if (path === undefined || endMs === undefined || endMs < clock.wallMs())
    throw new ProxyError('SESSION_UNKNOWN', 'this session has ended; connect to the SSE URL again');
  return path;
}

/** Whether the handle is one of the relay in this scope, good or not. */
export function opensEndpoint(query: string, scope: EndpointScope, sealer: Sealer): boolean {
  const handle = new URLSearchParams(query).get('sessionId');
  return handle !== null && sealer.open(handle, context(scope)) !== undefined;
}

function context({ serverName, principalId, base }: EndpointScope): string {
  return JSON.stringify(['endpoint', serverName, principalId, base.origin]);
}
