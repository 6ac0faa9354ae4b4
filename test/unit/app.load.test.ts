import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

import { loadConfig, type LoadedConfig, type LoadOptions } from '../../src/app/load.ts';
import { verifies } from '../support/verifies.ts';

const root = mkdtempSync(join(tmpdir(), 'mcproxy-load-'));
after(() => rmSync(root, { recursive: true }));

const DIGEST = `sha256:${'0'.repeat(64)}`;
const CONFIG = 'servers:\n  files: { url: "http://127.0.0.1:1/mcp" }\n';
const TOKENS = `users:\n  alice:\n    token: ${DIGEST}\n    servers: { files: {} }\n`;

/** A directory with these files, each for its owner only unless a mode is given. */
function directory(files: Record<string, string | Buffer>, mode = 0o600): string {
  const path = mkdtempSync(join(root, 'd'));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(path, name, '..'), { recursive: true });
    writeFileSync(join(path, name), text);
    chmodSync(join(path, name), mode);
  }
  return path;
}

function load(options: Partial<LoadOptions>): Promise<LoadedConfig> {
  const nowhere = join(root, 'nowhere');
  const env = { HOME: nowhere };
  return loadConfig({
    configPath: undefined,
    tokensPath: undefined,
    env,
    overrides: {},
    systemDirectory: nowhere,
    ...options,
  });
}

const users = (loaded: LoadedConfig): string[] => loaded.config?.principals.map((principal) => principal.id) ?? [];
const texts = (loaded: LoadedConfig): string =>
  loaded.problems.map((problem) => `${problem.file}: ${problem.text}`).join('\n');

test('a directory gives both of its files', async () => {
  const path = directory({ 'mcproxy.yml': CONFIG, 'tokens.yml': TOKENS });
  const loaded = await load({ configPath: path });
  assert.deepEqual(users(loaded), ['alice'], texts(loaded));
  assert.deepEqual(loaded.files, [join(path, 'mcproxy.yml'), join(path, 'tokens.yml'), join(path, 'mcproxy.lock')]);
  assert.deepEqual([...loaded.digests.keys()], loaded.files);
});

for (const name of ['mcproxy.yml', 'tokens.yml']) {
  test(`${name} named alone brings its neighbour along`, async () => {
    const path = directory({ 'mcproxy.yml': CONFIG, 'tokens.yml': TOKENS });
    const loaded = await load({ configPath: join(path, name) });
    assert.deepEqual(users(loaded), ['alice'], texts(loaded));
    assert.equal(loaded.tokensFile, join(path, 'tokens.yml'));
  });
}

test('--tokens takes the place of the neighbour', async () => {
  const path = directory({ 'mcproxy.yml': CONFIG, 'tokens.yml': TOKENS, 'other.yml': TOKENS.replace('alice', 'bob') });
  const loaded = await load({ configPath: path, tokensPath: join(path, 'other.yml') });
  assert.deepEqual(users(loaded), ['bob'], texts(loaded));
});

test('the variables of other gateways name files and directories', async () => {
  const path = directory({
    'config.json': JSON.stringify({ mcpServers: { files: { url: 'http://127.0.0.1:1/mcp' } } }),
    'credentials/tokens.yml': TOKENS,
    'keys.json': JSON.stringify({ 'key-of-carol-1234567890': { client_id: 'carol' } }),
  });
  const env = {
    MCP_CONFIG_PATH: join(path, 'config.json'),
    MCP_CREDENTIALS_PATH: join(path, 'credentials'),
    MCP_API_KEYS_PATH: join(path, 'keys.json'),
  };
  const loaded = await load({ env });
  assert.deepEqual(users(loaded), ['alice', 'carol'], texts(loaded));
});

test('the option wins over the variable', async () => {
  const path = directory({ 'mcproxy.yml': CONFIG, 'tokens.yml': TOKENS });
  const loaded = await load({ configPath: path, env: { MCP_CONFIG_PATH: '/nowhere' } });
  assert.deepEqual(users(loaded), ['alice'], texts(loaded));
});

test('the files of the system come before those of the user', async () => {
  const system = directory({ 'mcproxy.yml': CONFIG, 'tokens.yml': TOKENS });
  const own = directory({ 'mcproxy/mcproxy.yml': CONFIG, 'mcproxy/tokens.yml': TOKENS.replace('alice', 'bob') });
  assert.deepEqual(users(await load({ systemDirectory: system, env: { XDG_CONFIG_HOME: own } })), ['alice']);
  assert.deepEqual(users(await load({ env: { XDG_CONFIG_HOME: own } })), ['bob']);
});

test('nothing at all is the demo, and its files are known for when they come', async () => {
  const loaded = await load({});
  assert.equal(loaded.demo, true);
  assert.deepEqual(loaded.problems, []);
  assert.equal(loaded.config?.principals.length, 0);
  assert.equal(loaded.files.length, 3);
});

test('an environment that says who may come in is no demo', async () => {
  const loaded = await load({ env: { MCP_API_KEYS: 'key-of-carol-1234567890:carol' } });
  assert.equal(loaded.demo, false);
  assert.deepEqual(users(loaded), ['carol'], texts(loaded));
});

const wrong = [
  { name: 'a named file that is missing', files: {}, config: 'absent.yml', text: /named by --config does not exist/ },
  {
    name: 'a directory with neither file',
    files: { 'other.txt': '' },
    config: '.',
    text: /neither mcproxy.yml nor tokens.yml/,
  },
  {
    name: 'a file that is not UTF-8',
    files: { 'mcproxy.yml': Buffer.from([0xff, 0xfe]) },
    config: '.',
    text: /not valid UTF-8/,
  },
  { name: 'a directory in place of a file', files: { 'mcproxy.yml/x': '' }, config: '.', text: /this is a directory/ },
];
for (const { name, files, config, text } of wrong) {
  test(`${name} is an error, not the demo`, async () => {
    const loaded = await load({ configPath: join(directory(files), config) });
    assert.equal(loaded.config, undefined);
    assert.equal(loaded.demo, false);
    assert.match(texts(loaded), text);
  });
}

for (const mode of [0o604, 0o602, 0o644, 0o777]) {
  verifies(
    'check.world-readable',
    `tokens.yml with mode ${mode.toString(8)} is refused with the command to run`,
    async () => {
      const path = directory({ 'tokens.yml': TOKENS, 'mcproxy.yml': CONFIG }, mode);
      const loaded = await load({ configPath: path });
      assert.equal(loaded.config, undefined);
      const errors = loaded.problems.filter((problem) => problem.severity === 'error');
      assert.deepEqual(
        errors.map((problem) => problem.fix),
        [`chmod o= ${join(path, 'tokens.yml')}`],
      );
    },
  );
}

test('mcproxy.yml that everybody may read is a warning when a secret stands in it, and only then', async () => {
  const secret = 'sk-live-0123456789abcdef';
  const withToken = (token: string): string => `servers:\n  a: { url: "http://127.0.0.1:1/mcp", token: "${token}" }\n`;
  const exposed = await load({ configPath: directory({ 'mcproxy.yml': withToken(secret) }, 0o644) });
  assert.match(texts(exposed), /everybody on this machine may read the secrets/);
  assert.ok(exposed.config !== undefined);
  assert.ok(!JSON.stringify(exposed.problems).includes(secret));
  const env = { HOME: root, A_TOKEN: secret };
  const referred = await load({ configPath: directory({ 'mcproxy.yml': withToken('${A_TOKEN}') }, 0o644), env });
  assert.doesNotMatch(texts(referred), /everybody/);
});

test('problems of all files come at once', async () => {
  const path = directory({ 'mcproxy.yml': 'listn: 1\n', 'tokens.yml': 'users:\n  alice: { tokn: x }\n' });
  const loaded = await load({ configPath: path });
  const files = new Set(loaded.problems.map((problem) => problem.file));
  assert.deepEqual(files, new Set(loaded.files.slice(0, 2)));
});

test('a substitute is judged in place of the file', async () => {
  const path = directory({ 'mcproxy.yml': CONFIG });
  const tokensFile = join(path, 'tokens.yml');
  const loaded = await load({ configPath: path, substitute: { path: tokensFile, text: TOKENS } });
  assert.deepEqual(users(loaded), ['alice'], texts(loaded));
});

const SINGLE = { HOME: join(root, 'nowhere'), MCP_UPSTREAM_URL: 'http://127.0.0.1:1/', MCP_API_KEY: 'k' };
const SIGNING = { ...SINGLE, MCP_API_SECRET: 'secret456' };
const openings: readonly { name: string; env: Record<string, string>; listen?: string; auth: 'none' | 'tokens' }[] = [
  { name: 'on loopback', env: {}, auth: 'none' },
  { name: 'by MCP_LISTEN_ADDR', env: { MCP_LISTEN_ADDR: ':8080' }, auth: 'tokens' },
  { name: 'by MCP_HOST', env: { MCP_HOST: '0.0.0.0' }, auth: 'tokens' },
  { name: 'by MCPROXY_LISTEN', env: { MCPROXY_LISTEN: '0.0.0.0:8080' }, auth: 'tokens' },
  { name: 'by --listen', env: {}, listen: '0.0.0.0', auth: 'tokens' },
  { name: 'by a name that begins like localhost', env: { MCP_HOST: 'localhost.example.com' }, auth: 'tokens' },
  { name: 'by a name that begins like an address', env: { MCP_HOST: '127.example.com' }, auth: 'tokens' },
  {
    name: 'on a socket that was passed, wherever that listens',
    env: { LISTEN_FDS: '1', LISTEN_PID: String(process.pid) },
    auth: 'tokens',
  },
  { name: 'on loopback with a key', env: { MCP_API_KEYS: 'sk-1234567890abcdef:letta' }, auth: 'tokens' },
  { name: 'where that is asked for', env: { MCP_HOST: '0.0.0.0', MCP_DISABLE_AUTH: 'true' }, auth: 'none' },
];
for (const { name, env, listen, auth } of openings) {
  verifies('signing.environment', `a signing proxy ${name} has auth: ${auth}`, async () => {
    const loaded = await load({ env: { ...SIGNING, ...env }, overrides: listen === undefined ? {} : { listen } });
    assert.equal(loaded.config?.auth, auth, texts(loaded));
  });
}

verifies(
  'signing.environment',
  'a missing or wrong variable is told once, by its name and without a line',
  async () => {
    const loaded = await load({ env: { ...SINGLE, MCP_UPSTREAM_URL: 'here', MCP_LISTEN_ADDR: 'x:y' } });
    assert.deepEqual(
      loaded.problems.map(({ file, position, excerpt, text }) => [file, position, excerpt, text]),
      [
        ['environment and command line', undefined, undefined, 'MCP_LISTEN_ADDR is not valid'],
        ['MCP_UPSTREAM_URL', undefined, undefined, '"url" is not valid'],
        ['MCP_UPSTREAM_URL', undefined, undefined, 'the variable MCP_API_SECRET is not set'],
      ],
    );
  },
);

verifies('signing.environment', 'users of tokens.yml and of a file of keys may use a signing proxy', async () => {
  const path = directory({ 'tokens.yml': `users:\n  alice: { token: "${DIGEST}", servers: "*" }\n` });
  const keys = directory({ 'keys.json': '{"sk-1234567890abcdef": {"client_id": "letta"}}' });
  const env = { ...SIGNING, MCP_API_KEYS_PATH: join(keys, 'keys.json') };
  const loaded = await load({ configPath: path, env });
  assert.deepEqual(users(loaded), ['alice', 'letta'], texts(loaded));
  assert.deepEqual([...(loaded.config?.servers.keys() ?? [])], ['upstream']);
});

verifies('signing.environment', 'a signing proxy whose last user is gone lets nobody in', async () => {
  const path = directory({ 'tokens.yml': 'users: {}\n' });
  const loaded = await load({ configPath: path, env: SIGNING });
  assert.equal(loaded.config?.auth, 'tokens', texts(loaded));
});

verifies('signing.environment', 'beside a configuration the variable is told to mean nothing', async () => {
  const path = directory({ 'mcproxy.yml': CONFIG, 'tokens.yml': TOKENS });
  const loaded = await load({ configPath: path, env: SIGNING });
  assert.deepEqual([...(loaded.config?.servers.keys() ?? [])], ['files']);
  assert.match(texts(loaded), /^environment .*: MCP_UPSTREAM_URL is not looked at/m);
  const own = directory({
    'mcproxy.yml': 'servers: { a: { url: "${MCP_UPSTREAM_URL}" } }\n',
    'tokens.yml': 'users: {}\n',
  });
  assert.doesNotMatch(texts(await load({ configPath: own, env: SIGNING })), /not looked at/);
});
