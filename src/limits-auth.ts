/**
 * Bounds about tokens and authorization servers: a part of `limits.ts`, which says what a bound is.
 *
 * Everybody imports them from there; here they only have room for their comments. The README's table has the rows of
 * both files, and the house test compares.
 */

const KIB = 1024;
const SECOND = 1_000;
const MINUTE = 60 * SECOND;

/** A bearer token. */
export const TOKEN_BYTES_MAX = 8 * KIB;
/** How far the clocks of an issuer and of this machine may differ. */
export const JWT_LEEWAY_MS = 1 * MINUTE;
/** Keys of one issuer. */
export const JWT_KEY_COUNT_MAX = 64;
/** How long keys of an issuer are used before they are read again, whatever `max-age` says; at least a minute. */
export const JWKS_MS_MAX = 60 * MINUTE;
/** How long keys are used while their issuer does not answer. */
export const JWKS_STALE_MS_MAX = 24 * 60 * MINUTE;
/** How often an issuer is asked about one unknown key, and in the long run about all of them. */
export const JWKS_PAUSE_MS_MIN = 10 * SECOND;
/** Questions to an issuer about unknown keys that are asked at once, before that pause holds for all. */
export const JWKS_BURST_COUNT = 5;
/** How long requests wait for an authorization server; keys that come later serve the next ones. */
export const ISSUER_WAIT_MS_MAX = 3 * SECOND;
/** How long an authorization server is not asked after it failed; twice as long after each further failure. */
export const ISSUER_PAUSE_MS_BASE = 1 * SECOND;
/** The longest such pause. */
export const ISSUER_PAUSE_MS_MAX = 30 * SECOND;
/** Valid access tokens that need not be verified again; beyond it the oldest is. */
export const ACCESS_TOKEN_COUNT_MAX = 10_000;
/** How long the answer about an opaque access token is believed. */
export const INTROSPECTION_MS_MAX = 1 * MINUTE;
/** Opaque access tokens that are asked about at once. */
export const INTROSPECTION_COUNT_MAX = 32;
/** How long a stream of an opaque access token may last before its client has to show the token again. */
export const INTROSPECTED_STREAM_MS_MAX = 60 * MINUTE;
/** A request to an authorization server: connection, question and answer. */
export const CONTROL_MS_MAX = 10 * SECOND;
/** An answer of an authorization server. */
export const CONTROL_BYTES_MAX = 256 * KIB;
/** `cluster.key`: as 24 random bytes in base64. */
export const CLUSTER_KEY_CHARS_MIN = 32;
/** Values of one claim of an access token that may name roles or servers; a token with more is refused. */
export const CLAIM_VALUE_COUNT_MAX = 256;
/** Sets of roles and servers of access tokens that are put together; beyond it the oldest is again. */
export const CLAIMED_RIGHTS_COUNT_MAX = 1_000;
