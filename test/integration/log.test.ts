import assert from 'node:assert/strict';
import { once } from 'node:events';
import { appendFileSync, copyFileSync, existsSync, readFileSync, renameSync, rmSync, truncateSync } from 'node:fs';
import { Agent } from 'node:http';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, type TestContext } from 'node:test';
import { send, sendRaw } from '../support/http-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { echo, startUpstream, type RecordingUpstream } from '../support/recording-upstream.ts';
import { readEntries, startApp, type LoggedEntry, type RunningApp } from '../support/start-app.ts';
import { ACCEPT, call, callKept, callOf, credentialOf, tokenOf, tokensFile } from '../support/users.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor } from '../support/wait.ts';

after(() => checkNothingLeft());

const FIELDS = (
  'ts request_id principal client_ip route upstream rpc_method rpc_name http_status rpc_error latency_ms attempts ' +
  'bytes_in bytes_out outcome error_code error seq start_id'
).split(' ');
const SETTINGS = 'listen: 127.0.0.1:0\nadmin: { socket: admin.sock }\n';

interface Fixture {
  readonly app: RunningApp;
  readonly upstream: RecordingUpstream;
  readonly log: string;
}

async function start(t: TestContext, log = 'log: { file: access.log }', users = ['alice']): Promise<Fixture> {
  const upstream = await startUpstream(t);
  const app = await startApp(t, {
    files: { 'mcproxy.yml': `${SETTINGS}${log}\n`, 'tokens.yml': tokensFile(users, upstream.url) },
  });
  return { app, upstream, log: join(app.dir, 'access.log') };
}

const ids = (entries: readonly LoggedEntry[]): string[] => entries.map((entry) => String(entry['request_id']));

async function dial(port: number, bytes: string): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  socket.write(bytes);
  return socket;
}

function head(requestId: string, more = ''): string {
  const fields = `Authorization: Bearer ${tokenOf('alice')}\r\nAccept: ${ACCEPT}\r\nX-Request-Id: ${requestId}\r\n`;
  return `POST /up/mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n${fields}${more}\r\n`;
}

verifies(
  ['log.one-entry-per-exchange', 'log.field-order'],
  'whatever becomes of a request, it is one entry with all fields in their order',
  async (t) => {
    const { app, upstream } = await start(t);
    const answered = [
      { id: 'ok', status: 200, send: () => call(app.url, 'alice', { requestId: 'ok' }) },
      { id: 'no-user', status: 401, send: () => call(app.url, 'nobody', { requestId: 'no-user' }) },
      { id: 'no-server', status: 404, send: () => call(app.url, 'alice', { requestId: 'no-server', server: 'x' }) },
      { id: 'put', status: 405, send: () => send(`${app.url}/up/mcp`, options('put', 'PUT')) },
      { id: 'head', status: 405, send: () => send(`${app.url}/up/mcp`, options('head', 'HEAD')) },
      { id: 'health', status: 200, send: () => send(`${app.url}/healthz`, options('health', 'HEAD')) },
      {
        id: 'discovery',
        status: 404,
        send: () => send(`${app.url}/.well-known/oauth-protected-resource`, options('discovery', 'GET')),
      },
    ];
    for (const { send: ask, status, id } of answered) {
      // oxlint-disable-next-line no-await-in-loop -- the order of the entries is compared
      assert.equal((await ask()).status, status, id);
    }
    const raw = await sendRaw('GET / HTTP/9.9\r\n\r\nmore of it', { port: app.port, keepOpen: true });
    const malformed = /x-request-id: (\S+)/i.exec(raw)?.[1];
    assert.match(raw, /^HTTP\/1.1 400 /);

    const entries = app.entries();
    assert.deepEqual(ids(entries), [...answered.map(({ id }) => id), malformed]);
    for (const entry of entries) assert.deepEqual(Object.keys(entry), FIELDS);
    assert.deepEqual(
      entries.map((entry) => entry['http_status']),
      [...answered.map(({ status }) => status), 400],
    );
    assert.deepEqual(
      entries.map((entry) => entry['seq']),
      entries.map((_, index) => index + 1),
    );
    const [ok] = entries;
    assert.deepEqual(
      [ok?.['principal'], ok?.['route'], ok?.['upstream'], ok?.['rpc_method'], ok?.['rpc_name'], ok?.['attempts']],
      ['alice', '/up/mcp', 'up', 'tools/call', 'work', 1],
    );
    assert.deepEqual(upstream.failures, []);
  },
);

function options(requestId: string, method: string): { method: string; headers: Record<string, string> } {
  return { method, headers: { authorization: `Bearer ${tokenOf('alice')}`, 'x-request-id': requestId } };
}

verifies('log.one-entry-per-exchange', 'a client that leaves at any point is one entry', async (t) => {
  const { app, upstream } = await start(t);
  const body = JSON.stringify(callOf(1));
  const whole = (id: string): string => `${head(id, `Content-Length: ${body.length}\r\n`)}${body}`;
  upstream.answerWith(() => undefined);

  const upload = await dial(app.port, `${head('upload', 'Content-Length: 100\r\n')}{"json`);
  const long = await dial(app.port, `${head('long', 'Content-Length: 900000\r\n')}${' '.repeat(300_000)}`);
  const badChunk = await dial(
    app.port,
    `${head('bad-chunk', 'Transfer-Encoding: chunked\r\n')}5\r\n12345\r\nnonsense\r\n`,
  );
  const unanswered = await dial(app.port, whole('unanswered'));
  const queued = await dial(app.port, whole('first') + whole('second') + whole('third'));
  await waitFor(async () => (await upstream.connectionCount()) === 5, { what: 'the requests upstream' });
  for (const socket of [upload, long, badChunk, unanswered, queued]) socket.destroy();

  const wanted = ['bad-chunk', 'first', 'long', 'second', 'third', 'unanswered', 'upload'];
  await waitFor(() => app.entries().length >= wanted.length, { what: 'the entries' });
  // One more request, so that an entry too many would have been written before its own.
  await call(app.url, 'nobody', { requestId: 'last' });
  const entries = app.entries();
  assert.deepEqual(ids(entries).toSorted(), [...wanted, 'last'].toSorted());
  const codes = Object.fromEntries(entries.map((entry) => [entry['request_id'], entry['error_code']]));
  for (const id of wanted) assert.equal(codes[id], id === 'bad-chunk' ? 'REQUEST_INVALID' : 'CLIENT_GONE', id);
});

verifies('log.one-entry-per-exchange', 'bytes that are no request never get into the answer before them', async (t) => {
  const { app, upstream } = await start(t);
  let finish: (() => void) | undefined;
  upstream.answerWith((conversation) => {
    finish = () => void echo(conversation);
  });
  const body = JSON.stringify(callOf(1));
  const socket = await dial(app.port, `${head('whole', `Content-Length: ${body.length}\r\n`)}${body}\0\0garbage`);
  let text = '';
  socket.setEncoding('latin1').on('data', (chunk: string) => (text += chunk));
  await waitFor(() => app.entries().length === 1, { what: 'the entry of the garbage' });
  socket.write('more garbage');
  await waitFor(() => finish !== undefined, { what: 'the request upstream' });
  finish?.();
  await once(socket, 'close');
  assert.match(text, /^HTTP\/1.1 200 OK\r\n[^]*\}\r\n0\r\n\r\n(?:HTTP\/1.1 400 [^]*)?$/);
  assert.deepEqual(
    app.entries().map((entry) => [entry['http_status'], entry['error_code']]),
    [
      [400, 'REQUEST_INVALID'],
      [200, null],
    ],
  );
});

verifies('log.append', 'a restart appends with a start id of its own', async (t) => {
  const first = await start(t);
  await call(first.app.url, 'alice', { requestId: 'one' });
  assert.equal((await first.app.stop()).code, 0);
  const second = await startApp(t, { dir: first.app.dir });
  await call(second.url, 'alice', { requestId: 'two' });
  const entries = second.entries();
  assert.deepEqual(ids(entries), ['one', 'two']);
  assert.notEqual(entries[0]?.['start_id'], entries[1]?.['start_id']);
});

verifies(
  ['log.rotation-rename', 'log.rotation-copytruncate', 'log.file-removed', 'log.sighup-reopen'],
  'the log follows its path through every way of rotation',
  async (t) => {
    const { app, log } = await start(t);
    const ask = (requestId: string): Promise<unknown> => call(app.url, 'alice', { requestId });
    await ask('1');
    renameSync(log, `${log}.1`);
    await ask('2');
    assert.deepEqual([ids(readEntries(`${log}.1`)), ids(app.entries())], [['1'], ['2']]);

    copyFileSync(log, `${log}.2`);
    truncateSync(log);
    await ask('3');
    assert.deepEqual([ids(readEntries(`${log}.2`)), ids(app.entries())], [['2'], ['3']]);

    rmSync(log);
    await ask('4');
    assert.deepEqual(ids(app.entries()), ['4']);

    renameSync(log, `${log}.3`);
    app.signal('SIGHUP');
    await waitFor(() => existsSync(log), { what: 'the new file, without a request' });
    await ask('5');
    assert.deepEqual([ids(readEntries(`${log}.3`)), ids(app.entries())], [['4'], ['5']]);
    assert.equal((await send(`${app.url}/readyz`)).status, 200);
  },
);

const SECRET_ARGUMENTS = {
  city: 'Lyon',
  api_key: 'a-key-that-nobody-configured',
  note: `mine is ${credentialOf('alice')} and ${Buffer.from(`u:${credentialOf('alice')}`).toString('base64')}`,
};

const PARAMS = [
  { mode: 'none', id: 'log.params-none', params: undefined },
  {
    mode: 'keys',
    id: 'log.params-keys',
    params: { name: 'string', arguments: { city: 'string', api_key: 'string', note: 'string' } },
  },
  {
    mode: 'full',
    id: 'log.params-full',
    params: {
      name: 'work',
      arguments: { city: 'Lyon', api_key: '[redacted]', note: 'mine is [redacted] and [redacted]' },
    },
  },
] as const;
for (const { mode, id, params } of PARAMS) {
  verifies([id, 'log.redaction'], `params: ${mode} logs that much of a call and no secret`, async (t) => {
    const { app, upstream } = await start(t, `log: { file: access.log, params: ${mode}, level: debug }`);
    const body = callOf(7, SECRET_ARGUMENTS);
    await call(app.url, 'alice', { body });
    // Where a client may put words of its own.
    const named = { jsonrpc: '2.0', id: 8, method: 'tools/call', params: { name: credentialOf('alice') } };
    await call(app.url, 'alice', { body: named });
    await send(`${app.url}/${credentialOf('alice')}`, options('path', 'GET'));
    assert.deepEqual(upstream.requests[0]?.json(), body, 'the call itself goes up as it is');
    const [entry, second] = app.entries();
    const shown = JSON.parse(
      JSON.stringify(entry?.['params'] ?? null).replace(/\w*\[redacted\]\w*=*/g, '[redacted]'),
    ) as unknown;
    assert.deepEqual(shown, params ?? null);
    assert.equal(second?.['rpc_name'], '[redacted]');
    const written = readFileSync(join(app.dir, 'access.log'), 'utf8') + app.stdout() + app.stderr();
    for (const secret of [tokenOf('alice'), credentialOf('alice'), 'a-key-that-nobody'])
      assert.ok(!written.includes(secret), secret);
  });
}

verifies('log.params-none', 'nothing of the content of a call is logged unless that is asked for', async (t) => {
  const { app } = await start(t);
  await call(app.url, 'alice', { body: callOf(7, SECRET_ARGUMENTS) });
  const [entry] = app.entries();
  assert.ok(entry !== undefined && !('params' in entry) && !JSON.stringify(entry).includes('Lyon'));
});

verifies(
  ['log.many-writers', 'credentials.user-before-shared'],
  'ten users with a thousand requests each are ten thousand whole entries, each with its own user and credential',
  async (t) => {
    const users = Array.from({ length: 10 }, (_, index) => `user${index}`);
    const { app, upstream } = await start(t, undefined, users);
    const count = 1_000;
    const run = async (user: string): Promise<void> => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      for (let n = 0; n < count; n += 1) {
        const requestId = `${user}-${n}`;
        const body = JSON.stringify(callOf(n, { requestId, user }));
        // oxlint-disable-next-line no-await-in-loop -- a user waits for each answer
        const answer = await callKept({ url: app.url, user, agent, requestId, body });
        const { result } = JSON.parse(answer.body) as { result: { params: { arguments: unknown } } };
        assert.deepEqual(result.params.arguments, { requestId, user });
      }
      agent.destroy();
    };
    await Promise.all(users.map(run));

    const entries = app.entries();
    assert.equal(entries.length, users.length * count);
    assert.equal(new Set(ids(entries)).size, entries.length);
    for (const entry of entries) assert.equal(entry['principal'], String(entry['request_id']).split('-')[0]);
    assert.equal(upstream.requests.length, entries.length);
    for (const request of upstream.requests) {
      const { params } = request.json() as { params: { arguments: { user: string } } };
      assert.deepEqual(request.values('authorization'), [`Bearer ${credentialOf(params.arguments.user)}`]);
    }
  },
);

verifies('log.append', 'half a line that somebody left is ended before the first entry', async (t) => {
  const first = await start(t);
  await first.app.stop();
  appendFileSync(first.log, '{"half":');
  const second = await startApp(t, { dir: first.app.dir });
  await call(second.url, 'alice', { requestId: 'one' });
  const lines = readFileSync(first.log, 'utf8').split('\n');
  assert.equal(lines[0], '{"half":');
  assert.equal((JSON.parse(lines[1] ?? '') as LoggedEntry)['request_id'], 'one');
});
