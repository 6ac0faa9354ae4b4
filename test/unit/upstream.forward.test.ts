import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { after, test } from 'node:test';
import type { ProxyError } from '../../src/errors.ts';
import type { HttpServerConfig } from '../../src/model.ts';
import { forward, type Attempt, type AttemptOptions } from '../../src/upstream/forward.ts';
import { createUpstreamPool, type HttpUpstream } from '../../src/upstream/pool.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { findClosedPort } from '../support/ports.ts';
import { jsonAnswer, startRawUpstream, type RawUpstream } from '../support/raw-upstream.ts';
import type { Cleanup } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait.ts';

after(() => checkNothingLeft());

const HEAD = 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n';

function serverAt(url: string, changes: Partial<HttpServerConfig> = {}): HttpServerConfig {
  return {
    kind: 'http',
    transport: 'auto',
    name: 'up',
    url,
    otherUrls: [],
    caFile: undefined,
    ...changes,
  } as HttpServerConfig;
}

async function upstreamAt(cleanup: Cleanup, url: string): Promise<HttpUpstream> {
  const pool = createUpstreamPool();
  cleanup.after(() => pool.close());
  const server = serverAt(url);
  await pool.prepare([server]);
  return pool.get(server);
}

interface Told {
  readonly attempt: Attempt;
  readonly heads: IncomingMessage[];
  readonly failures: { readonly code: ProxyError['code']; readonly sent: boolean }[];
}

function ask(upstream: HttpUpstream, changes: Partial<AttemptOptions> = {}): Told {
  const heads: IncomingMessage[] = [];
  const failures: Told['failures'] = [];
  const outbound = {
    serverName: 'up',
    method: 'GET',
    path: '/',
    fields: ['Host', 'x'],
    body: { kind: 'whole', bytes: Buffer.alloc(0) },
  } as const;
  const attempt = forward(upstream, outbound, {
    connectMs: 2_000,
    headMs: 2_000,
    idleMs: 2_000,
    onHead: (head) => void heads.push(head),
    onFailure: ({ code }, sent) => void failures.push({ code, sent }),
    ...changes,
  });
  return { attempt, heads, failures };
}

test('after an abort nothing is reported, whenever it comes', async (t) => {
  const raw = await startRawUpstream(t, { onRequest: (socket) => void socket.write('HTTP/1.1 200 OK\r\n') });
  const upstream = await upstreamAt(t, raw.url);
  const early = ask(upstream);
  early.attempt.abort();
  const late = ask(upstream);
  await waitFor(() => raw.requestCount > 0);
  late.attempt.abort();
  late.attempt.abort();
  const refused = ask(await upstreamAt(t, `http://127.0.0.1:${await findClosedPort()}/`));
  refused.attempt.abort();
  // One that is not aborted shows that the time for the others has come.
  const other = ask(upstream, { headMs: 50 });
  await waitFor(() => other.failures.length > 0);
  for (const told of [early, late, refused]) assert.deepEqual([told.heads, told.failures], [[], []]);
});

test('an error after the head belongs to the answer', async (t) => {
  const raw = await startRawUpstream(t, {
    onRequest: (socket) => void socket.write(`${HEAD}x`, () => socket.resetAndDestroy()),
  });
  const errors: Error[] = [];
  const told = ask(await upstreamAt(t, raw.url), {
    onHead: (head) => void head.on('error', (error) => errors.push(error)).resume(),
  });
  await waitFor(() => errors.length > 0 || told.failures.length > 0);
  // A reset may overtake the head, and is then one of the attempt.
  assert.equal(errors.length + told.failures.length, 1);
});

test('a paused answer does not fall silent, and does so once it is read again', async (t) => {
  const idleMs = 80;
  const raw = await startRawUpstream(t, { onRequest: (socket) => void socket.write(`${HEAD}x`) });
  const upstream = await upstreamAt(t, raw.url);
  const paused = ask(upstream, { idleMs, onHead: (head) => void heads.push(head.pause()) });
  const heads: IncomingMessage[] = [];
  await waitFor(() => heads.length > 0);
  const [head] = heads;
  assert.ok(head);
  const errors: Error[] = [];
  head.on('error', (error) => errors.push(error));
  for (let round = 0; round < 3; round += 1) {
    // Another answer of the same age that is read shows that the time has passed.
    const read = ask(upstream, { idleMs, onHead: (other) => void other.on('error', () => (isOver = true)).resume() });
    let isOver = false;
    // oxlint-disable-next-line no-await-in-loop
    await waitFor(() => isOver);
    read.attempt.abort();
  }
  assert.deepEqual(errors, []);
  head.resume();
  await waitFor(() => errors.length > 0);
  assert.match(String(errors.at(0)), /fell silent/);
  paused.attempt.abort();
});

test('the time for the head includes that for the connection', async (t) => {
  // A server that accepts and then says nothing, in TLS: the connection never comes to stand.
  const raw = await startRawUpstream(t, {});
  const upstream = await upstreamAt(t, raw.url.replace('http:', 'https:'));
  const start = performance.now();
  const told = ask(upstream, { connectMs: 10_000, headMs: 100 });
  await waitFor(() => told.failures.length > 0);
  assert.ok(performance.now() - start < 5_000);
  assert.deepEqual(told.failures, [{ code: 'UPSTREAM_UNREACHABLE', sent: false }]);
});

async function answered(upstream: HttpUpstream): Promise<void> {
  const told = ask(upstream, { onHead: (head) => void head.resume().on('end', () => (isOver = true)) });
  let isOver = false;
  await waitFor(() => isOver || told.failures.length > 0);
  assert.deepEqual(told.failures, []);
}

async function openConnections(raw: RawUpstream, sockets: ReadonlySet<Socket>, count: number): Promise<void> {
  await waitFor(() => [...sockets].filter((socket) => !socket.destroyed).length === count, {
    what: `${count} connections at ${raw.url}`,
    // Less than the time after which an idle connection closes anyway.
    deadlineMs: 2_500,
  });
}

test('a server that leaves the configuration loses idle connections now and busy ones when they are done', async (t) => {
  const sockets = new Set<Socket>();
  let held: Socket | undefined;
  const raw = await startRawUpstream(t, {
    onConnect: (socket) => void sockets.add(socket),
    onRequest: (socket, index) => void (index === 1 ? (held = socket) : socket.write(jsonAnswer('{}'))),
  });
  const pool = createUpstreamPool();
  t.after(() => pool.close());
  const server = serverAt(raw.url);
  await pool.prepare([server]);
  const upstream = pool.get(server);
  await answered(upstream);
  const busy = answered(upstream);
  await waitFor(() => held !== undefined);
  await answered(upstream);
  await openConnections(raw, sockets, 2);

  pool.retain([]);
  assert.throws(() => pool.get(server), /not prepared/);
  await openConnections(raw, sockets, 1);
  assert.equal(held?.destroyed, false);
  held?.write(jsonAnswer('{}'));
  await busy;
  await openConnections(raw, sockets, 0);
  // Who still holds it, in a pause between two attempts for one, can use it, and leaves nothing behind.
  await answered(upstream);
  await openConnections(raw, sockets, 0);
});

test('a server that stays keeps its connections over a reload', async (t) => {
  const raw = await startRawUpstream(t, { onRequest: (socket) => void socket.write(jsonAnswer('{}')) });
  const pool = createUpstreamPool();
  t.after(() => pool.close());
  const server = serverAt(raw.url);
  for (let round = 0; round < 3; round += 1) {
    // oxlint-disable-next-line no-await-in-loop
    await pool.prepare([serverAt(raw.url), serverAt('http://127.0.0.1:1/')]);
    pool.retain([serverAt(raw.url)]);
    // oxlint-disable-next-line no-await-in-loop
    await answered(pool.get(server));
  }
  assert.equal(raw.connectionCount, 1);
});
