/**
 * Verifies JWT access tokens: the signature with a key of the issuer, then what the token claims.
 *
 * The key decides the algorithm, never the token: each key has the algorithms that its type allows, or the one that it
 * names, and everything else (`none`, HMAC, another family) is refused (RFC 8725 §3.1). An unknown key id is a verdict
 * of its own, because the issuer may have changed its keys since they were read. Pure: keys and time are handed in;
 * fetching keys is `jwks`. Source: RFC 7515 §5.2, RFC 7517, RFC 7518 §3, RFC 7519 §4.1, RFC 8037, RFC 9068 §4, RFC 9864.
 */
import { constants, createPublicKey, verify, type KeyObject } from 'node:crypto';
import { JWT_KEY_COUNT_MAX, JWT_LEEWAY_MS, TOKEN_BYTES_MAX } from '../limits.ts';
import { isObject } from '../mcp/jsonrpc.ts';

export type JwtClaims = Readonly<Record<string, unknown>>;

/** A public key of an issuer, with the algorithms that it may be used for. */
export interface VerificationKey {
  readonly kid: string | undefined;
  readonly algorithms: readonly Algorithm[];
  readonly key: KeyObject;
}

export interface JwtExpectation {
  /** Exactly as the token names it (RFC 7519 §4.1.1). */
  readonly issuer: string;
  /** One of them has to be in the token. */
  readonly audiences: readonly string[];
}

export type JwsVerdict =
  | { readonly kind: 'signed'; readonly claims: JwtClaims }
  /** No key with this id, or none without ids that fits; the issuer may have a newer one. */
  | { readonly kind: 'unknown-key' }
  | { readonly kind: 'invalid'; readonly reason: string };

type Algorithm = keyof typeof ALGORITHMS;

const PSS = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
const P1363 = { dsaEncoding: 'ieee-p1363' } as const;

/** How each algorithm is verified; `hash` is null where the key says it (EdDSA). */
const ALGORITHMS = {
  RS256: { hash: 'sha256', options: {} },
  RS384: { hash: 'sha384', options: {} },
  RS512: { hash: 'sha512', options: {} },
  PS256: { hash: 'sha256', options: PSS },
  PS384: { hash: 'sha384', options: PSS },
  PS512: { hash: 'sha512', options: PSS },
  ES256: { hash: 'sha256', options: P1363 },
  ES384: { hash: 'sha384', options: P1363 },
  ES512: { hash: 'sha512', options: P1363 },
  EdDSA: { hash: null, options: {} },
  // The same with the curve in the name (RFC 9864 §2.2).
  Ed25519: { hash: null, options: {} },
  Ed448: { hash: null, options: {} },
} as const;

const OF_CURVE: Readonly<Record<string, readonly Algorithm[]>> = {
  'P-256': ['ES256'],
  'P-384': ['ES384'],
  'P-521': ['ES512'],
  Ed25519: ['Ed25519', 'EdDSA'],
  Ed448: ['Ed448', 'EdDSA'],
};
const OF_RSA: readonly Algorithm[] = ['RS256', 'PS256', 'RS384', 'PS384', 'RS512', 'PS512'];
/** RFC 7518 §3.3. */
const RSA_BITS_MIN = 2_048;

/** The keys of a JWK set that can verify signatures; others are left out (RFC 7517 §5: ignore what is not understood). */
export function readJwks(document: unknown): VerificationKey[] {
  const keys: unknown = isObject(document) ? document['keys'] : undefined;
  if (!Array.isArray(keys)) return [];
  return keys.slice(0, JWT_KEY_COUNT_MAX).flatMap((jwk: unknown) => (isObject(jwk) ? (readJwk(jwk) ?? []) : []));
}

function readJwk(jwk: Readonly<Record<string, unknown>>): VerificationKey | undefined {
  const { kty, crv, kid, use, alg, key_ops: operations } = jwk;
  if (use !== undefined && use !== 'sig') return undefined;
  if (Array.isArray(operations) && !operations.includes('verify')) return undefined;
  const possible =
    kty === 'RSA' ? OF_RSA : typeof crv === 'string' && Object.hasOwn(OF_CURVE, crv) ? OF_CURVE[crv] : [];
  const algorithms = (possible ?? []).filter((each) => alg === undefined || alg === each);
  if (algorithms.length === 0) return undefined;
  try {
    // Only the public members: a private key that was published by mistake is of no use here.
    const { n, e, x, y } = jwk;
    const key = createPublicKey({ key: { kty, crv, n, e, x, y } as Record<string, string>, format: 'jwk' });
    const bits = key.asymmetricKeyDetails?.modulusLength;
    if (bits !== undefined && bits < RSA_BITS_MIN) return undefined;
    return { kid: typeof kid === 'string' ? kid : undefined, algorithms, key };
  } catch {
    return undefined; // not a key that Node can read
  }
}

/** Whether a bearer token has the form of a JWT at all, so that both kinds of token may be in use at once. */
export function looksLikeJwt(token: string): boolean {
  return /^[\w-]{2,}\.[\w-]{2,}\.[\w-]*$/.test(token);
}

/** What a JWT claims, nothing of it verified; undefined when it is none. */
export function readClaims(token: string): JwtClaims | undefined {
  return token.length > TOKEN_BYTES_MAX ? undefined : readPart(token.split('.')[1] ?? '');
}

/** Which key a JWT says it is signed with, nothing of it verified. */
export function readKid(token: string): string | undefined {
  const kid = token.length > TOKEN_BYTES_MAX ? undefined : readPart(token.split('.')[0] ?? '')?.['kid'];
  return typeof kid === 'string' ? kid : undefined;
}

/** Verifies the signature of a compact JWS and reads its claims. Never throws. */
export function verifyJws(token: string, keys: readonly VerificationKey[]): JwsVerdict {
  if (token.length > TOKEN_BYTES_MAX || !looksLikeJwt(token)) return invalid('it is no JWT');
  const [head = '', body = '', signature = ''] = token.split('.');
  const header = readPart(head);
  const claims = readPart(body);
  if (header === undefined || claims === undefined) return invalid('its parts are no JSON objects');
  // An extension that has to be understood is not (RFC 7515 §4.1.11).
  if (header['crit'] !== undefined) return invalid('it needs an extension that is not known');
  const { alg, kid, typ } = header;
  // Another kind of token of the same issuer must not pass for an access token (RFC 8725 §3.11).
  if (typ !== undefined && !(typeof typ === 'string' && /^(?:application\/)?(?:at\+)?jwt$/i.test(typ))) {
    return invalid('it is no access token');
  }
  if (typeof alg !== 'string' || !Object.hasOwn(ALGORITHMS, alg)) return invalid('its algorithm is not accepted');
  const algorithm = alg as Algorithm;
  const named = keys.filter((each) => kid === undefined || each.kid === undefined || each.kid === kid);
  if (named.length === 0) return { kind: 'unknown-key' };
  const fitting = named.filter((each) => each.algorithms.includes(algorithm));
  if (fitting.length === 0) return invalid('its algorithm is not that of the key');
  const signed = Buffer.from(`${head}.${body}`, 'ascii');
  const bytes = Buffer.from(signature, 'base64url');
  if (fitting.some((each) => isSigned({ algorithm, key: each.key, signed, signature: bytes }))) {
    return { kind: 'signed', claims };
  }
  // Keys without ids cannot be told from each other: a newer one may fit.
  return fitting.some((each) => each.kid === kid && kid !== undefined)
    ? invalid('its signature is wrong')
    : { kind: 'unknown-key' };
}

function isSigned(what: {
  readonly algorithm: Algorithm;
  readonly key: KeyObject;
  readonly signed: Buffer;
  readonly signature: Buffer;
}): boolean {
  const { hash, options } = ALGORITHMS[what.algorithm];
  try {
    return verify(hash, what.signed, { key: what.key, ...options }, what.signature);
  } catch {
    return false; // a signature of an impossible length
  }
}

function readPart(part: string): JwtClaims | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** What is wrong with the claims now; undefined when nothing is. */
export function checkClaims(claims: JwtClaims, expected: JwtExpectation, wallMs: number): string | undefined {
  const { iss, aud, exp, nbf } = claims;
  if (iss !== expected.issuer) return 'it is of another issuer';
  const audiences: unknown[] = Array.isArray(aud) ? aud : [aud];
  if (!expected.audiences.some((each) => audiences.includes(each))) return 'it is for somebody else (aud)';
  if (typeof exp !== 'number' || !Number.isFinite(exp)) return 'it says no end (exp)';
  if (wallMs > exp * 1_000 + JWT_LEEWAY_MS) return 'it has expired';
  if (nbf !== undefined && !(typeof nbf === 'number' && wallMs >= nbf * 1_000 - JWT_LEEWAY_MS)) {
    return 'it is not valid yet (nbf)';
  }
  return undefined;
}

function invalid(reason: string): JwsVerdict {
  return { kind: 'invalid', reason };
}
