/**
 * A user's own OAuth client on top of the shared one: what it takes over, and that a shared secret stays on its path.
 */
import assert from 'node:assert/strict';
import type { Config, HttpServerConfig } from '../../src/model.ts';
import { usersFile } from '../support/message-app.ts';
import { parseFiles, validConfig } from '../support/parse-files.ts';
import { verifies } from '../support/verifies.ts';

const SHARED =
  'type: oauth, client_id: gate, client_secret: shared-secret-0123, scopes: [a, b], resource: "urn:x", client_auth: post';
const PINNED = `${SHARED}, issuer: "https://as.example"`;
const BROUGHT = `${PINNED}, refresh_token: `;

const configText = (auth: string): string =>
  `servers:\n  crm:\n    url: https://crm.example/mcp\n    auth: { ${auth} }\n`;
const tokensText = (entry: string): string => usersFile({ ann: `{ crm: ${entry} }` });

function crmOf(config: Config): HttpServerConfig {
  const server = config.principals.find(({ id }) => id === 'ann')?.servers.get('crm');
  assert.ok(server?.kind === 'http');
  return server;
}

function clientFor(shared: string, entry: string): unknown {
  const server = crmOf(validConfig({ config: configText(shared), tokens: tokensText(entry) }));
  assert.ok(server.credential.type === 'oauth');
  const { client } = server.credential;
  assert.deepEqual([server.credentialFrom, server.lacks], ['user', []]);
  return { ...client, clientSecret: client.clientSecret?.reveal(), refreshToken: client.refreshToken?.reveal() };
}

const INHERITED = {
  clientId: 'gate',
  clientSecret: 'shared-secret-0123',
  refreshToken: 'ann-0123456',
  tokenUrl: undefined,
  issuer: 'https://as.example',
  scopes: ['a', 'b'],
  resource: 'urn:x',
  clientAuth: 'post',
  allowPrivate: false,
  caFile: undefined,
};

for (const [shared, entry] of [
  [PINNED, '{ auth: { type: oauth, refresh_token: ann-0123456 } }'],
  [PINNED, '{ auth: { refresh_token: ann-0123456 } }'],
  [BROUGHT, '{ auth: { refresh_token: ann-0123456 } }'],
  [PINNED, '{ auth: { refresh_token: ann-0123456, issuer: "https://as.example", allow_private: false } }'],
  [PINNED, '{ auth: { refresh_token: ann-0123456, client_id: gate }, url: https://crm.example/mcp/v2 }'],
] as const) {
  verifies('oauth-out.inherit', `${entry} takes over the rest`, () => {
    assert.deepEqual(clientFor(shared, entry), INHERITED);
  });
}

verifies('oauth-out.inherit', 'what is said wins, and another client has no secret of the shared one', () => {
  assert.deepEqual(clientFor(PINNED, '{ auth: { refresh_token: ann-0123456, scopes: [c], client_auth: basic } }'), {
    ...INHERITED,
    scopes: ['c'],
    clientAuth: 'basic',
  });
  assert.deepEqual(clientFor(PINNED, '{ auth: { refresh_token: ann-0123456, client_id: mine } }'), {
    ...INHERITED,
    clientId: 'mine',
    clientSecret: undefined,
  });
  // Its own secret may go where its entry says.
  const own = 'client_id: mine, client_secret: own-secret-0123, token_url: "https://other.example/t"';
  assert.deepEqual(clientFor(PINNED, `{ auth: { ${own} } }`), {
    ...INHERITED,
    clientId: 'mine',
    clientSecret: 'own-secret-0123',
    refreshToken: undefined,
    issuer: undefined,
    tokenUrl: 'https://other.example/t',
  });
});

verifies('oauth-out.inherit', 'scopes alone may differ for a client without a refresh token', () => {
  assert.deepEqual(clientFor(PINNED, '{ auth: { type: oauth, scopes: [write] } }'), {
    ...INHERITED,
    refreshToken: undefined,
    scopes: ['write'],
  });
});

const REFRESH = 'refresh_token: ann-0123456';
const LEAVES = 'is not that of the server, whose client_secret would leave its path';
for (const { name, shared = PINNED, entry, expected } of [
  { name: 'another issuer', entry: `{ auth: { ${REFRESH}, issuer: "https://thief.example" } }`, expected: LEAVES },
  {
    name: 'another token_url',
    entry: `{ auth: { ${REFRESH}, token_url: "https://thief.example/t" } }`,
    expected: LEAVES,
  },
  {
    name: 'the same client at another issuer',
    entry: `{ auth: { ${REFRESH}, client_id: gate, issuer: "https://thief.example" } }`,
    expected: LEAVES,
  },
  { name: 'another CA of the server', entry: `{ ca_file: ca.pem, auth: { ${REFRESH} } }`, expected: LEAVES },
  { name: 'another CA', entry: `{ auth: { ${REFRESH}, ca_file: ca.pem } }`, expected: LEAVES },
  { name: 'a private network', entry: `{ auth: { ${REFRESH}, allow_private: true } }`, expected: LEAVES },
  {
    name: 'an authorization server that only the server names',
    shared: SHARED,
    entry: `{ auth: { ${REFRESH} } }`,
    expected: 'is not inherited where only the server says to whom it goes',
  },
  {
    name: 'a server elsewhere',
    entry: `{ url: https://thief.example/mcp, auth: { ${REFRESH} } }`,
    expected: 'needs the name of a client',
  },
  {
    name: 'no refresh token where each user brings one',
    shared: BROUGHT,
    entry: '{ auth: { type: oauth, scopes: [c] } }',
    expected: 'a refresh token is not inherited',
  },
  {
    name: 'a refresh token without a value',
    entry: '{ auth: { type: oauth, refresh_token: } }',
    expected: '"refresh_token" has no value',
  },
  {
    name: "the refresh token of somebody else's entry",
    shared: `${PINNED}, refresh_token: shared-refresh-0123`,
    entry: '{ auth: { type: oauth, scopes: [c] } }',
    expected: 'a refresh token is not inherited',
  },
]) {
  verifies('oauth-out.inherit', `${name} is refused`, () => {
    const { problems } = parseFiles({ config: configText(shared), tokens: tokensText(entry) });
    const [problem, ...more] = problems.filter(({ severity }) => severity === 'error');
    assert.ok(problem !== undefined && problem.text.includes(expected), JSON.stringify(problems));
    assert.deepEqual(more, []);
    assert.match(problem.file, /tokens/);
    assert.ok(problem.fix !== undefined && !JSON.stringify(problem).includes('-0123'));
  });
}

verifies('oauth-out.brought', 'who has not what each user brings is named, and what they bring may be anything', () => {
  const { config, problems } = parseFiles({ config: configText(BROUGHT), tokens: tokensText('') });
  assert.ok(config !== undefined);
  assert.deepEqual(crmOf(config).lacks, ['auth.refresh_token']);
  assert.match(problems[0]?.text ?? '', /each user brings auth\.refresh_token .*: ann$/);
  const brought = validConfig({ config: configText(BROUGHT), tokens: tokensText('{ token: pasted-0123456 }') });
  assert.deepEqual([crmOf(brought).lacks, crmOf(brought).credential.type], [[], 'bearer']);
});
