/**
 * Who is asking: a bearer token to a principal.
 *
 * Tokens are compared by their SHA-256 digest. The map is keyed by digest: to profit from its timing an attacker
 * would have to choose tokens by the leading bits of their digest and still find a preimage; the found digest is
 * then compared in constant time. Tokens are at least as strong as the operator made them; ours have 256 bits. Every
 * token that lets nobody in gets one answer, also one that is known and out of its terms; what was wrong with it is for
 * the log. What is in no file may be an access token of an authorization server (`access-token`): the user that it names
 * has the rights of that user in the files, whatever else it claims, or those of `unlisted`, or none. What mcproxy itself
 * has issued (`facade-tokens`) stands for the token that was pasted for it, with its terms.
 */
import { hash, timingSafeEqual } from 'node:crypto';

import { ProxyError } from '../errors.ts';
import { USER_NAME_CHARS_MAX } from '../limits.ts';
import type { Config, Principal, TokenTerms } from '../model.ts';
import { parseBearer } from '../text/headers.ts';
import { formatInstant } from '../text/instant.ts';
import type { Grant, TokenVerdict, TokenVerifier } from './access-token.ts';
import { looksIssued, type Seals } from './facade-seals.ts';
import { currentPrincipal, strangeNames, unlistedId, type Named } from './unlisted.ts';

export interface Authenticated {
  readonly principal: Principal;
  /** Lower-case hex SHA-256 of the token; empty for `auth: none`. */
  readonly tokenDigest: string;
  /** Wall time when an access token ends. */
  readonly endsMs?: number;
}

export type AuthResult =
  | { readonly kind: 'known'; readonly by: Authenticated }
  | { readonly kind: 'missing' }
  /** Well-formed but nobody's; the digest names the caller of a passthrough server. */
  | { readonly kind: 'unknown'; readonly tokenDigest: string; readonly reason?: string }
  /** An access token that mcproxy has issued, and that is good no longer or not here; `reason` is for the log. */
  | { readonly kind: 'ended'; readonly principalId?: string; readonly reason: string }
  /** A good access token, but not for this; `reason` is for the log. */
  | { readonly kind: 'denied'; readonly lacks: 'scope' | 'user'; readonly reason: string }
  /** Nobody can tell now. */
  | { readonly kind: 'failed'; readonly error: ProxyError }
  /** Somebody's, but not now or not from there. `why` is for the operator alone. */
  | { readonly kind: 'refused'; readonly principalId: string; readonly why: string }
  | { readonly kind: 'malformed' };

/** Who shows a token, for one that was let in before. */
export interface Bearer {
  readonly tokenDigest: string;
  readonly principalId: string;
  readonly clientIp: string | null;
}

export interface Origin {
  /** Where the request comes from; null where that is not known. */
  readonly clientIp: string | null;
  /** The token may as well be for a passthrough server: it is shown to no authorization server. */
  readonly elsewhere: boolean;
  /** The one server that the request is for. */
  readonly server?: string | undefined;
}

export interface Authenticator {
  /** At once, except for an access token about which somebody has to be asked. Never rejects. */
  authenticate(authorization: string | undefined, from: Origin): AuthResult | Promise<AuthResult>;
  /** Whether a token that was let in before would be let in now, as the same principal. */
  stillValid(bearer: Bearer): boolean;
  /** Whose token of the files a text is: nothing else may be pasted on the consent page. */
  ofFiles(token: string, clientIp: string | null): AuthResult;
}

/** What mcproxy has issued itself. */
export interface Issued {
  readonly seals: Seals;
  /** The login was ended, whatever its tokens say. */
  hasEnded(family: string): boolean;
}

export interface AuthenticatorOptions {
  /** Wall time, ms since the epoch. */
  nowMs(): number;
  /** Tells whether an address is in one of the CIDR blocks. */
  makeNetworks(blocks: readonly string[]): (ip: string) => boolean;
  /** A token of somebody in no file names roles or servers that are not there; once for each token. */
  onStrange?(subject: string, names: Named): void;
  /** Undefined: there are no access tokens. */
  readonly verifier?: TokenVerifier | undefined;
  /** Undefined: mcproxy issues none. */
  readonly issued?: Issued | undefined;
}

interface KnownToken {
  readonly principal: Principal;
  readonly digest: Buffer;
  readonly terms: TokenTerms | undefined;
  readonly isFrom: ((ip: string) => boolean) | undefined;
}

/** Builds the look-up for one configuration. */
export function makeAuthenticator(config: Config, options: AuthenticatorOptions): Authenticator {
  const findInFiles = lookUpTokens(config, options);
  const byId = new Map(config.principals.map((principal) => [principal.id, principal])); // Bounded by configuration.
  const { userLimits } = config;
  const { verifier, issued } = options;
  const told = new WeakSet<Grant>();
  const tellStrange = (verdict: TokenVerdict): void => {
    if (verdict.kind !== 'good' || told.has(verdict.grant) || byId.has(verdict.grant.subject ?? '')) return;
    told.add(verdict.grant);
    const names = strangeNames(config, verdict.grant.named);
    if (names.roles.length + names.servers.length > 0) options.onStrange?.(verdict.grant.subject ?? '', names);
  };
  const anonymous: Principal | undefined =
    config.auth === 'none'
      ? {
          id: 'anonymous',
          role: 'user',
          tokenDigests: [],
          servers: config.servers,
          ...(userLimits === undefined ? {} : { limits: userLimits }),
        }
      : undefined;

  return {
    authenticate(authorization, { clientIp, elsewhere, server }) {
      if (anonymous !== undefined) return { kind: 'known', by: { principal: anonymous, tokenDigest: '' } };
      if (authorization === undefined) return { kind: 'missing' };
      const bearer = parseBearer(authorization);
      if (!bearer.ok) return { kind: 'malformed' };
      const tokenDigest = hash('sha256', bearer.token);
      const found = findInFiles(tokenDigest, clientIp);
      if (found !== undefined) return found;
      if (issued !== undefined && looksIssued(bearer.token)) {
        const ofFiles = (digest: string): AuthResult | undefined => findInFiles(digest, clientIp);
        return judgeIssued(bearer.token, { issued, server, elsewhere, ofFiles });
      }
      if (verifier?.concerns(bearer.token, elsewhere) !== true) return { kind: 'unknown', tokenDigest };
      const verdict = verifier.verify({ text: bearer.token, digest: tokenDigest });
      const admit = (what: TokenVerdict): AuthResult => {
        tellStrange(what);
        return judge(what, { config, byId, tokenDigest });
      };
      return verdict instanceof Promise ? verdict.then(admit) : admit(verdict);
    },
    ofFiles(token, clientIp) {
      if (!parseBearer(`Bearer ${token}`).ok) return { kind: 'malformed' };
      const tokenDigest = hash('sha256', token);
      return findInFiles(tokenDigest, clientIp) ?? { kind: 'unknown', tokenDigest };
    },
    stillValid({ tokenDigest, principalId, clientIp }) {
      if (anonymous !== undefined) return principalId === anonymous.id;
      const found = findInFiles(tokenDigest, clientIp);
      if (found !== undefined) return found.kind === 'known' && found.by.principal.id === principalId;
      const grant = verifier?.recall(tokenDigest);
      if (grant === undefined) return false;
      const result = judge({ kind: 'good', grant }, { config, byId, tokenDigest });
      return result.kind === 'known' && result.by.principal.id === principalId;
    },
  };
}

/** Whose a token of the files is, by its digest; undefined when it is in none. */
function lookUpTokens(
  config: Config,
  options: AuthenticatorOptions,
): (tokenDigest: string, clientIp: string | null) => AuthResult | undefined {
  // Bounded by configuration.
  const byDigest = new Map<string, KnownToken>();
  for (const principal of config.principals) {
    for (const digest of principal.tokenDigests) {
      const terms = principal.tokenTerms?.get(digest);
      const isFrom =
        terms === undefined || terms.networks.length === 0 ? undefined : options.makeNetworks(terms.networks);
      byDigest.set(digest, { principal, digest: Buffer.from(digest, 'hex'), terms, isFrom });
    }
  }
  return (tokenDigest, clientIp) => {
    const found = byDigest.get(tokenDigest);
    if (found === undefined || !timingSafeEqual(found.digest, Buffer.from(tokenDigest, 'hex'))) return undefined;
    const why = findFault(found, options.nowMs(), clientIp);
    if (why !== undefined) return { kind: 'refused', principalId: found.principal.id, why };
    return { kind: 'known', by: { principal: found.principal, tokenDigest } };
  };
}

/** What is wrong with a token that is known. */
function findFault({ principal, terms, isFrom }: KnownToken, nowMs: number, ip: string | null): string | undefined {
  if (terms === undefined) return undefined;
  const token = `the token ${terms.label === undefined ? '' : `${terms.label} `}of ${principal.id}`;
  if (terms.expiresMs !== undefined && nowMs >= terms.expiresMs)
    return `${token} expired at ${formatInstant(terms.expiresMs)}`;
  if (terms.notBeforeMs !== undefined && nowMs < terms.notBeforeMs)
    return `${token} is valid from ${formatInstant(terms.notBeforeMs)} on`;
  if (isFrom !== undefined && (ip === null || !isFrom(ip)))
    return `${token} may not be used from ${ip ?? 'an unknown address'}`;
  return undefined;
}

interface JudgingIssued {
  readonly issued: Issued;
  readonly server: string | undefined;
  readonly elsewhere: boolean;
  ofFiles(digest: string): AuthResult | undefined;
}

/** It stands for the token that was pasted: by that it is known from here on, and ends with it. */
function judgeIssued(token: string, from: JudgingIssued): AuthResult {
  const { issued, server, elsewhere } = from;
  const opened = issued.seals.open('access', token);
  if (opened === undefined) {
    // Of another mcproxy, where that is the server; else of another key, and no guess, for nobody guesses a seal.
    if (elsewhere) return { kind: 'unknown', tokenDigest: hash('sha256', token) };
    return { kind: 'ended', reason: 'it was not issued here' };
  }
  const { user, digest, family, server: only, endsMs } = opened.value;
  const end = (reason: string): AuthResult => ({ kind: 'ended', principalId: user, reason });
  if (opened.ended) return end('it has expired');
  if (issued.hasEnded(family)) return end('its login was ended');
  if (only !== '' && only !== server) return end(`it is for the server ${only} alone`);
  const found = from.ofFiles(digest);
  if (found?.kind === 'refused') return end(found.why);
  if (found?.kind !== 'known' || found.by.principal.id !== user) return end('the token that was pasted for it is gone');
  return { kind: 'known', by: { ...found.by, endsMs } };
}

interface Judging {
  readonly config: Config;
  readonly byId: ReadonlyMap<string, Principal>;
  readonly tokenDigest: string;
}

function judge(verdict: TokenVerdict, { config, byId, tokenDigest }: Judging): AuthResult {
  if (verdict.kind === 'unknown') return { kind: 'failed', error: verdict.error };
  if (verdict.kind === 'bad') return { kind: 'unknown', tokenDigest, reason: verdict.reason };
  const { grant } = verdict;
  const missing = config.oauth?.scopes.filter((scope) => !grant.scopes.includes(scope)) ?? [];
  if (missing.length > 0)
    return { kind: 'denied', lacks: 'scope', reason: `the access token has not the scope ${missing.join(' ')}` };
  const id = unlistedId(config, grant.subject ?? '', grant.named);
  const principal = byId.get(grant.subject ?? '') ?? (id === undefined ? undefined : currentPrincipal(config, id));
  if (principal !== undefined) return { kind: 'known', by: { principal, tokenDigest, endsMs: grant.endsMs } };
  const reason =
    grant.subject === undefined
      ? `the access token has no text as ${config.oauth?.userClaim ?? 'sub'}; set auth.user_claim to a claim that it has`
      : `the access token is of ${JSON.stringify(grant.subject.slice(0, USER_NAME_CHARS_MAX))}, who is no user here and has nothing by a claim`;
  return { kind: 'denied', lacks: 'user', reason };
}

const REALM = 'mcproxy';

/** What a client needs to log in at the authorization server (RFC 9728 §5.1). */
export interface Login {
  /** Undefined: clients cannot find out where. */
  readonly metadataUrl: string | undefined;
  readonly scopes: readonly string[];
}

/**
 * The 401 for a request without a usable token.
 * RFC 6750 §3.1: no `error` attribute when the request carried no credentials at all.
 */
export function challenge(
  result: 'missing' | 'malformed' | 'unknown' | 'refused' | 'ended',
  noUsers: boolean,
  login: Login | undefined,
): ProxyError {
  if (noUsers) {
    const message = 'no user is configured yet, so that nobody is let in; on the server run: mcproxy token add NAME';
    return new ProxyError(result === 'missing' ? 'AUTH_MISSING' : 'AUTH_INVALID', message, {
      headers: { 'www-authenticate': `Bearer realm="${REALM}"` },
    });
  }
  if (result === 'missing') {
    return new ProxyError('AUTH_MISSING', 'a token is needed: send the header "Authorization: Bearer TOKEN"', {
      headers: { 'www-authenticate': schemeOf([], login) },
    });
  }
  // One body for all others, so that the answer tells nothing about what exists.
  const about = ['error="invalid_token"', 'error_description="the token is malformed, unknown, expired or revoked"'];
  return new ProxyError(
    'AUTH_INVALID',
    login?.metadataUrl === undefined
      ? 'this token is not valid here; ask the operator of this mcproxy for a new one'
      : 'this token is not valid here; log in again, or ask the operator of this mcproxy for a new one',
    { headers: { 'www-authenticate': schemeOf(about, login) } },
  );
}

/** The 403 for an access token that is good, but not for this (RFC 6750 §3.1, MCP 2026-07-28 authorization). */
export function denial(lacks: 'scope' | 'user', login: Login | undefined): ProxyError {
  if (lacks === 'user')
    return new ProxyError('ACCESS_DENIED', 'this access token is valid, but its user may use nothing here');
  return new ProxyError('ACCESS_DENIED', 'this access token is valid, but lacks a scope that is needed here', {
    headers: { 'www-authenticate': schemeOf(['error="insufficient_scope"'], login) },
  });
}

function schemeOf(about: readonly string[], login: Login | undefined): string {
  const where = login?.metadataUrl === undefined ? [] : [`resource_metadata="${login.metadataUrl}"`];
  const scope = login === undefined || login.scopes.length === 0 ? [] : [`scope="${login.scopes.join(' ')}"`];
  return `Bearer ${[`realm="${REALM}"`, ...about, ...where, ...scope].join(', ')}`;
}
