/**
 * `auth` with `type: oauth`, decoded: a client that can ask for access tokens at all.
 *
 * Which of the two grants it is follows from whether there is a refresh token. What is missing, what could not be sent,
 * and what would be sent unprotected is a problem here, not at the first request. A user's own entry says what differs
 * from the shared one, and inherits the rest (`oauth-inherit.ts`).
 */
import type { Credential, OAuthClient } from '../model.ts';
import { isScope } from '../text/challenge.ts';
import type { YamlNode } from '../text/yaml.ts';
import { decodeMap, isWritten, type Decoded } from './decode.ts';
import { judgeInherited, type SharedClient } from './oauth-inherit.ts';
import { isNothing, type Reading } from './reading.ts';
import { OAUTH_CLIENT } from './schema-oauth-client.ts';

/** What one entry says, each value for itself. */
export interface OAuthClientSaid {
  readonly at: YamlNode;
  readonly fields: Decoded<typeof OAUTH_CLIENT>;
  /** The refresh token is named without a value: each user brings theirs. */
  readonly isBrought: boolean;
}

/** What each user has to bring where the refresh token is named without a value. */
export const BROUGHT_REFRESH_TOKEN = 'auth.refresh_token';

/** RFC 6749 appendix A: what a name, a secret and a token consist of. */
const VISIBLE = /^[\x20-\x7e]+$/;

/** Reports what is wrong with single values. @param lacking the entry is of a server that several share */
export function decodeOAuthClient(reading: Reading, at: YamlNode, lacking: boolean): OAuthClientSaid {
  const fields = decodeMap({ reading, node: at }, OAUTH_CLIENT);
  const { client_id: clientId, client_secret: clientSecret, refresh_token: refreshToken, resource, scopes } = fields;
  const { token_url: tokenUrl, issuer } = fields;
  const refuse = refusal(reading);
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
  if (resource !== undefined && !isResource(resource.value))
    refuse(resource.at, '"resource" is no URI without fragment', 'write it as https://HOST/PATH');
  if (scopes?.value.every(isScope) === false)
    refuse(scopes.at, 'a scope has a character that scopes cannot have', 'write each scope as an item of its own');
  const pair = at.kind === 'map' ? at.pairs.find(({ name }) => name === 'refresh_token') : undefined;
  const isNamed = pair !== undefined && isNothing(pair.value);
  // Here nobody else could bring it, and without one another grant would be used.
  if (isNamed && !lacking) refuse(at, '"refresh_token" has no value', 'write it, or delete its name');
  return { at, fields, isBrought: isNamed };
}

/** The credential; undefined after a problem was reported. @param shared what it stands on, if there is an OAuth client */
export function completeOAuthClient(
  reading: Reading,
  said: OAuthClientSaid,
  shared: SharedClient | undefined,
): Credential | undefined {
  const before = reading.problems.errorCount();
  const { at, fields, isBrought } = said;
  const refuse = refusal(reading);
  const client = merge(fields, shared?.client);
  if (shared !== undefined) judgeInherited(said, shared, refuse);
  const hasSecret = client.clientSecret !== undefined || isWritten(at, 'client_secret');
  if (client.clientId === undefined && !isWritten(at, 'client_id'))
    refuse(at, '"auth: {type: oauth}" needs the name of a client', 'write "client_id"');
  const { client_auth: clientAuth } = fields;
  const hasErrors = reading.problems.errorCount() > before;
  if (!hasErrors && !hasSecret && !isWritten(at, 'refresh_token') && !isBrought)
    refuse(at, '"auth: {type: oauth}" has nothing to get a token with', 'write "client_secret" or "refresh_token"');
  if (clientAuth !== undefined && clientAuth.value !== 'auto' && !hasSecret)
    refuse(clientAuth.at, '"client_auth" is about a secret, and there is none', 'write "client_secret", or delete it');
  for (const [name, found, text] of [
    ['token_url', fields.token_url, client.tokenUrl],
    ['issuer', fields.issuer, client.issuer],
  ] as const) {
    if (text === undefined || isSafe(text, client.allowPrivate)) continue;
    const fix = 'correct it, or set "allow_private: true" for one in your own network';
    refuse(found?.at ?? at, `"${name}" is no https:// URL`, fix);
  }
  const { clientId } = client;
  if (reading.problems.errorCount() > before || clientId === undefined) return undefined;
  return { type: 'oauth', client: { ...client, clientId } };
}

type Refuse = (at: YamlNode | undefined, text: string, fix: string) => void;

function refusal({ problems }: Reading): Refuse {
  return (at, text, fix) => problems.error(at, { text, fix });
}

/** A secret belongs to its client, a place to all that is said of it, and a refresh token to one entry alone. */
function merge(
  fields: OAuthClientSaid['fields'],
  base: OAuthClient | undefined,
): Omit<OAuthClient, 'clientId'> & { readonly clientId: string | undefined } {
  const clientId = fields.client_id?.value ?? base?.clientId;
  const isPlaced = fields.token_url !== undefined || fields.issuer !== undefined;
  return {
    clientId,
    clientSecret: fields.client_secret?.value ?? (clientId === base?.clientId ? base?.clientSecret : undefined),
    refreshToken: fields.refresh_token?.value,
    tokenUrl: isPlaced ? fields.token_url?.value : base?.tokenUrl,
    issuer: isPlaced ? fields.issuer?.value : base?.issuer,
    scopes: fields.scopes?.value ?? base?.scopes ?? [],
    resource: fields.resource?.value ?? base?.resource,
    clientAuth: fields.client_auth?.value ?? base?.clientAuth ?? 'auto',
    allowPrivate: fields.allow_private?.value ?? base?.allowPrivate ?? false,
    caFile: fields.ca_file?.value ?? base?.caFile,
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
