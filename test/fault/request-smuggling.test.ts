/**
 * Requests whose end two parties could see in two places (RFC 9112 §11.2), and what is no HTTP at all.
 *
 * Written on a raw socket that stays open, as an attacker's would: mcproxy must answer, close the connection itself,
 * forward nothing, and write exactly one entry. The last request of each case is a valid one that would be forwarded if
 * it were taken for a request of its own.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after } from 'node:test';
import { sendRaw } from '../support/http-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { rpc, startProxied, TOKEN } from '../support/proxied-app.ts';
import { startUpstream } from '../support/recording-upstream.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor } from '../support/wait.ts';

const upstream = await startUpstream({ after });
const long = await startLong();
const proxied = await startProxied(
  { after },
  { servers: { up: `{ url: "${upstream.url}/mcp" }`, long: `{ url: "${long.url}/mcp" }` } },
);
const { port } = proxied.app;
after(() => checkNothingLeft());

/** An upstream that reads and never answers, and says whether a body has begun or was cut. */
async function startLong(): Promise<{ url: string; seen: 'nothing' | 'begun' | 'cut' }> {
  const state: { url: string; seen: 'nothing' | 'begun' | 'cut' } = { url: '', seen: 'nothing' };
  const { url } = await startUpstream(
    { after },
    {
      streamed: true,
      answer: ({ incoming }) => {
        incoming.once('data', () => (state.seen = 'begun')).on('error', () => undefined);
        incoming.on('close', () => (state.seen = incoming.complete ? 'nothing' : 'cut')).resume();
      },
    },
  );
  return Object.assign(state, { url });
}

const BODY = rpc('tools/list');
const HOST = 'Host: localhost\r\n';
const FIELDS = `${HOST}Authorization: Bearer ${TOKEN}\r\nContent-Type: application/json\r\n`;
const SECOND = `POST /up/mcp HTTP/1.1\r\n${FIELDS}Content-Length: ${BODY.length}\r\n\r\n${BODY}`;

/** A request with these framing fields and this body, with SECOND behind it. */
function framed(fields: string, body: string, version = '1.1'): string {
  return `POST /up/mcp HTTP/${version}\r\n${FIELDS}${fields}\r\n${body}${SECOND}`;
}

const CHUNKED = 'Transfer-Encoding: chunked\r\n';
const EMPTY = '0\r\n\r\n';
const contradictions = [
  { name: 'Content-Length before Transfer-Encoding', bytes: framed(`Content-Length: 5\r\n${CHUNKED}`, EMPTY) },
  { name: 'Content-Length after Transfer-Encoding', bytes: framed(`${CHUNKED}Content-Length: 5\r\n`, EMPTY) },
  { name: 'two different lengths', bytes: framed('Content-Length: 5\r\nContent-Length: 0\r\n', 'hello') },
  { name: 'the same length twice', bytes: framed('Content-Length: 5\r\nContent-Length: 5\r\n', 'hello') },
  { name: 'a list of lengths', bytes: framed('Content-Length: 5, 5\r\n', 'hello') },
  { name: 'a length with a sign', bytes: framed('Content-Length: +5\r\n', 'hello') },
  { name: 'a negative length', bytes: framed('Content-Length: -5\r\n', 'hello') },
  { name: 'a length in base 16', bytes: framed('Content-Length: 0x5\r\n', 'hello') },
  { name: 'a length beyond every number', bytes: framed(`Content-Length: ${'9'.repeat(30)}\r\n`, 'hello') },
  { name: 'an empty length', bytes: framed('Content-Length:\r\n', 'hello') },
  { name: 'chunked twice', bytes: framed(CHUNKED + CHUNKED, EMPTY) },
  { name: 'a coding before chunked', bytes: framed('Transfer-Encoding: gzip, chunked\r\n', EMPTY) },
  { name: 'a coding after chunked', bytes: framed('Transfer-Encoding: chunked, identity\r\n', EMPTY) },
  { name: 'a coding that is nearly chunked', bytes: framed('Transfer-Encoding: xchunked\r\n', EMPTY) },
  { name: 'the coding identity', bytes: framed('Transfer-Encoding: identity\r\n', '') },
  { name: 'an empty coding', bytes: framed('Transfer-Encoding:\r\n', '') },
  { name: 'a control character before chunked', bytes: framed('Transfer-Encoding: \vchunked\r\n', EMPTY) },
  { name: 'a space before the colon', bytes: framed('Transfer-Encoding : chunked\r\n', EMPTY) },
  { name: 'chunks in HTTP/1.0', bytes: framed(CHUNKED, EMPTY, '1.0') },
  { name: 'HTTP/2.0 in writing', bytes: framed('Content-Length: 0\r\n', '', '2.0') },
  { name: 'a folded header', bytes: framed('X-A: 1\r\n Content-Length: 5\r\n', 'hello') },
  { name: 'a bare carriage return in a value', bytes: framed('X-A: a\rContent-Length: 5\r\n', 'hello') },
  { name: 'a NUL in a value', bytes: framed('X-A: a\0b\r\nContent-Length: 0\r\n', '') },
  { name: 'a line without a colon', bytes: framed('Content-Length\r\n', '') },
  { name: 'a chunk size that is no number', bytes: framed(CHUNKED, `zz\r\nhello\r\n${EMPTY}`) },
  { name: 'a chunk size that overflows', bytes: framed(CHUNKED, `fffffffffffffffff\r\nhello\r\n${EMPTY}`) },
  { name: 'a chunk with more bytes than its size', bytes: framed(CHUNKED, `2\r\nhello\r\n${EMPTY}`) },
  { name: 'a chunk size with a bare line feed', bytes: framed(CHUNKED, `2\nhe\r\n${EMPTY}`) },
];
for (const { name, bytes } of contradictions) {
  verifies(
    'guard.conflicting-headers',
    `${name}: 400, nothing forwarded, one entry, and the connection is closed`,
    async () => {
      const before = upstream.requests.length;
      let answer = '';
      const entries = await proxied.entriesDuring(1, async () => {
        answer = await sendRaw(Buffer.from(bytes, 'latin1'), { port, keepOpen: true });
      });
      assert.match(answer, /^HTTP\/1\.1 400 Bad Request\r\n/);
      assert.match(answer, /"REQUEST_INVALID"/);
      assert.equal(answer.match(/HTTP\/1\.1 \d/g)?.length, 1, 'one answer');
      assert.equal(upstream.requests.length, before);
      assert.deepEqual(
        entries.map((entry) => [entry['http_status'], entry['error_code'], entry['outcome']]),
        [[400, 'REQUEST_INVALID', 'client_error']],
      );
    },
  );
}

const noRequests = [
  {
    name: 'a TLS handshake',
    bytes: '\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03',
    status: 400,
    text: /use http:\/\//,
  },
  { name: 'the beginning of HTTP/2', bytes: 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', status: 400, text: /HTTP\/1\.1/ },
  { name: 'HTTP/0.9', bytes: 'GET /healthz\r\n\r\n', status: 400, text: /HTTP\/1\.1/ },
  { name: 'plain text', bytes: 'hello\r\nworld\r\n', status: 400, text: /HTTP\/1\.1/ },
  { name: 'CONNECT', bytes: `CONNECT a.example:443 HTTP/1.1\r\n${HOST}\r\n`, status: 405, text: /no forward proxy/ },
  {
    name: 'too long headers',
    bytes: `GET / HTTP/1.1\r\n${HOST}X: ${'x'.repeat(40_000)}\r\n\r\n`,
    status: 431,
    text: /too large/,
  },
];
for (const { name, bytes, status, text } of noRequests) {
  const ids = status === 431 ? (['guard.header-bounds', 'guard.not-http'] as const) : (['guard.not-http'] as const);
  verifies(ids, `${name} is ${status}, one entry, and the connection is closed`, async () => {
    let answer = '';
    const [entry, ...more] = await proxied.entriesDuring(1, async () => {
      answer = await sendRaw(Buffer.from(bytes, 'latin1'), { port, keepOpen: true });
    });
    assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `));
    assert.match(answer, text);
    assert.equal(answer.includes(`X-Request-Id: ${String(entry?.['request_id'])}`), true);
    assert.equal(entry?.['http_status'], status);
    assert.equal(entry['client_ip'], '127.0.0.1');
    assert.deepEqual(more, []);
  });
}

verifies(
  'guard.not-http',
  'garbage in many pieces is one entry, and a client that never closes is cut off',
  async () => {
    const entries = await proxied.entriesDuring(1, async () => {
      const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }).on('error', () => undefined);
      let isClosed = false;
      socket.on('close', () => (isClosed = true)).resume();
      // Writes until the other side has had enough: an end alone would not stop it.
      await waitFor(() => {
        if (!isClosed) socket.write('garbage\r\n');
        return isClosed;
      });
    });
    assert.equal(entries.length, 1);
  },
);

verifies('guard.not-http', 'a connection without a byte, and one that ends between requests, is no entry', async () => {
  const before = proxied.app.entries().length;
  assert.equal(await sendRaw('', { port }), '');
  await sendRaw(`GET /healthz HTTP/1.1\r\n${HOST}\r\n`, { port });
  await sendRaw(`GET /healthz HTTP/1.1\r\n${HOST}\r\n`, { port });
  assert.equal(proxied.app.entries().length, before + 2);
});

const brokenOff = [
  { name: 'in its head', bytes: `POST /up/mcp HTTP/1.1\r\n${FIELDS}` },
  { name: 'in its body', bytes: `POST /up/mcp HTTP/1.1\r\n${FIELDS}Content-Length: 100\r\n\r\n{` },
  { name: 'in a chunk', bytes: `POST /up/mcp HTTP/1.1\r\n${FIELDS}${CHUNKED}\r\n10\r\n{` },
  { name: 'in a long body', bytes: `POST /up/mcp HTTP/1.1\r\n${FIELDS}Content-Length: 1000000\r\n\r\n{` },
];
for (const { name, bytes } of brokenOff) {
  verifies(
    'log.one-entry-per-exchange',
    `a request that ends ${name} is one entry, of a client that left`,
    async () => {
      const entries = await proxied.entriesDuring(1, () => sendRaw(bytes, { port }));
      assert.deepEqual(
        entries.map((entry) => [entry['error_code'], entry['http_status'], entry['outcome']]),
        [['CLIENT_GONE', 499, 'cancelled']],
      );
    },
  );
}

verifies('guard.conflicting-headers', 'garbage behind a request spoils neither its answer nor its entry', async () => {
  let answer = '';
  const entries = await proxied.entriesDuring(2, async () => {
    answer = await sendRaw(`${SECOND}garbage\r\n\r\n`, { port, keepOpen: true });
  });
  assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/);
  assert.match(answer, /"result":[^]*HTTP\/1\.1 400 Bad Request\r\n/, 'the refusal comes behind the answer');
  assert.deepEqual(
    entries.map((entry) => Number(entry['http_status'])).toSorted((a, b) => a - b),
    [200, 400],
  );
});

verifies(
  'guard.conflicting-headers',
  'a long body that goes wrong on its way is 400 and cuts the upstream',
  async () => {
    const chunk = 'x'.repeat(300_000);
    let answer = '';
    const [entry, ...more] = await proxied.entriesDuring(1, async () => {
      const socket = connect(port, '127.0.0.1')
        .setEncoding('latin1')
        .on('error', () => undefined);
      socket.on('data', (text: string) => (answer += text));
      socket.write(`POST /long/mcp HTTP/1.1\r\n${FIELDS}${CHUNKED}\r\n${chunk.length.toString(16)}\r\n${chunk}\r\n`);
      await waitFor(() => long.seen === 'begun', { what: 'the upstream to get the beginning' });
      socket.write('zz\r\n');
      await once(socket, 'close');
    });
    assert.match(answer, /^HTTP\/1\.1 400 Bad Request\r\n/);
    assert.equal(entry?.['error_code'], 'REQUEST_INVALID');
    assert.equal(entry['http_status'], 400);
    assert.deepEqual(more, []);
    await waitFor(() => long.seen === 'cut', { what: 'the end of the connection to the upstream' });
  },
);

verifies(
  'guard.path-normalisation',
  'pipelined requests are answered in their order, each with its entry',
  async () => {
    const requests = [
      SECOND,
      `GET /healthz HTTP/1.1\r\n${HOST}\r\n`,
      SECOND.replace('HTTP/1.1\r\n', 'HTTP/1.1\r\nConnection: close\r\n'),
    ];
    let answer = '';
    const entries = await proxied.entriesDuring(3, async () => {
      answer = await sendRaw(requests.join(''), { port, keepOpen: true });
    });
    assert.equal(answer.match(/HTTP\/1\.1 200 OK/g)?.length, 3);
    assert.match(answer, /"tools\/list"[^]*"status":"ok"[^]*"tools\/list"/);
    assert.equal(entries.length, 3);
  },
);
