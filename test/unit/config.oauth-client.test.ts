/**
 * `auth` with `type: oauth` as operators write it: what it becomes, what is wrong with it, and what a reload says of it.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeDiff, diffConfig } from '../../src/config/diff.ts';
import type { OAuthClient } from '../../src/model.ts';
import { parseFiles, validConfig } from '../support/parse-files.ts';
import { OAUTH_CLIENT } from '../support/oauth-client.ts';
import { verifies } from '../support/verifies.ts';

const config = (auth: string, more = ''): string =>
  `auth: none\nservers:\n  s:\n    url: https://mcp.example/mcp\n    auth: ${auth}\n${more}`;

function clientOf(auth: string): OAuthClient {
  const server = validConfig({ config: config(auth) }).servers.get('s');
  assert.ok(server?.kind === 'http' && server.credential.type === 'oauth');
  return server.credential.client;
}

verifies('oauth-out.config', 'a client with a secret is enough, and nothing of it is shown', () => {
  const client = clientOf('{ type: oauth, client_id: me, client_secret: secret-0123 }');
  assert.deepEqual(
    { ...client, clientSecret: client.clientSecret?.reveal() },
    { ...OAUTH_CLIENT, clientSecret: 'secret-0123', tokenUrl: undefined },
  );
  assert.ok(!JSON.stringify(client).includes('secret-0123'));
});

verifies('oauth-out.config', 'every option may be written, and a public client needs no secret', () => {
  const client = clientOf(
    '{ type: OAuth, client_id: me, refresh_token: "r-1", token_url: "http://10.0.0.1/token", allow_private: true, ' +
      'scopes: [a, "b:c"], resource: "urn:example:x" }',
  );
  const { refreshToken, tokenUrl, scopes, resource, clientSecret } = client;
  assert.deepEqual(
    [refreshToken?.reveal(), tokenUrl, scopes, resource, clientSecret],
    ['r-1', 'http://10.0.0.1/token', ['a', 'b:c'], 'urn:example:x', undefined],
  );
  assert.equal(
    clientOf('{ type: oauth, client_id: a, client_secret: b, client_auth: client_secret_post }').clientAuth,
    'post',
  );
});

const GOOD = 'client_id: me, client_secret: secret-0123';
for (const { name, auth, expected } of [
  { name: 'no client', auth: 'client_secret: x', expected: '"auth: {type: oauth}" needs the name of a client' },
  { name: 'no secret', auth: 'client_id: me', expected: '"auth: {type: oauth}" has nothing to get a token with' },
  {
    name: 'a plain token_url',
    auth: `${GOOD}, token_url: "http://as.example/"`,
    expected: '"token_url" is no https:// URL',
  },
  { name: 'a plain issuer', auth: `${GOOD}, issuer: "http://as.example/"`, expected: '"issuer" is no https:// URL' },
  { name: 'no URL as issuer', auth: `${GOOD}, issuer: example`, expected: '"issuer" is no https:// URL' },
  {
    name: 'token_url and issuer',
    auth: `${GOOD}, issuer: "https://as.example/", token_url: "https://as.example/t"`,
    expected: '"token_url" says already who is asked',
  },
  { name: 'a fragment', auth: `${GOOD}, resource: "https://x/#y"`, expected: '"resource" is no URI without fragment' },
  { name: 'a relative resource', auth: `${GOOD}, resource: /mcp`, expected: '"resource" is no URI without fragment' },
  {
    name: 'two scopes in one',
    auth: `${GOOD}, scopes: "a b"`,
    expected: 'a scope has a character that scopes cannot have',
  },
  {
    name: 'a client beyond ASCII',
    auth: 'client_id: mé, client_secret: x',
    expected: '"client_id" is empty or not printable ASCII',
  },
  {
    name: 'client_auth without secret',
    auth: 'client_id: me, refresh_token: x, client_auth: post',
    expected: '"client_auth" is about a secret, and there is none',
  },
  {
    name: 'a secret whose variable is not set',
    auth: 'client_id: me, client_secret: "${NO_SECRET}", client_auth: post',
    expected: 'the variable NO_SECRET is not set',
  },
  {
    name: 'a client whose variable is not set',
    auth: 'client_id: "${NO_CLIENT}", client_secret: x',
    expected: 'the variable NO_CLIENT is not set',
  },
  { name: 'an unknown option', auth: `${GOOD}, scope: a`, expected: '"scope" is not an option here' },
]) {
  verifies('oauth-out.config', `${name} is a problem with its place`, () => {
    const { problems } = parseFiles({ config: config(`{ type: oauth, ${auth} }`) });
    const [problem, ...more] = problems.filter(({ severity }) => severity === 'error');
    assert.equal(problem?.text, expected);
    assert.deepEqual(more, []);
    assert.equal(problem.position?.line, 5);
    assert.ok(problem.fix !== undefined && !JSON.stringify(problem).includes('secret-0123'));
  });
}

for (const more of ['    token: t-0123456789\n', '    headers: { authorization: "Bearer x" }\n']) {
  verifies('oauth-out.config', `another credential beside it is a problem: ${more.trim()}`, () => {
    const { problems } = parseFiles({ config: config(`{ type: oauth, ${GOOD} }`, more) });
    assert.deepEqual(
      problems.map(({ text }) => text),
      ['an OAuth client and a token or password contradict each other'],
    );
  });
}

for (const { name, before, after } of [
  { name: 'the secret of a client', before: `{ type: oauth, ${GOOD} }`, after: `{ type: oauth, ${GOOD}4 }` },
  {
    name: 'a refresh token',
    before: '{ type: oauth, client_id: a, refresh_token: b }',
    after: '{ type: oauth, client_id: a, refresh_token: c }',
  },
  { name: 'a scope', before: `{ type: oauth, ${GOOD} }`, after: `{ type: oauth, ${GOOD}, scopes: [a] }` },
  {
    name: 'the secret of a signature',
    before: '{ type: hmac, key_id: a, secret: b }',
    after: '{ type: hmac, key_id: a, secret: c }',
  },
]) {
  test(`a reload that changes ${name} says so, and only then`, () => {
    const [old, now] = [validConfig({ config: config(before) }), validConfig({ config: config(after) })];
    assert.deepEqual(describeDiff(diffConfig(old, now)), ['server s: credential changed']);
    assert.deepEqual(describeDiff(diffConfig(old, validConfig({ config: config(before) }))), []);
  });
}
