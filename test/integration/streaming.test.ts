import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { Readable } from 'node:stream';
import { after } from 'node:test';
import { openStream, readUntil, send, sendRaw, type StreamedAnswer } from '../support/http-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { startUpstream } from '../support/recording-upstream.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { startApp, type LoggedEntry } from '../support/start-app.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor, within } from '../support/wait.ts';

const MIB = 1024 * 1024;
const TOKEN = 'streaming-test-token-0123456789';
const HEARTBEAT_MS = 1_000;
const AUTH = ['Authorization', `Bearer ${TOKEN}`];
const POST = [...AUTH, 'Content-Type', 'application/json', 'Accept', 'application/json, text/event-stream'];
const GET = [...AUTH, 'Accept', 'text/event-stream'];

/** What the upstream does with the next requests; every test sets its own. */
let answer: (incoming: IncomingMessage, response: ServerResponse) => void | Promise<void>;

const upstream = await startUpstream({ after }, { streamed: true, answer: (c) => answer(c.incoming, c.response) });
const SETTINGS = `
listen: 127.0.0.1:0
heartbeat: ${HEARTBEAT_MS / 1_000}s
log: { file: access.log }
admin: { socket: admin.sock }
`;
const TOKENS = `
users:
  alice:
    token: sha256:${createHash('sha256').update(TOKEN).digest('hex')}
    servers:
      up: { url: "${upstream.url}/mcp", token: upstream-secret }
`;
const app = await startApp({ after }, { files: { 'mcproxy.yml': SETTINGS, 'tokens.yml': TOKENS } });
const url = `${app.url}/up/mcp`;
after(() => assert.deepEqual(upstream.failures, []));
after(() => checkNothingLeft());

/** The entry of a request, or undefined while it is not in the file. */
function entryOf(id: string): LoggedEntry | undefined {
  const found = app.entries().filter((entry) => entry['request_id'] === id);
  assert.ok(found.length <= 1, `one entry for ${id}`);
  return found[0];
}

function entryWhenWritten(id: string): Promise<LoggedEntry> {
  return waitFor(() => entryOf(id), { what: `the entry of ${id}` }) as Promise<LoggedEntry>;
}

function call(id: number, name = 'tool'): string {
  return JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: {} } });
}

function sse(value: unknown): string {
  return `event: message\ndata: ${JSON.stringify(value)}\n\n`;
}

/** Reads the rest of a body to its end and gives its digest and length. */
async function digestOf(chunks: AsyncIterable<Buffer>): Promise<{ digest: string; bytes: number }> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of chunks) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { digest: hash.digest('hex'), bytes };
}

/** Pieces that make one valid tools/call of about this size, with their digest. */
function bigCall(byteCount: number): { pieces: () => Iterable<Buffer>; digest: string; bytes: number } {
  const piece = Buffer.alloc(64 * 1024, 'x');
  const head = Buffer.from('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"big","arguments":{"blob":"');
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
  answer = async (incoming, response) => {
    received = await digestOf(incoming);
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"jsonrpc":"2.0","id":1,"result":{}}');
  };
  const reply = await send(url, { method: 'POST', headers, body: Readable.from(body.pieces()) });
  assert.equal(reply.status, 200);
  assert.deepEqual(received, { digest: body.digest, bytes: body.bytes });
}

const uploads = [
  { name: 'with Content-Length', headers: ['Content-Length', String(bigCall(64 * MIB).bytes)] },
  { name: 'in chunks', headers: [] },
];
for (const { name, headers } of uploads) {
  verifies('streaming.large-up', `64 MB ${name} go up in less than 16 MB of memory, unchanged and with their entry`, async () => {
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
  });
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
      isLast ? 'data: {"jsonrpc":"2.0","id":1,"result":{"text":"' : 'data: {"jsonrpc":"2.0","method":"n","params":{"text":"',
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
  answer = async (incoming, response) => {
    incoming.resume();
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    await writeAll(response, pieces());
  };
}

for (const { name, eventBytes } of bigStreams) {
  verifies('streaming.large-down', `an event stream of 64 MB in ${name} comes down in less than 16 MB of memory`, async () => {
    const pieces = (): Iterable<Buffer> => streamPieces(eventBytes);
    answerStream(pieces);
    await digestOf((await openStream(url, { method: 'POST', headers: POST, body: call(1) })).chunks);
    const memory = measureMemory();
    const reply = await openStream(url, { method: 'POST', headers: POST, body: call(1) });
    const received = await digestOf(reply.chunks);
    const growth = memory.growth();
    assert.equal(received.digest, digestPieces(pieces()));
    assert.ok(growth < GROWTH_MAX, `grew by ${growth} bytes`);
  });
}

verifies('streaming.large-down', 'a client that stops reading stops the upstream, and memory does not grow', async () => {
  let up: ServerResponse | undefined;
  const pieces = (): Iterable<Buffer> => streamPieces(64 * 1024);
  answer = async (incoming, response) => {
    incoming.resume();
    up = response;
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    await writeAll(response, pieces());
  };
  const memory = measureMemory();
  const reply = await openStream(url, { method: 'POST', headers: POST, body: call(1) });
  // Nothing is read: the stream of Node's client begins to flow with its first reader.
  let written = -1;
  let quietCount = 0;
  await waitFor(
    () => {
      const now = up?.socket?.bytesWritten ?? 0;
      quietCount = now === written && up?.writableNeedDrain === true ? quietCount + 1 : 0;
      written = now;
      return quietCount >= 20;
    },
    { what: 'an upstream that cannot write on' },
  );
  assert.ok(written < 48 * MIB, `${written} bytes were taken from the upstream`);
  const growth = memory.growth();
  assert.ok(growth < GROWTH_MAX, `grew by ${growth} bytes`);
  assert.equal((await digestOf(reply.chunks)).digest, digestPieces(pieces()));
});
