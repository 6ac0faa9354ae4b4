/**
 * Who is asking: a bearer token to a principal.
 *
 * Tokens are compared by their SHA-256 digest. The map is keyed by digest: to profit from its timing an attacker
 * would have to choose tokens by the leading bits of their digest and still find a preimage; the found digest is
 * then compared in constant time. Tokens are at least as strong as the operator made them; ours have 256 bits.
 */
import { hash, timingSafeEqual } from 'node:crypto';

import { ProxyError } from '../errors.ts';
import type { Config, Principal } from '../model.ts';
import { parseBearer } from '../text/headers.ts';

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
  | { readonly kind: 'malformed' };

export interface Authenticator {
  authenticate(authorization: string | undefined): AuthResult;
  /** Whether a token that was let in before would be let in now, as the same principal. */
  stillValid(tokenDigest: string, principalId: string): boolean;
}

/** Builds the look-up for one configuration. */
export function makeAuthenticator(config: Config): Authenticator {
  // Bounded by configuration.
  const byDigest = new Map<string, { principal: Principal; digest: Buffer }>();
  for (const principal of config.principals) {
    for (const digest of principal.tokenDigests)
      byDigest.set(digest, { principal, digest: Buffer.from(digest, 'hex') });
  }
  const anonymous: Principal | undefined =
    config.auth === 'none' ? { id: 'anonymous', role: 'user', tokenDigests: [], servers: config.servers } : undefined;

  return {
    authenticate(authorization) {
      if (anonymous !== undefined) return { kind: 'known', by: { principal: anonymous, tokenDigest: '' } };
      if (authorization === undefined) return { kind: 'missing' };
      const bearer = parseBearer(authorization);
      if (!bearer.ok) return { kind: 'malformed' };
      const tokenDigest = hash('sha256', bearer.token);
      const found = byDigest.get(tokenDigest);
      if (found === undefined || !timingSafeEqual(found.digest, Buffer.from(tokenDigest, 'hex')))
        return { kind: 'unknown', tokenDigest };
      return { kind: 'known', by: { principal: found.principal, tokenDigest } };
    },
    stillValid(tokenDigest, principalId) {
      if (anonymous !== undefined) return principalId === anonymous.id;
      return byDigest.get(tokenDigest)?.principal.id === principalId;
    },
  };
}

const REALM = 'mcproxy';

/**
 * The 401 for a request without a usable token.
 * RFC 6750 §3.1: no `error` attribute when the request carried no credentials at all.
 */
export function challenge(result: 'missing' | 'malformed' | 'unknown', noUsers: boolean): ProxyError {
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
  // One body for malformed and unknown, so that the answer tells nothing about what exists.
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
