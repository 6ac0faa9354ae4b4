/**
 * An OAuth client as the configuration has it after decoding, for tests that need one and change what they are about.
 *
 * With a secret and without a refresh token: the client-credentials grant, at the token endpoint of its `tokenUrl`.
 */
import type { OAuthClient } from '../../src/model.ts';
import { makeSecret } from '../../src/text/secret.ts';

export const OAUTH_CLIENT: OAuthClient = {
  clientId: 'me',
  clientSecret: makeSecret('client-secret-0123'),
  refreshToken: undefined,
  tokenUrl: 'https://as.example/token',
  issuer: undefined,
  scopes: [],
  resource: undefined,
  clientAuth: 'auto',
  allowPrivate: false,
  caFile: undefined,
};
