/**
 * `mcproxy tools` and `mcproxy call` as a user runs them, with and without the running service.
 */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { checkNothingLeft } from '../support/leaks.ts';
import { PROGRAM_ARGS } from '../support/start-app.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor } from '../support/wait.ts';

after(() => checkNothingLeft());

const PEER = fileURLToPath(new URL('../peers/notes-calls.mjs', import.meta.url));
const DIGEST = `sha256:${'0'.repeat(64)}`;

interface Place {
  readonly directory: string;
  /** What the server heard, in order. */
  heard(): { readonly pid: number; readonly method: string; readonly name?: string }[];
  entries(): Record<string, unknown>[];
  /** Runs a command to its end. */
  mcproxy(...args: string[]): Promise<Outcome>;
  launch(...args: string[]): { readonly child: ChildProcess; readonly ended: Promise<Outcome> };
  /** Starts the service and waits until it listens. */
  serve(): Promise<{ readonly child: ChildProcess; readonly ended: Promise<Outcome> }>;
}

interface Outcome {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function workplace(t: TestContext, more = ''): Place {
  const directory = mkdtempSync(join(tmpdir(), 'mcproxy-call-'));
  const children = new Set<ChildProcess>();
  t.after(async () => {
    await Promise.all([...children].map((child) => kill(child)));
    rmSync(directory, { recursive: true });
  });
  const calls = join(directory, 'calls');
  const command = JSON.stringify(process.execPath);
  const yaml =
    `listen: 127.0.0.1:0\nlog: { file: access.log }\nadmin: { socket: admin.sock }\nservers:\n` +
    `  notes: { command: ${command}, args: [${JSON.stringify(PEER)}, ${JSON.stringify(calls)}] }\n${more}`;
  writeFileSync(calls, '');
  writeFileSync(join(directory, 'mcproxy.yml'), yaml);
  const users = `users:\n  alice: { token: "${DIGEST}", servers: { notes: {} } }\n`;
  writeFileSync(join(directory, 'tokens.yml'), users, { mode: 0o600 });
  const place: Place = {
    directory,
    heard: () => lines(calls) as ReturnType<Place['heard']>,
    entries: () => lines(join(directory, 'access.log')),
    mcproxy: (...args) => place.launch(...args).ended,
    launch(...args) {
      const child = spawn(process.execPath, [...PROGRAM_ARGS, ...args, '--config', directory], {
        env: { PATH: process.env['PATH'], HOME: directory },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      children.add(child);
      child.once('close', () => children.delete(child));
      return { child, ended: outcomeOf(child) };
    },
    async serve() {
      const service = place.launch('serve');
      let stderr = '';
      service.child.stderr?.on('data', (chunk) => (stderr += String(chunk)));
      await waitFor(() => /listening on/.test(stderr), { deadlineMs: 20_000, what: 'the service to listen' });
      return service;
    },
  };
  return place;
}

async function kill(child: ChildProcess): Promise<void> {
  const closed = new Promise((done) => void child.once('close', done));
  child.kill('SIGKILL');
  await closed;
}

function lines(path: string): Record<string, unknown>[] {
  const text = readFileSync(path, 'utf8').split('\n').slice(0, -1);
  return text.map((line) => JSON.parse(line) as Record<string, unknown>);
}

function outcomeOf(child: ChildProcess): Promise<Outcome> {
  let [stdout, stderr] = ['', ''];
  child.stdout?.on('data', (chunk) => (stdout += String(chunk)));
  child.stderr?.on('data', (chunk) => (stderr += String(chunk)));
  return new Promise((done) => {
    child.once('close', (exitCode) => done({ exitCode, stdout, stderr }));
  });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

verifies(
  ['cli.tools', 'cli.without-service'],
  'tools shows names, arguments, cost and who is missing, and leaves no process behind',
  async (t) => {
    const place = workplace(t, '  broken: { command: no-such-program }\n');
    const listed = await place.mcproxy('tools');
    assert.equal(listed.exitCode, 0, listed.stderr);
    assert.match(
      listed.stdout,
      /^notes__answers {2}\(notes, ~\d+ tokens\)\n {4}Repeats its arguments\.\n {4}path\*, depth$/m,
    );
    assert.match(
      listed.stdout,
      /^notes__a_tool_whose_name\S+ {2}\(notes, named "a_tool_\w+_take" there, ~\d+ tokens\)$/m,
    );
    assert.match(listed.stdout, /^! broken: is down since 2\S+Z because .*"no-such-program" was not found/m);
    assert.match(listed.stdout, /^5 tools of 1 server, about \d+ tokens \(estimated\)\.$/m);
    for (const { pid } of place.heard()) assert.ok(!isAlive(pid), 'the server was stopped');

    const { stdout, exitCode } = await place.mcproxy('tools', 'notes', '--json', '--user', 'alice');
    assert.equal(exitCode, 0);
    const { items, servers } = JSON.parse(stdout) as { items: Record<string, unknown>[]; servers: unknown[] };
    assert.deepEqual(servers, [{ server: 'notes', state: 'listed', down_since: null, reason: null }]);
    assert.equal(items[0]?.['server_name'], 'answers');
    assert.deepEqual(
      items.map(({ changed }) => changed),
      [false, false, false, false, true],
    );
    const none = await place.mcproxy('tools', 'broken');
    assert.equal(none.exitCode, 69);
  },
);

verifies('cli.tools', 'a command that has to wait says for which server, on stderr and not beside JSON', async (t) => {
  const mute = (timeout: string): string =>
    `  mute: { command: ${JSON.stringify(process.execPath)}, args: [-e, process.stdin.resume()], timeout: ${timeout} }\n`;
  const place = workplace(t, mute('3s'));
  for (const words of [
    ['tools', '--no-service'],
    ['check', '--connect'],
  ]) {
    for (const json of [[], ['--json']]) {
      // oxlint-disable-next-line no-await-in-loop -- one process at a time
      const { stdout, stderr } = await place.mcproxy(...words, ...json);
      assert.match(stdout, /notes/, stderr);
      assert.equal(/^mcproxy: waiting for (?:notes, )?mute …$/m.test(stderr), json.length === 0, stderr);
    }
  }
  // A service has begun with the server long before.
  const serving = workplace(t, mute('5m'));
  await serving.serve();
  let said = '';
  serving.launch('tools').child.stderr?.on('data', (chunk) => (said += String(chunk)));
  const isSaid = (): boolean => /^mcproxy: waiting for (?:notes, )?mute …$/m.test(said);
  await waitFor(isSaid, { deadlineMs: 20_000, what: 'the line that says for whom it waits' });
});

const CALLS: readonly { name: string; args: string[]; exitCode: number; stdout: RegExp; stderr: RegExp }[] = [
  {
    name: 'JSON',
    args: ['notes__answers', '{"path": "/srv"}'],
    exitCode: 0,
    stdout: /^\{"path":"\/srv"\}\n$/,
    stderr: /^$/,
  },
  {
    name: 'pairs of text and JSON',
    args: ['notes__answers', 'path=a=b', 'depth:=2'],
    exitCode: 0,
    stdout: /^\{"path":"a=b","depth":2\}\n$/,
    stderr: /^$/,
  },
  {
    name: "a server's own name and --json",
    args: ['answers', '--server', 'notes', '--json'],
    exitCode: 0,
    stdout: /^\{"content":\[\{"type":"text","text":"\{\}"\}\]\}\n$/,
    stderr: /^$/,
  },
  {
    name: "a tool's error",
    args: ['notes__fails'],
    exitCode: 1,
    stdout: /^it did not work\n$/,
    stderr: /reports an error/,
  },
  {
    name: 'a mistyped tool',
    args: ['notes__answer'],
    exitCode: 64,
    stdout: /^$/,
    stderr: /did you mean "notes__answers"\?/,
  },
  {
    name: 'a mistyped user',
    args: ['x', '--user', 'alicе'],
    exitCode: 64,
    stdout: /^$/,
    stderr: /no user .*did you mean "alice"/,
  },
  {
    name: 'a mistyped server',
    args: ['x', '--server', 'note'],
    exitCode: 64,
    stdout: /^$/,
    stderr: /did you mean "notes"\?/,
  },
  { name: 'a server that is down', args: ['broken__x'], exitCode: 69, stdout: /^$/, stderr: /no-such-program/ },
  {
    name: 'arguments that are no JSON',
    args: ['notes__answers', '{path}'],
    exitCode: 64,
    stdout: /^$/,
    stderr: /are no JSON/,
  },
];

verifies(
  ['cli.call', 'cli.service-entry'],
  'call answers alike with and without the service, which writes one entry for each request',
  async (t) => {
    const place = workplace(t, '  broken: { command: no-such-program }\n');
    const check = async (): Promise<void> => {
      for (const { name, args, exitCode, stdout, stderr } of CALLS) {
        const outcome = await place.mcproxy('call', ...args);
        assert.equal(outcome.exitCode, exitCode, `${name}: ${outcome.stderr}`);
        assert.match(outcome.stdout, stdout, name);
        assert.match(outcome.stderr, stderr, name);
      }
    };
    await check();
    const pids = new Set(place.heard().map(({ pid }) => pid));
    for (const pid of pids) assert.ok(!isAlive(pid), 'the servers were stopped');
    const service = await place.serve();
    await check();
    const added = new Set(place.heard().map(({ pid }) => pid)).size - pids.size;
    assert.equal(added, 1, 'the service has one process for all');
    const calls = place.entries().filter(({ rpc_method: method }) => method === 'tools/call');
    // Wrong arguments are refused before anybody is asked.
    assert.equal(calls.length, CALLS.length - 1);
    assert.ok(place.entries().every(({ route }) => route === 'admin'));
    const { principal, upstream, rpc_name: name, outcome } = calls[3] ?? {};
    assert.deepEqual([principal, upstream, name, outcome], ['local', 'notes', 'fails', 'ok']);
    assert.equal(calls[3]?.['tool_error'], true);

    const alice = await place.mcproxy('call', 'notes__answers', '--user', 'alice');
    assert.equal(alice.exitCode, 0, alice.stderr);
    assert.equal(place.entries().at(-1)?.['principal'], 'alice');
    const big = await place.mcproxy('call', 'notes__big', 'bytes:=6000000');
    assert.equal(big.stdout.length, 6_000_001, 'longer than other answers on the socket may be');
    service.child.kill('SIGTERM');
    assert.equal((await service.ended).exitCode, 0);
  },
);

for (const withService of [true, false]) {
  verifies(
    'cli.call-cancel',
    `Ctrl-C and the time limit cancel the call at the server ${withService ? 'through' : 'without'} the service`,
    async (t) => {
      const place = workplace(t);
      if (withService) await place.serve();
      const { child, ended } = place.launch('call', 'notes__waits');
      const called = (): boolean => place.heard().some(({ name }) => name === 'waits');
      await waitFor(called, { deadlineMs: 20_000, what: 'the call' });
      child.kill('SIGINT');
      const outcome = await ended;
      assert.equal(outcome.exitCode, 130, outcome.stderr);
      const cancels = (): number => place.heard().filter(({ method }) => method === 'notifications/cancelled').length;
      await waitFor(() => cancels() === 1, { deadlineMs: 5_000, what: 'the cancellation' });

      const late = await place.mcproxy('call', 'notes__waits', '--timeout', '6s');
      assert.equal(late.exitCode, 75, late.stderr);
      assert.match(late.stderr, /no answer within 6s/);
      await waitFor(() => cancels() === 2, { deadlineMs: 5_000, what: 'the cancellation' });
      if (!withService) for (const { pid } of place.heard()) assert.ok(!isAlive(pid));
      // Whoever gave up waits for no answer, so that nothing says when the entry is there.
      const logged = (): number => place.entries().filter(({ outcome: how }) => how === 'cancelled').length;
      if (withService) await waitFor(() => logged() === 2, { deadlineMs: 5_000, what: 'both entries' });
    },
  );
}

verifies('cli.service-stop', 'a command whose service stops is told so, and its entry is written', async (t) => {
  const place = workplace(t);
  writeFileSync(
    join(place.directory, 'mcproxy.yml'),
    `${readFileSync(join(place.directory, 'mcproxy.yml'), 'utf8')}shutdown_grace: 0s\n`,
  );
  const service = await place.serve();
  const { ended } = place.launch('call', 'notes__waits');
  await waitFor(() => place.heard().some(({ name }) => name === 'waits'), { deadlineMs: 20_000, what: 'the call' });
  service.child.kill('SIGTERM');
  const outcome = await ended;
  assert.equal(outcome.exitCode, 69, outcome.stderr);
  assert.match(outcome.stderr, /stopping \(SHUTTING_DOWN\)/);
  assert.equal((await service.ended).exitCode, 0);
  assert.equal(place.entries().at(-1)?.['error_code'], 'SHUTTING_DOWN');
});

verifies('check.connect-commands', 'check --connect starts commands, counts their tools and stops them', async (t) => {
  const place = workplace(t, '  broken: { command: no-such-program }\n');
  const { exitCode, stdout } = await place.mcproxy('check', '--connect');
  assert.equal(exitCode, 69);
  assert.match(stdout, /^ok {4,5}notes: starts, MCP 2025-11-25, 5 tools$/m);
  assert.match(stdout, /^FAILED broken: .*no-such-program/m);
  assert.ok(place.heard().length > 0);
  for (const { pid } of place.heard()) assert.ok(!isAlive(pid), 'the server was stopped');
});
