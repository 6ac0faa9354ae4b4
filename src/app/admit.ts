/**
 * Letting a caller in: whose token it is, whether the address has failed too often, whether the user has calls left.
 *
 * The token is looked at first, always, so that whoever has a valid one gets in whatever others did. What the caller
 * hears of a token that lets nobody in is the same in every case; the entry and a diag line say what was wrong.
 */
import { challenge, denial, type Authenticated, type AuthResult } from '../auth/authenticate.ts';
import { nameOf } from '../auth/unlisted.ts';
import { ProxyError } from '../errors.ts';
import { recordFailure, type Exchange } from '../http/exchange.ts';
import { createFailedLogins, TOO_MANY_FAILED, type FailedLogins } from '../http/failed-logins.ts';
import { createRateLimiter, refusal, type RateLimiter } from '../http/rate-limit.ts';
import type { Diag } from '../log/diag.ts';
import type { Clock, HttpServerConfig, Principal } from '../model.ts';
import { userCharges } from '../gateway/charges.ts';
import { isStream } from './begin.ts';
import { loginAt } from './login.ts';
import type { Route } from './routes.ts';
import type { Snapshot } from './snapshot.ts';
import { whileOpen } from '../http/while-open.ts';

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

export interface Admission {
  readonly exchange: Exchange;
  readonly route: Route;
  readonly snapshot: Snapshot;
  readonly options: AdmitOptions & { readonly clock: Clock };
}

/**
 * Calls back with the caller, at once where nobody has to be asked; what is thrown later goes to `fail`.
 *
 * @throws {ProxyError} AUTH_MISSING, AUTH_INVALID, ACCESS_DENIED, RATE_LIMITED, ISSUER_UNREACHABLE, OVERLOADED
 */
export function admit(what: Admission, then: (by: Authenticated) => void, fail: (thrown: unknown) => void): void {
  const { exchange, snapshot } = what;
  const elsewhere = passthroughAt(what) !== undefined;
  const server = what.route.kind === 'server' ? what.route.serverName : undefined;
  const from = { clientIp: exchange.entry.clientIp, elsewhere, server };
  const result = snapshot.authenticator.authenticate(exchange.request.headers.authorization, from);
  if (!(result instanceof Promise)) return then(judge(what, result));
  whileOpen(exchange, result, (found) => {
    try {
      then(judge(what, found));
    } catch (thrown) {
      fail(thrown);
    }
  });
}

function passthroughAt({ route, snapshot }: Admission): HttpServerConfig | undefined {
  const server = route.kind === 'server' ? snapshot.config.servers.get(route.serverName) : undefined;
  return server?.kind === 'http' && server.credential.type === 'passthrough' ? server : undefined;
}

function judge(what: Admission, result: AuthResult): Authenticated {
  const { exchange, route, snapshot, options } = what;
  const { config } = snapshot;
  const { entry } = exchange;
  const passthrough = passthroughAt(what);
  if (result.kind === 'known') {
    const { principal, tokenDigest } = result.by;
    entry.principal = nameOf(principal.id);
    exchange.tokenDigest = tokenDigest;
    exchange.principalId = principal.id;
    refuseOwnToken(principal, route, tokenDigest);
    if (result.by.endsMs !== undefined) endInTime(exchange, result.by.endsMs, options.clock);
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
  const login = loginAt(exchange, route, config);
  if (result.kind === 'failed') throw unreachable(exchange, result.error);
  if (result.kind === 'denied') throw denial(result.lacks, login);
  const noUsers = config.principals.length === 0 && config.oauth === undefined;
  if (isGuess(result) && !noUsers) countFailure(exchange, options.logins);
  throw challenge(result.kind, noUsers, login);
}

/**
 * Whether it may be a guess at a token. What an authorization server vouches for, or not, cannot be guessed here, and a
 * client whose token has expired has to hear 401 however many others are at its address: it logs in again then.
 */
function isGuess(result: AuthResult): boolean {
  if (result.kind === 'unknown') return result.reason === undefined;
  return result.kind === 'refused' || result.kind === 'malformed';
}

/**
 * A token that was pasted on the consent page and lets nobody in counts as a guess like any other.
 *
 * @returns what the person is told, the same in every case
 */
export function refusePasted(exchange: Exchange, result: AuthResult, options: AdmitOptions): ProxyError {
  noteRefusal(exchange, result, options.diag);
  const waitMs = options.logins.fail(exchange.entry.clientIp);
  if (waitMs !== undefined) return refusal(TOO_MANY_FAILED, waitMs);
  const headers = { 'www-authenticate': 'Bearer realm="mcproxy"' };
  return new ProxyError('AUTH_INVALID', 'this token is not valid here; ask whoever runs this service', { headers });
}

/** A guess at a token that the caller hears nothing about, as of a health check, counts like any other. */
export function noteFailedLogin(exchange: Exchange, result: AuthResult, options: AdmitOptions): void {
  if (!isGuess(result)) return;
  noteRefusal(exchange, result, options.diag);
  options.logins.fail(exchange.entry.clientIp);
}

function noteRefusal({ entry }: Exchange, result: AuthResult, diag: Diag): void {
  if (result.kind === 'denied') recordFailure(entry, new ProxyError('ACCESS_DENIED', result.reason));
  if ((result.kind === 'unknown' || result.kind === 'ended') && result.reason !== undefined)
    recordFailure(entry, new ProxyError('AUTH_INVALID', `the access token is not valid: ${result.reason}`));
  if (result.kind !== 'refused') return;
  diag.warn('a token was refused', { reason: result.why, client_ip: entry.clientIp, request_id: entry.requestId });
  // What is recorded first stays, whatever the answer says.
  recordFailure(entry, new ProxyError('AUTH_INVALID', result.why));
}

/** @throws {ProxyError} RATE_LIMITED for an address that has failed too often */
function countFailure({ entry }: Exchange, logins: FailedLogins): void {
  const waitMs = logins.fail(entry.clientIp);
  if (waitMs === undefined) return;
  throw refusal(TOO_MANY_FAILED, waitMs);
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

/** Where the issuer is and what is wrong with it is for the operator. */
function unreachable(exchange: Exchange, error: ProxyError): ProxyError {
  if (error.code !== 'ISSUER_UNREACHABLE') return error;
  recordFailure(exchange.entry, error);
  const text = 'the authorization server cannot be asked about this token now; try again shortly';
  return new ProxyError('ISSUER_UNREACHABLE', text, { headers: { 'retry-after': '10' } });
}

/** A longer span would overflow the timer and end at once. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** Ends the stream that the exchange may become; a call that began with a valid token gets its answer. */
function endInTime(exchange: Exchange, endsMs: number, clock: Clock): void {
  let timer: NodeJS.Timeout;
  const arm = (): void => {
    const leftMs = endsMs - clock.wallMs();
    if (leftMs > 0) timer = setTimeout(arm, Math.min(leftMs, TIMER_MS_MAX));
    else if (isStream(exchange)) exchange.stop?.('revoked');
  };
  arm();
  exchange.response.once('close', () => clearTimeout(timer));
}
