/**
 * Marked secrets in every place that can hold one, every way to fail, and a search through everything that came out.
 */
import assert from 'node:assert/strict';
import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { BOTH, request } from '../support/downstream-clients.ts';
import { send } from '../support/http-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { startUpstream, type RecordingUpstream } from '../support/recording-upstream.ts';
import { runCommand, startApp, type RunningApp } from '../support/start-app.ts';
import { makeTempDir, writeFiles } from '../support/temp-dir.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor } from '../support/wait.ts';

after(() => checkNothingLeft());

const PEER = fileURLToPath(new URL('../peers/prints-environment.mjs', import.meta.url));
const MARK = 'Xq7markedSecret';
const mark = (name: string): string => `${name}-${MARK}-0123456789`;

/** The mark as it is, and in Base64 at each of the three places of a group. */
const FORMS = [
  MARK,
  ...[0, 1, 2].map((at) =>
    Buffer.from(`${'_'.repeat(at)}${MARK}`)
      .toString('base64')
      .slice(4, -4),
  ),
];

function assertClean(text: string, where: string): void {
  for (const form of FORMS) {
    const at = text.indexOf(form);
    assert.equal(at, -1, `${where}: …${text.slice(Math.max(0, at - 200), at + 60)}`);
  }
}

/** Answers 401 with what it was sent, as careless servers do. */
function startRefusing(t: TestContext): Promise<RecordingUpstream> {
  return startUpstream(t, {
    answer({ request: { rawHeaders, url }, response }) {
      response.writeHead(401, { 'www-authenticate': `Bearer error="${rawHeaders.join(' ')}"` });
      response.end(JSON.stringify({ error: rawHeaders, url }));
    },
  });
}

/** Gives tokens that nobody configured, and refuses one client with everything it was sent. */
function startIssuer(t: TestContext): Promise<RecordingUpstream> {
  return startUpstream(t, {
    answer({ request: { text }, response }) {
      const form = new URLSearchParams(text());
      const client = form.get('client_id') ?? '';
      const refused = client === 'refused';
      const tokens = {
        access_token: mark(`access-${client}`),
        token_type: 'Bearer',
        expires_in: 600,
        refresh_token: mark(`rotated-${client}`),
      };
      const refusal = { error: mark('code'), error_description: text() };
      response.writeHead(refused ? 400 : 200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(refused ? refusal : tokens));
    },
  });
}

const ENV = {
  SECRET_IN_ENV: mark('variable'),
  MCPROXY_TEST_CRASH: mark('crash'),
};

function settings(urls: { up: string; refusing: string; issuer: string }): string {
  const node = JSON.stringify(process.execPath);
  const args = JSON.stringify([PEER, '--token', mark('argument')]);
  return `listen: 127.0.0.1:0
log: { file: access.log, params: full, level: debug }
admin: { socket: admin.sock }
lock: warn
servers:
  up: { url: "${urls.up}/mcp?api_key=${mark('query')}", token: "file:secrets/up" }
  variable: { url: "${urls.up}/mcp", token: "\${SECRET_IN_ENV}" }
  basic: { url: "${urls.up}/mcp", username: someone, password: ${mark('password')} }
  header: { url: "${urls.up}/mcp", headers: { X-Api-Key: "cred:header" } }
  refused: { url: "${urls.refusing}/mcp?token=${mark('refused-query')}", token: ${mark('refused')} }
  gone: { url: "http://127.0.0.1:1/mcp?sig=${mark('gone-query')}", token: ${mark('gone')} }
  tls: { url: "https://127.0.0.1:1/mcp?key=${mark('tls-query')}", token: ${mark('tls')}, ca_file: none.pem }
  client: { url: "${urls.up}/mcp", auth: ${clientOf(urls.issuer, 'client')} }
  clientrefused: { url: "${urls.refusing}/mcp", auth: ${clientOf(urls.issuer, 'again')} }
  clientless: { url: "${urls.up}/mcp", auth: ${clientOf(urls.issuer, 'refused')} }
  careless: { command: ${node}, args: ${args}, env: { KEY: ${mark('environment')}, OTHER_TOKEN: "file:secrets/env" } }
  missing: { command: ./no-such-program, env: { KEY: ${mark('missing')} } }
`.replace(', ca_file: none.pem', '');
}

function clientOf(issuer: string, name: string): string {
  const secrets = `client_secret: ${mark(`secret-${name}`)}, refresh_token: ${mark(`refresh-${name}`)}`;
  const where = `token_url: "${issuer}/token?key=${mark('token-query')}", client_auth: post, allow_private: true`;
  return `{ type: oauth, client_id: ${name}, ${secrets}, ${where} }`;
}

const TOKENS = `users:
  alice: { token: ${mark('alice')}, servers: { "*": {}, up: { token: "file:secrets/alice" } } }
  bob: { token: "file:secrets/bob", role: admin, servers: "*" }
`;

async function makePlace(t: TestContext): Promise<string> {
  const [up, refusing, issuer] = await Promise.all([startUpstream(t), startRefusing(t), startIssuer(t)]);
  const dir = makeTempDir(t);
  const names = ['up', 'env', 'alice', 'bob'].map((name) => [`secrets/${name}`, `${mark(`file-${name}`)}\n`]);
  writeFiles(dir, {
    ...(Object.fromEntries(names) as Record<string, string>),
    'credentials/header': mark('credential'),
    'mcproxy.yml': settings({ up: up.url, refusing: refusing.url, issuer: issuer.url }),
    'tokens.yml': TOKENS,
    // An exception that nobody caught, whose text holds a secret, on a signal.
    'crashes.mjs': `process.on('SIGUSR2', () => { throw new Error('it broke with ' + process.env.SECRET_IN_ENV); });`,
  });
  return dir;
}

interface Collected {
  readonly add: (where: string, text: string) => void;
  readonly all: [string, string][];
}

/** Everything that clients may ask, with and without rights, on every path. */
async function exercise(app: RunningApp, { add }: Collected): Promise<void> {
  // A crash ends what the careless server says, so that it has to speak first.
  for (const [method, params] of [
    ['prompts/list', {}],
    ['tools/call', { name: 'fails' }],
  ] as const) {
    const headers = { authorization: `Bearer ${mark('alice')}`, accept: BOTH };
    // oxlint-disable-next-line no-await-in-loop
    const answer = await send(`${app.url}/careless/mcp`, { headers, body: request(1, method, params) });
    assert.match(answer.text(), /KEY.*\[redacted\]/, method);
    add(`a careless ${method}`, answer.text());
  }
  const clients = ['client', 'clientrefused', 'clientless'];
  const own = ['up', 'variable', 'basic', 'header', 'refused', 'gone', 'tls', 'careless', 'missing'];
  const servers = [...own, ...clients];
  const paths = ['/mcp', ...servers.map((server) => `/${server}/mcp`)];
  const tokens = [mark('alice'), mark('file-bob'), mark('unknown'), `${mark('alice')}x`];
  const initialize = {
    protocolVersion: '2025-11-25',
    capabilities: {},
    clientInfo: { name: 'test', version: '1' },
  };
  const asked: (readonly [string, object])[] = [
    ['initialize', initialize],
    ['tools/list', {}],
    ['prompts/list', {}],
    [
      'tools/call',
      {
        name: 'crash',
        arguments: {
          token: mark('alice'),
          text: `it is ${mark('file-up')}, ${mark('access-client')}, ${mark('rotated-client')}`,
        },
      },
    ],
    ['tools/call', { name: 'careless__crash', arguments: { list: [mark('environment')] } }],
    ['tools/call', { name: mark('environment'), arguments: {} }],
  ];
  for (const path of paths) {
    for (const token of path.length < 10 ? tokens : tokens.slice(0, 1)) {
      for (const [method, params] of asked) {
        const headers = { authorization: `Bearer ${token}`, accept: BOTH, 'x-api-key': mark('client') };
        // The recording server repeats what a client sent it in the body, so that is left out there.
        const echoes = /^\/(?:up|variable|basic|header|client)/.test(path) && method === 'tools/call';
        const body = request(1, method, echoes ? { name: 'crash' } : params);
        // oxlint-disable-next-line no-await-in-loop -- a crash of one must not hide the next
        const answer = await send(app.url + path, { headers, body }).catch((error: unknown) => String(error));
        // oxlint-disable-next-line no-continue
        if (typeof answer === 'string') continue;
        const text = JSON.stringify([answer.rawHeaders, answer.text()]);
        // The name of a tool that nobody has is repeated to whoever asked for it.
        add(`${path} ${method}`, text.replaceAll(`: ${mark('environment')}`, ''));
      }
    }
  }
  for (const path of ['/status', '/health', '/readyz', `/nowhere/mcp?token=${mark('alice')}`]) {
    // oxlint-disable-next-line no-await-in-loop
    const answer = await send(app.url + path, {
      method: 'GET',
      headers: { authorization: `Bearer ${mark('file-bob')}` },
    });
    add(path, JSON.stringify([answer.rawHeaders, answer.text()]));
  }
}

verifies('secrets.nowhere', 'no marked secret comes out anywhere, whatever fails', async (t) => {
  const dir = await makePlace(t);
  const env = {
    ...ENV,
    CREDENTIALS_DIRECTORY: join(dir, 'credentials'),
    STATE_DIRECTORY: join(dir, 'state'),
    NODE_OPTIONS: `--import ${join(dir, 'crashes.mjs')}`,
  };
  const all: [string, string][] = [];
  const add = (where: string, text: string): void => void all.push([where, text]);
  const run = async (...args: string[]): Promise<void> => {
    const done = await runCommand([...args, '--config', dir], { dir, env });
    add(args.join(' '), done.stdout + done.stderr);
  };

  const app = await startApp(t, { dir, env });
  add('the command line of mcproxy', readFileSync(`/proc/${app.pid}/cmdline`, 'latin1'));
  await exercise(app, { add, all });
  for (const args of [
    ['status'],
    ['status', '--json'],
    ['check'],
    ['check', '--connect'],
    ['tools'],
    ['tools', '--user', 'alice', '--json'],
    ['call', 'careless__crash', '--user', 'alice'],
    ['call', 'up__x', `token=${mark('alice')}`],
    ['lock'],
    ['lock', 'diff'],
    ['logs', '--lines', '0'],
    ['token', 'list'],
    ['why', 'alice', 'client'],
    ['client-config', 'alice', '--for', 'claude-code'],
    ['tools', 'careless', '--no-service', '--verbose'],
    ['reload'],
  ]) {
    // oxlint-disable-next-line no-await-in-loop -- each meets what the one before left
    await run(...args);
  }
  const good = readFileSync(join(dir, 'mcproxy.yml'), 'utf8');
  for (const [at, broken] of [
    good.replace('password: ', 'password: [ '),
    good.replace(/token: (refused-\S+)/, 'token: { $1: 1 }'),
    good.replace('servers:', `servrs: ${mark('alice')}\nservers:`),
    good.replace(/headers: \{/, `headers: { "bad name ${mark('name')}": ${mark('value')},`),
    good.replace('args: [', 'args: [cred:header, '),
    good.replace('file:secrets/up', `file:secrets/${MARK.slice(0, 4)}`),
  ].entries()) {
    writeFileSync(join(dir, 'mcproxy.yml'), broken);
    // oxlint-disable-next-line no-await-in-loop
    for (const args of [['check'], ['reload']]) await run(...args);
    assert.notEqual(broken, good, String(at));
  }
  writeFileSync(join(dir, 'mcproxy.yml'), good);
  await run('reload');
  app.signal('SIGUSR2');
  assert.equal((await app.exited).code, 70);
  assert.match(app.stderr(), /it broke with \[redacted\]/);
  const second = await startApp(t, { dir, env });
  second.signal('SIGKILL');
  await second.exited;

  for (const each of [app, second]) {
    add('standard output', each.stdout());
    add('standard error', each.stderr());
  }
  const files = readdirSync(dir, { recursive: true, encoding: 'utf8', withFileTypes: true });
  for (const file of files) {
    const path = join(file.parentPath, file.name);
    // Those that the operator wrote, and what is a secret itself.
    const holds =
      /\/(?:secrets|credentials)\/|\/(?:mcproxy|tokens)\.yml$|seal\.key$|\/state\/oauth\/|crashes\.mjs$/.test(path);
    if (file.isFile() && !holds) add(path, readFileSync(path, 'utf8'));
  }
  assert.ok(all.length > 150, `${all.length} outputs`);
  const logged = readFileSync(join(dir, 'access.log'), 'utf8');
  assert.match(logged, /\[redacted\]/, 'something had to be redacted');
  for (const [where, text] of all) assertClean(text, where);
});

verifies(
  'secrets.rotation',
  'a secret file that changes is in force at once, and a broken one keeps the old',
  async (t) => {
    const upstream = await startUpstream(t);
    const dir = makeTempDir(t);
    writeFiles(dir, {
      'mcproxy.yml': 'listen: 127.0.0.1:0\nlog: { file: access.log }\nadmin: { socket: admin.sock }\n',
      'tokens.yml': `users: { alice: { token: "file:alice", servers: { up: { url: "${upstream.url}/mcp", token: "file:up" } } } }\n`,
      alice: 'token-of-alice-1\n',
      up: 'credential-1',
    });
    const app = await startApp(t, { dir });
    const ask = async (token: string): Promise<string | number | undefined> => {
      const headers = { authorization: `Bearer ${token}`, accept: BOTH };
      const { status } = await send(`${app.url}/up/mcp`, { headers, body: request(1, 'ping', {}) });
      return status === 200 ? upstream.requests.at(-1)?.values('authorization')[0] : status;
    };
    assert.equal(await ask('token-of-alice-1'), 'Bearer credential-1');
    writeFileSync(join(dir, 'up'), 'credential-2\n');
    await waitFor(async () => (await ask('token-of-alice-1')) === 'Bearer credential-2', { deadlineMs: 5_000 });
    writeFileSync(join(dir, 'alice'), 'token-of-alice-2');
    await waitFor(async () => (await ask('token-of-alice-2')) === 'Bearer credential-2', { deadlineMs: 5_000 });
    assert.equal(await ask('token-of-alice-1'), 401);
    writeFileSync(join(dir, 'up'), '\n');
    await waitFor(() => /up is empty/.test(app.stderr()), { deadlineMs: 5_000 });
    assert.equal(await ask('token-of-alice-2'), 'Bearer credential-2');
  },
);

verifies('secrets.files', 'a secret file that is not fit is a problem with its place and what to do', async (t) => {
  const dir = makeTempDir(t);
  const check = async (): Promise<string> => {
    const { code, stderr } = await runCommand(['check', '--config', dir], { dir });
    return `${code} ${stderr}`;
  };
  const servers = (token: string): string => `servers:\n  a:\n    url: https://a.example/\n    token: ${token}\n`;
  writeFiles(dir, { 'mcproxy.yml': servers('file:key'), 'tokens.yml': 'users: {}\n' });
  const place = /^78 .*mcproxy\.yml:4:12: error: /;
  const cases: [string, () => void, RegExp][] = [
    ['missing', () => undefined, /key does not exist[^]*fix: make it/],
    ['empty', () => writeFiles(dir, { key: '\n' }), /key is empty/],
    ['too long', () => writeFiles(dir, { key: 'x'.repeat(70_000) }), /key has more than 65536 bytes/],
    ['no text', () => writeFileSync(join(dir, 'key'), Buffer.from([0xff, 0xfe])), /key is not valid UTF-8/],
    [
      'open',
      () => (writeFiles(dir, { key: 'x' }), chmodSync(join(dir, 'key'), 0o644)),
      /everybody .*0644[^]*chmod o= /,
    ],
    ['a directory', () => writeFiles(dir, { 'mcproxy.yml': servers('file:.') }), /is no regular file/],
    [
      'no credential',
      () => writeFiles(dir, { 'mcproxy.yml': servers('cred:key') }),
      /key does not exist[^]*LoadCredential=/,
    ],
  ];
  for (const [name, make, expected] of cases) {
    make();
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const said = await check();
    assert.match(said, place, name);
    assert.match(said, expected, name);
  }
});
