/**
 * What a user's own OAuth client may take over from the shared one, so that a shared secret stays on its path.
 *
 * A client secret goes to one authorization server, over connections that are protected as the shared entry says. An
 * entry that inherits it may say nothing about either; and since a server could name another authorization server to
 * whoever asks it for the first time, the shared entry has to say which one it is. A refresh token has one owner, for it
 * may be good only once, and where there is one the client-credentials grant is not what was meant. Pure.
 */
import type { OAuthClient } from '../model.ts';
import type { YamlNode } from '../text/yaml.ts';
import type { Decoded } from './decode.ts';
import type { OAUTH_CLIENT } from './schema-oauth-client.ts';

/** The client of the server as everybody has it. */
export interface SharedClient {
  readonly client: OAuthClient;
  /** Each user brings a refresh token to it. */
  readonly isBrought: boolean;
  /** Where the entry names another CA for the server itself, which may be its own authorization server. */
  readonly otherCa: YamlNode | undefined;
}

interface Said {
  readonly at: YamlNode;
  readonly fields: Decoded<typeof OAUTH_CLIENT>;
}

/** Options that say where a secret goes, and how it is protected on the way. */
const PATH = ['token_url', 'issuer', 'allow_private', 'ca_file'] as const;

/** Reports what must not be inherited. */
export function judgeInherited(
  { at, fields }: Said,
  { client, isBrought, otherCa }: SharedClient,
  refuse: (at: YamlNode, text: string, fix: string) => void,
): void {
  // Another client has its own secret and tokens.
  if (fields.client_id !== undefined && fields.client_id.value !== client.clientId) return;
  if (fields.refresh_token === undefined && (isBrought || client.refreshToken !== undefined))
    refuse(at, 'a refresh token is not inherited: it has one owner', 'write "refresh_token"');
  if (fields.client_secret !== undefined || client.clientSecret === undefined) return;
  const { tokenUrl, issuer, allowPrivate, caFile } = client;
  const shared = { token_url: tokenUrl, issuer, allow_private: allowPrivate, ca_file: caFile };
  const leave = (place: YamlNode, name: string): void => {
    const text = `"${name}" is not that of the server, whose client_secret would leave its path`;
    refuse(place, text, 'delete it, or write "client_id" and "client_secret" of your own');
  };
  for (const name of PATH) {
    const found = fields[name];
    if (found !== undefined && found.value !== shared[name]) leave(found.at, name);
  }
  if (otherCa !== undefined) leave(otherCa, 'ca_file');
  if (tokenUrl !== undefined || issuer !== undefined) return;
  const text = 'the client_secret of the server is not inherited where only the server says to whom it goes';
  refuse(at, text, 'write "issuer" or "token_url" under auth of the server, or "client_secret" here');
}
