import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { after, type TestContext } from 'node:test';
import { send } from '../support/http-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { startUpstream, type Answer } from '../support/recording-upstream.ts';
import { startApp, type LoggedEntry, type RunningApp } from '../support/start-app.ts';
import { writeFiles } from '../support/temp-dir.ts';
import { ACCEPT, call, callOf, tokenOf, tokensFile } from '../support/users.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor, within } from '../support/wait.ts';

after(() => checkNothingLeft());

/** Long enough that a stop which waits for it fails the test. */
const LONG_GRACE = '5m';

interface Fixture {
  readonly app: RunningApp;
  /** The answer to each request by its id, to be given by the test. */
  readonly waiting: Map<string, ServerResponse>;
}

async function start(t: TestContext, grace = LONG_GRACE): Promise<Fixture> {
  const waiting = new Map<string, ServerResponse>();
  const answer: Answer = ({ request, response }) => {
    const [id = ''] = request.values('x-request-id');
    waiting.set(id, response);
    if (!id.startsWith('stream')) return;
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': open\n\n');
  };
  const upstream = await startUpstream(t, { answer });
  const settings = `listen: 127.0.0.1:0\nlog: { file: access.log }\nadmin: { socket: admin.sock }\nshutdown_grace: ${grace}\n`;
  const app = await startApp(t, {
    files: { 'mcproxy.yml': settings, 'tokens.yml': tokensFile(['alice'], upstream.url) },
  });
  return { app, waiting };
}

/** A connection of which every byte is seen. */
interface Wire {
  readonly socket: Socket;
  text(): string;
  readonly closed: Promise<unknown>;
}

async function dial(t: TestContext, app: RunningApp, bytes = ''): Promise<Wire> {
  const socket = connect(app.port, '127.0.0.1');
  let text = '';
  socket.setEncoding('latin1').on('data', (chunk: string) => (text += chunk));
  socket.on('error', () => undefined);
  t.after(() => void socket.destroy());
  const closed = once(socket, 'close');
  await once(socket, 'connect');
  socket.write(bytes);
  return { socket, text: () => text, closed };
}

function wireRequest(id: string, method: 'GET' | 'POST'): string {
  const body = method === 'POST' ? JSON.stringify(callOf(1)) : '';
  const fields = [`Authorization: Bearer ${tokenOf('alice')}`, `Accept: ${ACCEPT}`, `X-Request-Id: ${id}`];
  if (method === 'POST') fields.push('Content-Type: application/json', `Content-Length: ${body.length}`);
  return `${method} /up/mcp HTTP/1.1\r\nHost: localhost\r\n${fields.join('\r\n')}\r\n\r\n${body}`;
}

const RESULT = '{"jsonrpc":"2.0","id":1,"result":{}}';
const entryOf = (app: RunningApp, id: string): LoggedEntry | undefined =>
  app.entries().find((entry) => entry['request_id'] === id);
const refused = (app: RunningApp): Promise<boolean> =>
  send(`${app.url}/healthz`).then(
    () => false,
    (error: NodeJS.ErrnoException) => error.code === 'ECONNREFUSED',
  );

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  verifies(
    ['shutdown.grace', 'shutdown.sse-ended', 'shutdown.flush', 'shutdown.exit-zero'],
    `on ${signal} nobody new is let in, streams end, calls are answered, then it is exit 0`,
    async (t) => {
      const { app, waiting } = await start(t);
      const listening = await dial(t, app, wireRequest('stream-get', 'GET'));
      const streaming = await dial(t, app, wireRequest('stream-call', 'POST'));
      const slow = call(app.url, 'alice', { requestId: 'slow' });
      await waitFor(() => waiting.size === 3 && listening.text().includes('open') && streaming.text().includes('open'));

      app.signal(signal);
      await within(listening.closed, { what: 'the end of the stream' });
      assert.match(listening.text(), /\r\n0\r\n\r\n$/, 'the stream ends with its last chunk');
      await waitFor(() => refused(app), { what: 'new connections to be refused' });
      assert.equal(streaming.socket.readyState, 'open', 'a call keeps its stream');

      waiting.get('slow')?.writeHead(200, { 'content-type': 'application/json' }).end(RESULT);
      assert.equal((await slow).text(), RESULT);
      waiting.get('stream-call')?.end(`data: ${RESULT}\n\n`);
      assert.deepEqual(await within(app.exited), { code: 0, signal: null });
      await streaming.closed;
      assert.match(streaming.text(), /"result":\{\}\}\n\n\r\n0\r\n\r\n$/);
      const asked = app.entries().filter((entry) => entry['route'] === '/up/mcp');
      assert.deepEqual(
        asked.map((entry) => [entry['request_id'], entry['outcome']]),
        [
          ['stream-get', 'ok'],
          ['slow', 'ok'],
          ['stream-call', 'ok'],
        ],
      );
    },
  );
}

verifies('shutdown.grace', 'connections that wait for nothing do not delay the stop', async (t) => {
  const { app, waiting } = await start(t);
  const used = await dial(t, app, wireRequest('used', 'POST'));
  await waitFor(() => waiting.size === 1);
  waiting
    .get('used')
    ?.writeHead(200, { 'content-type': 'application/json', 'content-length': RESULT.length })
    .end(RESULT);
  await waitFor(() => used.text().endsWith(RESULT), { what: 'the answer' });
  // A connection opened ahead, one in the middle of a head, one that would rather speak something else.
  await dial(t, app);
  await dial(t, app, 'GET /up/mcp HTTP/1.1\r\nHost: loc');
  const other = await dial(
    t,
    app,
    'GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n',
  );
  await waitFor(() => other.text() !== '');
  app.signal('SIGTERM');
  assert.equal((await within(app.exited)).code, 0);
});

verifies('shutdown.grace', 'a connection that was busy goes with its answer, and asks nothing more', async (t) => {
  const { app, waiting } = await start(t);
  const busy = await dial(t, app, wireRequest('busy', 'POST'));
  const slow = call(app.url, 'alice', { requestId: 'slow' });
  await waitFor(() => waiting.size === 2);
  app.signal('SIGTERM');
  await waitFor(() => refused(app));
  waiting.get('busy')?.writeHead(200, { 'content-type': 'application/json' }).end(RESULT);
  await within(busy.closed, { what: 'the connection to close' });
  assert.match(busy.text(), /connection: close/i);
  waiting.get('slow')?.writeHead(200, { 'content-type': 'application/json' }).end(RESULT);
  assert.equal((await slow).status, 200);
  assert.equal((await within(app.exited)).code, 0);
});

verifies(
  ['shutdown.grace', 'shutdown.sse-ended', 'shutdown.flush'],
  'what outlasts the grace is ended as cleanly as it can be, with an entry that says why',
  async (t) => {
    const { app, waiting } = await start(t, '1s');
    const streaming = await dial(t, app, wireRequest('stream-call', 'POST'));
    const slow = call(app.url, 'alice', { requestId: 'slow' });
    const upload = await dial(t, app, wireRequest('upload', 'POST').slice(0, -10));
    await waitFor(() => waiting.size === 2 && streaming.text().includes('open'));
    app.signal('SIGTERM');
    const answer = await slow;
    assert.equal(answer.status, 503);
    assert.match(answer.text(), /"SHUTTING_DOWN"/);
    assert.deepEqual(await within(app.exited), { code: 0, signal: null });
    await Promise.all([streaming.closed, upload.closed]);
    assert.match(streaming.text(), /\r\n0\r\n\r\n$/);
    assert.equal(app.entries().length, 3);
    assert.equal(entryOf(app, 'slow')?.['error_code'], 'SHUTTING_DOWN');
    assert.equal(entryOf(app, 'upload')?.['error_code'], 'SHUTTING_DOWN');
    assert.equal(entryOf(app, 'stream-call')?.['http_status'], 200);
  },
);

for (const [signal, code] of [
  ['SIGTERM', 143],
  ['SIGINT', 130],
] as const) {
  verifies('shutdown.second-signal', `a second signal, ${signal}, ends at once`, async (t) => {
    const { app, waiting } = await start(t);
    const slow = call(app.url, 'alice', { requestId: 'slow' });
    const cut = assert.rejects(slow);
    await waitFor(() => waiting.size === 1);
    app.signal('SIGTERM');
    await waitFor(() => refused(app));
    app.signal(signal);
    assert.deepEqual(await within(app.exited), { code, signal: null });
    await cut;
  });
}

verifies(
  ['shutdown.grace', 'reload.sighup'],
  'a reload while it stops changes nothing and does not stop the stop',
  async (t) => {
    const { app, waiting } = await start(t);
    const slow = call(app.url, 'alice', { requestId: 'slow' });
    await waitFor(() => waiting.size === 1);
    app.signal('SIGTERM');
    await waitFor(() => refused(app));
    writeFiles(app.dir, { 'tokens.yml': 'users: {}\n' });
    app.signal('SIGHUP');
    // Time enough for a reload, measured in something else that takes a while.
    for (let n = 0; n < 50; n += 1) {
      // oxlint-disable-next-line no-await-in-loop
      assert.ok(await refused(app));
    }
    waiting.get('slow')?.writeHead(200, { 'content-type': 'application/json' }).end(RESULT);
    assert.equal((await slow).status, 200);
    assert.equal((await within(app.exited)).code, 0);
    assert.doesNotMatch(app.stderr(), /configuration re/);
  },
);

verifies('shutdown.grace', 'an answer that a slow client has not taken yet is not cut by the stop', async (t) => {
  const { app, waiting } = await start(t);
  const wire = await dial(t, app, wireRequest('slow', 'POST'));
  await waitFor(() => waiting.has('slow'), { deadlineMs: 5_000, what: 'the call at the upstream' });
  wire.socket.pause();
  const body = `{"jsonrpc":"2.0","id":1,"result":"${'x'.repeat(12_000_000)}"}`;
  const head = { 'content-type': 'application/json', 'content-length': body.length };
  waiting.get('slow')?.writeHead(200, head).end(body);
  // The entry is there: all that is left is on its way to the client.
  await waitFor(() => entryOf(app, 'slow') !== undefined || wire.socket.bytesRead > 0, {
    deadlineMs: 5_000,
    what: 'the answer',
  });
  app.signal('SIGTERM');
  await waitFor(() => refused(app), { deadlineMs: 5_000, what: 'the closed port' });
  wire.socket.resume();
  await within(wire.closed, { deadlineMs: 10_000, what: 'the end of the connection' });
  assert.ok(wire.text().endsWith('"}'), 'the answer is whole');
  assert.equal(wire.text().length - wire.text().indexOf('\r\n\r\n') - 4, body.length);
  assert.deepEqual(await app.exited, { code: 0, signal: null });
});

verifies('shutdown.drain', 'for the time of drain it is not ready and serves all the same', async (t) => {
  const { app, waiting } = await start(t, '5s\ndrain: 2s');
  app.signal('SIGTERM');
  await waitFor(async () => (await send(`${app.url}/readyz`)).status === 503, { what: 'the 503 of /readyz' });
  const late = call(app.url, 'alice', { requestId: 'late' });
  await waitFor(() => waiting.has('late'), { what: 'the call at the server' });
  waiting.get('late')?.writeHead(200, { 'content-type': 'application/json' }).end(RESULT);
  assert.equal((await late).text(), RESULT);
  await waitFor(() => refused(app), { what: 'new connections to be refused' });
  assert.deepEqual(await within(app.exited), { code: 0, signal: null });
});
