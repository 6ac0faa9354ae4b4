/**
 * `auth` with `type: oauth`, decoded: a client that can ask for access tokens at all.
 *
 * Which of the two grants it is follows from whether there is a refresh token. What is missing, what could not be sent,
 * and what would be sent unprotected is a problem here, not at the first request.
 */
import type { Credential } from '../model.ts';
import type { YamlNode } from '../text/yaml.ts';
import { decodeMap, isWritten } from './decode.ts';
import type { Reading } from './reading.ts';
import { OAUTH_CLIENT } from './schema-oauth-client.ts';

/** RFC 6749 appendix A: what a name, a secret and a token consist of. */
const VISIBLE = /^[\x20-\x7e]+$/;
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]+$/;

/** The credential; undefined after a problem was reported. */
export function decodeOAuthClient(reading: Reading, node: YamlNode): Credential | undefined {
  const before = reading.problems.errorCount();
  const said = decodeMap({ reading, node }, OAUTH_CLIENT);
  const { client_id: clientId, client_secret: clientSecret, refresh_token: refreshToken, resource, scopes } = said;
  const { token_url: tokenUrl, issuer, client_auth: clientAuth } = said;
  const allowPrivate = said.allow_private?.value ?? false;
  const refuse = (at: YamlNode | undefined, text: string, fix: string): void =>
    reading.problems.error(at, { text, fix });
  const lacks = (name: keyof typeof OAUTH_CLIENT): boolean => said[name] === undefined && !isWritten(node, name);
  if (lacks('client_id')) refuse(node, '"auth: {type: oauth}" needs the name of a client', 'write "client_id"');
  if (lacks('client_secret') && lacks('refresh_token'))
    refuse(node, '"auth: {type: oauth}" has nothing to get a token with', 'write "client_secret" or "refresh_token"');
  if (clientAuth !== undefined && clientAuth.value !== 'auto' && lacks('client_secret'))
    refuse(clientAuth.at, '"client_auth" is about a secret, and there is none', 'write "client_secret", or delete it');
  for (const [name, found] of [
    ['client_id', clientId],
    ['client_secret', clientSecret],
    ['refresh_token', refreshToken],
  ] as const) {
    const text = typeof found?.value === 'string' ? found.value : (found?.value.reveal() ?? 'x');
    if (!VISIBLE.test(text)) refuse(found?.at, `"${name}" is empty or not printable ASCII`, 'correct it');
  }
  if (tokenUrl !== undefined && issuer !== undefined)
    refuse(issuer.at, '"token_url" says already who is asked', 'delete "issuer" or "token_url"');
  for (const [name, found] of [
    ['token_url', tokenUrl],
    ['issuer', issuer],
  ] as const) {
    if (found === undefined || isSafe(found.value, allowPrivate)) continue;
    const fix = 'correct it, or set "allow_private: true" for one in your own network';
    refuse(found.at, `"${name}" is no https:// URL`, fix);
  }
  if (resource !== undefined && !isResource(resource.value))
    refuse(resource.at, '"resource" is no URI without fragment', 'write it as https://HOST/PATH');
  if (scopes?.value.some((scope) => !SCOPE.test(scope)))
    refuse(scopes.at, 'a scope has a character that scopes cannot have', 'write each scope as an item of its own');
  if (reading.problems.errorCount() > before || clientId === undefined) return undefined;
  return {
    type: 'oauth',
    client: {
      clientId: clientId.value,
      clientSecret: clientSecret?.value,
      refreshToken: refreshToken?.value,
      tokenUrl: tokenUrl?.value,
      issuer: issuer?.value,
      scopes: scopes?.value ?? [],
      resource: resource?.value,
      clientAuth: clientAuth?.value ?? 'auto',
      allowPrivate,
    },
  };
}

function isSafe(text: string, allowPrivate: boolean): boolean {
  const protocol = URL.canParse(text) ? new URL(text).protocol : '';
  return protocol === 'https:' || (allowPrivate && protocol === 'http:');
}

/** An absolute URI (RFC 8707 §2). */
function isResource(text: string): boolean {
  return URL.canParse(text) && !text.includes('#') && VISIBLE.test(text);
}
