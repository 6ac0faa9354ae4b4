import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { verifies } from '../support/verifies.ts';
import { test } from 'node:test';
import { readForeignServers } from '../../src/config/foreign-servers.ts';
import { oneLine, parseFiles, revealed, serverOf, validConfig } from '../support/parse-files.ts';

const secrets = { '/etc/mcproxy/key': 'key-in-a-file-1', '/run/s/token': 'token-in-a-file-2', api: 'credential-3' };
const digest = (text: string): string => createHash('sha256').update(text).digest('hex');

verifies(
  'secrets.references',
  'references stand for secrets wherever one is expected, and their values are redacted',
  () => {
    const config = validConfig({
      config: `servers:
  a: { url: "https://a.example/", token: file:key, headers: { X-Key: cred:api, X-Plain: text:file:key } }
  b: { url: "https://b.example/", auth: { type: basic, username: u, password: "file:/run/\${DIR}/token" } }
  c: { command: c, env: { KEY: cred:api, DATABASE_URL: "text:file:./dev.db", TEXT: "text:plain" } }
`,
      tokens: 'users: { alice: { token: [cred:api, file:key], servers: "*" } }',
      env: { DIR: 's' },
      secrets,
    });
    const server = (name: string): Record<string, unknown> => revealed(serverOf(config.servers, name)) as never;
    assert.deepEqual(server('a')['credential'], {
      type: 'headers',
      headers: [
        ['Authorization', 'Bearer key-in-a-file-1'],
        ['X-Key', 'credential-3'],
      ],
    });
    assert.deepEqual(server('a')['headers'], [['X-Plain', 'file:key']]);
    assert.deepEqual(server('b')['credential'], { type: 'basic', username: 'u', password: 'token-in-a-file-2' });
    assert.deepEqual(server('c')['env'], [
      ['KEY', 'credential-3'],
      ['DATABASE_URL', 'file:./dev.db'],
      ['TEXT', 'text:plain'],
    ]);
    assert.deepEqual(config.principals[0]?.tokenDigests, ['credential-3', 'key-in-a-file-1'].map(digest));
    const known = config.secrets.map((secret) => secret.reveal());
    for (const text of Object.values(secrets)) assert.ok(known.includes(text), text);
  },
);

test('a text that begins so stays what it is where no secret is expected, and in files of others', () => {
  const config = validConfig({
    config:
      'servers: { a: { command: "file:x", args: ["file:key"], cwd: "file:y", tools: { describe: { t: "file:key" } } } }',
    tokens: 'users: { alice: { token: abc, servers: { v: { url: "https://v/", token: "${VALUE}" } } } }',
    env: { VALUE: 'file:key' },
    files: [
      {
        path: '/etc/mcproxy/other.json',
        role: 'config',
        text: '{"mcpServers":{"o":{"command":"o","env":{"URL":"file:key"}}}}',
      },
    ],
    secrets,
  });
  const { command, args, exposure } = revealed(serverOf(config.servers, 'a')) as Record<string, unknown> & {
    exposure: { describe: unknown };
  };
  assert.deepEqual([command, args, exposure.describe], ['file:x', ['file:key'], [['t', 'file:key']]]);
  assert.deepEqual(revealed(serverOf(config.servers, 'o')), {
    ...(revealed(serverOf(config.servers, 'o')) as object),
    env: [['URL', 'file:key']],
  });
});

test('what is imported keeps its meaning', () => {
  const servers = readForeignServers(
    '{"mcpServers":{"o":{"command":"o","env":{"A":"file:x","B":"text:cred:y","C":"z"}}}}',
  );
  assert.ok(Array.isArray(servers));
  assert.deepEqual(servers[0]?.fields['env'], { A: 'text:file:x', B: 'text:text:cred:y', C: 'z' });
});

for (const [name, config, expected] of [
  [
    'a file that cannot be had',
    'servers: { a: { url: "https://a/", token: file:none } }',
    '1:43 /etc/mcproxy/none does not exist | make it',
  ],
  [
    'no path',
    'servers: { a: { url: "https://a/", token: "file:" } }',
    '1:43 after "file:" there must be a path | write file:PATH',
  ],
  [
    'a path as name',
    'servers: { a: { url: "https://a/", token: cred:../x } }',
    '1:43 this cannot be the name of a credential | write cred:NAME, with NAME of LoadCredential',
  ],
  [
    'an argument',
    'servers: { a: { command: x, args: [cred:api] } }',
    '1:36 a reference to a secret cannot stand under "args" | write it under "env": everybody can see the arguments of a process',
  ],
  [
    'a user name',
    'servers: { a: { url: "https://a/", username: cred:api, password: x } }',
    '1:46 a reference to a secret cannot stand under "username" | write it where a secret stands: token, password, headers or env',
  ],
] as const) {
  test(`a problem with its place: ${name}`, () => {
    const { problems } = parseFiles({ config, secrets });
    assert.equal(
      problems.map(oneLine).find((line) => line.startsWith('error')),
      `error ${expected}`,
    );
  });
}
