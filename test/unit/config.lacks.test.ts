import assert from 'node:assert/strict';
import { test } from 'node:test';

import { digestOf, oneLine, parseFiles, serverOf, validConfig } from '../support/parse-files.ts';
import { verifies } from '../support/verifies.ts';

const tokens = (servers: string): string =>
  `users:\n  alice: { token: sha256:${digestOf('alice')}, servers: ${servers} }\n`;
const remote = (rest: string): string => `servers:\n  a: { url: https://a.example/mcp, ${rest} }\n`;
const command = (rest: string): string => `servers:\n  a: { command: x, ${rest} }\n`;

const cases: readonly { name: string; config: string; own: string; shared: string[]; alice: string[] }[] = [
  { name: 'bearer, brought', config: remote('auth: bearer'), own: '{ token: t }', shared: ['token'], alice: [] },
  { name: 'bearer, not brought', config: remote('auth: bearer'), own: '{}', shared: ['token'], alice: ['token'] },
  {
    name: 'bearer in a map',
    config: remote('auth: { type: bearer }'),
    own: '{ retries: 1 }',
    shared: ['token'],
    alice: ['token'],
  },
  {
    name: 'basic, brought as a token',
    config: remote('auth: basic'),
    own: '{ token: t }',
    shared: ['username', 'password'],
    alice: [],
  },
  {
    name: 'a header, brought in another case',
    config: remote('headers: { X-Api-Key: }'),
    own: '{ headers: { x-api-key: k } }',
    shared: ['headers.X-Api-Key'],
    alice: [],
  },
  {
    name: 'a header, another brought',
    config: remote('headers: { X-Api-Key: }'),
    own: '{ token: t }',
    shared: ['headers.X-Api-Key'],
    alice: ['headers.X-Api-Key'],
  },
  {
    name: 'Authorization, brought as a token',
    config: remote('headers: { Authorization: }'),
    own: '{ token: t }',
    shared: ['headers.Authorization'],
    alice: [],
  },
  {
    name: 'a header beside a plain one',
    config: remote('headers: { X-Team: red, X-Tenant: }'),
    own: '{ headers: { X-Tenant: "7" } }',
    shared: ['headers.X-Tenant'],
    alice: [],
  },
  {
    name: 'another origin, of which nothing is inherited',
    config: remote('auth: bearer'),
    own: '{ url: https://b.example/mcp }',
    shared: ['token'],
    alice: [],
  },
  {
    name: 'two variables, one brought',
    config: command('env: { A: , B: , C: c }'),
    own: '{ env: { A: "" } }',
    shared: ['env.A', 'env.B'],
    alice: ['env.B'],
  },
];
for (const { name, config, own, shared, alice } of cases) {
  verifies('gateway.servers.own-credential', `what each user brings is missing until they do: ${name}`, () => {
    const parsed = validConfig({ config, tokens: tokens(`{ a: ${own} }`) });
    assert.deepEqual(serverOf(parsed.servers, 'a').lacks, shared);
    const [user] = parsed.principals;
    assert.ok(user !== undefined);
    assert.deepEqual(serverOf(user.servers, 'a').lacks, alice);
  });
}

verifies('gateway.servers.own-credential-check', 'a warning names the users who lack something, at the server', () => {
  const users = ['alice', 'bob'].map((name) => `  ${name}: { token: sha256:${digestOf(name)}, servers: "*" }\n`);
  const { config, problems } = parseFiles({ config: remote('auth: bearer'), tokens: `users:\n${users.join('')}` });
  assert.ok(config !== undefined);
  assert.deepEqual(problems.map(oneLine), [
    'warning 2:3 each user brings token for the server "a", and these have not: alice, bob | write it in tokens.yml under users.NAME.servers.a',
  ]);
});

const errors = [
  {
    name: 'a variable of a user',
    config: command('args: []'),
    own: '{ env: { A: } }',
    expected: /^error 2:\d+ "A" of "env" must have a text as value/,
  },
  {
    name: 'a bearer of a user',
    config: remote('retries: 1'),
    own: '{ auth: bearer }',
    expected: /^error 2:\d+ "auth: bearer" needs a token/,
  },
  {
    name: 'passthrough with a header that each brings',
    config: remote('auth: passthrough, headers: { X-Api-Key: }'),
    own: '{}',
    expected: /^error 2:\d+ "auth: passthrough" and a value that each user brings contradict each other/,
  },
  {
    name: 'passthrough with several URLs',
    config: 'servers:\n  a: { url: [https://a.example/mcp, https://b.example/mcp], auth: passthrough }',
    own: '{}',
    expected: /^error 2:13 passthrough goes to one URL/,
  },
  {
    name: 'replicas of a URL',
    config: remote('replicas: 2'),
    own: '{}',
    expected: /^error 2:\d+ "replicas" is for commands/,
  },
  { name: 'no URL', config: 'servers:\n  a: { url: [] }', own: '{}', expected: /^error 2:13 "url" is an empty list/ },
  {
    name: 'HTTP+SSE of the modern era',
    config: remote('transport: sse, era: modern'),
    own: '{}',
    expected: /^error 2:\d+ HTTP\+SSE belongs to the legacy era alone/,
  },
];
for (const { name, config, own, expected } of errors) {
  test(`a value that nobody can bring is an error: ${name}`, () => {
    const { problems } = parseFiles({ config, tokens: tokens(`{ a: ${own} }`) });
    const lines = problems.map(oneLine).filter((line) => line.startsWith('error'));
    assert.equal(lines.length, 1, lines.join('\n'));
    assert.match(lines[0] ?? '', expected);
  });
}

test('several URLs are one server, each once, and a user’s own credential is for all of them', () => {
  const urls = '[https://a.example/mcp, https://b.example/mcp, https://a.example/mcp]';
  const config = validConfig({
    config: `servers:\n  a: { url: ${urls}, idle: off, share: all }\n  b: { command: x, replicas: 3, era: legacy }\n`,
    tokens: tokens('{ a: { token: t }, b: {} }'),
  });
  const a = serverOf(config.servers, 'a');
  assert.ok(a.kind === 'http');
  assert.deepEqual([a.url, ...a.otherUrls], ['https://a.example/mcp', 'https://b.example/mcp']);
  assert.deepEqual([a.idleMs, a.share, a.era], [0, 'all', 'auto']);
  const own = serverOf(config.principals[0]?.servers ?? new Map(), 'a');
  assert.ok(own.kind === 'http' && own.credential.type === 'bearer');
  assert.deepEqual(own.otherUrls, ['https://b.example/mcp']);
  const b = serverOf(config.servers, 'b');
  assert.ok(b.kind === 'stdio');
  assert.deepEqual([b.replicas, b.era], [3, 'legacy']);
});
