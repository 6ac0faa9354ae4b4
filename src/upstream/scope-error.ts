/**
 * A server that refuses what mcproxy sent because a scope is missing, told so that somebody can do something about it.
 *
 * Its 403 would send a client that logs in by itself to log in at the wrong place, as its 401 would, and without its
 * challenge says nothing. The names of scopes are the server's words, which may quote a secret. Pure.
 */
import type { IncomingMessage } from 'node:http';
import { ProxyError } from '../errors.ts';
import type { Credential, HttpServerConfig } from '../model.ts';
import { lackedScopes } from '../text/challenge.ts';

/** Undefined for every other answer. @param whose the credential: `user alice` */
export function scopeError(
  { name, credential }: HttpServerConfig,
  { statusCode, headers }: Pick<IncomingMessage, 'statusCode' | 'headers'>,
  { whose, redact = asItIs }: { readonly whose: string; readonly redact?: (text: string) => string },
): ProxyError | undefined {
  const lacked = statusCode === 403 ? lackedScopes(headers['www-authenticate']) : undefined;
  if (lacked === undefined || credential.type === 'passthrough' || credential.type === 'none') return undefined;
  const what = lacked.length === 0 ? 'a scope that it does not name' : `the scope ${lacked.map(redact).join(' ')}`;
  const text = `server ${name} wants ${what}, which the credential configured for ${whose} lacks${adviceFor(credential)}`;
  return new ProxyError('UPSTREAM_CREDENTIAL', text);
}

function asItIs(text: string): string {
  return text;
}

function adviceFor(credential: Credential): string {
  if (credential.type !== 'oauth') return '';
  const { refreshToken, scopes } = credential.client;
  if (refreshToken !== undefined) return '; log in with it, and write the new refresh_token';
  return scopes.length > 0 ? '; "scopes" of its auth is the limit' : '; no access token with it could be got';
}
