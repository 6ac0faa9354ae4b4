import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Credential } from '../../src/model.ts';
import { makeSecret } from '../../src/text/secret.ts';
import { scopeError } from '../../src/upstream/scope-error.ts';
import { OAUTH_CLIENT } from '../support/oauth-client.ts';
import { httpServer } from '../support/scripted-peer.ts';
import { verifies } from '../support/verifies.ts';

const CHALLENGE = 'Bearer error="insufficient_scope", scope="a b"';
const textFor = (credential: Credential, statusCode = 403, challenge = CHALLENGE): string | undefined =>
  scopeError(
    httpServer('up', { credential }),
    { statusCode, headers: { 'www-authenticate': challenge } },
    { whose: 'user ann', redact: (text) => text.replace('b', '*') },
  )?.message;
const BEARER: Credential = { type: 'bearer', token: makeSecret('token-0123456789') };
const WANTS = 'server up wants the scope a *, which the credential configured for user ann lacks';

for (const { name, credential, expected } of [
  { name: 'a token', credential: BEARER, expected: WANTS },
  { name: 'no credential', credential: { type: 'none' }, expected: undefined },
  { name: "the client's own token", credential: { type: 'passthrough' }, expected: undefined },
  {
    name: 'an OAuth client whose scopes are open',
    credential: { type: 'oauth', client: OAUTH_CLIENT },
    expected: `${WANTS}; no access token with it could be got`,
  },
  {
    name: 'an OAuth client with a limit',
    credential: { type: 'oauth', client: { ...OAUTH_CLIENT, scopes: ['a'] } },
    expected: `${WANTS}; "scopes" of its auth is the limit`,
  },
  {
    name: 'a refresh token',
    credential: { type: 'oauth', client: { ...OAUTH_CLIENT, refreshToken: makeSecret('refresh-0123456789') } },
    expected: `${WANTS}; log in with it, and write the new refresh_token`,
  },
] as const satisfies readonly { name: string; credential: Credential; expected: string | undefined }[]) {
  verifies('oauth-out.scope-missing', `a missing scope is told of ${name}`, () => {
    assert.equal(textFor(credential), expected);
  });
}

test('what is no such answer stands as it is', () => {
  assert.equal(textFor(BEARER, 403, 'Bearer error="access_denied", scope="a"'), undefined);
  assert.equal(textFor(BEARER, 401), undefined);
  assert.equal(textFor(BEARER, 200), undefined);
});
