/**
 * One request for an access token, and what of the answer is believed.
 *
 * Client-credentials grant or refresh-token grant (RFC 6749 §4.4, §6), always with `resource` (RFC 8707 §2). A client
 * proves itself as the metadata of the authorization server offers, or as the operator wrote. Nothing of the answer is in
 * a message but the error code, which is from a fixed alphabet; a token has to be something that a header field carries.
 */
import { ProxyError } from '../errors.ts';
import { OAUTH_TOKEN_BYTES_MAX, OAUTH_TOKEN_MS_DEFAULT, OAUTH_TOKEN_MS_MAX, OAUTH_TOKEN_MS_MIN } from '../limits.ts';
import { isObject } from '../mcp/jsonrpc.ts';
import type { OAuthClient } from '../model.ts';
import { clientBasic } from './client-basic.ts';
import type { AskIssuer } from './issuer-metadata.ts';
import { unusable } from './issuer-wait.ts';
import type { TokenEndpoint } from './token-endpoint.ts';

export interface TokenAnswer {
  readonly accessToken: string;
  readonly lifeMs: number;
  /** Replaces the one that was sent; undefined: that one stays good. */
  readonly refreshToken: string | undefined;
}

export interface TokenWish {
  readonly refreshToken: string | undefined;
  /** Empty: those that the authorization server chooses. */
  readonly scopes: readonly string[];
  readonly ask: AskIssuer;
}

/**
 * What to ask for. A refresh may not ask for more than was granted (RFC 6749 §6), which only the operator knows.
 *
 * @param more that the server wanted besides
 */
export function scopesToAsk(client: OAuthClient, { scope }: TokenEndpoint, more: readonly string[]): readonly string[] {
  if (client.scopes.length > 0) return client.scopes;
  if (client.refreshToken !== undefined) return [];
  return [...new Set([...(scope?.split(' ').filter((part) => part !== '') ?? []), ...more])];
}

/**
 * @param refreshToken undefined: the client-credentials grant
 * @throws {ProxyError} UPSTREAM_CREDENTIAL when it is refused (`data.oauth_error`); ISSUER_UNREACHABLE
 */
export async function requestToken(
  client: OAuthClient,
  endpoint: TokenEndpoint,
  { refreshToken, scopes, ask }: TokenWish,
): Promise<TokenAnswer> {
  const form = new URLSearchParams({
    grant_type: refreshToken === undefined ? 'client_credentials' : 'refresh_token',
    resource: endpoint.resource,
  });
  if (refreshToken !== undefined) form.set('refresh_token', refreshToken);
  if (scopes.length > 0) form.set('scope', scopes.join(' '));
  const fields = ['Content-Type', 'application/x-www-form-urlencoded', ...authenticate(client, endpoint, form)];
  const { url } = endpoint;
  const { status, body } = await ask({ url, allowPrivate: client.allowPrivate, body: form.toString(), fields });
  if (status === 200 && isObject(body)) return readAnswer(url, body);
  throw refusal(url, status, isObject(body) ? body['error'] : undefined);
}

/** Adds what proves the client to the form, or returns a field. @throws {ProxyError} UPSTREAM_CREDENTIAL */
function authenticate(client: OAuthClient, { url, methods }: TokenEndpoint, form: URLSearchParams): readonly string[] {
  const { clientId, clientSecret } = client;
  if (clientSecret === undefined) {
    form.set('client_id', clientId);
    return [];
  }
  const offers = (method: string): boolean => methods === undefined || methods.includes(method);
  const isPost = client.clientAuth === 'post' || (client.clientAuth === 'auto' && !offers('client_secret_basic'));
  if (client.clientAuth === 'auto' && isPost && !offers('client_secret_post')) {
    const text = `${new URL(url).origin} takes no client secret, which is what mcproxy can prove itself with`;
    throw new ProxyError('UPSTREAM_CREDENTIAL', text);
  }
  if (!isPost) return ['Authorization', clientBasic(clientId, clientSecret)];
  form.set('client_id', clientId);
  form.set('client_secret', clientSecret.reveal());
  return [];
}

/** RFC 6749 §5.1; a token as in RFC 6750 §2.1, more generously. */
function readAnswer(url: string, body: Readonly<Record<string, unknown>>): TokenAnswer {
  const { access_token: accessToken, token_type: type, refresh_token: refreshToken, expires_in: expiresIn } = body;
  if (!isToken(accessToken)) throw unusable(url, 'its answer holds no access token that could be sent');
  if (type !== undefined && !(typeof type === 'string' && type.toLowerCase() === 'bearer'))
    throw unusable(url, 'it gives access tokens that are no bearer tokens');
  const seconds = expiresIn === undefined || expiresIn === null ? Number.NaN : Number(expiresIn);
  const lifeMs = Number.isFinite(seconds) ? clamp(seconds * 1_000) : OAUTH_TOKEN_MS_DEFAULT;
  return { accessToken, lifeMs, refreshToken: isToken(refreshToken) ? refreshToken : undefined };
}

function clamp(lifeMs: number): number {
  return Math.min(Math.max(lifeMs, OAUTH_TOKEN_MS_MIN), OAUTH_TOKEN_MS_MAX);
}

function isToken(value: unknown): value is string {
  return typeof value === 'string' && value.length <= OAUTH_TOKEN_BYTES_MAX && /^[\x21-\x7e]+$/.test(value);
}

/** What to do about the errors of RFC 6749 §5.2 and RFC 8707 §2. */
const ADVICE: Readonly<Record<string, string>> = {
  invalid_client: 'correct client_id and client_secret, or set client_auth',
  invalid_grant: 'the refresh token is not good any more; get a new one and write it as refresh_token',
  unauthorized_client: 'this client may not use this grant',
  unsupported_grant_type: 'it does not offer this grant',
  invalid_scope: 'correct scopes',
  invalid_target: 'correct resource',
};

function refusal(url: string, status: number, error: unknown): ProxyError {
  const where = new URL(url).origin;
  const code = typeof error === 'string' && /^[a-z_]{1,64}$/.test(error) ? error : undefined;
  if (status >= 500 || status === 429 || (code === undefined && status !== 401 && status !== 403)) {
    return unusable(url, `it answers HTTP ${status}`);
  }
  const advice = code === undefined || !Object.hasOwn(ADVICE, code) ? '' : `; ${ADVICE[code]}`;
  return new ProxyError('UPSTREAM_CREDENTIAL', `${where} refuses it (${code ?? `HTTP ${status}`})${advice}`, {
    data: { oauth_error: code ?? null },
  });
}
