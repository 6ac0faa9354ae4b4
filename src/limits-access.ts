/**
 * Bounds of what is counted about who comes in: failed logins, limits of users and servers, tokens that expire.
 *
 * A part of `limits.ts`, under the same rules, in a file of its own because that one is long: nothing that grows is
 * without a row, and the README's table is generated from both. Times are milliseconds.
 */

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

/** Failed logins of one address that are answered at once. */
export const LOGIN_FAILURE_COUNT_FREE = 10;
/** How long an address waits after the first failed login beyond those; twice as long after each further one. */
export const LOGIN_LOCK_MS_BASE = 1 * SECOND;
/** The longest that an address waits; one that failed no more for so long is forgotten. */
export const LOGIN_LOCK_MS_MAX = 15 * MINUTE;
/** Addresses whose failed logins are counted; beyond it the one that failed longest ago is forgotten. */
export const LOGIN_ADDRESS_COUNT_MAX = 10_000;
/** Of them in one wider block (/24, /48); its further ones count together. */
export const LOGIN_BLOCK_ADDRESS_COUNT_MAX = 64;
/** Counts of `limits` (users, servers, patterns of tools) that are held at once. */
export const LIMIT_STATE_COUNT_MAX = 100_000;
/** How often streams are looked at whose token may have expired. */
export const TOKEN_CHECK_MS = 30 * SECOND;
