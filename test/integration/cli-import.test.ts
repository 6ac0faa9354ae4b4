import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { PROGRAM_ARGS } from '../support/start-app.ts';
import { verifies } from '../support/verifies.ts';

const root = mkdtempSync(join(tmpdir(), 'mcproxy-import-'));
after(() => rmSync(root, { recursive: true }));

/** A directory that is home, working directory and configuration directory at once. */
function workplace(files: Record<string, string>): string {
  const directory = mkdtempSync(join(root, 'd'));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, name)), { recursive: true });
    writeFileSync(join(directory, name), text, { mode: 0o600 });
  }
  return directory;
}

interface Outcome {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function mcproxy(directory: string, ...args: string[]): Outcome {
  return mcproxyWith({}, directory, ...args);
}

function mcproxyWith(variables: Readonly<Record<string, string>>, directory: string, ...args: string[]): Outcome {
  const { status, stdout, stderr } = spawnSync(process.execPath, [...PROGRAM_ARGS, ...args], {
    cwd: directory,
    env: { PATH: process.env['PATH'], HOME: directory, XDG_RUNTIME_DIR: directory, ...variables },
    encoding: 'utf8',
    timeout: 30_000,
  });
  return { exitCode: status, stdout, stderr };
}

const BEFORE = '# Ours.\nservers:\n  old: { command: mine } # stays\nlisten: 127.0.0.1:4321\n';

test('import without files takes over what is in the usual places and leaves the rest of the file alone', () => {
  const directory = workplace({
    'mcproxy.yml': BEFORE,
    '.mcp.json': '{"mcpServers": {"old": {"command": "theirs"}, "here": {"command": "h"}}}',
    '.claude.json': '{"projects": {"/p": {"mcpServers": {"gh": {"command": "g", "env": {"TOKEN": "s3cr3t"}}}}}}',
    '.cursor/mcp.json': '{"mcpServers": {"gh": {"command": "other"}, "bad": {"command": "${UNSET_VARIABLE}"}}}',
    '.vscode/mcp.json': '{"servers": {"web": {"type": "http", "url": "https://e.com/mcp"}}} // c',
  });
  const preview = mcproxy(directory, 'import', '--dry-run', '--config', directory);
  assert.equal(readFileSync(join(directory, 'mcproxy.yml'), 'utf8'), BEFORE);
  assert.match(preview.stdout, /^gh:\n {2}command: other$/m);
  const { exitCode, stdout, stderr } = mcproxy(directory, 'import', '--config', directory);
  assert.equal(exitCode, 78, stderr);
  assert.equal(
    readFileSync(join(directory, 'mcproxy.yml'), 'utf8'),
    '# Ours.\nservers:\n  old: { command: mine } # stays\n  here:\n    command: h\n  gh:\n    command: other\n' +
      '  web:\n    url: "https://e.com/mcp"\nlisten: 127.0.0.1:4321\n',
  );
  assert.match(stdout, /^here {2}\(from .*\.mcp\.json\)$/m);
  assert.match(stderr, /^old: exists already/m);
  assert.match(stderr, /^gh: .*\.claude\.json defines it in another way/m);
  assert.match(stderr, /^bad: was left out .*UNSET_VARIABLE is not set/m);
  assert.doesNotMatch(preview.stdout + preview.stderr + stdout + stderr, /s3cr3t/);
  assert.equal(mcproxy(directory, 'check', '--config', directory).exitCode, 0);
});

test('a secret is written as it is, named on standard error, and never printed', () => {
  const directory = workplace({ 'a.json': '{"mcpServers": {"gh": {"command": "g", "env": {"TOKEN": "s3cr3t"}}}}' });
  const config = join(directory, 'new.yml');
  const preview = mcproxy(directory, 'import', 'a.json', '--dry-run', '--config', config);
  assert.equal(preview.exitCode, 0, preview.stderr);
  assert.match(preview.stdout, /TOKEN: "\[hidden\]"/);
  assert.equal(existsSync(config), false);
  const { exitCode, stdout, stderr } = mcproxy(directory, 'import', 'a.json', '--config', config);
  assert.equal(exitCode, 0, stderr);
  assert.equal(readFileSync(config, 'utf8'), 'servers:\n  gh:\n    command: g\n    env:\n      TOKEN: s3cr3t\n');
  assert.match(stderr, /^gh: holds a secret in plain text \(env TOKEN\); better write \$\{VAR\}/m);
  assert.doesNotMatch(preview.stdout + preview.stderr + stdout + stderr, /s3cr3t/);
});

test('import reads the file of Codex, and makes references of the names of variables', () => {
  const directory = workplace({
    '.codex/config.toml': `model = "m" # theirs
[mcp_servers.docs]
command = "npx"
args = [
  "-y", # always
  'docs-mcp',
]
startup_timeout_sec = 20
env_vars = ["KEY"]
[mcp_servers.docs.env]
LEVEL = "a\\tb"
[mcp_servers."far away"]
url = "https://far.example.com/mcp"
bearer_token_env_var = "FAR_TOKEN"
http_headers = { "X-Region" = "eu" }
env_http_headers = { X-Key = "KEY" }
enabled = false
`,
  });
  const variables = { KEY: 'k', FAR_TOKEN: 'a-token-that-is-far' };
  const { exitCode, stderr } = mcproxyWith(variables, directory, 'import', '--config', directory);
  assert.equal(exitCode, 0, stderr);
  assert.equal(
    readFileSync(join(directory, 'mcproxy.yml'), 'utf8'),
    'servers:\n  docs:\n    command: npx\n    args: ["-y", docs-mcp]\n    env:\n      KEY: "${KEY}"\n      LEVEL: "a\\tb"\n' +
      '  far-away:\n    url: "https://far.example.com/mcp"\n    headers:\n      X-Key: "${KEY}"\n      X-Region: eu\n' +
      '    token: "${FAR_TOKEN}"\n    enabled: false\n',
  );
  assert.match(stderr, /^docs: settings that mean nothing here were left out: startup_timeout_sec\.$/m);
});

test("Gemini's references to variables are references here too", () => {
  const entry = '{"httpUrl": "https://g.example/mcp", "headers": {"Authorization": "Bearer $G_TOKEN"}, "trust": true}';
  const directory = workplace({ '.gemini/settings.json': `{"mcpServers": {"g": ${entry}}}` });
  const { exitCode, stderr } = mcproxyWith({ G_TOKEN: 'a-token-0123' }, directory, 'import', '--config', directory);
  assert.deepEqual([exitCode, stderr.includes('plain text')], [0, false], stderr);
  assert.match(readFileSync(join(directory, 'mcproxy.yml'), 'utf8'), /Authorization: "Bearer \$\{G_TOKEN\}"/);
});

test('a file that cannot be read is named with the place', () => {
  const directory = workplace({ 'a.json': '{"mcpServers": {\n  "a": {"env": {"TOKEN": "s3cr3t"}\n}' });
  const { exitCode, stderr } = mcproxy(directory, 'import', 'a.json', '--config', directory);
  assert.equal(exitCode, 78);
  assert.match(stderr, /a\.json:\d:\d+: this bracket is not closed$/m);
});

test('import leaves out what is mcproxy itself, and says so', () => {
  const ours = [
    { command: 'mcproxy', args: ['stdio'] },
    { command: '/usr/bin/mcproxy', args: ['stdio', '--user', 'alice'] },
    { command: 'npx', args: ['-y', 'mcproxy@latest', 'stdio'] },
    { command: 'node', args: ['/opt/mcproxy.js', 'stdio'] },
    { command: 'mcproxy', args: ['stdio', '--url', 'http://localhost:4321/mcp'] },
    { command: 'npx', args: ['-y', 'mcp-remote', 'http://127.0.0.1:4321/mcp', '--header', 'A:b'] },
    { url: 'http://127.0.0.1:4321/mcp' },
    { url: 'http://localhost:4321/old/mcp' },
    { url: 'https://m.example.com/base/mcp' },
  ];
  const others = [
    { command: 'mcproxy', args: ['stdio', '--url', 'https://elsewhere.example.com/mcp'] },
    { command: 'npx', args: ['-y', 'other', 'mcproxy'] },
    { url: 'http://127.0.0.1:4322/mcp' },
    { url: 'https://m.example.com/other/mcp' },
  ];
  const named = (name: string, list: readonly object[]): object =>
    Object.fromEntries(list.map((entry, at) => [`${name}${at}`, entry]));
  const directory = workplace({
    'mcproxy.yml': `${BEFORE}public_url: https://m.example.com/base\n`,
    '.mcp.json': JSON.stringify({ mcpServers: { ...named('ours', ours), ...named('other', others) } }),
  });
  const { exitCode, stdout, stderr } = mcproxy(directory, 'import', '--config', directory);
  assert.equal(exitCode, 0, stderr);
  assert.deepEqual(
    stdout.match(/^\w+/gm),
    others.map((_, at) => `other${at}`),
  );
  assert.deepEqual(
    stderr.match(/^\w+(?=: is mcproxy itself)/gm),
    ours.map((_, at) => `ours${at}`),
  );
});

test('a file that is named must be there', () => {
  const directory = workplace({});
  const { exitCode, stderr } = mcproxy(directory, 'import', 'none.json');
  assert.equal(exitCode, 78);
  assert.match(stderr, /none\.json: does not exist/);
});

const U = 'http://127.0.0.1:4321/mcp';
const clients = [
  {
    args: ['claude-code'],
    prints: `claude mcp add --transport http mcproxy ${U} --header "Authorization: Bearer TOKEN"\n`,
  },
  {
    args: ['gemini', '--server', 'old', '--token', 'mcp_x'],
    prints: 'gemini mcp add -s user -t http -H "Authorization: Bearer mcp_x" old http://127.0.0.1:4321/old/mcp\n',
  },
  {
    args: ['codex', '--url', 'https://m.example.com', '--token', 'mcp_x'],
    prints:
      'export MCPROXY_TOKEN=mcp_x\ncodex mcp add mcproxy --url https://m.example.com/mcp --bearer-token-env-var MCPROXY_TOKEN\n',
  },
];
const urls = [
  { url: 'https://m.example', is: 'https://m.example/mcp', isAlone: 'https://m.example/old/mcp' },
  { url: 'https://m.example/tools/', is: 'https://m.example/tools/mcp', isAlone: 'https://m.example/tools/old/mcp' },
  { url: 'https://m.example/mcp', is: 'https://m.example/mcp', isAlone: 'https://m.example/old/mcp' },
  { url: 'https://m.example/sse', is: 'https://m.example/sse', isAlone: 'https://m.example/old/mcp' },
  { url: 'https://m.example/old/sse', is: 'https://m.example/old/sse', isAlone: 'https://m.example/old/sse' },
];
for (const { url, is, isAlone } of urls) {
  test(`client-config makes of ${url} the URL of all servers, or of one`, () => {
    const urlOf = (...args: string[]): unknown => {
      const { stdout } = mcproxy(workplace({}), 'client-config', 'windsurf', '--url', url, ...args);
      const [entry] = Object.values((JSON.parse(stdout) as { mcpServers: Record<string, object> }).mcpServers);
      return (entry as { serverUrl: string }).serverUrl;
    };
    assert.deepEqual([urlOf(), urlOf('--server', 'old')], [is, isAlone]);
  });
}

test('client-config prints the public URL where there is one', () => {
  const directory = workplace({ 'mcproxy.yml': `${BEFORE}public_url: https://m.example\npath_prefix: /p\n` });
  const { stdout } = mcproxy(directory, 'client-config', 'claude-code', '--server', 'old', '--config', directory);
  assert.match(stdout, / old https:\/\/m\.example\/p\/old\/mcp /);
});

for (const { args, prints } of clients) {
  test(`client-config ${args.join(' ')} prints the command to paste and nothing else`, () => {
    const directory = workplace({ 'mcproxy.yml': BEFORE });
    const { exitCode, stdout, stderr } = mcproxy(directory, 'client-config', ...args, '--config', directory);
    assert.equal(exitCode, 0, stderr);
    assert.equal(stdout, prints);
  });
}

test('client-config knows no server that the configuration has not, and names the nearest', () => {
  const directory = workplace({ 'mcproxy.yml': BEFORE });
  const asked = ['client-config', 'claude-code', '--server', 'odl'];
  const { exitCode, stdout, stderr } = mcproxy(directory, ...asked, '--config', directory);
  assert.deepEqual([exitCode, stdout], [64, '']);
  assert.match(stderr, /there is no server "odl"; did you mean "old"\?/);
  assert.equal(mcproxy(directory, ...asked, '--url', U).exitCode, 0, 'with a URL no file is read');
});

const headers = { Authorization: 'Bearer TOKEN' };
const pasted = [
  { client: 'cursor', value: { mcpServers: { mcproxy: { url: U, headers } } } },
  { client: 'vscode', value: { servers: { mcproxy: { type: 'http', url: U, headers } } } },
  { client: 'windsurf', value: { mcpServers: { mcproxy: { serverUrl: U, headers } } } },
  { client: 'json', value: { mcpServers: { mcproxy: { type: 'http', url: U, headers } } } },
  {
    client: 'claude-desktop',
    value: {
      mcpServers: {
        mcproxy: { command: 'mcproxy', args: ['stdio', '--url', U], env: { MCPROXY_TOKEN: 'TOKEN' } },
      },
    },
  },
  {
    client: 'mcp-remote',
    value: {
      mcpServers: {
        mcproxy: {
          command: 'npx',
          args: ['-y', 'mcp-remote', U, '--header', 'Authorization:${AUTH_HEADER}'],
          env: { AUTH_HEADER: 'Bearer TOKEN' },
        },
      },
    },
  },
];
for (const { client, value } of pasted) {
  test(`client-config ${client} prints JSON in the client's own form`, () => {
    const { stdout } = mcproxy(workplace({}), 'client-config', client, '--url', U);
    assert.deepEqual(JSON.parse(stdout), value);
  });
}

test('an unknown client is exit 64 and names the nearest', () => {
  const { exitCode, stdout, stderr } = mcproxy(workplace({}), 'client-config', 'cursr');
  assert.equal(exitCode, 64);
  assert.equal(stdout, '');
  assert.match(stderr, /^mcproxy: there is no client "cursr"; did you mean "cursor"\?\n$/);
});

verifies(
  'cli.import-inputs',
  'what VS Code asks its user for is a variable, which must be set to be taken over',
  () => {
    const fields = '{"Authorization": "Bearer ${input:github-token}"}';
    const directory = workplace({
      'v.json': `{"inputs": [{"id": "github-token"}], "servers": {"gh": {"url": "https://a.example/", "headers": ${fields}}}}`,
    });
    const config = join(directory, 'new.yml');
    const refused = mcproxy(directory, 'import', 'v.json', '--config', config);
    assert.equal(refused.exitCode, 78);
    assert.match(refused.stderr, /GITHUB_TOKEN is not set/);
    const taken = mcproxyWith({ GITHUB_TOKEN: 's3cr3t' }, directory, 'import', 'v.json', '--config', config);
    assert.equal(taken.exitCode, 0, taken.stderr);
    assert.match(readFileSync(config, 'utf8'), /Authorization: "Bearer \$\{GITHUB_TOKEN\}"/);
  },
);

verifies('cli.server-edit', 'add and remove change one entry, and nothing when the result would not be valid', () => {
  const directory = workplace({ 'mcproxy.yml': BEFORE });
  const path = join(directory, 'mcproxy.yml');
  const run = (...args: string[]): Outcome => mcproxy(directory, ...args, '--config', directory);
  const shown = run('add', 'web', 'https://web.example/mcp', '--token', 's3cr3t', '--dry-run');
  assert.equal(shown.exitCode, 0, shown.stderr);
  assert.match(shown.stdout, /^\+ {3}web:\n\+ {5}url: "https:\/\/web\.example\/mcp"$/m);
  assert.doesNotMatch(shown.stdout + shown.stderr, /s3cr3t/);
  assert.equal(readFileSync(path, 'utf8'), BEFORE);

  const refused = run('add', 'web', 'https://web.example/mcp', '--token', '${UNSET_VARIABLE}');
  assert.equal(refused.exitCode, 78);
  assert.match(refused.stderr, /UNSET_VARIABLE is not set/);
  assert.equal(readFileSync(path, 'utf8'), BEFORE);

  const added = mcproxy(
    directory,
    'add',
    'files',
    '--config',
    directory,
    '--env',
    'A=b=c',
    '--',
    'npx',
    '-y',
    '--help',
  );
  assert.equal(added.exitCode, 0, added.stderr);
  const entry = '  files:\n    command: npx\n    args: ["-y", "--help"]\n    env:\n      A: "b=c"\n';
  assert.equal(readFileSync(path, 'utf8'), BEFORE.replace('listen', `${entry}listen`));
  assert.equal(run('add', 'files', 'https://a.example/').exitCode, 78);
  assert.equal(run('add', 'files').exitCode, 64);

  const mistyped = run('remove', 'file');
  assert.equal(mistyped.exitCode, 78);
  assert.match(mistyped.stderr, /did you mean "files"\?/);
  assert.equal(run('remove', 'files').exitCode, 0);
  assert.equal(readFileSync(path, 'utf8'), BEFORE);
});
