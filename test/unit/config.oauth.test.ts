import assert from 'node:assert/strict';
import { test } from 'node:test';
import { verifiesSame } from '../../src/config/oauth.ts';
import { assertRefused, oneLine, parseFiles, revealed, validConfig } from '../support/parse-files.ts';
import { verifies } from '../support/verifies.ts';

const JWT = 'jwt: { issuer: https://login.example.com }';
const SERVERS = 'servers:\n  a: { url: https://a.example/mcp }\n  b: { url: https://b.example/mcp }\n';
const ASKED = 'introspection: { url: https://login.example.com/ask, client_id: me, client_secret: s3cret-value }';

test('a block under auth is read with its defaults', () => {
  const config = validConfig({
    config: `${SERVERS}public_url: https://mcp.example.com/\npath_prefix: /tools\nauth:\n  ${JWT}\n  ${ASKED}\n  servers: [a]\n`,
    tokens: 'users:\n  alice: { servers: [a] }\n',
  });
  assert.equal(config.publicUrl, 'https://mcp.example.com/tools');
  assert.deepEqual(revealed({ ...config.oauth, servers: [...(config.oauth?.servers.keys() ?? [])] }), {
    issuer: 'https://login.example.com',
    jwt: { jwksUrl: undefined },
    introspection: { url: 'https://login.example.com/ask', clientId: 'me', clientSecret: 's3cret-value' },
    audiences: [],
    scopes: [],
    userClaim: 'sub',
    allowPrivate: false,
    caFile: undefined,
    servers: ['a'],
    claims: { role: undefined, servers: undefined, adminRole: undefined, roles: {} },
  });
  assert.deepEqual(
    config.secrets.map((secret) => secret.reveal()),
    ['s3cret-value'],
  );
});

test('what both kinds of token share may stand under jwt, and variables override it', () => {
  const { oauth } = validConfig({
    config:
      'auth: { jwt: { issuer: https://x.example, audience: me, scopes: [a, b], user_claim: email, ca_file: ca.pem } }\n',
    env: { MCPROXY_AUTH_USER_CLAIM: 'name' },
  });
  assert.deepEqual([oauth?.audiences, oauth?.scopes, oauth?.userClaim], [['me'], ['a', 'b'], 'name']);
  assert.equal(oauth?.caFile, '/etc/mcproxy/ca.pem');
});

test('"none" from the environment lets everybody in, whatever the block says', () => {
  assert.equal(validConfig({ config: `auth: { ${JWT} }\n`, env: { MCPROXY_AUTH: 'none' } }).oauth, undefined);
});

const PUBLIC = 'public_url: https://mcp.example.com\n';
const gaps: readonly { name: string; config: string; problem: RegExp }[] = [
  { name: 'no audience', config: `auth: { ${JWT} }\n`, problem: /for whom access tokens have to be/ },
  { name: 'no public URL', config: `listen: ":3000"\nauth: { audience: x, ${JWT} }\n`, problem: /what clients call/ },
  {
    name: 'hosts of its own',
    config: `allowed_hosts: x.example\nauth: { audience: x, ${JWT} }\n`,
    problem: /what clients call/,
  },
  { name: 'nothing that lets in', config: `${PUBLIC}auth: { scopes: [a] }\n`, problem: /lets nobody in/ },
  {
    name: 'an unknown key',
    config: `${PUBLIC}auth: { jwt: { isuer: x } }\n`,
    problem: /not an option here \| did you mean "issuer"/,
  },
  {
    name: 'an issuer without TLS',
    config: `${PUBLIC}auth: { jwt: { issuer: "http://x" } }\n`,
    problem: /no https:\/\/ URL/,
  },
  {
    name: 'half an introspection',
    config: `${PUBLIC}auth: { introspection: { url: https://x.example } }\n`,
    problem: /not complete/,
  },
  {
    name: 'offline_access',
    config: `${PUBLIC}auth: { ${JWT}, scopes: [offline_access] }\n`,
    problem: /offline_access/,
  },
  {
    name: 'an unknown server',
    config: `${PUBLIC}auth: { ${JWT}, servers: [x] }\n`,
    problem: /auth.servers is defined nowhere \| define it under "servers"/,
  },
  {
    name: 'an administrator without a role claim',
    config: `${PUBLIC}auth: { ${JWT}, admin_role: boss }\n`,
    problem: /a claim that is not named \| write "role_claim"/,
  },
  { name: 'another word', config: 'auth: maybe\n', problem: /"auth" is not valid/ },
];
for (const { name, config, problem } of gaps) {
  verifies('oauth.config', `access tokens with ${name} are an error`, () => {
    assertRefused(config, problem);
  });
}

for (const config of [
  `${PUBLIC}auth: { introspection: { url: https://x.example, client_id: me, client_secret: "\${NONE}" } }\n`,
  'public_url: "${NONE}"\noauth: facade\n',
  `public_url: "\${NONE}"\nlisten: 0.0.0.0:1\nauth: { ${JWT} }\n`,
]) {
  verifies('oauth.config', `what comes of a variable that is not set is no problem of its own: ${config}`, () => {
    const { problems } = parseFiles({ config });
    const errors = problems.filter(({ severity }) => severity === 'error');
    assert.deepEqual(
      errors.map(({ text }) => text),
      ['the variable NONE is not set'],
    );
  });
}

verifies('oauth.config', 'a claim that cannot give anything is worth a word', () => {
  const linesFor = (tokens: string): string =>
    parseFiles({ config: `${PUBLIC}auth: { ${JWT}, role_claim: roles }\n`, tokens })
      .problems.map(oneLine)
      .join('\n');
  assert.match(linesFor('users: {}\n'), /warning.*gives nothing: there are no roles/);
  assert.doesNotMatch(linesFor('roles:\n  a: { tools: "*" }\n'), /gives nothing|nobody can come in/);
});

verifies('oauth.config', 'a user needs no token of their own where an issuer lets them in, and only there', () => {
  const tokens = 'users:\n  alice: { servers: [] }\n';
  assert.equal(validConfig({ config: `${PUBLIC}auth: { ${JWT} }\n`, tokens }).principals.length, 1);
  assert.match(parseFiles({ config: PUBLIC, tokens }).problems.map(oneLine).join('\n'), /has no token/);
});

const KEPT = `${SERVERS}${PUBLIC}auth:\n  ${JWT}\n  ${ASKED}\n`;
for (const { name, config, same } of [
  { name: 'nothing', config: KEPT, same: true },
  { name: 'who may use what', config: `${KEPT}  servers: [a]\n  scopes: [x]\n`, same: true },
  { name: 'the secret', config: KEPT.replace('s3cret', 'other'), same: false },
  { name: 'the issuer', config: KEPT.replace('issuer: https://login', 'issuer: https://other'), same: false },
  { name: 'the public URL', config: KEPT.replace('mcp.example.com', 'm.example.com'), same: false },
  { name: 'the audience', config: `${KEPT}  audience: x\n`, same: false },
  { name: 'which claim names roles', config: `${KEPT}  role_claim: x\n`, same: false },
  { name: 'who is an administrator', config: `${KEPT}  role_claim: x\n  admin_role: y\n`, same: false },
]) {
  verifies('oauth.reload', `what was verified is ${same ? 'kept' : 'dropped'} when a reload changes ${name}`, () => {
    assert.equal(verifiesSame(validConfig({ config: KEPT }), validConfig({ config })), same);
  });
}
