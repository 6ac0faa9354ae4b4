import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { PROGRAM_ARGS } from '../support/start-app.ts';
import { verifies } from '../support/verifies.ts';

const root = mkdtempSync(join(tmpdir(), 'mcproxy-cli-'));
const children = new Set<ChildProcess>();
const servers = new Set<Server>();
after(() => {
  for (const child of children) child.kill('SIGKILL');
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  rmSync(root, { recursive: true });
});

const DIGEST = `sha256:${'0'.repeat(64)}`;
const TOKENS = `# The team.\nusers:\n  zoe:\n    token: ${DIGEST} # old\n    servers: "*"\n`;

/** A directory of its own that is configuration, home and runtime directory at once. */
function workplace(files: Record<string, string> = {}): string {
  const directory = mkdtempSync(join(root, 'd'));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text, { mode: 0o600 });
  return directory;
}

function launch(directory: string, args: string[]): ChildProcess {
  const child = spawn(process.execPath, [...PROGRAM_ARGS, ...args], {
    env: { PATH: process.env['PATH'], HOME: directory, XDG_RUNTIME_DIR: directory },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

interface Outcome {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end. */
function mcproxy(directory: string, ...args: string[]): Promise<Outcome> {
  return outcomeOf(launch(directory, args));
}

function outcomeOf(child: ChildProcess): Promise<Outcome> {
  let [stdout, stderr] = ['', ''];
  child.stdout?.on('data', (chunk) => (stdout += String(chunk)));
  child.stderr?.on('data', (chunk) => (stderr += String(chunk)));
  return new Promise((done) => {
    child.once('close', (exitCode) => done({ exitCode, stdout, stderr }));
  });
}

interface Service {
  readonly child: ChildProcess;
  readonly url: string;
  readonly ended: Promise<Outcome>;
  /** What it has written to standard error so far. */
  readonly stderr: () => string;
  readonly stdout: () => string;
}

/** Starts the service and waits until it listens. */
async function serve(directory: string, ...args: string[]): Promise<Service> {
  const child = launch(directory, ['serve', ...args]);
  const ended = outcomeOf(child);
  let [stdout, stderr] = ['', ''];
  child.stdout?.on('data', (chunk) => (stdout += String(chunk)));
  child.stderr?.on('data', (chunk) => (stderr += String(chunk)));
  await until(() => {
    assert.equal(child.exitCode, null, stderr);
    return /listening on http:\S+/.test(stderr);
  }, `the service to listen`);
  const url = /listening on (http:\S+)/.exec(stderr)?.[1] ?? '';
  return { child, url, ended, stderr: () => stderr, stdout: () => stdout };
}

/** Waits for a condition, at most ten seconds. */
async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadlineMs = performance.now() + 10_000;
  while (!(await condition())) {
    assert.ok(performance.now() < deadlineMs, `waited in vain for ${what}`);
    await new Promise((done) => void setTimeout(done, 20));
  }
}

async function end(service: Service): Promise<Outcome> {
  service.child.kill('SIGTERM');
  return service.ended;
}

async function upstream(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const server = createServer(answer);
  servers.add(server);
  await new Promise<void>((done) => void server.listen(0, '127.0.0.1', done));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
}

/** The status of a request with this token. */
async function knock(url: string, token: string): Promise<number> {
  const response = await fetch(`${url}/a/mcp`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' }),
  });
  await response.text();
  return response.status;
}

const CONFIG = (url: string): string =>
  `listen: 127.0.0.1:0\nlog: { file: access.log }\nservers:\n  a: { url: "${url}" }\n`;
const pong = (request: IncomingMessage, response: ServerResponse): void => {
  request.resume();
  response.setHeader('content-type', 'application/json');
  response.end('{"jsonrpc":"2.0","id":1,"result":{}}');
};

verifies(
  ['identity.token-add', 'identity.token-rotate', 'identity.token-revoke'],
  'a token added while the service runs opens the door within a second and revoking it closes it',
  async () => {
    const directory = workplace({ 'mcproxy.yml': CONFIG(await upstream(pong)), 'tokens.yml': TOKENS });
    const service = await serve(directory, '--config', directory);
    const added = await mcproxy(directory, 'token', 'add', 'alice', '--config', directory, '--server', 'a');
    assert.equal(added.exitCode, 0, added.stderr);
    const token = added.stdout.trim();
    assert.match(token, /^mcp_[\w-]{43}$/);
    assert.match(added.stderr, /running service/);
    assert.equal(await knock(service.url, token), 200);
    const file = readFileSync(join(directory, 'tokens.yml'), 'utf8');
    assert.ok(file.startsWith(TOKENS.trimEnd()), file);
    assert.ok(!file.includes(token));

    const rotated = await mcproxy(directory, 'token', 'rotate', 'alice', '--config', directory);
    assert.equal(await knock(service.url, token), 401);
    assert.equal(await knock(service.url, rotated.stdout.trim()), 200);
    const revoked = await mcproxy(directory, 'token', 'revoke', 'alice', '--config', directory);
    assert.equal(revoked.exitCode, 0, revoked.stderr);
    assert.equal(await knock(service.url, rotated.stdout.trim()), 401);
    assert.equal(readFileSync(join(directory, 'tokens.yml'), 'utf8'), TOKENS);
    const ended = await end(service);
    assert.equal(ended.exitCode, 0, ended.stderr);
    assert.ok(!existsSync(join(directory, 'mcproxy', 'admin.sock')));
  },
);

test('a saved file is applied within a second without any command', async () => {
  const directory = workplace({ 'mcproxy.yml': CONFIG(await upstream(pong)), 'tokens.yml': TOKENS });
  const service = await serve(directory, '--config', directory);
  assert.equal(await knock(service.url, 'plain-token-of-bob'), 401);
  const text = `${TOKENS}  bob: { token: plain-token-of-bob, servers: "*" }\n`;
  writeFileSync(join(directory, 'new'), text, { mode: 0o600 });
  const savedMs = performance.now();
  renameSync(join(directory, 'new'), join(directory, 'tokens.yml'));
  await until(async () => (await knock(service.url, 'plain-token-of-bob')) === 200, 'the new token');
  assert.ok(performance.now() - savedMs < 1_000);
  writeFileSync(join(directory, 'tokens.yml'), 'users: [\n', { mode: 0o600 });
  await until(() => /tokens\.yml:\d+:\d+: error/.test(service.stderr()), 'the problem');
  assert.equal(await knock(service.url, 'plain-token-of-bob'), 200);
  rmSync(join(directory, 'tokens.yml'));
  rmSync(join(directory, 'mcproxy.yml'));
  await until(() => /neither mcproxy.yml nor tokens.yml/.test(service.stderr()), 'the files to be missed');
  assert.equal(await knock(service.url, 'plain-token-of-bob'), 200);
  await end(service);
});

test('reload prints what would change, what changed, and why nothing did', async () => {
  const directory = workplace({ 'mcproxy.yml': CONFIG(await upstream(pong)), 'tokens.yml': TOKENS });
  const service = await serve(directory, '--config', directory);
  // Written by way of a name that is not watched, at once asked for: the watch must not have been faster.
  const socket = join(directory, 'mcproxy', 'admin.sock');
  writeFileSync(join(directory, 'tokens.yml'), TOKENS.replace('zoe', 'yan'), { mode: 0o600 });
  const idle = await mcproxy(directory, 'reload', '--socket', socket, '--json');
  assert.equal(idle.exitCode, 0, idle.stderr);
  assert.equal((JSON.parse(idle.stdout) as { ok: boolean }).ok, true);
  const again = await mcproxy(directory, 'reload', '--dry-run', '--socket', socket);
  assert.equal(again.stdout, 'Nothing to change.\n');
  writeFileSync(join(directory, 'tokens.yml'), 'users: [\n', { mode: 0o600 });
  const broken = await mcproxy(directory, 'reload', '--socket', socket);
  assert.equal(broken.exitCode, 78);
  assert.match(broken.stderr, /tokens\.yml:\d+:\d+: error: /);
  assert.match(broken.stderr, /keeps the configuration it had/);
  const status = await mcproxy(directory, 'status', '--json', '--socket', socket);
  assert.equal((JSON.parse(status.stdout) as { url: string }).url, service.url);
  await end(service);
  const gone = await mcproxy(directory, 'status', '--socket', socket);
  assert.equal(gone.exitCode, 69);
  assert.match(gone.stderr, /no service is running.*--socket/);
});

test('SIGHUP opens the log anew and reads the files', async () => {
  const directory = workplace({ 'mcproxy.yml': CONFIG(await upstream(pong)), 'tokens.yml': TOKENS });
  const service = await serve(directory, '--config', directory);
  await knock(service.url, 'nobody');
  renameSync(join(directory, 'access.log'), join(directory, 'access.log.1'));
  service.child.kill('SIGHUP');
  await until(() => existsSync(join(directory, 'access.log')), 'a new log');
  await knock(service.url, 'nobody');
  assert.equal(readFileSync(join(directory, 'access.log'), 'utf8').trim().split('\n').length, 1);
  await end(service);
});

for (const [signal, exitCode] of [
  ['SIGTERM', 143],
  ['SIGINT', 130],
] as const) {
  test(`a second ${signal} ends a service that is still draining with ${exitCode}`, async () => {
    let reached = false;
    const url = await upstream(() => {
      reached = true; // and never answers
    });
    const tokens = `users:\n  bob: { token: plain-token-of-bob, servers: "*" }\n`;
    const directory = workplace({ 'mcproxy.yml': CONFIG(url), 'tokens.yml': tokens });
    const service = await serve(directory, '--config', directory);
    const request = knock(service.url, 'plain-token-of-bob').catch(() => 0);
    await until(() => reached, 'the request to arrive');
    service.child.kill(signal);
    await until(() => service.stderr().includes('stopping'), 'the drain');
    service.child.kill(signal);
    assert.equal((await service.ended).exitCode, exitCode);
    await request;
  });
}

verifies(
  'check.exit-codes',
  'problems of all files are printed and the exit code is 78, at the start as with check',
  async () => {
    const directory = workplace({
      'mcproxy.yml': 'listn: 127.0.0.1:0\n',
      'tokens.yml': 'users:\n  zoe: { tokn: x }\n',
    });
    for (const command of ['serve', 'check']) {
      const { exitCode, stderr } = await mcproxy(directory, command, '--config', directory);
      assert.equal(exitCode, 78);
      assert.match(stderr, /mcproxy\.yml:1:1: error: .*\n {4}listn.*\n {4}\^\n/);
      assert.match(stderr, /tokens\.yml:2:\d+: error: /);
      assert.match(stderr, /fix: /);
    }
    const json = await mcproxy(directory, 'check', '--json', '--config', directory);
    assert.equal((JSON.parse(json.stdout) as { ok: boolean }).ok, false);
  },
);

test('a log that cannot be written is exit 73, an address that is not ours exit 69', async () => {
  const log = workplace({ 'mcproxy.yml': 'listen: 127.0.0.1:0\nlog: { file: mcproxy.yml/access.log }\n' });
  assert.equal((await mcproxy(log, 'serve', '--config', log)).exitCode, 73);
  const listen = workplace({ 'mcproxy.yml': 'listen: 192.0.2.1:4\nlog: { file: "-" }\n' });
  const { exitCode, stderr } = await mcproxy(listen, 'serve', '--config', listen);
  assert.equal(exitCode, 69, stderr);
});

verifies(
  'repository.first-run',
  'without any file the demo runs and says how to use it',
  async () => {
    const directory = workplace();
    const service = await serve(directory, '--port', '0');
    await until(() => service.stdout().includes('curl'), 'the banner');
    const token = /mcp_demo_[\w-]+/.exec(service.stdout())?.[0] ?? '';
    const response = await fetch(`${service.url}/demo/mcp`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${token}`,
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'whoami', arguments: {} } }),
    });
    assert.match(await response.text(), /demo-credential/);
    assert.equal((await end(service)).exitCode, 0);
  },
  { skip: existsSync('/etc/mcproxy') },
);

verifies(
  ['identity.token-add', 'identity.token-list'],
  'five tokens added at the same time are all there, and the first makes the file',
  async () => {
    const directory = workplace({ 'mcproxy.yml': 'servers:\n  a: { url: "http://127.0.0.1:1/mcp" }\n' });
    const names = ['ann', 'ben', 'cem', 'dia', 'eve'];
    const added = await Promise.all(
      names.map((name) => mcproxy(directory, 'token', 'add', name, '--config', directory)),
    );
    for (const { exitCode, stderr } of added) assert.equal(exitCode, 0, stderr);
    assert.equal(statSync(join(directory, 'tokens.yml')).mode & 0o007, 0);
    const listed = await mcproxy(directory, 'token', 'list', '--config', directory);
    for (const name of names) assert.match(listed.stdout, new RegExp(`^${name} +user +all servers$`, 'm'));
    const checked = await mcproxy(directory, 'check', '--config', directory);
    assert.equal(checked.exitCode, 0, checked.stderr);
    assert.match(checked.stdout, /valid: 1 server, 5 users/);
  },
);

test('a change that makes the configuration invalid is not written', async () => {
  const directory = workplace({ 'mcproxy.yml': CONFIG('http://127.0.0.1:1/mcp'), 'tokens.yml': TOKENS });
  const added = await mcproxy(directory, 'token', 'add', 'alice', '--server', 'nosuch', '--config', directory);
  assert.equal(added.exitCode, 78, added.stderr);
  assert.match(added.stderr, /nothing was written/);
  assert.equal(added.stdout, '');
  assert.equal(readFileSync(join(directory, 'tokens.yml'), 'utf8'), TOKENS);
});

test('check warns of a command that is not there', async () => {
  const text =
    'servers:\n  b: { command: no-such-command-here }\n  c: { command: node }\n  d: { command: /etc/passwd }\n';
  const directory = workplace({ 'any.json': text, 'tokens.yml': TOKENS });
  const { exitCode, stderr } = await mcproxy(directory, 'check', join(directory, 'any.json'));
  assert.equal(exitCode, 0, stderr);
  assert.match(stderr, /server "b": the command "no-such-command-here" is not found in PATH/);
  assert.match(stderr, /server "d": the command "\/etc\/passwd" is not executable/);
  assert.doesNotMatch(stderr, /server "c"/);
});

verifies(
  'check.connect',
  'check --connect tells who answers, who refuses and who is not there, and shows no secret',
  async () => {
    const ask = (accepted: string, method: string) => (request: IncomingMessage, response: ServerResponse) => {
      if (request.headers.authorization !== accepted) return void response.writeHead(401).end('secret-in-body');
      let body = '';
      request.on('data', (chunk) => (body += String(chunk)));
      request.on('end', () => {
        const asked = body === '' ? '' : (JSON.parse(body) as { method: string }).method;
        if (asked !== method) return void response.writeHead(400).end();
        response.setHeader('content-type', 'text/event-stream');
        response.write(`data: ${JSON.stringify({ jsonrpc: '2.0', id: 'x', result: {} })}\n\n`); // and stays open
      });
    };
    const config = [
      'servers:',
      `  modern: { url: "${await upstream(ask('Bearer shared-secret-1', 'server/discover'))}", token: shared-secret-1 }`,
      `  legacy: { url: "${await upstream(ask('Bearer shared-secret-2', 'initialize'))}", token: shared-secret-2 }`,
      '  gone: { url: "http://127.0.0.1:1/mcp" }',
    ];
    const tokens = `users:\n  zoe:\n    token: ${DIGEST}\n    servers: { modern: { token: own-secret-3 } }\n`;
    const directory = workplace({ 'mcproxy.yml': `${config.join('\n')}\n`, 'tokens.yml': tokens });
    const { exitCode, stdout, stderr } = await mcproxy(directory, 'check', '--connect', '--config', directory);
    assert.equal(exitCode, 69, stderr);
    assert.match(stdout, /ok +modern: reachable, MCP 2026-07-28/);
    assert.match(stdout, /ok +legacy: reachable, MCP 2025-11-25/);
    assert.match(stdout, /FAILED gone: nobody listens there \(ECONNREFUSED\)/);
    assert.match(stdout, /FAILED modern as zoe: refuses the credential \(HTTP 401\)/);
    assert.doesNotMatch(stdout + stderr, /secret/);
  },
);
