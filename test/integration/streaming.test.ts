import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { after } from 'node:test';
import { openStream, readUntil, send } from '../support/http-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { call, deferred, digestOf, GET, POST, startStreamingApp, STREAM } from '../support/streaming-app.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor, within } from '../support/wait.ts';

const { app, answerWith, entryWhenWritten, url } = await startStreamingApp({ after });
after(() => checkNothingLeft());

const MIB = 1024 * 1024;

function sse(value: unknown): string {
  return `event: message\ndata: ${JSON.stringify(value)}\n\n`;
}

/** Pieces that make one valid tools/call of about this size, with their digest. */
function bigCall(byteCount: number): { pieces: () => Iterable<Buffer>; digest: string; bytes: number } {
  const piece = Buffer.alloc(64 * 1024, 'x');
  const head = Buffer.from(
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"big","arguments":{"blob":"',
  );
  const tail = Buffer.from('"}}}');
  const count = Math.floor(byteCount / piece.length);
  const pieces = function* (): Iterable<Buffer> {
    yield head;
    for (let i = 0; i < count; i += 1) yield piece;
    yield tail;
  };
  const hash = createHash('sha256');
  for (const each of pieces()) hash.update(each);
  return { pieces, digest: hash.digest('hex'), bytes: head.length + count * piece.length + tail.length };
}

async function writeAll(response: ServerResponse, pieces: Iterable<Buffer>): Promise<void> {
  for (const piece of pieces) {
    if (response.destroyed) return;
    // oxlint-disable-next-line no-await-in-loop -- backpressure is the point
    if (!response.write(piece)) await once(response, 'drain');
  }
  response.end();
}

interface Memory {
  /** The highest resident size since the measurement began, above the size at its beginning. */
  growth(): number;
}

function statusBytes(field: 'VmRSS' | 'VmHWM'): number {
  const text = readFileSync(`/proc/${app.pid}/status`, 'utf8');
  return Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(text)?.[1]) * 1024;
}

/** Begins a measurement of the mcproxy process: the kernel then counts its peak from now on. */
function measureMemory(): Memory {
  writeFileSync(`/proc/${app.pid}/clear_refs`, '5');
  const startBytes = statusBytes('VmRSS');
  return { growth: () => statusBytes('VmHWM') - startBytes };
}

const GROWTH_MAX = 16 * MIB;

async function upload(size: number, headers: readonly string[]): Promise<void> {
  const body = bigCall(size);
  let received: { digest: string; bytes: number } | undefined;
  answerWith(async (incoming, response) => {
    received = await digestOf(incoming);
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"jsonrpc":"2.0","id":1,"result":{}}');
  });
  const reply = await send(url, { method: 'POST', headers, body: Readable.from(body.pieces()) });
  assert.equal(reply.status, 200);
  assert.deepEqual(received, { digest: body.digest, bytes: body.bytes });
}

const uploads = [
  { name: 'with Content-Length', headers: ['Content-Length', String(bigCall(64 * MIB).bytes)] },
  { name: 'in chunks', headers: [] },
];
for (const { name, headers } of uploads) {
  verifies(
    'streaming.large-up',
    `64 MB ${name} go up in less than 16 MB of memory, unchanged and with their entry`,
    async () => {
      await upload(32 * MIB, POST);
      const memory = measureMemory();
      const id = `up-${headers.length}`;
      await upload(64 * MIB, [...POST, ...headers, 'X-Request-Id', id]);
      const growth = memory.growth();
      assert.ok(growth < GROWTH_MAX, `grew by ${growth} bytes`);
      const entry = await entryWhenWritten(id);
      assert.equal(entry['rpc_method'], 'tools/call');
      assert.equal(entry['rpc_name'], 'big');
      assert.equal(entry['bytes_in'], bigCall(64 * MIB).bytes);
    },
  );
}

interface BigStream {
  readonly name: string;
  /** Data bytes of one event. */
  readonly eventBytes: number;
}

const bigStreams: readonly BigStream[] = [
  { name: 'a thousand events', eventBytes: 64 * 1024 },
  { name: 'one event', eventBytes: 64 * MIB },
];

/** An event stream of 64 MB in pieces of 64 KB that ends with the response. */
function* streamPieces(eventBytes: number, total = 64 * MIB): Iterable<Buffer> {
  const piece = Buffer.alloc(64 * 1024, 'y');
  for (let sent = 0; sent < total; sent += eventBytes) {
    const isLast = sent + eventBytes >= total;
    yield Buffer.from(
      isLast
        ? 'data: {"jsonrpc":"2.0","id":1,"result":{"text":"'
        : 'data: {"jsonrpc":"2.0","method":"n","params":{"text":"',
    );
    for (let part = 0; part < eventBytes; part += piece.length) yield piece;
    yield Buffer.from('"}}\n\n');
  }
}

function digestPieces(pieces: Iterable<Buffer>): string {
  const hash = createHash('sha256');
  for (const piece of pieces) hash.update(piece);
  return hash.digest('hex');
}

function answerStream(pieces: () => Iterable<Buffer>): void {
  answerWith(async (incoming, response) => {
    incoming.resume();
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    await writeAll(response, pieces());
  });
}

for (const { name, eventBytes } of bigStreams) {
  verifies(
    'streaming.large-down',
    `an event stream of 64 MB in ${name} comes down in less than 16 MB of memory`,
    async () => {
      const pieces = (): Iterable<Buffer> => streamPieces(eventBytes);
      answerStream(pieces);
      await digestOf((await openStream(url, { method: 'POST', headers: POST, body: call(1) })).chunks);
      const memory = measureMemory();
      const reply = await openStream(url, { method: 'POST', headers: POST, body: call(1) });
      const received = await digestOf(reply.chunks);
      const growth = memory.growth();
      assert.equal(received.digest, digestPieces(pieces()));
      assert.ok(growth < GROWTH_MAX, `grew by ${growth} bytes`);
    },
  );
}

/** Resolves when this count has stood still for a while, although more is waiting to be moved. */
async function standsStill(count: () => number, isWaiting: () => boolean): Promise<void> {
  let before = -1;
  let quietCount = 0;
  await waitFor(
    () => {
      const now = count();
      quietCount = now === before && isWaiting() ? quietCount + 1 : 0;
      before = now;
      return quietCount >= 20;
    },
    { what: 'a transfer that stands still' },
  );
}

verifies(
  'streaming.large-down',
  'a client that stops reading stops the upstream, and memory does not grow',
  async () => {
    const pieces = (): Iterable<Buffer> => streamPieces(64 * 1024);
    let taken = 0;
    let up: ServerResponse | undefined;
    const counted = function* (): Iterable<Buffer> {
      for (const piece of pieces()) {
        yield piece;
        taken += piece.length;
      }
    };
    answerWith(async (incoming, response) => {
      incoming.resume();
      up = response.writeHead(200, { 'content-type': 'text/event-stream' });
      await writeAll(response, counted());
    });
    const memory = measureMemory();
    // Nothing is read before the stream has a reader.
    const reply = await openStream(url, { method: 'POST', headers: POST, body: call(1) });
    await standsStill(
      () => taken,
      () => up?.writableNeedDrain === true,
    );
    const growth = memory.growth();
    assert.ok(taken < 48 * MIB, `${taken} bytes were taken from the upstream`);
    assert.ok(growth < GROWTH_MAX, `grew by ${growth} bytes`);
    assert.equal((await digestOf(reply.chunks)).digest, digestPieces(pieces()));
  },
);

verifies(
  'streaming.large-up',
  'an upstream that stops reading stops the client, and memory does not grow',
  async () => {
    const body = bigCall(64 * MIB);
    const reading = deferred();
    let received: { digest: string; bytes: number } | undefined;
    answerWith(async (incoming, response) => {
      await reading.promise;
      received = await digestOf(incoming);
      response.writeHead(202).end();
    });
    const memory = measureMemory();
    const source = Readable.from(body.pieces());
    const outgoing = httpRequest(url, { method: 'POST', agent: false, headers: ['Host', 'localhost', ...POST] });
    const replied = once(outgoing, 'response') as Promise<[IncomingMessage]>;
    let sent = 0;
    source.on('data', (piece: Buffer) => (sent += piece.length)).pipe(outgoing);
    await standsStill(
      () => sent,
      () => outgoing.writableNeedDrain,
    );
    const growth = memory.growth();
    assert.ok(sent < 48 * MIB, `${sent} bytes were taken from the client`);
    assert.ok(growth < GROWTH_MAX, `grew by ${growth} bytes`);
    reading.resolve();
    const [reply] = await replied;
    reply.resume();
    assert.equal(reply.statusCode, 202);
    assert.deepEqual(received, { digest: body.digest, bytes: body.bytes });
  },
);

verifies('streaming.events-at-once', 'each event arrives before the upstream sends the next one', async () => {
  const confirmed = [deferred(), deferred()];
  answerWith(async (incoming, response) => {
    incoming.resume();
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(sse({ jsonrpc: '2.0', method: 'notifications/progress', params: { at: 1 } }));
    await confirmed[0]?.promise;
    response.write(sse({ jsonrpc: '2.0', method: 'notifications/progress', params: { at: 2 } }));
    await confirmed[1]?.promise;
    response.end(sse({ jsonrpc: '2.0', id: 7, result: {} }));
  });
  const reply = await openStream(url, { method: 'POST', headers: POST, body: call(7) });
  assert.equal(reply.header('x-accel-buffering'), 'no');
  assert.equal(reply.header('content-encoding'), undefined);
  assert.match(await within(readUntil(reply, (text) => text.endsWith('\n\n'))), /"at":1/);
  confirmed[0]?.resolve();
  assert.match(await within(readUntil(reply, (text) => text.endsWith('\n\n'))), /"at":2/);
  confirmed[1]?.resolve();
  assert.match(await within(readUntil(reply, (text) => text.endsWith('\n\n'))), /"id":7/);
  assert.equal((await digestOf(reply.chunks)).bytes, 0);
});

verifies('streaming.events-at-once', 'the head of a stream arrives before its first event', async () => {
  const opened = deferred();
  answerWith(async (_incoming, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'x-accel-buffering': 'yes' }).flushHeaders();
    await opened.promise;
    response.end();
  });
  const reply = await within(openStream(url, { headers: GET }), { what: 'the head' });
  assert.equal(reply.status, 200);
  assert.equal(reply.header('x-accel-buffering'), 'no', 'buffering is off whatever the upstream says');
  opened.resolve();
  assert.equal((await digestOf(reply.chunks)).bytes, 0);
});

verifies('streaming.heartbeat', 'a silent stream gets comments, and only between events', async () => {
  const parts = ['data: {"half":', '1}\n\n'];
  const more = deferred();
  const end = deferred();
  answerWith(async (_incoming, response) => {
    response.writeHead(200, STREAM).write(parts[0]);
    await more.promise;
    response.write(parts[1]);
    await end.promise;
    response.end();
  });
  const reply = await openStream(url, { headers: GET });
  await readUntil(reply, (text) => text === parts[0]);
  // A second stream of the same age, silent from its beginning, shows that the time for a comment has come.
  answerWith((_incoming, response) => {
    response.writeHead(200, STREAM).flushHeaders();
  });
  const other = await openStream(url, { headers: GET });
  assert.equal(await readUntil(other, (text) => text.endsWith('\n\n')), ': keep-alive\n\n');
  other.close();
  more.resolve();
  assert.equal(await readUntil(reply, (text) => text.includes('alive\n\n')), `${parts[1]}: keep-alive\n\n`);
  end.resolve();
  assert.equal((await digestOf(reply.chunks)).bytes, 0);
});
