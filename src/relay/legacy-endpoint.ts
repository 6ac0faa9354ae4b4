/**
 * The `endpoint` of an HTTP+SSE server (2024-11-05), made ours: `/{server}/messages?sessionId=HANDLE`.
 *
 * The upstream announces where the client shall POST. Only its own origin is believed (protocol §1.2): otherwise
 * the user's credential would be sent to whoever it names. The path travels in a sealed handle that opens only for
 * the same principal and server, so that nobody can point mcproxy, with a credential, at a path of their choice.
 */
import type { Sealer } from '../auth/seal.ts';
import { ProxyError } from '../errors.ts';
import { endpointPath } from '../upstream/elsewhere.ts';

export interface EndpointScope {
  readonly serverName: string;
  readonly principalId: string;
}

/**
 * The URI to announce to the client instead of the upstream's.
 * @param base the upstream's SSE URL, against which a relative endpoint resolves
 * @throws {ProxyError} UPSTREAM_PROTOCOL for another origin or no URL at all
 */
export function announceEndpoint(
  uri: string,
  base: URL,
  ours: { sealer: Sealer; prefix: string; scope: EndpointScope },
): string {
  const { sealer, prefix, scope } = ours;
  const path = endpointPath(uri, base, scope.serverName);
  const handle = sealer.seal(path, context(scope));
  return `${prefix}/${scope.serverName}/messages?sessionId=${handle}`;
}

/** Path and query at the upstream. @throws {ProxyError} SESSION_UNKNOWN when the handle is not this principal's for this server */
export function openEndpoint(query: string, sealer: Sealer, scope: EndpointScope): string {
  const handle = new URLSearchParams(query).get('sessionId');
  if (handle === null)
    throw new ProxyError('SESSION_MISSING', 'sessionId is missing; POST to the URL of the endpoint event');
  const path = sealer.open(handle, context(scope));
  if (path === undefined)
    throw new ProxyError('SESSION_UNKNOWN', 'this session has ended; connect to the SSE URL again');
  return path;
}

function context(scope: EndpointScope): string {
  return JSON.stringify(['endpoint', scope.serverName, scope.principalId]);
}
