import assert from 'node:assert/strict';
import test from 'node:test';

import type { Config, Principal } from '../../src/model.ts';
import { digestOf, oneLine, parseFiles, pick, revealed, serverOf, validConfig } from '../support/parse-files.ts';
import { verifies } from '../support/verifies.ts';

const A = `sha256:${'a'.repeat(64)}`;
const B = `sha256:${'b'.repeat(64)}`;
const SHARED = `
servers:
  files: { command: npx, args: [x], env: { LEVEL: low, TOKEN: shared-env } }
  api: { url: "https://api.example/mcp", token: shared-token, headers: { X-Team: red, X-Site: one }, timeouts: { idle: 9s } }
  open: { url: "https://open.example/", auth: passthrough }
  off: { url: "https://off.example/", enabled: false }
`;

function userOf(config: Config, id: string): Principal {
  return config.principals.find((principal) => principal.id === id) ?? assert.fail(`no user ${id}`);
}

test('a server without anything special is the very one that everybody has', () => {
  const config = validConfig({
    config: SHARED,
    tokens: `users:\n  a: { token: "${A}", servers: { files: {}, api: } }\n  b: { token: "${B}", servers: [files, off] }\n`,
  });
  const shared = serverOf(config.servers, 'files');
  assert.deepEqual([...userOf(config, 'a').servers.keys()], ['files', 'api']);
  assert.equal(userOf(config, 'a').servers.get('files'), shared);
  assert.equal(userOf(config, 'b').servers.get('files'), shared);
  assert.equal(userOf(config, 'b').servers.get('off')?.enabled, false);
});

for (const servers of ['"*"', '["*"]', '{ "*": {} }', '["*", files]']) {
  test(`all servers cost no map of their own: servers: ${servers}`, () => {
    const config = validConfig({ config: SHARED, tokens: `users: { a: { token: "${A}", servers: ${servers} } }` });
    assert.equal(userOf(config, 'a').servers, config.servers);
  });
}

const overlays = [
  {
    name: 'a token of their own wins',
    server: 'api',
    rest: 'token: mine',
    expected: {
      url: 'https://api.example/mcp',
      credential: { type: 'bearer', token: 'mine' },
      credentialFrom: 'user',
      timeouts: { idleMs: 9_000 },
    },
  },
  {
    name: 'no credential of their own inherits the shared one',
    server: 'api',
    rest: 'retries: 1',
    expected: { credential: { type: 'bearer', token: 'shared-token' }, credentialFrom: 'shared', retries: 1 },
  },
  {
    name: 'auth none sends nothing',
    server: 'api',
    rest: 'auth: none',
    expected: { credential: { type: 'none' }, credentialFrom: 'none' },
  },
  {
    name: 'headers are merged by name',
    server: 'api',
    rest: 'headers: { x-team: blue }',
    expected: {
      headers: [
        ['X-Site', 'one'],
        ['x-team', 'blue'],
      ],
      credentialFrom: 'shared',
    },
  },
  {
    name: 'another path of the same origin keeps the credential',
    server: 'api',
    rest: 'url: "https://api.example/v2"',
    expected: { url: 'https://api.example/v2', credentialFrom: 'shared' },
  },
  {
    name: 'another origin never gets the shared credential or headers',
    server: 'api',
    rest: 'url: "https://evil.example/mcp"',
    expected: { credential: { type: 'none' }, credentialFrom: 'none', headers: [] },
  },
  {
    name: 'a token of their own replaces passthrough',
    server: 'open',
    rest: 'token: mine',
    expected: { credential: { type: 'bearer', token: 'mine' } },
  },
  {
    name: 'the environment of a command is merged',
    server: 'files',
    rest: 'env: { TOKEN: mine }',
    expected: {
      command: 'npx',
      args: ['x'],
      env: [
        ['LEVEL', 'low'],
        ['TOKEN', 'mine'],
      ],
    },
  },
  {
    name: 'arguments of a command replace',
    server: 'files',
    rest: 'args: [y]',
    expected: {
      args: ['y'],
      env: [
        ['LEVEL', 'low'],
        ['TOKEN', 'shared-env'],
      ],
    },
  },
  {
    name: 'a URL in place of a command inherits nothing',
    server: 'files',
    rest: 'url: "https://x.example/"',
    expected: { kind: 'http', credential: { type: 'none' } },
  },
  {
    name: 'a disabled server can be enabled for one',
    server: 'off',
    rest: 'enabled: true',
    expected: { enabled: true },
  },
  {
    name: 'a server that only they have',
    server: 'own',
    rest: 'url: "https://own.example/", token: mine',
    expected: { kind: 'http', credentialFrom: 'user' },
  },
  {
    name: 'a command that only they have',
    server: 'own',
    rest: 'command: uvx',
    expected: { kind: 'stdio', command: 'uvx' },
  },
];
for (const { name, server, rest, expected } of overlays) {
  test(`a user's own settings: ${name}`, () => {
    const config = validConfig({
      config: SHARED,
      tokens: `users: { a: { token: "${A}", servers: { "*": {}, ${server}: { ${rest} } } } }`,
    });
    const { servers } = userOf(config, 'a');
    assert.deepEqual(pick(revealed(serverOf(servers, server)), expected), expected);
    assert.equal(servers.size, server === 'own' ? 5 : 4);
    assert.equal(config.servers.size, 4);
  });
}

test('tokens.yml alone is enough to run', () => {
  const config = validConfig({
    tokens: `users: { alice: { token: "${A}", servers: { github: { url: "https://x.example/", token: "\${ALICE}" } } } }`,
    env: { ALICE: 'ghp_abc' },
  });
  const expected = { credential: { type: 'bearer', token: 'ghp_abc' } };
  assert.deepEqual(pick(revealed(serverOf(userOf(config, 'alice').servers, 'github')), expected), expected);
  assert.equal(config.servers.size, 0);
});

verifies('check.warn-plain-text', 'a user may have several tokens, in either form, and only digests remain', () => {
  const { config, problems } = parseFiles({
    tokens: `users: { a: { token: ["${A.toUpperCase().replace('SHA', 'sha')}", plain-text-1, "\${FROM_ENV}"], servers: "*" } }`,
    env: { FROM_ENV: 'env-token' },
  });
  assert.deepEqual(config?.principals[0]?.tokenDigests, [
    'a'.repeat(64),
    digestOf('plain-text-1'),
    digestOf('env-token'),
  ]);
  assert.deepEqual(revealed(config?.secrets), ['plain-text-1', 'env-token']);
  assert.deepEqual(problems.map(oneLine), [
    'warning 1:98 a token of "a" is stored in plain text | `mcproxy token add` makes a token and stores only its SHA-256',
  ]);
});

test('a user without servers is questioned, an admin is not', () => {
  const { problems } = parseFiles({ tokens: `users: { a: { token: "${A}" }, b: { token: "${B}", role: admin } }` });
  assert.deepEqual(problems.map(oneLine), [
    'warning 1:10 the user "a" may use no server | write servers: "*" for all of them, or a list of names',
  ]);
});

const errors = [
  {
    name: 'a server that does not exist',
    rest: `a: { token: "${A}", servers: [flies] }`,
    expected: '1:107 the server "flies" is defined nowhere | did you mean "files"?',
  },
  {
    name: 'a server that is near none',
    rest: `a: { token: "${A}", servers: { zzzzz: {} } }`,
    expected:
      '1:108 the server "zzzzz" is defined nowhere | define it under "servers" of mcproxy.yml, or give it a "url" or "command" here',
  },
  {
    name: 'passthrough for one user',
    rest: `a: { token: "${A}", servers: { api: { auth: passthrough } } }`,
    expected:
      '1:121 passthrough cannot be set for one user: what they send is their token for mcproxy | set it for the server in mcproxy.yml, or write a "token" here',
  },
  {
    name: 'options for all servers',
    rest: `a: { token: "${A}", servers: { "*": { token: x } } }`,
    expected: '1:113 "*" stands for all servers and takes no options | write the options under the name of a server',
  },
  {
    name: 'the same token twice',
    rest: `a: { token: "${A}", role: admin }, b: { token: "${A}", role: admin }`,
    expected: '1:124 "b" has the same token as "a" | give each user a token of their own: `mcproxy token add`',
  },
  {
    name: 'no token',
    rest: 'a: { servers: "*" }',
    expected: '1:10 the user "a" has no token | `mcproxy token rotate` makes one',
  },
  {
    name: 'a digest that is cut short',
    rest: 'a: { token: "sha256:3d1f…", role: admin }',
    expected:
      '1:22 after "sha256:" there must be 64 hexadecimal digits | `mcproxy token add` makes a token and stores it in this form',
  },
  {
    name: 'a token that can never arrive',
    rest: 'a: { token: "two words", role: admin }',
    expected:
      '1:22 this token can never arrive: it is too long or has characters that a bearer token cannot have | use letters, digits and - . _ ~ + / only, or let `mcproxy token add` make one',
  },
  {
    name: 'a token with an option that is none',
    rest: 'a: { token: { x: 1 }, role: admin }',
    expected: '1:24 "x" is not an option here | delete it; `mcproxy check --explain` lists the options',
  },
  {
    name: 'a token without a digest',
    rest: 'a: { token: { label: x }, role: admin }',
    expected: '1:22 this token has no "sha256" | write sha256: and 64 hexadecimal digits; `mcproxy token add` does it',
  },
  {
    name: 'a token with an impossible day',
    rest: `a: { token: { sha256: "${A}", expires: 2027-02-30 }, role: admin }`,
    expected: '1:116 "expires" is not valid | write a day such as 2027-01-31, or a time such as 2027-01-31T18:00:00Z',
  },
  {
    name: 'a role that is none',
    rest: `a: { token: "${A}", role: root, servers: "*" }`,
    expected: '1:103 the role "root" is defined nowhere | define it under "roles", or write user or admin',
  },
  {
    name: 'a name that is none',
    rest: `a/b: { token: "${A}" }`,
    expected: '1:10 "a/b" cannot be the name of a user | use 1 to 64 of the characters A-Z a-z 0-9 . _ @ -',
  },
  {
    name: 'the name of everybody',
    rest: `anonymous: { token: "${A}" }`,
    expected:
      '1:10 "anonymous" cannot be the name of a user | choose another name; this one stands for everybody with "auth: none"',
  },
  {
    name: 'a name of their own server that is none',
    rest: `a: { token: "${A}", servers: { mcp: { url: "https://x/" } } }`,
    expected: '1:108 "mcp" is the name of a path of mcproxy itself | choose another name, such as "mcp-server"',
  },
];
for (const { name, rest, expected } of errors) {
  test(`an error of a user tells place and remedy: ${name}`, () => {
    const { config, problems } = parseFiles({ config: SHARED, tokens: `users: { ${rest} }` });
    assert.equal(config, undefined);
    const found = problems.filter(({ severity }) => severity === 'error').map(oneLine);
    assert.deepEqual(found, [`error ${expected}`]);
  });
}

test('a user of a server that is wrong is not told that it does not exist', () => {
  const { problems } = parseFiles({
    config: 'servers: { a: { url: ftp } }',
    tokens: `users: { a: { token: "${A}", servers: [a] } }`,
  });
  assert.deepEqual(
    problems.map((problem) => problem.text),
    ['"url" is not valid'],
  );
});

test('a tokens file that holds something else says so', () => {
  const { problems } = parseFiles({ tokens: 'listen: 1\nalice: { token: x }\n' });
  assert.deepEqual(problems.map(oneLine), [
    'error 1:1 "listen" does not belong in this file, which holds "users" and "roles" | write it in mcproxy.yml',
    'error 2:1 "alice" does not belong in this file, which holds "users" and "roles" | write users: in the first line and the users under it, indented',
  ]);
});

test('the same user in two files is an error', () => {
  const text = `users: { a: { token: "${A}", role: admin } }`;
  const { problems } = parseFiles({ config: text, tokens: text });
  assert.deepEqual(problems.map(oneLine), ['error 1:10 the user "a" is defined twice | merge the two']);
});
