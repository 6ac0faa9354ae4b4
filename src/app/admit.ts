/**
 * Letting a caller in: whose token it is, whether the address has failed too often, whether the user has calls left.
 *
 * The token is looked at first, always, so that whoever has a valid one gets in whatever others did. What the caller
 * hears of a token that lets nobody in is the same in every case; the entry and a diag line say what was wrong.
 */
import { challenge, type Authenticated, type AuthResult } from '../auth/authenticate.ts';
import { ProxyError } from '../errors.ts';
import { recordFailure, type Exchange } from '../http/exchange.ts';
import { createFailedLogins, type FailedLogins } from '../http/failed-logins.ts';
import { createRateLimiter, refusal, type RateLimiter } from '../http/rate-limit.ts';
import type { Diag } from '../log/diag.ts';
import type { Clock, Principal } from '../model.ts';
import { userCharges } from '../gateway/charges.ts';
import type { Route } from './routes.ts';
import type { Snapshot } from './snapshot.ts';

export interface AdmitOptions {
  readonly diag: Diag;
  readonly logins: FailedLogins;
  readonly limiter: RateLimiter;
}

/** What is counted as long as the process lives. */
export function openGates(clock: Clock, diag: Diag): AdmitOptions {
  const logins = createFailedLogins({
    clock,
    onLocked: ({ address, failures, ms }) =>
      diag.warn('failed logins are slowed', { address, failures, seconds: ms / 1_000 }),
  });
  return { diag, logins, limiter: createRateLimiter(clock) };
}

/** @throws {ProxyError} AUTH_MISSING, AUTH_INVALID, ACCESS_DENIED, RATE_LIMITED */
export function admit(
  exchange: Exchange,
  route: Route,
  { snapshot, options }: { readonly snapshot: Snapshot; readonly options: AdmitOptions },
): Authenticated {
  const { authenticator, config } = snapshot;
  const { entry } = exchange;
  const result = authenticator.authenticate(exchange.request.headers.authorization, entry.clientIp);
  const server = route.kind === 'server' ? config.servers.get(route.serverName) : undefined;
  const passthrough = server?.kind === 'http' && server.credential.type === 'passthrough' ? server : undefined;
  if (result.kind === 'known') {
    const { principal, tokenDigest } = result.by;
    entry.principal = principal.id;
    exchange.tokenDigest = tokenDigest;
    refuseOwnToken(principal, route, tokenDigest);
    if (principal.limits?.rate !== undefined) options.limiter.enter(userCharges(principal));
    return result.by;
  }
  if (result.kind === 'unknown' && passthrough !== undefined) {
    // Eight digits find the caller in the log, but two tokens may share them: what belongs to one needs all.
    entry.principal = `passthrough:${result.tokenDigest.slice(0, 8)}`;
    const principal: Principal = {
      id: `passthrough:${result.tokenDigest}`,
      role: 'user',
      tokenDigests: [],
      servers: new Map([[passthrough.name, passthrough]]),
    };
    return { principal, tokenDigest: result.tokenDigest };
  }
  noteRefusal(exchange, result, options.diag);
  if (result.kind !== 'missing' && config.principals.length > 0) countFailure(exchange, options.logins);
  throw challenge(result.kind, config.principals.length === 0);
}

/** A guess at a token that the caller hears nothing about, as of a health check, counts like any other. */
export function noteFailedLogin(exchange: Exchange, result: AuthResult, options: AdmitOptions): void {
  if (result.kind === 'known' || result.kind === 'missing') return;
  noteRefusal(exchange, result, options.diag);
  options.logins.fail(exchange.entry.clientIp);
}

function noteRefusal({ entry }: Exchange, result: AuthResult, diag: Diag): void {
  if (result.kind !== 'refused') return;
  diag.warn('a token was refused', { reason: result.why, client_ip: entry.clientIp, request_id: entry.requestId });
  // What is recorded first stays, whatever the answer says.
  recordFailure(entry, new ProxyError('AUTH_INVALID', result.why));
}

/** @throws {ProxyError} RATE_LIMITED for an address that has failed too often */
function countFailure({ entry }: Exchange, logins: FailedLogins): void {
  const waitMs = logins.fail(entry.clientIp);
  if (waitMs === undefined) return;
  const why = 'too many failed logins from this address; a valid token is let in at any time';
  throw refusal(why, waitMs);
}

/** A token of ours must never reach a passthrough server, which would get the client's Authorization as it is. */
function refuseOwnToken(principal: Principal, route: Route, tokenDigest: string): void {
  if (route.kind !== 'server' || tokenDigest === '') return;
  const server = principal.servers.get(route.serverName);
  if (server?.kind !== 'http' || server.credential.type !== 'passthrough') return;
  throw new ProxyError(
    'ACCESS_DENIED',
    `server ${server.name} takes its own token (passthrough): send that, not the token of mcproxy`,
  );
}
