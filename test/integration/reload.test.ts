import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, type TestContext } from 'node:test';
import { askSocket } from '../../src/app/admin-client.ts';
import { readUntil, send, type StreamedAnswer } from '../support/http-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { echo, startUpstream, type Answer, type RecordingUpstream } from '../support/recording-upstream.ts';
import { runCommand, startApp, type RunningApp } from '../support/start-app.ts';
import { makeTempDir, writeFiles } from '../support/temp-dir.ts';
import { call, listen, tokensFile } from '../support/users.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor, within } from '../support/wait.ts';

after(() => checkNothingLeft());

const SETTINGS = 'listen: 127.0.0.1:0\nlog: { file: access.log }\nadmin: { socket: admin.sock }\n';
/** What the README promises for a saved file. */
const NOTICED_MS_MAX = 1_000;

interface Fixture {
  readonly app: RunningApp;
  readonly upstream: RecordingUpstream;
  /** Answers that wait: open streams and calls whose argument is `slow`. */
  readonly waiting: Map<string, ServerResponse>;
  /** Saves the users of a new tokens.yml, by rename. */
  readonly saveUsers: (names: readonly string[]) => void;
}

async function start(t: TestContext, users: readonly string[]): Promise<Fixture> {
  const waiting = new Map<string, ServerResponse>();
  const answer: Answer = (conversation) => {
    const { request, response } = conversation;
    const [id = ''] = request.values('x-request-id');
    if (request.method === 'GET' || id.startsWith('stream')) {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': open\n\n');
      waiting.set(id, response);
    } else if (id.startsWith('slow')) waiting.set(id, response);
    else return echo(conversation);
  };
  const upstream = await startUpstream(t, { answer });
  const app = await startApp(t, { files: { 'mcproxy.yml': SETTINGS, 'tokens.yml': tokensFile(users, upstream.url) } });
  const saveUsers = (names: readonly string[]): void => {
    writeFiles(app.dir, { 'next.yml': tokensFile(names, upstream.url) });
    renameSync(join(app.dir, 'next.yml'), join(app.dir, 'tokens.yml'));
  };
  return { app, upstream, waiting, saveUsers };
}

const statusOf = async (app: RunningApp, name: string): Promise<number> => (await call(app.url, name)).status;

/** The pipe may deliver a line later than the answer that came after it. */
const told = (app: RunningApp, line: RegExp): Promise<unknown> =>
  waitFor(() => line.test(app.stderr()), { what: String(line) });

function becomes(app: RunningApp, name: string, status: number): Promise<unknown> {
  return waitFor(async () => (await statusOf(app, name)) === status, {
    deadlineMs: NOTICED_MS_MAX,
    what: `${status} for ${name}`,
  });
}

async function openListening(fixture: Fixture, user: string, requestId: string): Promise<StreamedAnswer> {
  const stream = await listen(fixture.app.url, user, { requestId });
  await readUntilOpen(stream);
  return stream;
}

async function readUntilOpen(stream: StreamedAnswer): Promise<void> {
  // Not readUntil: leaving its loop would close the stream.
  const { value } = await stream.chunks[Symbol.asyncIterator]().next();
  assert.match(String(value), /: open/);
}

/** Reads to the end; throws when the connection breaks instead of ending. */
async function endOf(stream: StreamedAnswer): Promise<void> {
  for (const chunks = stream.chunks[Symbol.asyncIterator](); ;) {
    // oxlint-disable-next-line no-await-in-loop -- one chunk after the other
    if ((await within(chunks.next(), { what: 'the end of the stream' })).done === true) return;
  }
}

const WAYS = [
  {
    id: 'reload.rename-over',
    name: 'a rename over it',
    prepare: (dir: string, text: string) => writeFiles(dir, { 'tokens.yml': text }),
    save: (dir: string, text: string) => {
      writeFiles(dir, { '.tokens.yml.swp': text });
      renameSync(join(dir, '.tokens.yml.swp'), join(dir, 'tokens.yml'));
    },
  },
  {
    id: 'reload.in-place',
    name: 'a write in place',
    prepare: (dir: string, text: string) => writeFiles(dir, { 'tokens.yml': text }),
    save: (dir: string, text: string) => writeFileSync(join(dir, 'tokens.yml'), text),
  },
  {
    id: 'reload.symlink-swap',
    name: 'a swap of the symbolic link to its directory',
    prepare: (dir: string, text: string) => {
      mount(dir, 'v0', text);
      symlinkSync('..data/tokens.yml', join(dir, 'tokens.yml'));
    },
    save: (dir: string, text: string) => mount(dir, `v${text.length}`, text),
  },
] as const;

/** The way Kubernetes mounts a Secret. */
function mount(dir: string, version: string, text: string): void {
  mkdirSync(join(dir, version));
  writeFiles(join(dir, version), { 'tokens.yml': text });
  symlinkSync(version, join(dir, '..data_tmp'));
  renameSync(join(dir, '..data_tmp'), join(dir, '..data'));
}

for (const { id, name, prepare, save } of WAYS) {
  verifies(id, `tokens.yml saved by ${name} is in force within a second, again and again`, async (t) => {
    const upstream = await startUpstream(t);
    const dir = makeTempDir(t);
    writeFiles(dir, { 'mcproxy.yml': SETTINGS });
    prepare(dir, tokensFile([], upstream.url));
    const app = await startApp(t, { dir });
    const users: string[] = [];
    for (const user of ['alice', 'bob', 'carol']) {
      users.push(user);
      save(dir, tokensFile(users, upstream.url));
      // oxlint-disable-next-line no-await-in-loop -- one save after the other
      await becomes(app, user, 200);
    }
    await told(app, /info configuration reloaded cause=file changes="user carol: added"/);
  });
}

verifies('reload.in-place', 'mcproxy.yml saved is in force within a second as well', async (t) => {
  const { app, upstream } = await start(t, ['alice']);
  writeFileSync(join(app.dir, 'mcproxy.yml'), `${SETTINGS}path_prefix: /mcp-proxy\n`);
  await waitFor(async () => (await call(`${app.url}/mcp-proxy`, 'alice')).status === 200, {
    deadlineMs: NOTICED_MS_MAX,
  });
  assert.equal(await statusOf(app, 'alice'), 404);
  assert.deepEqual(upstream.failures, []);
});

verifies('reload.sighup', 'SIGHUP reads the files without waiting for the watch', async (t) => {
  const { app, saveUsers } = await start(t, ['alice']);
  saveUsers(['alice', 'bob']);
  app.signal('SIGHUP');
  await becomes(app, 'bob', 200);
  await told(app, /configuration reloaded cause=signal changes="user bob: added"/);
});

verifies(
  ['reload.broken-keeps-old', 'reload.readyz', 'reload.admin-socket'],
  'a broken file keeps the old configuration, and everybody who asks is told why, until it is repaired',
  async (t) => {
    const { app, upstream, saveUsers } = await start(t, ['alice']);
    const readyz = (): Promise<{ status: number; text(): string }> => send(`${app.url}/readyz`);
    writeFileSync(join(app.dir, 'tokens.yml'), `${tokensFile(['bob'], upstream.url)}  carol: [\n`);
    await waitFor(async () => (await readyz()).status === 503, { deadlineMs: NOTICED_MS_MAX });
    assert.match((await readyz()).text(), /configuration on disk has 1 problem/);
    assert.deepEqual([await statusOf(app, 'alice'), await statusOf(app, 'bob')], [200, 401]);
    await told(app, /error configuration rejected.* cause=file problems=1 first=".*tokens\.yml:\d+:\d+: /);

    const reload = await runCommand(['reload', '--socket', join(app.dir, 'admin.sock')]);
    assert.equal(reload.code, 78, reload.stderr);
    assert.match(reload.stderr, /tokens\.yml:\d+:\d+/);
    assert.match(reload.stderr, /Nothing was changed/);

    saveUsers(['alice']);
    await waitFor(async () => (await readyz()).status === 200, { deadlineMs: NOTICED_MS_MAX });
    await waitFor(() => app.stderr().includes('the configuration on disk is again the one in force'));
    assert.equal(await statusOf(app, 'alice'), 200);
  },
);

verifies(
  ['reload.revoked-token', 'reload.revoked-streams-closed', 'reload.others-untouched'],
  'a revoked user is out with the next request and open streams end cleanly; nobody else notices any reload',
  async (t) => {
    const fixture = await start(t, ['alice', 'bob']);
    const { app, upstream, waiting, saveUsers } = fixture;
    const mine = await openListening(fixture, 'alice', 'alice-listens');
    const answering = await listen(app.url, 'alice', { requestId: 'alice-listens-too' });
    const others = await openListening(fixture, 'bob', 'bob-listens');
    const slow = call(app.url, 'bob', { requestId: 'slow-bob' });
    const mySlow = call(app.url, 'alice', { requestId: 'slow-alice' });
    await waitFor(() => waiting.size === 5, { what: 'all of them upstream' });
    const connections = await upstream.connectionCount();

    saveUsers(['bob']);
    await becomes(app, 'alice', 401);
    await Promise.all([endOf(mine), endOf(answering)]);
    const entry = await waitFor(() => app.entries().find((each) => each['request_id'] === 'alice-listens'));
    assert.deepEqual([entry?.['principal'], entry?.['http_status'], entry?.['outcome']], ['alice', 200, 'ok']);
    await waitFor(() => waiting.get('alice-listens')?.destroyed, { what: 'the upstream to be let go' });

    for (const more of [['bob', 'carol'], ['bob'], ['bob', 'dora']]) {
      saveUsers(more);
      // oxlint-disable-next-line no-await-in-loop -- one reload after the other
      await becomes(app, more.at(-1) ?? '', 200);
      app.signal('SIGHUP');
    }
    waiting.get('bob-listens')?.write('data: "still here"\n\n');
    assert.match(await readUntil(others, (text) => text.includes('\n\n')), /still here/);
    for (const id of ['slow-bob', 'slow-alice']) {
      waiting
        .get(id)
        ?.writeHead(200, { 'content-type': 'application/json' })
        .end('{"jsonrpc":"2.0","id":1,"result":{}}');
    }
    assert.equal((await slow).status, 200);
    assert.equal((await mySlow).status, 200, 'a call that began with a valid token is answered');
    const asked = upstream.requests.filter((request) => request.values('x-request-id')[0]?.includes('bob-') === true);
    assert.equal(asked.length, 1, 'the stream upstream was opened once');
    assert.ok(connections >= 5);
    assert.equal(
      app.entries().some((each) => each['request_id'] === 'bob-listens'),
      false,
    );
    others.close();
  },
);

verifies('reload.revoked-streams-closed', 'an answer that streams to a revoked user ends', async (t) => {
  const { app, waiting, saveUsers } = await start(t, ['alice', 'bob']);
  const streams = ['alice', 'bob'].map((user) => call(app.url, user, { requestId: `stream-${user}` }));
  await waitFor(() => waiting.size === 2, { what: 'both calls upstream' });
  // The heads must have come back, since a call that has no answer yet is let finish.
  const status = async (): Promise<unknown> =>
    askSocket(join(app.dir, 'admin.sock'), { method: 'GET', target: '/status' });
  await waitFor(async () => JSON.stringify(await status()).includes('"open_exchanges":2'));
  saveUsers(['bob']);
  await becomes(app, 'alice', 401);
  assert.match((await within(streams[0] as Promise<{ text(): string }>)).text(), /^: open/);
  waiting.get('stream-bob')?.end('data: {"jsonrpc":"2.0","id":1,"result":{}}\n\n');
  assert.match((await within(streams[1] as Promise<{ text(): string }>)).text(), /"result"/);
});

verifies('reload.others-untouched', 'a call to a server that is removed finishes, its streams end', async (t) => {
  const fixture = await start(t, ['alice']);
  const { app, upstream, waiting } = fixture;
  const listening = await openListening(fixture, 'alice', 'alice-listens');
  const slow = call(app.url, 'alice', { requestId: 'slow' });
  const streamed = call(app.url, 'alice', { requestId: 'stream-call' });
  await waitFor(() => waiting.size === 3, { what: 'the call upstream' });
  writeFiles(app.dir, { 'tokens.yml': tokensFile(['alice'], upstream.url, 'other') });
  await becomes(app, 'alice', 404);
  await endOf(listening);
  waiting
    .get('slow')
    ?.writeHead(200, { 'content-type': 'application/json' })
    .end('{"jsonrpc":"2.0","id":1,"result":{}}');
  waiting.get('stream-call')?.end('data: {"jsonrpc":"2.0","id":1,"result":{}}\n\n');
  assert.equal((await slow).status, 200);
  assert.match((await streamed).text(), /"result"/);
  assert.equal((await call(app.url, 'alice', { server: 'other' })).status, 200);
});

verifies('reload.emptied', 'a file that is emptied, as while it is written, changes nothing', async (t) => {
  const fixture = await start(t, ['alice']);
  const { app, upstream } = fixture;
  writeFileSync(join(app.dir, 'tokens.yml'), '');
  await told(app, /tokens\.yml.*the file is empty now/s);
  assert.equal(await statusOf(app, 'alice'), 200);
  assert.equal((await send(`${app.url}/readyz`)).status, 503);
  writeFileSync(join(app.dir, 'tokens.yml'), tokensFile(['alice', 'bob'], upstream.url));
  await becomes(app, 'bob', 200);
  assert.equal((await send(`${app.url}/readyz`)).status, 200);
  writeFileSync(join(app.dir, 'tokens.yml'), '# nobody\n');
  await becomes(app, 'alice', 401);
});

verifies(
  'reload.others-untouched',
  'a changed path of the log is followed, the old file keeps what is in it',
  async (t) => {
    const { app, waiting } = await start(t, ['alice']);
    await call(app.url, 'alice', { requestId: 'one' });
    const slow = call(app.url, 'alice', { requestId: 'slow-two' });
    await waitFor(() => waiting.size === 1);
    writeFileSync(join(app.dir, 'mcproxy.yml'), SETTINGS.replace('access.log', 'new/access.log'));
    await waitFor(() => app.stderr().includes('setting log.file: changed'), { deadlineMs: NOTICED_MS_MAX });
    waiting.get('slow-two')?.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    await slow;
    assert.deepEqual(
      [app.entries(), app.entries('new/access.log')].map((entries) => entries.map((entry) => entry['request_id'])),
      [['one'], ['slow-two']],
    );
  },
);

verifies('reload.broken-keeps-old', 'a log that cannot be opened rejects the whole reload', async (t) => {
  const { app, saveUsers } = await start(t, ['alice']);
  mkdirSync(join(app.dir, 'taken'));
  saveUsers(['bob']);
  writeFileSync(join(app.dir, 'mcproxy.yml'), SETTINGS.replace('access.log', 'taken'));
  await told(app, /configuration rejected.*taken cannot be opened: it is a directory/);
  assert.equal((await send(`${app.url}/readyz`)).status, 503);
  const entriesBefore = app.entries().length;
  await call(app.url, 'nobody');
  assert.equal(app.entries().length, entriesBefore + 1);
});

verifies(
  ['reload.admin-socket', 'reload.dry-run', 'reload.broken-keeps-old', 'reload.others-untouched'],
  'an address that is taken rejects the reload at once; when it is free, reload says what it would do, then moves',
  async (t) => {
    const fixture = await start(t, ['alice']);
    const { app, upstream, waiting } = fixture;
    const blocker = createServer();
    await new Promise<void>((done) => void blocker.listen(0, '127.0.0.1', done));
    t.after(() => void blocker.close());
    const { port } = blocker.address() as AddressInfo;
    const listening = await openListening(fixture, 'alice', 'alice-listens');
    const slow = call(app.url, 'alice', { requestId: 'slow' });
    await waitFor(() => waiting.size === 2);

    writeFiles(app.dir, {
      'mcproxy.yml': SETTINGS.replace(':0', `:${port}`),
      'tokens.yml': tokensFile(['alice', 'bob'], upstream.url),
    });
    await waitFor(async () => (await send(`${app.url}/readyz`)).status === 503, { deadlineMs: NOTICED_MS_MAX });
    await told(app, new RegExp(`configuration rejected.*127.0.0.1:${port} is in use by another process`));
    assert.deepEqual([await statusOf(app, 'alice'), await statusOf(app, 'bob')], [200, 401]);

    blocker.close();
    await once(blocker, 'close');
    const command = ['reload', '--config', app.dir];
    const dry = await runCommand([...command, '--dry-run']);
    assert.deepEqual([dry.code, dry.stdout], [0, 'Would change:\n  user bob: added\n  setting listen: changed\n']);
    assert.equal(await statusOf(app, 'bob'), 401);
    const reload = await runCommand(command);
    assert.deepEqual([reload.code, reload.stdout], [0, 'Changed:\n  user bob: added\n  setting listen: changed\n']);

    const moved = `http://127.0.0.1:${port}`;
    assert.equal((await call(moved, 'bob')).status, 200);
    await assert.rejects(call(app.url, 'alice'), { code: 'ECONNREFUSED' });
    waiting
      .get('slow')
      ?.writeHead(200, { 'content-type': 'application/json' })
      .end('{"jsonrpc":"2.0","id":1,"result":{}}');
    const answer = await slow;
    assert.deepEqual([answer.status, answer.header('connection')], [200, 'close']);
    waiting.get('alice-listens')?.end('data: "over"\n\n');
    await endOf(listening);
    assert.equal((await runCommand(command)).stdout, 'Nothing to change.\n');
    assert.deepEqual(upstream.failures, []);
  },
);

verifies(
  'reload.admin-socket',
  'the admin socket moves with its setting, and answers the command that moved it',
  async (t) => {
    const { app, upstream } = await start(t, ['alice']);
    const paths = ['admin.sock', 'moved.sock'].map((name) => join(app.dir, name));
    writeFileSync(join(app.dir, 'mcproxy.yml'), SETTINGS.replace('admin.sock', 'moved.sock'));
    const answer = await askSocket(paths[0] ?? '', { method: 'POST', target: '/reload' });
    assert.equal(answer.kind, 'answer');
    await waitFor(() => existsSync(paths[1] ?? '') && !existsSync(paths[0] ?? ''), { what: 'the socket to move' });
    const status = await askSocket(paths[1] ?? '', { method: 'GET', target: '/status' });
    assert.equal(status.kind === 'answer' && status.status, 200);
    assert.deepEqual(upstream.failures, []);
  },
);
