/**
 * Access tokens of an authorization server: is one good, and whose is it?
 *
 * A JWT is verified with the issuer's keys, anything else by asking the issuer. What was found good is remembered by the
 * token's digest until it ends, so that the next request costs a look into a table; what was found bad is not, so that
 * nobody without a token can fill it. A verdict needs no waiting once the keys are there. A reload keeps the table unless
 * it changes whom or what is believed. Source: RFC 9068 §4, RFC 7662 §2.2, RFC 8707 §2, RFC 8725.
 */
import { ProxyError } from '../errors.ts';
import {
  ACCESS_TOKEN_COUNT_MAX,
  INTROSPECTED_STREAM_MS_MAX,
  INTROSPECTION_MS_MAX,
  ISSUER_WAIT_MS_MAX,
  JWT_LEEWAY_MS,
} from '../limits.ts';
import { isServerName } from '../config/server-name.ts';
import { mayBeRole } from '../config/users.ts';
import type { Config, OAuthConfig } from '../model.ts';
import { namesIn } from './claims.ts';
import { createIntrospection } from './introspect.ts';
import { waitForIssuer } from './issuer-wait.ts';
import { createKeySource, type IssuerDoor } from './jwks.ts';
import {
  checkClaims,
  looksLikeJwt,
  readClaims,
  readKid,
  verifyJws,
  type JwtClaims,
  type VerificationKey,
} from './jwt.ts';
import type { Named } from './unlisted.ts';

/** What a good token says. */
export interface Grant {
  /** The value of the claim that names the user; undefined when it is no text. */
  readonly subject: string | undefined;
  readonly scopes: readonly string[];
  /** What the claims for roles and servers name; whether there are such is decided by whoever lets in. */
  readonly named: Named;
  /** Wall time, leeway included. */
  readonly endsMs: number;
}

export type TokenVerdict =
  | { readonly kind: 'good'; readonly grant: Grant }
  /** `reason` is for the log; clients are told the same for every bad token. */
  | { readonly kind: 'bad'; readonly reason: string }
  /** Nobody can tell now. */
  | { readonly kind: 'unknown'; readonly error: ProxyError };

export interface AccessToken {
  readonly text: string;
  /** Lower-case hex SHA-256. */
  readonly digest: string;
}

export interface TokenVerifier {
  /** Whether a token may be one for here. `elsewhere`: it may as well be for a server; the issuer must not see that. */
  concerns(token: string, elsewhere: boolean): boolean;
  /** At once where nobody has to be asked. Never rejects. */
  verify(token: AccessToken): TokenVerdict | Promise<TokenVerdict>;
  /** What good tokens of a subject said that have not ended, the last that was verified first. */
  remembered(subject: string): readonly Grant[];
  /** What a token that was found good said; undefined when it has ended, or is not remembered. */
  recall(digest: string): Grant | undefined;
}

/** @returns undefined when no authorization server is configured */
export function createTokenVerifier(config: Config, towards: IssuerDoor): TokenVerifier | undefined {
  const { oauth } = config;
  if (oauth === undefined) return undefined;
  const ca = { file: oauth.caFile, option: '`ca_file` under auth' };
  const door: IssuerDoor = { ...towards, ask: (asked) => towards.ask({ ...asked, ca }) };
  const known = createGrants(door.clock);
  const judge = judgeClaims(config, oauth, door.clock);
  const jwt = createJwtCheck(oauth, { door, judge, onChange: () => known.clear() });
  const ask =
    oauth.introspection && createIntrospection({ ...oauth.introspection, allowPrivate: oauth.allowPrivate }, door);
  const remember = (digest: string, verdict: TokenVerdict, believedMs: number): TokenVerdict => {
    if (verdict.kind === 'good') known.add(digest, verdict.grant, believedMs);
    return verdict;
  };
  const introspect = async ({ text, digest }: AccessToken): Promise<TokenVerdict> => {
    if (ask === undefined) return bad('it is no JWT');
    try {
      const claims = await ask(text, digest);
      if (claims === undefined) return bad('its issuer says that it is not active');
      const streamEndsMs = door.clock.wallMs() + INTROSPECTED_STREAM_MS_MAX;
      // Both may be left out of an answer (RFC 7662 §2.2), the audience only where nothing would be checked.
      const verdict = judge({ exp: streamEndsMs / 1_000, iss: oauth.issuer, ...claims });
      if (verdict.kind !== 'good') return verdict;
      const grant = { ...verdict.grant, endsMs: Math.min(verdict.grant.endsMs, streamEndsMs) };
      return remember(digest, { kind: 'good', grant }, INTROSPECTION_MS_MAX);
    } catch (error) {
      return unknown(error);
    }
  };
  /** An answer that comes later is remembered all the same. */
  const soon = (verdict: Promise<TokenVerdict>): Promise<TokenVerdict> =>
    waitForIssuer(verdict, ISSUER_WAIT_MS_MAX, oauth.introspection?.url ?? '').catch(unknown);
  const isJwt = (token: string): boolean => jwt !== undefined && looksLikeJwt(token);
  return {
    concerns: (token, elsewhere) =>
      elsewhere ? isJwt(token) && readClaims(token)?.['iss'] === oauth.issuer : isJwt(token) || ask !== undefined,
    verify(token) {
      const grant = known.find(token.digest);
      if (grant !== undefined) return { kind: 'good', grant };
      if (jwt === undefined || !isJwt(token.text)) return soon(introspect(token));
      const verdict = jwt(token.text);
      if (!(verdict instanceof Promise)) return remember(token.digest, verdict, Infinity);
      return verdict.then((found) => remember(token.digest, found, Infinity));
    },
    remembered: (subject) => known.of(subject),
    recall: (digest) => known.recall(digest),
  };
}

interface Grants {
  of(subject: string): readonly Grant[];
  /** One that is still believed. */
  find(digest: string): Grant | undefined;
  /** One that has not ended. */
  recall(digest: string): Grant | undefined;
  add(digest: string, grant: Grant, believedMs: number): void;
  clear(): void;
}

function createGrants(clock: IssuerDoor['clock']): Grants {
  // Bounded by ACCESS_TOKEN_COUNT_MAX.
  const held = new Map<string, { readonly grant: Grant; readonly believedUntilMs: number }>();
  const recall = (digest: string): Grant | undefined => {
    const grant = held.get(digest)?.grant;
    return grant !== undefined && clock.wallMs() <= grant.endsMs ? grant : undefined;
  };
  return {
    find: (digest) =>
      clock.monotonicMs() <= (held.get(digest)?.believedUntilMs ?? -Infinity) ? recall(digest) : undefined,
    recall,
    of(subject) {
      const nowMs = clock.wallMs();
      const found = [...held.values()].filter(({ grant }) => grant.subject === subject && nowMs <= grant.endsMs);
      return found.map(({ grant }) => grant).toReversed();
    },
    add(digest, grant, believedMs) {
      held.delete(digest);
      held.set(digest, { grant, believedUntilMs: clock.monotonicMs() + believedMs });
      const [oldest] = held.keys();
      if (held.size > ACCESS_TOKEN_COUNT_MAX && oldest !== undefined) held.delete(oldest);
    },
    clear: () => held.clear(),
  };
}

type Judge = (claims: JwtClaims) => TokenVerdict;

function createJwtCheck(
  { jwt, issuer, allowPrivate }: OAuthConfig,
  use: { readonly door: IssuerDoor; readonly judge: Judge; readonly onChange: () => void },
): ((token: string) => TokenVerdict | Promise<TokenVerdict>) | undefined {
  if (jwt === undefined || issuer === undefined) return undefined;
  const source = createKeySource({ issuer, jwksUrl: jwt.jwksUrl, allowPrivate }, use.door, use.onChange);
  const check = (token: string, keys: readonly VerificationKey[]): TokenVerdict | undefined => {
    const verdict = verifyJws(token, keys);
    if (verdict.kind === 'invalid') return bad(verdict.reason);
    return verdict.kind === 'signed' ? use.judge(verdict.claims) : undefined;
  };
  const checkLater = async (token: string): Promise<TokenVerdict> => {
    try {
      return check(token, await source.find(readKid(token))) ?? bad('its key is not one of the issuer');
    } catch (error) {
      return unknown(error);
    }
  };
  return (token) => {
    const claims = readClaims(token);
    // What its claims make useless needs no key, and nobody to be asked.
    const early = claims === undefined ? bad('its parts are no JSON objects') : use.judge(claims);
    if (early.kind !== 'good') return early;
    const keys = source.current();
    return (keys === undefined ? undefined : check(token, keys)) ?? checkLater(token);
  };
}

function judgeClaims(config: Config, oauth: OAuthConfig, clock: IssuerDoor['clock']): Judge {
  return (claims) => {
    const { aud, exp } = claims;
    const audiences = (Array.isArray(aud) ? aud : [aud]).filter(
      (each): each is string => typeof each === 'string' && isForUs(each, oauth.audiences, config.publicUrl),
    );
    // Where no issuer is configured it is that of the endpoint that was asked.
    const told = oauth.issuer === undefined ? { ...claims, iss: '' } : claims;
    const reason = checkClaims(told, { issuer: oauth.issuer ?? '', audiences }, clock.wallMs());
    if (reason !== undefined) return bad(reason);
    // Whoever stole it has not the key (RFC 8705 §3, RFC 9449 §7.1); we do not ask for it.
    if (claims['cnf'] !== undefined) return bad('it is bound to a key (cnf), which a bearer token does not prove');
    const subject = claims[oauth.userClaim];
    const roles = namesIn(claims, oauth.claims.role, (text) => mayBeRole(text) || text === oauth.claims.adminRole);
    const servers = namesIn(claims, oauth.claims.servers, isServerName);
    if (roles === undefined || servers === undefined) return bad('it names more roles or servers than are read');
    const grant = {
      subject: typeof subject === 'string' ? subject : undefined,
      scopes: scopesOf(claims),
      named: { roles, servers },
      endsMs: Number(exp) * 1_000 + JWT_LEEWAY_MS,
    };
    return { kind: 'good', grant };
  };
}

/** Every URL of this service is as good as another: what a user may use is decided by who it is. */
function isForUs(audience: string, audiences: readonly string[], publicUrl: string | undefined): boolean {
  if (audiences.length > 0) return audiences.includes(audience);
  if (publicUrl === undefined || !audience.startsWith(publicUrl)) return false;
  return /^(?:\/?|(?:\/[A-Za-z0-9_-]{1,32})?\/(?:mcp|sse))$/.test(audience.slice(publicUrl.length));
}

/** RFC 9068 §2.2.3: one text with blanks between; some issuers write a list, or call it `scp`. */
function scopesOf(claims: JwtClaims): string[] {
  const said: unknown = claims['scope'] ?? claims['scp'];
  const list: unknown[] = Array.isArray(said) ? said : typeof said === 'string' ? said.split(' ') : [];
  return list.filter((each): each is string => typeof each === 'string' && each !== '');
}

function bad(reason: string): TokenVerdict {
  return { kind: 'bad', reason };
}

function unknown(error: unknown): TokenVerdict {
  const known =
    error instanceof ProxyError ? error : new ProxyError('INTERNAL', 'the token cannot be verified', { cause: error });
  return { kind: 'unknown', error: known };
}
