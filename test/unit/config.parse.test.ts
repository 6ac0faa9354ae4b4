import assert from 'node:assert/strict';
import test from 'node:test';

import { CONFIG_BYTES_MAX, PRINCIPAL_COUNT_MAX, SERVER_COUNT_MAX } from '../../src/limits.ts';
import { digestOf, oneLine, parseFiles, pick, revealed, serverOf, validConfig } from '../support/parse-files.ts';
import { verifies } from '../support/verifies.ts';

const DIGEST = `sha256:${'ab'.repeat(32)}`;
const ONE_USER = `users: { alice: { token: "${DIGEST}", servers: "*" } }\n`;

test('every setting has a default', () => {
  const { secrets, principals, servers, ...settings } = validConfig({});
  assert.deepEqual(settings, {
    listen: { host: '127.0.0.1', port: 3000 },
    pathPrefix: '',
    auth: 'tokens',
    oauth: undefined,
    publicUrl: undefined,
    log: { file: '-', params: 'none', onFailure: 'continue', level: 'info', chain: false },
    bodyBytesMax: 1_073_741_824,
    heartbeatMs: 25_000,
    shutdownGraceMs: 10_000,
    drainMs: 0,
    allowedHosts: [],
    allowedOrigins: [],
    trustedProxies: [],
    adminSocket: undefined,
    toolLock: new Map(),
  });
  assert.deepEqual([secrets, principals, servers.size], [[], [], 0]);
});

test('every setting can be written', () => {
  const config = validConfig({
    config: `
listen: "[::1]:4000"
path_prefix: /tools/
auth: none
public_url: https://mcp.example.com/
allowed_hosts: [MCP.example.com, localhost]
allowed_origins: https://app.example.com
trusted_proxies: [10.0.0.0/8, 192.168.0.1]
shutdown_grace: 0
heartbeat: off
retries: 0
timeouts: { connect: 1, first_byte: 2m, idle: 3h }
limits:
  body: 64MiB
log:
  file: logs/access.ndjson
  params: keys
  on_failure: refuse
  level: WARNING
admin: { socket: /run/x.sock }
servers:
  a: { command: ./server.py, cwd: work }
`,
  });
  const { principals, servers, secrets, ...settings } = config;
  assert.deepEqual(settings, {
    listen: { host: '::1', port: 4000 },
    pathPrefix: '/tools',
    auth: 'none',
    oauth: undefined,
    publicUrl: 'https://mcp.example.com/tools',
    allowedHosts: ['mcp.example.com', 'localhost'],
    allowedOrigins: ['https://app.example.com'],
    trustedProxies: ['10.0.0.0/8', '192.168.0.1/32'],
    shutdownGraceMs: 0,
    drainMs: 0,
    heartbeatMs: 0,
    bodyBytesMax: 67_108_864,
    log: { file: '/etc/mcproxy/logs/access.ndjson', params: 'keys', onFailure: 'refuse', level: 'warn', chain: false },
    adminSocket: '/run/x.sock',
    toolLock: new Map(),
  });
  assert.deepEqual(secrets, []);
  assert.deepEqual(principals, [{ id: 'anonymous', role: 'user', tokenDigests: [], servers }]);
  const expected = {
    retries: 0,
    timeouts: { connectMs: 1_000, firstByteMs: 120_000, idleMs: 10_800_000 },
    command: '/etc/mcproxy/server.py',
    cwd: '/etc/mcproxy/work',
  };
  assert.deepEqual(pick(serverOf(servers, 'a'), expected), expected);
});

test('the example of the manual is understood, JSON with tabs included', () => {
  const config = validConfig({
    config: '{\n\t"listen": "0.0.0.0:3000",\n\t"servers": {\n\t\t"a": {"command": "x"}\n\t}\n}',
  });
  assert.equal(config.listen.host, '0.0.0.0');
  assert.ok(config.servers.has('a'));
});

test('empty files and keys without value mean the defaults', () => {
  const { config, problems } = parseFiles({ config: '# nothing\n', tokens: 'users:\n' });
  assert.equal(config?.listen.port, 3000);
  assert.deepEqual(problems.map(oneLine), [
    'warning - there is no user yet, so nobody can come in | run `mcproxy token add NAME`',
  ]);
  assert.ok(parseFiles({ config: 'servers:\nlisten:\nlog:\n', tokens: ONE_USER }).problems.length === 0);
});

const errors = [
  {
    name: 'an unknown key',
    config: 'lisen: 1',
    expected: '1:1 "lisen" is not an option here | did you mean "listen"?',
  },
  {
    name: 'an unknown key below another',
    config: 'log:\n  fille: x',
    expected: '2:3 "fille" is not an option here | did you mean "file"?',
  },
  {
    name: 'a key that is near nothing',
    config: 'qwertz: 1',
    expected: '1:1 "qwertz" is not an option here | delete it; `mcproxy check --explain` lists the options',
  },
  {
    name: 'a value of the wrong kind',
    config: 'heartbeat: often',
    expected:
      '1:12 "heartbeat" is not valid | write a number with a unit, such as 10s, 250ms or 5m, at least 1s, at most 7d',
  },
  {
    name: 'a value out of range',
    config: 'retries: 11',
    expected: '1:10 "retries" is not valid | write a whole number, at most 10',
  },
  {
    name: 'a timeout of zero',
    config: 'timeouts: { idle: 0 }',
    expected: '1:19 "timeouts.idle" is not valid | write a number with a unit, such as 10s, 250ms or 5m, at most 7d',
  },
  {
    name: 'a word that is none of those',
    config: 'auth: token',
    expected: '1:7 "auth" is not valid | write one of tokens, none',
  },
  {
    name: 'a text where a map belongs',
    config: 'log: /var/log/x',
    expected: '1:6 "log" must be a map | write its options under it, such as log.file',
  },
  {
    name: 'a map where a text belongs',
    config: 'listen: { port: 1 }',
    expected: '1:9 "listen" is not valid | write HOST:PORT, such as 127.0.0.1:3000, [::1]:3000 or :3000',
  },
  {
    name: 'a command line as a list',
    config: 'servers: { a: { command: [npx, -y, x] } }',
    expected: '1:26 "command" is not valid | write the program alone, and what follows it under "args"',
  },
  {
    name: 'a wrong item of a list',
    config: 'trusted_proxies: [10.0.0.0/8, x]',
    expected: '1:31 "trusted_proxies" is not valid | write an address or CIDR block, such as 10.0.0.0/8',
  },
  { name: 'a list as the whole file', config: '- 1', expected: '1:1 a map is expected here | write NAME: VALUE lines' },
  {
    name: 'servers that are a text',
    config: 'servers: x',
    expected: '1:10 servers must be a map | write each server as NAME: with "url" or "command" under it',
  },
  {
    name: 'a reserved server name',
    config: 'servers: { ui: { command: x } }',
    expected: '1:12 "ui" is the name of a path of mcproxy itself | choose another name, such as "ui-server"',
  },
  {
    name: 'a server without anything',
    config: 'servers:\n  a: {}',
    expected: '2:3 the server "a" has neither "url" nor "command" | write one of the two',
  },
  {
    name: 'a server with both',
    config: 'servers:\n  a: { url: "https://x/", command: x }',
    expected: '2:3 the server "a" has both "url" and "command" | delete one of the two',
  },
  {
    name: 'a server that is a number',
    config: 'servers:\n  a: 1',
    expected: '2:6 a server is described by a map, or by its URL alone | write "url" or "command" under its name',
  },
  {
    name: 'an empty command',
    config: 'servers:\n  a: { command: " " }',
    expected: '2:17 "command" is empty | write the program to run',
  },
  {
    name: 'a transport that does not go with a URL',
    config: 'servers:\n  a: { url: "https://x/", type: stdio }',
    expected: '2:33 this transport does not go with "url" | delete it, or write "command" in place of "url"',
  },
  {
    name: 'arguments for a URL',
    config: 'servers:\n  a: { url: "https://x/", args: [x] }',
    expected:
      '2:33 "args", "env" and "cwd" are for commands; this server has a "url" | delete them, or write "command"',
  },
  {
    name: 'a token for a command',
    config: 'servers:\n  a: { command: x, token: abc }',
    expected:
      '2:27 a command is not reached over HTTP and takes no headers, credential or certificate | write what it needs under "env"',
  },
  {
    name: 'a name given in two spellings',
    config: 'servers:\n  a: { command: x, type: stdio, transport: stdio }',
    expected: '2:33 "transport" is given twice, in two spellings | delete one',
  },
  {
    name: 'a variable that is not set',
    config: 'listen: "localhost:${PORT}"',
    expected: '1:20 the variable PORT is not set | set PORT in the environment, or write ${PORT:-default}',
  },
  {
    name: 'a reference that is none',
    config: 'servers: { a: { command: "${input:x}" } }',
    expected:
      '1:26 a "${" here does not begin a reference to a variable | write ${NAME} or ${NAME:-default}; for the characters themselves write $${',
  },
  {
    name: 'a repeated key',
    config: 'listen: 1\nlisten: 2',
    expected: '2:1 the key "listen" is repeated; it stands on line 1 already | keep one of the two',
  },
];
for (const { name, config, expected } of errors) {
  verifies(['files.problem-position', 'files.unknown-key-suggests'], `an error tells place and remedy: ${name}`, () => {
    const result = parseFiles({ config });
    assert.equal(result.config, undefined);
    assert.deepEqual(result.problems.map(oneLine), [`error ${expected}`]);
  });
}

verifies('files.variables', 'a missing variable is pointed at, in a block of several lines too', () => {
  const { problems } = parseFiles({
    config: 'servers:\n  a:\n    command: x\n    args:\n      - |\n        one\n        two ${NOPE} three\n',
  });
  const [problem] = problems;
  assert.deepEqual(problem?.position, { line: 7, column: 13 });
  assert.equal(problem?.excerpt, '        …   ${NOPE} …');
});

verifies('files.all-problems-at-once', 'all problems of all files come at once, sorted by place', () => {
  const { problems } = parseFiles({ config: 'b: 1\na: 1\n', tokens: 'users: 1\n', env: { MCP_PORT: 'x' } });
  assert.deepEqual(
    problems.map(({ file, position }) => `${file} ${position?.line ?? 0}`),
    [
      'environment and command line 0',
      '/etc/mcproxy/mcproxy.yml 1',
      '/etc/mcproxy/mcproxy.yml 2',
      '/etc/mcproxy/tokens.yml 1',
    ],
  );
});

verifies(
  'files.variables',
  'variables are put in everywhere, HOSTNAME always, and only those of servers and users are secrets',
  () => {
    const config = validConfig({
      config: `
listen: "\${ADDRESS}:\${PORT:-4000}"
path_prefix: /\${HOSTNAME}
servers:
  a: { url: "https://\${WHERE}/mcp", retries: "\${TIMES}" }
  b: { command: x, args: ["\${TEXT}", "$\${TEXT}", "\${env:TEXT}"] }
`,
      env: { ADDRESS: '0.0.0.0', WHERE: 'x.example', TIMES: '7', TEXT: 'some text', constructor: 'x' },
    });
    assert.deepEqual(config.listen, { host: '0.0.0.0', port: 4000 });
    assert.equal(config.pathPrefix, '/raspberrypi');
    const expected = {
      a: { url: 'https://x.example/mcp', retries: 7 },
      b: { args: ['some text', '${TEXT}', 'some text'] },
    };
    assert.deepEqual(pick(revealed(config.servers), expected), expected);
    assert.deepEqual(revealed(config.secrets), ['x.example', 'some text']);
  },
);

test('names that every object has are no variables, options or servers', () => {
  const { problems } = parseFiles({ config: 'toString: 1\nservers: { a: { command: "${constructor}" } }' });
  assert.deepEqual(
    problems.map((problem) => problem.text),
    ['"toString" is not an option here', 'the variable constructor is not set'],
  );
});

test('a value that YAML reads as a number is taken as it is written', () => {
  const config = validConfig({ config: 'servers: { a: { command: x, args: [1.10, 0o17, true], env: { A: 007 } } }' });
  const expected = { args: ['1.10', '0o17', 'true'], env: [['A', '007']] };
  assert.deepEqual(pick(revealed(serverOf(config.servers, 'a')), expected), expected);
});

test('a command with blanks and no arguments is questioned', () => {
  const { config, problems } = parseFiles({ config: 'servers: { a: { command: npx -y x } }', tokens: ONE_USER });
  assert.ok(config !== undefined);
  assert.match(oneLine(problems[0] ?? assert.fail()), /^warning 1:26 "command" has blanks/);
});

test('the configuration is frozen all the way down', () => {
  const config = validConfig({ config: 'servers: { a: { command: x, env: { A: b } } }', tokens: ONE_USER });
  const server = serverOf(config.servers, 'a');
  const parts = [
    config,
    config.log,
    config.listen,
    config.principals,
    config.principals[0],
    server,
    server.timeouts,
    config.secrets,
  ];
  for (const part of parts) assert.ok(Object.isFrozen(part));
});

test('auth none on an address that others can reach is questioned', () => {
  const text = (listen: string): string[] =>
    parseFiles({ config: `auth: none\nlisten: ${listen}` }).problems.map((problem) => problem.text);
  assert.deepEqual(text('0.0.0.0:3000'), [
    'with "auth: none" everybody who can reach 0.0.0.0:3000 may use all servers',
  ]);
  assert.deepEqual(text('127.0.0.1:3000'), []);
  assert.match(text('127.0.0.1:3000\nallowed_origins: "*"').join(), /every web page that is open in a browser/);
  assert.deepEqual(text('127.0.0.1:3000\nallowed_origins: https://app.example'), []);
});

test('a log file that is called like a standard stream is questioned', () => {
  const count = (file: string): number =>
    parseFiles({ config: `auth: none\nlog: { file: ${file} }` }).problems.filter(({ text }) => /log\.file/.test(text))
      .length;
  for (const file of ['stdout', '/var/log/stderr']) assert.equal(count(file), 1, file);
  for (const file of ['"-"', '/dev/stdout', '/proc/self/fd/1', 'stdout.log', 'mystdout']) assert.equal(count(file), 0);
});

verifies('check.warn-passthrough', 'passthrough alone needs no user', () => {
  const { problems } = parseFiles({ config: 'servers: { a: { url: "https://x.example/", auth: passthrough } }' });
  assert.equal(problems.length, 1);
  assert.match(problems[0]?.text ?? '', /^passthrough hands/);
});

test('a file that is too long is refused', () => {
  const { config, problems } = parseFiles({ config: '#'.repeat(CONFIG_BYTES_MAX + 1) });
  assert.equal(config, undefined);
  assert.equal(problems[0]?.text, 'the file is too long for a configuration');
});

test('more servers or users than the limits are refused', () => {
  const servers = Array.from({ length: SERVER_COUNT_MAX + 1 }, (_, index) => `  s${index}: { command: x }\n`).join('');
  assert.match(parseFiles({ config: `servers:\n${servers}` }).problems[0]?.text ?? '', /^there are 257 servers/);
  const keys = Array.from({ length: PRINCIPAL_COUNT_MAX + 1 }, (_, index) => `key${index}:user${index}`).join(',');
  assert.match(parseFiles({ env: { MCP_API_KEYS: keys } }).problems[0]?.text ?? '', /^there are 10001 users/);
});

test('several configuration files are read as one, the later winning', () => {
  const config = validConfig({
    config: 'listen: 1000\nservers: { a: { command: x } }',
    files: [{ path: '/other/more.yml', role: 'config', text: 'listen: 2000\nservers: { b: { command: ./y } }' }],
  });
  assert.equal(config.listen.port, 2000);
  assert.deepEqual([...config.servers.keys()], ['a', 'b']);
  assert.deepEqual(pick(serverOf(config.servers, 'b'), { command: 0 }), { command: '/other/y' });
});

test('users may stand in the configuration file, so that one file is enough', () => {
  const config = validConfig({
    config: `servers: { a: { command: x } }\nusers: { bob: { token: bobs-token, servers: [a] } }`,
  });
  assert.deepEqual(config.principals[0]?.tokenDigests, [digestOf('bobs-token')]);
});
