import assert from 'node:assert/strict';
import test from 'node:test';

import { digestOf, oneLine, parseFiles, pick, revealed, serverOf, validConfig } from '../support/parse-files.ts';
import { verifies } from '../support/verifies.ts';

/** A file as people have it, and one server of it as it must be understood. */
const samples = [
  {
    name: 'Claude Desktop, a command',
    text: `{
  "mcpServers": {
    "filesystem": {
      "command": "npx",
      "args": ["-y", "@modelcontextprotocol/server-filesystem", "/Users/me/Desktop"],
      "env": { "API_KEY": "k-123456" }
    }
  }
}`,
    server: 'filesystem',
    expected: {
      kind: 'stdio',
      command: 'npx',
      args: ['-y', '@modelcontextprotocol/server-filesystem', '/Users/me/Desktop'],
      env: [['API_KEY', 'k-123456']],
    },
  },
  {
    name: 'Cursor, a URL with a header',
    text: `{"mcpServers": {"api": {"url": "https://api.example.com/mcp", "headers": {"Authorization": "Bearer abc", "X-Team": "red"}}}}`,
    server: 'api',
    expected: {
      kind: 'http',
      url: 'https://api.example.com/mcp',
      transport: 'auto',
      credential: { type: 'headers', headers: [['Authorization', 'Bearer abc']] },
      credentialFrom: 'shared',
      headers: [['X-Team', 'red']],
    },
  },
  {
    name: 'Cursor, servers under mcp',
    text: `{"mcp": {"servers": {"proxy": {"command": "mcp-proxy", "args": ["run"]}}}}`,
    server: 'proxy',
    expected: { kind: 'stdio', command: 'mcp-proxy', args: ['run'] },
  },
  {
    name: 'Claude Code, type http',
    text: `{"mcpServers": {"api": {"type": "http", "url": "https://api.example.com/mcp"}}}`,
    server: 'api',
    expected: { kind: 'http', transport: 'auto' },
  },
  {
    name: 'FastMCP, transport sse',
    text: `{"mcpServers": {"api": {"url": "https://api.example.com/sse", "transport": "sse"}}}`,
    server: 'api',
    expected: { kind: 'http', transport: 'sse' },
  },
  {
    name: 'a server with a numeric argument',
    text: `{"mcpServers": {"a": {"command": "x", "args": ["--port", 8080]}}}`,
    server: 'a',
    expected: { args: ['--port', '8080'] },
  },
  {
    name: 'Windsurf, serverUrl and disabled',
    text: `{"mcpServers": {"api": {"serverUrl": "https://api.example.com/mcp", "disabled": true, "alwaysAllow": []}}}`,
    server: 'api',
    expected: { url: 'https://api.example.com/mcp', enabled: false },
  },
  {
    name: 'a list of servers with names',
    text: `{
  "servers": [
    { "name": "playwright", "command": "npx", "args": ["@modelcontextprotocol/server-playwright"],
      "env": {}, "timeout": 30, "enabled": false }
  ]
}`,
    server: 'playwright',
    expected: { kind: 'stdio', command: 'npx', env: [], startMs: 30_000, enabled: false },
  },
  {
    name: 'destinations as plain URLs',
    text: 'destinations:\n  github: https://api.example.com/mcp\n',
    server: 'github',
    expected: { kind: 'http', url: 'https://api.example.com/mcp' },
  },
  {
    name: 'destinations with streamable_http',
    text: 'destinations:\n  github: { type: streamable_http, url: https://api.example.com/mcp }\n',
    server: 'github',
    expected: { transport: 'streamable' },
  },
  {
    name: 'proxy, servers, features: a bearer token',
    text: `{
  "proxy": {"name": "Production MCP Proxy", "transport": "http", "host": "0.0.0.0", "port": 8000, "log_level": "DEBUG"},
  "servers": {
    "weather": {"transport": "http", "url": "https://weather-api.example.com/mcp",
      "auth": {"type": "bearer", "token": "\${WEATHER_API_KEY}"}, "timeout": "\${REQUEST_TIMEOUT:-30}"}
  },
  "features": {"authentication": true, "rate_limiting": {"requests_per_minute": 1000}}
}`,
    server: 'weather',
    expected: {
      url: 'https://weather-api.example.com/mcp',
      credential: { type: 'bearer', token: 'w-abcdef' },
      timeouts: { connectMs: 5_000, firstByteMs: 30_000, idleMs: 1_800_000 },
    },
  },
  {
    name: 'proxy, servers, features: basic authentication in one text',
    text: `{"proxy": {}, "servers": {"database": {"transport": "http", "url": "http://db-server:8001/mcp",
      "auth": {"type": "basic", "credentials": "\${DB_CREDENTIALS}"}}}}`,
    server: 'database',
    expected: { credential: { type: 'basic', username: 'me', password: 'pass:word' } },
  },
  {
    name: 'our own form',
    text: `
servers:
  files: { command: npx, args: [-y, "@modelcontextprotocol/server-filesystem", /srv] }
`,
    server: 'files',
    expected: { kind: 'stdio', command: 'npx', args: ['-y', '@modelcontextprotocol/server-filesystem', '/srv'] },
  },
];
const env = { WEATHER_API_KEY: 'w-abcdef', DB_CREDENTIALS: 'me:pass:word' };
for (const { name, text, server, expected } of samples) {
  verifies('files.spellings', `the spelling is understood: ${name}`, () => {
    const found = revealed(serverOf(validConfig({ config: text, env }).servers, server));
    assert.deepEqual(pick(found, expected), expected);
  });
}

test('host, port and log level of a proxy block are taken over, the rest is named as ignored', () => {
  const config = `{"proxy": {"name": "x", "host": "0.0.0.0", "port": 8000, "log_level": "INFO"},
 "servers": {}, "features": {"monitoring": {}, "rate_limiting": {"requests_per_minute": 9}}}`;
  const result = parseFiles({ config, tokens: `users: {a: {token: "sha256:${'a'.repeat(64)}", servers: "*"}}` });
  assert.deepEqual(result.config?.listen, { host: '0.0.0.0', port: 8000 });
  assert.equal(result.config?.log.level, 'info');
  assert.deepEqual(result.problems.map(oneLine), [
    'warning 1:12 "name" means nothing to mcproxy and is ignored | ',
    'warning 2:30 "monitoring" means nothing to mcproxy and is ignored | `mcproxy status` and the access log are always there',
    'warning 2:48 "rate_limiting" means nothing to mcproxy and is ignored | write "limits: { rate: 60/min }", which counts for each user',
  ]);
});

test('what other programs say beyond servers is ignored with a warning', () => {
  const { config, problems } = parseFiles({
    config:
      '{"$schema": "https://x", "globalShortcut": "", "mcpServers": {"a": {"command": "x", "autoApprove": []}, "b": {"url": "https://b/", "auth": {"CLIENT_ID": "x"}}}}',
  });
  assert.ok(config?.servers.has('a'));
  assert.deepEqual(
    problems.filter(({ position }) => position !== undefined).map(({ severity, text }) => `${severity} ${text}`),
    [
      'warning "$schema" means nothing to mcproxy and is ignored',
      'warning "globalShortcut" means nothing to mcproxy and is ignored',
      'warning "autoApprove" means nothing to mcproxy and is ignored',
      'warning "CLIENT_ID" means nothing to mcproxy and is ignored',
    ],
  );
});

test('a server name that cannot be part of a URL is changed in files of other programs and refused in ours', () => {
  const foreign = parseFiles({ config: '{"mcpServers": {"Sequential Thinking": {"command": "x"}}}' });
  assert.deepEqual([...(foreign.config?.servers.keys() ?? [])], ['Sequential-Thinking']);
  const ours = parseFiles({ config: 'servers:\n  Sequential Thinking: { command: x }' });
  assert.equal(ours.config, undefined);
  assert.equal(
    oneLine(ours.problems[0] ?? assert.fail()),
    'error 2:3 "Sequential Thinking" cannot be the name of a server | ' +
      'use 1 to 32 of the characters A-Z a-z 0-9 _ -, such as "Sequential-Thinking"',
  );
});

test('a file of keys in the place of tokens.yml lets each client in, to all servers', () => {
  const config = validConfig({
    config: 'servers: {a: {command: x}}',
    tokens: '{"sk-abc123def456": {"client_id": "letta-cloud", "scopes": ["*"]}}',
  });
  const [principal] = config.principals;
  assert.equal(principal?.id, 'letta-cloud');
  assert.deepEqual(principal?.tokenDigests, [digestOf('sk-abc123def456')]);
  assert.equal(principal?.servers, config.servers);
  assert.deepEqual(revealed(config.secrets), ['sk-abc123def456']);
});

test('a file of variables in the place of tokens.yml fills references, after the environment', () => {
  const config = validConfig({
    config:
      'servers: {a: {url: "https://x.example/", token: "${KEY_ONE}"}, b: {url: "https://x.example/", token: "${KEY_TWO}"}}',
    tokens: '{"KEY_ONE": "from-file-1", "KEY_TWO": "from-file-2"}',
    env: { KEY_TWO: 'from-environment' },
  });
  const expected = { a: { credential: { token: 'from-file-1' } }, b: { credential: { token: 'from-environment' } } };
  assert.deepEqual(pick(revealed(config.servers), expected), expected);
});

test('what does not go with a URL or a command is ignored in files of other programs', () => {
  const { config, problems } = parseFiles({
    config:
      '{"mcpServers": {"a": {"url": "https://x.example/", "env": {}}, "b": {"command": "x", "headers": {"X-A": "b"}}}}',
  });
  assert.deepEqual([...(config?.servers.keys() ?? [])], ['a', 'b']);
  assert.equal(problems.filter(({ position, severity }) => position !== undefined && severity === 'warning').length, 2);
});

test('the same server in two places is an error', () => {
  const { problems } = parseFiles({ config: 'servers: {a: {command: x}}\nmcpServers: {a: {command: y}}' });
  assert.equal(
    oneLine(problems[0] ?? assert.fail()),
    'error 2:14 the server "a" is defined twice | rename or delete one',
  );
});
