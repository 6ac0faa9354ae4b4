/**
 * Who is asking: a bearer token to a principal.
 *
 * Tokens are compared by their SHA-256 digest. The map is keyed by digest: to profit from its timing an attacker
 * would have to choose tokens by the leading bits of their digest and still find a preimage; the found digest is
 * then compared in constant time. Tokens are at least as strong as the operator made them; ours have 256 bits. Every
 * token that lets nobody in gets one answer, also one that is known and out of its terms; what was wrong with it is for
 * the log.
 */
import { hash, timingSafeEqual } from 'node:crypto';

import { ProxyError } from '../errors.ts';
import type { Config, Principal, TokenTerms } from '../model.ts';
import { parseBearer } from '../text/headers.ts';
import { formatInstant } from '../text/instant.ts';

export interface Authenticated {
  readonly principal: Principal;
  /** Lower-case hex SHA-256 of the token; empty for `auth: none`. */
  readonly tokenDigest: string;
}

export type AuthResult =
  | { readonly kind: 'known'; readonly by: Authenticated }
  | { readonly kind: 'missing' }
  /** Well-formed but nobody's; the digest names the caller of a passthrough server. */
  | { readonly kind: 'unknown'; readonly tokenDigest: string }
  /** Somebody's, but not now or not from there. `why` is for the operator alone. */
  | { readonly kind: 'refused'; readonly principalId: string; readonly why: string }
  | { readonly kind: 'malformed' };

/** Who shows a token, for one that was let in before. */
export interface Bearer {
  readonly tokenDigest: string;
  readonly principalId: string;
  readonly clientIp: string | null;
}

export interface Authenticator {
  /** @param clientIp where the request comes from; null where that is not known */
  authenticate(authorization: string | undefined, clientIp: string | null): AuthResult;
  /** Whether a token that was let in before would be let in now, as the same principal. */
  stillValid(bearer: Bearer): boolean;
}

export interface AuthenticatorOptions {
  /** Wall time, ms since the epoch. */
  nowMs(): number;
  /** Tells whether an address is in one of the CIDR blocks. */
  makeNetworks(blocks: readonly string[]): (ip: string) => boolean;
}

interface KnownToken {
  readonly principal: Principal;
  readonly digest: Buffer;
  readonly terms: TokenTerms | undefined;
  readonly isFrom: ((ip: string) => boolean) | undefined;
}

/** Builds the look-up for one configuration. */
export function makeAuthenticator(config: Config, options: AuthenticatorOptions): Authenticator {
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
  const { userLimits } = config;
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
    authenticate(authorization, clientIp) {
      if (anonymous !== undefined) return { kind: 'known', by: { principal: anonymous, tokenDigest: '' } };
      if (authorization === undefined) return { kind: 'missing' };
      const bearer = parseBearer(authorization);
      if (!bearer.ok) return { kind: 'malformed' };
      const tokenDigest = hash('sha256', bearer.token);
      const found = byDigest.get(tokenDigest);
      if (found === undefined || !timingSafeEqual(found.digest, Buffer.from(tokenDigest, 'hex')))
        return { kind: 'unknown', tokenDigest };
      const why = findFault(found, options.nowMs(), clientIp);
      if (why !== undefined) return { kind: 'refused', principalId: found.principal.id, why };
      return { kind: 'known', by: { principal: found.principal, tokenDigest } };
    },
    stillValid({ tokenDigest, principalId, clientIp }) {
      if (anonymous !== undefined) return principalId === anonymous.id;
      const found = byDigest.get(tokenDigest);
      return found?.principal.id === principalId && findFault(found, options.nowMs(), clientIp) === undefined;
    },
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

const REALM = 'mcproxy';

/**
 * The 401 for a request without a usable token.
 * RFC 6750 §3.1: no `error` attribute when the request carried no credentials at all.
 */
export function challenge(result: 'missing' | 'malformed' | 'unknown' | 'refused', noUsers: boolean): ProxyError {
  if (noUsers) {
    const message = 'no user is configured yet, so that nobody is let in; on the server run: mcproxy token add NAME';
    return new ProxyError(result === 'missing' ? 'AUTH_MISSING' : 'AUTH_INVALID', message, {
      headers: { 'www-authenticate': `Bearer realm="${REALM}"` },
    });
  }
  if (result === 'missing') {
    return new ProxyError('AUTH_MISSING', 'a token is needed: send the header "Authorization: Bearer TOKEN"', {
      headers: { 'www-authenticate': `Bearer realm="${REALM}"` },
    });
  }
  // One body for all others, so that the answer tells nothing about what exists.
  return new ProxyError(
    'AUTH_INVALID',
    'this token is not valid here; ask the operator of this mcproxy for a new one',
    {
      headers: {
        'www-authenticate': `Bearer realm="${REALM}", error="invalid_token", error_description="the token is malformed, unknown or revoked"`,
      },
    },
  );
}
