import assert from 'node:assert/strict';
import test from 'node:test';

import { ENVIRONMENT } from '../../src/config/environment.ts';
import { SETTINGS } from '../../src/config/schema.ts';
import { digestOf, oneLine, parseFiles, pick, revealed, validConfig, type TestInput } from '../support/parse-files.ts';

const cases: { name: string; input: TestInput; expected: Record<string, unknown> }[] = [
  {
    name: 'MCPROXY_LISTEN',
    input: { env: { MCPROXY_LISTEN: ':4000' } },
    expected: { listen: { host: '0.0.0.0', port: 4000 } },
  },
  {
    name: 'MCP_LISTEN_ADDR',
    input: { env: { MCP_LISTEN_ADDR: '127.0.0.1:8080' } },
    expected: { listen: { host: '127.0.0.1', port: 8080 } },
  },
  {
    name: 'MCP_HOST alone keeps the port',
    input: { config: 'listen: 4000', env: { MCP_HOST: '0.0.0.0' } },
    expected: { listen: { host: '0.0.0.0', port: 4000 } },
  },
  { name: 'MCP_HOST with IPv6', input: { env: { MCP_HOST: '::' } }, expected: { listen: { host: '::', port: 3000 } } },
  {
    name: 'MCP_PORT alone keeps the host',
    input: { config: 'listen: 0.0.0.0:4000', env: { MCP_PORT: '8080' } },
    expected: { listen: { host: '0.0.0.0', port: 8080 } },
  },
  {
    name: 'ours win over those in use',
    input: { env: { MCPROXY_LISTEN: '10.0.0.1:1', MCP_HOST: '10.0.0.2', MCP_PORT: '2' } },
    expected: { listen: { host: '10.0.0.1', port: 1 } },
  },
  {
    name: '--port wins over --listen, both over the rest',
    input: { env: { MCPROXY_LISTEN: ':1' }, overrides: { listen: '[::1]:2', port: '3' } },
    expected: { listen: { host: '::1', port: 3 } },
  },
  {
    name: '--log',
    input: { config: 'log: { file: /var/log/x }', overrides: { log: '-' } },
    expected: { log: { file: '-' } },
  },
  {
    name: 'MCP_PATH_PREFIX',
    input: { env: { MCP_PATH_PREFIX: '3434dc5d-349b' } },
    expected: { pathPrefix: '/3434dc5d-349b' },
  },
  {
    name: 'MCP_LOG_LEVEL in capitals',
    input: { env: { MCP_LOG_LEVEL: 'WARNING' } },
    expected: { log: { level: 'warn' } },
  },
  { name: 'MCP_DISABLE_AUTH=yes', input: { env: { MCP_DISABLE_AUTH: 'yes' } }, expected: { auth: 'none' } },
  { name: 'MCP_DISABLE_AUTH=false', input: { env: { MCP_DISABLE_AUTH: 'false' } }, expected: { auth: 'tokens' } },
  {
    name: 'MCPROXY_LOG_FILE is relative to the working directory',
    input: { env: { MCPROXY_LOG_FILE: 'a.log' } },
    expected: { log: { file: '/cwd/a.log' } },
  },
  {
    name: 'MCPROXY_LOG_FILE as standard output',
    input: { config: 'log: { file: x }', env: { MCPROXY_LOG_FILE: '-' } },
    expected: { log: { file: '-' } },
  },
  {
    name: 'a list with commas',
    input: { env: { MCPROXY_ALLOWED_HOSTS: 'a.example, B.example' } },
    expected: { allowedHosts: ['a.example', 'b.example'] },
  },
  {
    name: 'a nested span',
    input: { config: 'servers: { a: { command: x } }', env: { MCPROXY_TIMEOUTS_IDLE: '9s' } },
    expected: { servers: { a: { timeouts: { idleMs: 9_000 } } } },
  },
  {
    name: 'an empty variable counts as not set',
    input: { config: 'listen: 4000', env: { MCP_PORT: '', MCPROXY_LISTEN: ' ' } },
    expected: { listen: { port: 4000 } },
  },
];
for (const { name, input, expected } of cases) {
  test(`the environment overrides: ${name}`, () =>
    assert.deepEqual(pick(revealed(validConfig(input)), expected), expected));
}

const errors: { name: string; input: TestInput; expected: string }[] = [
  {
    name: 'a port that is none',
    input: { env: { MCP_PORT: '70000' } },
    expected: 'MCP_PORT is not valid | write a port from 0 to 65535',
  },
  {
    name: 'a host that is none',
    input: { env: { MCP_HOST: 'a b' } },
    expected: 'MCP_HOST is not valid | write a host name or an address, such as 0.0.0.0',
  },
  {
    name: 'a word that is none',
    input: { env: { MCPROXY_AUTH: 'maybe' } },
    expected: 'MCPROXY_AUTH is not valid | write one of tokens, none',
  },
  {
    name: 'an option of the command line',
    input: { overrides: { listen: 'x y' } },
    expected: '--listen is not valid | write HOST:PORT, such as 127.0.0.1:3000, [::1]:3000 or :3000',
  },
  {
    name: 'a port of the command line',
    input: { overrides: { port: 'x' } },
    expected: '--port is not valid | write a port from 0 to 65535',
  },
  {
    name: 'a client that cannot be a user',
    input: { env: { MCP_API_KEYS: 'k1:a b' } },
    expected:
      'the name in entry 1 of MCP_API_KEYS, "a b", cannot be the name of a user | use the characters A-Z a-z 0-9 . _ @ -',
  },
];
for (const { name, input, expected } of errors) {
  test(`a wrong value from outside is told: ${name}`, () => {
    const { config, problems } = parseFiles(input);
    assert.equal(config, undefined);
    assert.deepEqual(problems.map(oneLine), [`error - ${expected}`]);
    assert.equal(problems[0]?.file, 'environment and command line');
  });
}

test('MCP_API_KEYS makes users who may use all servers', () => {
  const { config, problems } = parseFiles({
    config: 'servers: { a: { command: x } }',
    env: { MCP_API_KEYS: ' sk-abc123:letta , sk-xyz: local-dev, second:letta, lonely-key ,' },
  });
  assert.deepEqual(
    config?.principals.map(({ id, role, tokenDigests }) => ({ id, role, tokenDigests })),
    [
      { id: 'letta', role: 'user', tokenDigests: [digestOf('sk-abc123'), digestOf('second')] },
      { id: 'local-dev', role: 'user', tokenDigests: [digestOf('sk-xyz')] },
    ],
  );
  assert.equal(config?.principals[0]?.servers, config?.servers);
  assert.deepEqual(problems.map(oneLine), [
    'warning - entry 4 of MCP_API_KEYS is not KEY:NAME and is ignored | write KEY:NAME,KEY:NAME',
  ]);
  assert.deepEqual(revealed(config?.secrets), ['sk-abc123', 'sk-xyz', 'second', 'lonely-key']);
});

test('a key of MCP_API_KEYS for a user of tokens.yml is a further token of that user', () => {
  const config = validConfig({
    config: 'servers: { a: { command: x }, b: { command: y } }',
    tokens: `users: { letta: { token: "sha256:${'a'.repeat(64)}", servers: [a] } }`,
    env: { MCP_API_KEYS: 'sk-abc123:letta' },
  });
  assert.deepEqual(
    config.principals.map(({ id, servers }) => [id, [...servers.keys()]]),
    [['letta', ['a']]],
  );
  assert.deepEqual(config.principals[0]?.tokenDigests, ['a'.repeat(64), digestOf('sk-abc123')]);
});

test('the table names every variable once, one for each setting that is a value', () => {
  const names = ENVIRONMENT.map((row) => row.name);
  assert.equal(new Set(names).size, names.length);
  for (const [setting, field] of Object.entries(SETTINGS)) {
    const name = `MCPROXY_${setting.toUpperCase().replaceAll('.', '_')}`;
    assert.equal(names.includes(name), !['node', 'secret'].includes(field.kind), name);
  }
  for (const { meaning } of ENVIRONMENT) assert.match(meaning, /\.$/);
});
