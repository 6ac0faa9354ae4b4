/**
 * The servers behind the one endpoint, while they come, go, change, crash and never answer.
 *
 * What a save does has to be there within two seconds (SAVE_MS_MAX), which these tests take as their deadline.
 */
import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, type TestContext } from 'node:test';
import type { Json } from '../support/downstream-clients.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import {
  command,
  openSession,
  peersOf,
  settingsFile,
  toldBy,
  usersFile,
  waitForTools,
  type Reply,
  type SessionClient,
} from '../support/message-app.ts';
import { startApp, type RunningApp, type StartOptions } from '../support/start-app.ts';
import { isRunning } from '../support/stdio-server.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor, within } from '../support/wait.ts';

after(() => checkNothingLeft());

const SAVE_MS_MAX = 2_000;
const ALICE = usersFile({ alice: '"*"' });
type Servers = Readonly<Record<string, string>>;

interface Serving {
  readonly app: RunningApp;
  readonly session: SessionClient;
  save(servers: Servers): void;
}

async function start(t: TestContext, servers: Servers, options: StartOptions = {}): Promise<Serving> {
  const app = await startApp(t, {
    files: { 'mcproxy.yml': settingsFile(servers), 'tokens.yml': ALICE },
    ...options,
  });
  const session = await openSession(app.url, 'alice');
  return { app, session, save: (next) => writeFileSync(join(app.dir, 'mcproxy.yml'), settingsFile(next)) };
}

function work(session: SessionClient, server: string, args: Json = {}): Promise<Reply> {
  return session.ask('tools/call', { name: `${server}__work`, arguments: { text: 'x', ...args } });
}

async function pidOf(session: SessionClient, server: string): Promise<number> {
  return toldBy(await work(session, server)).pid;
}

const named = (name: string): string => command('tells-who.mjs', name);
const disabled = (text: string): string => text.replace('{', '{ enabled: false,');

verifies('gateway.servers.hot-reload', 'servers come, change, pause and go while the others run on', async (t) => {
  const [a, b, c] = [named('a'), named('b'), named('c')];
  const { session, save } = await start(t, { a, b });
  await waitForTools(session, ['a', 'b']);
  const pid = await pidOf(session, 'a');
  const steps: readonly { readonly servers: Servers; readonly seen: readonly string[] }[] = [
    { servers: { a, b, c }, seen: ['a', 'b', 'c'] },
    { servers: { a, b, c: disabled(c) }, seen: ['a', 'b'] },
    { servers: { a, b, c }, seen: ['a', 'b', 'c'] },
    { servers: { a, b }, seen: ['a', 'b'] },
  ];
  for (const { servers, seen } of steps) {
    save(servers);
    // oxlint-disable-next-line no-await-in-loop -- one save after the other
    await waitForTools(session, seen, SAVE_MS_MAX);
    // oxlint-disable-next-line no-await-in-loop
    assert.equal(await pidOf(session, 'a'), pid);
  }
  const before = await pidOf(session, 'b');
  save({ a, b: named('changed') });
  const changed = async (): Promise<boolean> => toldBy(await work(session, 'b')).server === 'changed';
  await waitFor(changed, { deadlineMs: SAVE_MS_MAX, what: 'the changed server' });
  await waitFor(() => !isRunning(before), { what: 'the end of what b was' });
  assert.equal(await pidOf(session, 'a'), pid);
});

verifies('gateway.servers.removed-grace', 'a call on a server that is removed gets its answer', async (t) => {
  const [a, b] = [named('a'), named('b')];
  const { app, session, save } = await start(t, { a, b });
  await waitForTools(session, ['a', 'b']);
  const pid = await pidOf(session, 'a');
  const call = work(session, 'a', { text: 'last', delayMs: 1_500 });
  const calls = async (): Promise<unknown> => (await peersOf(app)).find(({ server }) => server === 'a')?.calls;
  await waitFor(async () => (await calls()) === 1, { what: 'the call to arrive' });
  save({ b });
  await waitForTools(session, ['b'], SAVE_MS_MAX);
  assert.ok(isRunning(pid));
  assert.equal((await work(session, 'a')).response['error'].code, -32_602);
  assert.equal(toldBy(await call).text, 'last');
  await waitFor(() => !isRunning(pid), { what: 'the end of the removed server' });
});

verifies(
  'gateway.servers.bad-neighbours',
  'servers that crash or are silent keep nobody from the others',
  async (t) => {
    const { app, session, save } = await start(t, { good: named('good') });
    await waitForTools(session, ['good']);
    const pid = await pidOf(session, 'good');
    save({ good: named('good'), crashes: command('crash-after-n.mjs', '0'), silent: command('never-reads.mjs') });
    const isDown = async (): Promise<boolean> => (await work(session, 'crashes')).response['error']?.code === 503;
    await waitFor(isDown, { what: 'the first crash' });
    // A list is waited for once, for a bounded time; after that those who did not answer cost nothing.
    await within(session.toolNames(), { deadlineMs: 8_000, what: 'the first list' });
    const seenCrashes = async (): Promise<boolean> => {
      const names = await within(session.toolNames(), { deadlineMs: SAVE_MS_MAX, what: 'a list' });
      assert.deepEqual(names, ['good__work', 'good__crash', 'good__only-all']);
      assert.equal(await within(pidOf(session, 'good'), { deadlineMs: SAVE_MS_MAX, what: 'a call' }), pid);
      return /a server is down.*\bcrashes=2\b/.test(app.stderr());
    };
    await waitFor(seenCrashes, { deadlineMs: 10_000, what: 'some crashes' });
    // A server that never reads does not notice that mcproxy was killed: it has to be stopped.
    assert.deepEqual(await app.stop(), { code: 0, signal: null });
  },
);

verifies('gateway.servers.down-since', 'a call to a server that is down says since when', async (t) => {
  const flag = join(makeTempDir(t), 'broken');
  const { session } = await start(t, { good: named('good'), frail: command('tells-who.mjs', 'frail', flag) });
  await waitForTools(session, ['frail', 'good']);
  writeFileSync(flag, '');
  const crash = await session.ask('tools/call', { name: 'frail__crash', arguments: {} });
  assert.equal(crash.response['error'].code, 502);
  const { code, message } = (await work(session, 'frail')).response['error'] as { code: number; message: string };
  assert.equal(code, 503);
  assert.match(message, /^server frail is down since \d{4}-\d\d-\d\dT[\d:.]+Z: .*ended with exit code 7/);
  rmSync(flag);
  await waitFor(async () => toldBy(await work(session, 'frail')).server === 'frail', { what: 'its return' });
});

for (const { how, id } of [
  { how: 'SIGTERM', id: 'gateway.servers.stop' },
  { how: 'SIGKILL', id: 'gateway.servers.kill-nine' },
] as const) {
  verifies(id, `no child is left after ${how}`, async (t) => {
    const obstinate = how === 'SIGTERM' ? { silent: command('never-reads.mjs') } : {};
    const { app, session } = await start(t, { a: named('a'), ...obstinate });
    // Of her own, next to what all share.
    await waitFor(async () => (await pidOf(session, 'a')) > 0, { deadlineMs: 10_000 });
    const count = 1 + Object.keys(obstinate).length;
    const children = await waitFor(() => {
      const found = childrenOf(app.pid);
      return found.length === count ? found : undefined;
    });
    app.signal(how);
    const exit = await within(app.exited, { deadlineMs: 10_000, what: 'the end of mcproxy' });
    assert.equal(exit.code, how === 'SIGTERM' ? 0 : null);
    if (how === 'SIGTERM') assert.deepEqual((children ?? []).filter(isRunning), []);
    else await waitFor(() => !(children ?? []).some(isRunning), { what: 'the end of the children' });
  });
}

/** Ids of the running peers that a process started; its loader's compiler is none. */
function childrenOf(pid: number): number[] {
  const ids = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number);
  return ids.filter((id) => readFileSync(`/proc/${id}/cmdline`, 'utf8').includes('/peers/'));
}

for (const { title, keeps } of [
  { title: 'with a state directory a restart continues a session', keeps: true },
  { title: 'without a state directory a session ends with its process', keeps: false },
]) {
  verifies('gateway.servers.restart-session', title, async (t) => {
    const state = join(makeTempDir(t), 'state');
    const options = keeps ? { env: { STATE_DIRECTORY: state } } : {};
    const first = await start(t, { a: named('a') }, options);
    await waitForTools(first.session, ['a']);
    await first.app.stop();
    const app = await startApp(t, { dir: first.app.dir, ...options });
    const session = await openSession(app.url, 'alice', { sessionId: first.session.sessionId });
    const { answer } = await work(session, 'a');
    assert.equal(answer.status, keeps ? 200 : 404);
    if (keeps) assert.equal(toldBy(await work(session, 'a')).server, 'a');
  });
}
