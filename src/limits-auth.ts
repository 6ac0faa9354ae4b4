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
/** How long an authorization server is not asked after it failed, or refused a token for a server; twice as long after each further failure. */
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

/** `oauth: facade`: the page on which a person pastes a token is good for so long. */
export const CONSENT_MS_MAX = 10 * MINUTE;
/** An authorization code. */
export const OAUTH_CODE_MS_MAX = 1 * MINUTE;
/** An access token of our own. */
export const OAUTH_ACCESS_MS = 60 * MINUTE;
/** A login that nobody used for so long has ended: the life of a refresh token. */
export const OAUTH_REFRESH_MS = 30 * 24 * 60 * MINUTE;
/** How long the refresh token before the last is good once more: an answer may have been lost, or two have asked at once. */
export const OAUTH_REFRESH_GRACE_MS = 30 * SECOND;
/** Logins whose refresh tokens are followed; beyond it those used longest ago are followed no longer. */
export const OAUTH_FAMILY_COUNT_MAX = 10_000;
/** The body of a request to an OAuth endpoint. */
export const OAUTH_BODY_BYTES_MAX = 32 * KIB;
/** Redirect URIs of one client. */
export const OAUTH_REDIRECT_COUNT_MAX = 32;
/** The redirect URIs and the name that a client registers, together: they make its `client_id`, which is part of URLs. */
export const OAUTH_CLIENT_CHARS_MAX = 2 * KIB;
/** The name of a client on the consent page. */
export const OAUTH_NAME_CHARS_MAX = 80;
/** What an authorization request says, `state` and all, while the person looks at the page: it travels in its form. */
export const OAUTH_REQUEST_BYTES_MAX = 5 * KIB;
/** A metadata document of a client (CIMD): connection, question and answer. */
export const CLIENT_DOCUMENT_MS_MAX = 5 * SECOND;
/** How long such a document, or that there is none, is believed. */
export const CLIENT_DOCUMENT_KEEP_MS = 5 * MINUTE;
/** Such documents remembered. */
export const CLIENT_DOCUMENT_COUNT_MAX = 256;
/** Such documents asked for at once. */
export const CLIENT_DOCUMENT_ASKED_MAX = 32;
/** Such documents asked for at once for one client address. */
export const CLIENT_DOCUMENT_ASKED_EACH_MAX = 4;
/** How long a request waits for an access token that has to be got for its server. */
export const OAUTH_WAIT_MS_MAX = 20 * SECOND;
/** An access token or refresh token for a server. */
export const OAUTH_TOKEN_BYTES_MAX = 16 * KIB;
/** How long an access token for a server is used whose life nobody told. */
export const OAUTH_TOKEN_MS_DEFAULT = 60 * MINUTE;
/** A shorter life is not believed: the server says when it is over, and the authorization server is not asked all the time. */
export const OAUTH_TOKEN_MS_MIN = 5 * SECOND;
/** Nor a longer one: some say "for ever" with a number that is no time any more, which `status` could not print. */
export const OAUTH_TOKEN_MS_MAX = 365 * 24 * 60 * MINUTE;
/** An access token is replaced so long before its end, or after 80 % of its life when that is later. */
export const OAUTH_RENEW_MS_BEFORE = 1 * MINUTE;
/** When a server refuses a new access token too, another one is got after this at the earliest. */
export const OAUTH_REJECTED_MS_MIN = 30 * SECOND;
/** How long it is remembered where the access tokens for a server come from. */
export const OAUTH_METADATA_MS_MAX = 60 * MINUTE;
/** How long a stop waits for an access token that is on its way, since its refresh token has to be kept. */
export const OAUTH_CLOSE_MS_MAX = 3 * SECOND;
/** A file with the tokens for a server, in the state directory. */
export const OAUTH_FILE_BYTES_MAX = 64 * KIB;
/** Such files; those that were not written for longest go first. */
export const OAUTH_FILE_COUNT_MAX = 4_096;
/** The scopes that a server names when it refuses a token without them; with more it counts as naming none. */
export const OAUTH_SCOPE_CHARS_MAX = 1 * KIB;
/** Such scopes, and all that are asked for because a server wanted them, one after another. */
export const OAUTH_SCOPE_COUNT_MAX = 32;
/** Users named with one reason why there are no access tokens for their server, in `mcproxy status --json`; in its text fewer. */
export const STATUS_USER_COUNT_MAX = 100;
/** Tokens got at run time that are kept out of what is written; those in use and the ones before them. */
export const PASSING_SECRET_COUNT_MAX = 8_192;
