import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { Agent, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { Readable } from 'node:stream';
import { after } from 'node:test';
import { openStream, readUntil, send, sendRaw } from '../support/http-client.ts';
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
  answer = async (incoming, response) => {
    incoming.resume();
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    await writeAll(response, pieces());
  };
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
    answer = async (incoming, response) => {
      incoming.resume();
      up = response.writeHead(200, { 'content-type': 'text/event-stream' });
      await writeAll(response, counted());
    };
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
    answer = async (incoming, response) => {
      await reading.promise;
      received = await digestOf(incoming);
      response.writeHead(202).end();
    };
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

function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

verifies('streaming.events-at-once', 'each event arrives before the upstream sends the next one', async () => {
  const confirmed = [deferred(), deferred()];
  answer = async (incoming, response) => {
    incoming.resume();
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(sse({ jsonrpc: '2.0', method: 'notifications/progress', params: { at: 1 } }));
    await confirmed[0]?.promise;
    response.write(sse({ jsonrpc: '2.0', method: 'notifications/progress', params: { at: 2 } }));
    await confirmed[1]?.promise;
    response.end(sse({ jsonrpc: '2.0', id: 7, result: {} }));
  };
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
  answer = async (_incoming, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'x-accel-buffering': 'yes' }).flushHeaders();
    await opened.promise;
    response.end();
  };
  const reply = await within(openStream(url, { headers: GET }), { what: 'the head' });
  assert.equal(reply.status, 200);
  assert.equal(reply.header('x-accel-buffering'), 'no', 'buffering is off whatever the upstream says');
  opened.resolve();
  assert.equal((await digestOf(reply.chunks)).bytes, 0);
});

interface Hold {
  readonly response: ServerResponse;
  readonly closed: Promise<unknown>;
}

/** The upstream keeps every answer open after these bytes and tells when its side is closed. */
function holdAnswers(text: string, headers: Readonly<Record<string, string>>): { next: Promise<Hold> } {
  const held: { next: Promise<Hold>; set?: (hold: Hold) => void } = {
    next: new Promise((resolve) => {
      answer = (incoming, response) => {
        incoming.resume();
        const closed = once(response, 'close');
        response.writeHead(200, headers).write(text);
        resolve({ response, closed });
      };
    }),
  };
  return held;
}

const STREAM = { 'content-type': 'text/event-stream' };
const JSON_TYPE = { 'content-type': 'application/json' };

const departures = [
  { name: 'a GET stream', method: 'GET', headers: GET, type: STREAM, sent: ': hello\n\n', code: null, outcome: 'ok' },
  {
    name: 'a POST stream',
    method: 'POST',
    headers: POST,
    type: STREAM,
    sent: ': hello\n\n',
    code: 'CLIENT_GONE',
    outcome: 'cancelled',
  },
  {
    name: 'a JSON answer',
    method: 'POST',
    headers: POST,
    type: JSON_TYPE,
    sent: '{"jsonrpc":',
    code: 'CLIENT_GONE',
    outcome: 'cancelled',
  },
] as const;
for (const each of departures) {
  verifies('streaming.client-gone', `a client that leaves ${each.name} closes the upstream at once`, async () => {
    const held = holdAnswers(each.sent, each.type);
    const id = `gone-${each.name.replaceAll(' ', '-')}`;
    const body = each.method === 'POST' ? { body: call(1) } : {};
    const reply = await openStream(url, {
      method: each.method,
      headers: [...each.headers, 'X-Request-Id', id],
      ...body,
    });
    await readUntil(reply, (text) => text === each.sent);
    reply.close();
    await within((await held.next).closed, { what: 'the end of the upstream request' });
    const entry = await entryWhenWritten(id);
    assert.equal(entry['error_code'], each.code);
    assert.equal(entry['outcome'], each.outcome);
  });
}

verifies(
  'streaming.client-gone',
  'a client that leaves before the answer begins closes the upstream and is logged',
  async () => {
    const asked = deferred();
    const closed = deferred();
    answer = (_incoming, response) => {
      response.on('close', closed.resolve);
      asked.resolve();
    };
    const controller = new AbortController();
    const headers = [...POST, 'X-Request-Id', 'gone-early'];
    const sent = send(url, { method: 'POST', headers, body: call(1), signal: controller.signal });
    await within(asked.promise);
    controller.abort();
    await assert.rejects(sent);
    await within(closed.promise, { what: 'the end of the upstream request' });
    const entry = await entryWhenWritten('gone-early');
    assert.equal(entry['error_code'], 'CLIENT_GONE');
    assert.equal(entry['http_status'], 499);
  },
);

verifies(
  'streaming.client-gone',
  'a client that leaves in the middle of its upload takes the upstream request with it',
  async () => {
    const broken = deferred();
    answer = (incoming) => {
      incoming.resume().on('error', broken.resolve);
    };
    const outgoing = httpRequest(url, {
      method: 'POST',
      agent: false,
      headers: ['Host', 'localhost', ...POST, 'X-Request-Id', 'gone-up'],
    });
    outgoing.on('error', () => undefined);
    outgoing.write(Buffer.alloc(MIB, ' '));
    await waitFor(() => upstream.requests.some((request) => request.values('x-request-id').includes('gone-up')));
    outgoing.destroy();
    await within(broken.promise, { what: 'a cut upload at the upstream' });
    assert.equal((await entryWhenWritten('gone-up'))['error_code'], 'CLIENT_GONE');
  },
);

const breaks = [
  { name: 'in an event stream', type: STREAM, sent: 'data: {"jsonrpc"' },
  { name: 'in chunked JSON', type: JSON_TYPE, sent: '{"jsonrpc":"2.0",' },
  { name: 'in JSON with a length', type: { ...JSON_TYPE, 'content-length': '1000' }, sent: '{"jsonrpc":"2.0",' },
];
for (const each of breaks) {
  verifies(
    'streaming.upstream-gone',
    `an upstream that leaves ${each.name} cuts the connection of the client`,
    async () => {
      const held = holdAnswers(each.sent, each.type);
      const id = `broken-${each.name.replaceAll(' ', '-')}`;
      const reply = await openStream(url, { method: 'POST', headers: [...POST, 'X-Request-Id', id], body: call(1) });
      await readUntil(reply, (text) => text === each.sent);
      (await held.next).response.destroy();
      await assert.rejects(digestOf(reply.chunks), /aborted|ECONNRESET/);
      const entry = await entryWhenWritten(id);
      assert.equal(entry['error_code'], 'UPSTREAM_CLOSED');
      assert.equal(entry['outcome'], 'upstream_error');
    },
  );
}

verifies('streaming.upstream-gone', 'what an upstream sent right before it left still arrives', async () => {
  const response = sse({ jsonrpc: '2.0', id: 3, result: { text: 'last words' } });
  answer = (incoming, up) => {
    incoming.resume();
    up.writeHead(200, STREAM).write(response, () => up.socket?.destroySoon());
  };
  const reply = await openStream(url, { method: 'POST', headers: POST, body: call(3) });
  assert.equal(await readUntil(reply, (text) => text.endsWith('\n\n')), response);
  await assert.rejects(digestOf(reply.chunks));
});

verifies(
  'streaming.observer-is-passive',
  'random bytes in random pieces pass unchanged in both directions',
  async () => {
    const random = seededRandom(20_261_121);
    const types = ['application/json', 'text/event-stream', 'application/octet-stream'];
    for (let round = 0; round < 60; round += 1) {
      const up = cut(random.bytes(random.integer(2_000)));
      // Half of the answers look like what is read along.
      const down = cut(random.next() < 0.5 ? random.bytes(random.integer(2_000)) : nearlyEvents(random.integer(40)));
      const withLength = random.next() < 0.5;
      let received = Buffer.alloc(0);
      answer = async (incoming, response) => {
        for await (const chunk of incoming) received = Buffer.concat([received, chunk as Buffer]);
        const length = withLength ? { 'content-length': String(Buffer.concat(down).length) } : {};
        response.writeHead(200, { 'content-type': random.pick(types), ...length });
        for (const piece of down) {
          response.write(piece);
          // oxlint-disable-next-line no-await-in-loop -- pieces of their own
          if (random.next() < 0.2) await new Promise((resolve) => setImmediate(resolve));
        }
        response.end();
      };
      // oxlint-disable-next-line no-await-in-loop
      const reply = await send(url, { method: 'POST', headers: POST, body: Readable.from(up) });
      assert.ok(received.equals(Buffer.concat(up)), `request of round ${round}, seed ${random.seed}`);
      assert.ok(reply.body.equals(Buffer.concat(down)), `answer of round ${round}, seed ${random.seed}`);
    }

    function cut(bytes: Buffer): Buffer[] {
      const pieces: Buffer[] = [];
      for (let at = 0; at < bytes.length;) {
        const next = at + 1 + random.integer(200);
        pieces.push(bytes.subarray(at, next));
        at = next;
      }
      return pieces;
    }

    function nearlyEvents(count: number): Buffer {
      const lines = [
        'data: {"jsonrpc":"2.0","id":1,"result":{}}',
        'event: message',
        '',
        'data:',
        ':',
        'id: é',
        '{"error":',
        '\ufeffdata',
      ];
      return Buffer.from(
        Array.from({ length: count }, () => random.pick(lines) + random.pick(['\n', '\r', '\r\n'])).join(''),
      );
    }
  },
);

const observed = [
  { name: 'a tool call', headers: [], body: call(1, 'search'), method: 'tools/call', rpcName: 'search' },
  {
    name: 'a resource',
    headers: [],
    body: '{"id":1,"method":"resources/read","params":{"uri":"file:///a"},"jsonrpc":"2.0"}',
    method: 'resources/read',
    rpcName: 'file:///a',
  },
  { name: 'a batch', headers: [], body: `[${call(1)},${call(2)}]`, method: 'batch', rpcName: null },
  { name: 'no JSON', headers: [], body: 'hello', method: null, rpcName: null },
];
for (const each of observed) {
  verifies('streaming.observer-is-passive', `method and name of ${each.name} are in the log`, async () => {
    const entry = await observe(each, '{"jsonrpc":"2.0","id":1,"result":{}}');
    assert.equal(entry['rpc_method'], each.method);
    assert.equal(entry['rpc_name'], each.rpcName);
    assert.equal(entry['outcome'], 'ok');
  });
}

async function observe(
  request: { headers: readonly string[]; body: string },
  reply: string,
  type = JSON_TYPE,
): Promise<LoggedEntry> {
  answer = (incoming, response) => {
    incoming.resume();
    response.writeHead(200, type).end(reply);
  };
  const id = `observed-${app.entries().length}`;
  await send(url, { method: 'POST', headers: [...POST, ...request.headers, 'X-Request-Id', id], body: request.body });
  return entryOf(id) ?? assert.fail('the answer came before its entry');
}

const failures = [
  { name: 'JSON', type: JSON_TYPE, frame: (text: string) => text },
  { name: 'an event', type: STREAM, frame: (text: string) => `: hello\n\nevent: message\ndata: ${text}\n\n` },
];
for (const { name, type, frame } of failures) {
  verifies('streaming.observer-is-passive', `the JSON-RPC error code in ${name} is in the log`, async () => {
    const reply = frame('{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"no such tool"}}');
    const entry = await observe({ headers: [], body: call(1) }, reply, type);
    assert.equal(entry['rpc_error'], -32_602);
    assert.equal(entry['outcome'], 'client_error');
    assert.equal(entry['bytes_out'], reply.length);
  });
}

const MODERN = ['MCP-Protocol-Version', '2026-07-28'];
const mirrored = [
  {
    name: 'plain',
    headers: ['Mcp-Method', 'tools/call', 'Mcp-Name', 'search'],
    body: '{}',
    method: 'tools/call',
    rpcName: 'search',
  },
  {
    name: 'encoded',
    headers: ['Mcp-Method', 'tools/call', 'Mcp-Name', '=?base64?c8O8w59lcw==?='],
    body: '{}',
    method: 'tools/call',
    rpcName: 'süßes',
  },
  {
    name: 'contradicted by the body',
    headers: ['Mcp-Method', 'tools/list'],
    body: call(1, 'delete'),
    method: 'tools/call',
    rpcName: 'delete',
  },
];
for (const each of mirrored) {
  verifies(
    'streaming.modern-headers',
    `mirrored headers of the modern era that are ${each.name} give method and name`,
    async () => {
      const entry = await observe({ headers: [...MODERN, ...each.headers], body: each.body }, '{}');
      assert.equal(entry['rpc_method'], each.method);
      assert.equal(entry['rpc_name'], each.rpcName);
      const got = upstream.requests.at(-1);
      assert.deepEqual(got?.values('mcp-method'), [each.headers[1]], 'they travel on as they came');
    },
  );
}

verifies('streaming.modern-headers', 'mirrored headers of a legacy request mean nothing', async () => {
  const headers = ['MCP-Protocol-Version', '2025-11-25', 'Mcp-Method', 'tools/list', 'Mcp-Name', 'x'];
  const entry = await observe({ headers, body: '{"jsonrpc":"2.0","method":"notifications/initialized"}' }, '{}');
  assert.equal(entry['rpc_method'], 'notifications/initialized');
  assert.equal(entry['rpc_name'], null);
});

const lastBytes = [
  {
    name: 'JSON with a length',
    type: { ...JSON_TYPE, 'content-length': '36' },
    first: '{"jsonrpc":"2.0",',
    last: '"id":1,"result":{}}',
  },
  { name: 'chunked JSON', type: JSON_TYPE, first: '{"jsonrpc":"2.0",', last: '"id":1,"result":{}}' },
  {
    name: 'an event stream that stays open',
    type: STREAM,
    first: ': x\n\ndata: {"jsonrpc":"2.0",',
    last: '"id":1,"result":{}}\n\n',
  },
];
for (const { name, type, first, last } of lastBytes) {
  verifies('log.one-entry-per-exchange', `the entry is in the file when the last byte of ${name} arrives`, async () => {
    const more = deferred();
    const done = deferred();
    answer = async (incoming, response) => {
      incoming.resume();
      response.writeHead(200, type).write(first);
      await more.promise;
      response.write(last);
      await done.promise;
      response.end();
    };
    const id = `last-byte-of-${name.replaceAll(' ', '-')}`;
    const reply = await openStream(url, { method: 'POST', headers: [...POST, 'X-Request-Id', id], body: call(1) });
    await readUntil(reply, (text) => text === first);
    assert.equal(entryOf(id), undefined);
    more.resolve();
    await readUntil(reply, (text) => text === last);
    assert.notEqual(entryOf(id), undefined, 'the entry came after the answer');
    done.resolve();
    assert.equal((await digestOf(reply.chunks)).bytes, 0);
  });
}

verifies('streaming.heartbeat', 'a silent stream gets comments, and only between events', async () => {
  const parts = ['data: {"half":', '1}\n\n'];
  const more = deferred();
  const end = deferred();
  answer = async (_incoming, response) => {
    response.writeHead(200, STREAM).write(parts[0]);
    await more.promise;
    response.write(parts[1]);
    await end.promise;
    response.end();
  };
  const reply = await openStream(url, { headers: GET });
  await readUntil(reply, (text) => text === parts[0]);
  // A second stream of the same age, silent from its beginning, shows that the time for a comment has come.
  const hold = answer;
  answer = (_incoming, response) => {
    response.writeHead(200, STREAM).flushHeaders();
  };
  const other = await openStream(url, { headers: GET });
  assert.equal(await readUntil(other, (text) => text.endsWith('\n\n')), ': keep-alive\n\n');
  other.close();
  answer = hold;
  more.resolve();
  assert.equal(await readUntil(reply, (text) => text.includes('alive\n\n')), `${parts[1]}: keep-alive\n\n`);
  end.resolve();
  assert.equal((await digestOf(reply.chunks)).bytes, 0);
});

verifies(
  'streaming.early-answer',
  'an answer before the upload is complete arrives, and the upload is dropped',
  async () => {
    answer = (_incoming, response) => {
      response.writeHead(413, JSON_TYPE).end('{"error":"too much"}');
    };
    const outgoing = httpRequest(url, {
      method: 'POST',
      agent: false,
      headers: ['Host', 'localhost', ...POST, 'X-Request-Id', 'early'],
    });
    outgoing.on('error', () => undefined);
    outgoing.write(Buffer.alloc(MIB, ' '));
    const [reply] = (await within(once(outgoing, 'response'), { what: 'the early answer' })) as [IncomingMessage];
    assert.equal(reply.statusCode, 413);
    assert.equal((await digestOf(reply)).bytes, 20);
    assert.equal((await entryWhenWritten('early'))['http_status'], 413);
    await within(once(outgoing, 'close'), { what: 'the end of the connection' });
  },
);

verifies('streaming.early-answer', 'a refusal arrives whole although the upload goes on', async () => {
  const refused = await new Promise<string>((resolve, reject) => {
    const socket = connect(app.port, '127.0.0.1');
    let text = '';
    let refusedAt = 0;
    const send = (): void => {
      // Writes on for a while after the answer, as a client does that looks at answers later.
      while (refusedAt < 50 && socket.writable && socket.write(Buffer.alloc(16 * 1024)))
        refusedAt += text === '' ? 0 : 1;
    };
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
    socket
      .on('drain', send)
      .on('error', reject)
      .on('close', () => resolve(text))
      .on('end', () => socket.destroy());
    socket.write(
      `POST /up/mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${8 * MIB}\r\n\r\n`,
    );
    send();
  });
  assert.match(refused, /^HTTP\/1\.1 401 /);
  assert.match(refused, /connection: close/i);
  assert.match(refused, /"AUTH_MISSING"/);
});

verifies(
  'streaming.connections',
  'connections on both sides are used again, without listeners that pile up',
  async () => {
    const sockets = new Set<unknown>();
    answer = (incoming, response) => {
      sockets.add(incoming.socket);
      incoming.resume();
      const isEmpty = sockets.size > 0 && upstream.requests.length % 2 === 0;
      // An empty answer is one too: its connection must come back.
      if (isEmpty) response.writeHead(202, { 'content-length': '0' }).end();
      else response.writeHead(200, JSON_TYPE).end('{"jsonrpc":"2.0","id":1,"result":{}}');
    };
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const ports = new Set<number | undefined>();
    for (let round = 0; round < 30; round += 1) {
      // Every third one is refused, which must not cost the connection either.
      const token = round % 3 === 0 ? 'Bearer wrong-token' : `Bearer ${TOKEN}`;
      const outgoing = httpRequest(url, {
        method: 'POST',
        agent,
        headers: { authorization: token, 'content-type': 'application/json' },
      });
      outgoing.end(call(round));
      // oxlint-disable-next-line no-await-in-loop
      const [reply] = (await once(outgoing, 'response')) as [IncomingMessage];
      ports.add(reply.socket.localPort);
      assert.equal(reply.statusCode, round % 3 === 0 ? 401 : reply.statusCode);
      // oxlint-disable-next-line no-await-in-loop
      await digestOf(reply);
    }
    agent.destroy();
    assert.equal(ports.size, 1, 'one connection of the client');
    assert.equal(sockets.size, 1, 'one connection to the upstream');
    assert.doesNotMatch(app.stderr(), /MaxListenersExceededWarning/);
  },
);

for (const status of [204, 304]) {
  verifies('streaming.connections', `an answer ${status} has no body and ends`, async () => {
    answer = (incoming, response) => {
      incoming.resume();
      response.writeHead(status, { etag: '"x"' }).end();
    };
    const reply = await within(send(url, { method: 'DELETE', headers: AUTH }));
    assert.equal(reply.status, status);
    assert.equal(reply.header('etag'), '"x"');
    assert.equal(reply.body.length, 0);
  });
}

verifies('streaming.client-gone', 'a client that closes its sending side is gone', async () => {
  const held = holdAnswers('data: ', STREAM);
  const text = await sendRaw(
    `POST /up/mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${TOKEN}\r\nContent-Type: application/json\r\nContent-Length: 2\r\nX-Request-Id: half-closed\r\n\r\n{}`,
    { port: app.port },
  );
  assert.doesNotMatch(text, /0\r\n\r\n$/, 'no clean end');
  const entry = await entryWhenWritten('half-closed');
  assert.equal(entry['error_code'], 'CLIENT_GONE');
  void held.next.then(({ response }) => response.destroy());
});
