import assert from 'node:assert/strict';
import { after } from 'node:test';
import { REPLAY_BYTES_MAX } from '../../src/limits.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { findClosedPort } from '../support/ports.ts';
import { errorOf, POST, rpc, startProxied } from '../support/proxied-app.ts';
import { jsonAnswer, startRawUpstream } from '../support/raw-upstream.ts';
import { startUpstream, type Conversation } from '../support/recording-upstream.ts';
import { verifies } from '../support/verifies.ts';

const FIRST_BYTE_MS = 4_000;
const RESULT = '{"jsonrpc":"2.0","id":1,"result":{}}';

const upstream = await startUpstream({ after });
const sockets = new WeakSet<object>();
/** Takes one request on each connection, and resets it when a second one comes. */
const stale = await startRawUpstream(
  { after },
  {
    onRequest(socket) {
      const isSecond = sockets.has(socket);
      sockets.add(socket);
      if (isSecond) socket.resetAndDestroy();
      else socket.write(jsonAnswer(RESULT));
    },
  },
);
const closed = await findClosedPort();
const proxied = await startProxied(
  { after },
  {
    servers: {
      up: `{ url: "${upstream.url}/mcp" }`,
      closed: `{ url: "http://127.0.0.1:${closed}/mcp" }`,
      once: `{ url: "http://127.0.0.1:${closed}/mcp", retries: 0 }`,
      twice: `{ url: "http://127.0.0.1:${closed}/mcp", retries: 1 }`,
      stale: `{ url: "${stale.url}/mcp" }`,
    },
    settings: `timeouts: { first_byte: ${FIRST_BYTE_MS / 1_000}s }\n`,
  },
);
after(() => checkNothingLeft());

/** Answers the first `count` requests in one way and the others with a result. */
function failFirst(count: number, fail: (conversation: Conversation) => void): void {
  const before = upstream.requests.length;
  upstream.answerWith((conversation) => {
    if (conversation.index - before < count) fail(conversation);
    else conversation.response.writeHead(200, { 'content-type': 'application/json' }).end(RESULT);
  });
}

const reset = ({ incoming }: Conversation): void => void incoming.socket.resetAndDestroy();
const hangUp = ({ incoming }: Conversation): void => void incoming.socket.destroy();

const budgets = [
  { server: 'closed', attempts: 4, id: 'retries.default-three' },
  { server: 'once', attempts: 1, id: 'retries.attempts-logged' },
  { server: 'twice', attempts: 2, id: 'retries.attempts-logged' },
] as const;
for (const { server, attempts, id } of budgets) {
  verifies([id, 'retries.unreachable'], `with its retries, server '${server}' is tried ${attempts} times`, async () => {
    const { answer, entry } = await proxied.call(server, 'tools/call');
    assert.equal(answer.status, 502);
    assert.match(errorOf(answer).message, new RegExp(`server ${server} cannot be reached: the connection was refused`));
    assert.equal(entry['error_code'], 'UPSTREAM_UNREACHABLE');
    assert.equal(entry['outcome'], 'upstream_error');
    assert.equal(entry['attempts'], attempts);
  });
}

const READING = [
  'tools/list',
  'resources/list',
  'resources/templates/list',
  'prompts/list',
  'resources/read',
  'prompts/get',
  'ping',
  'initialize',
  'server/discover',
];
const ACTING = [
  'tools/call',
  'logging/setLevel',
  'resources/subscribe',
  'sampling/createMessage',
  'notifications/initialized',
  'tools/list/all',
  'Tools/List',
];

for (const method of READING) {
  verifies('retries.only-safe', `${method} is repeated after a reset`, async () => {
    // What the server speaks is asked before the first of them.
    await proxied.call('up', method);
    failFirst(1, reset);
    const { answer, entry } = await proxied.call('up', method);
    assert.equal(answer.status, 200);
    assert.equal(entry['attempts'], 2);
    assert.equal(entry['outcome'], 'ok');
    assert.equal(entry['error_code'], null);
    const [first, second] = upstream.requests.slice(-2);
    assert.deepEqual(second?.body, first?.body);
    assert.deepEqual(second?.rawHeaders, first?.rawHeaders);
  });
}
for (const method of ACTING) {
  for (const [name, fail] of [
    ['a reset', reset],
    ['an end without an answer', hangUp],
  ] as const) {
    verifies(
      'retries.only-safe',
      `${method} is not repeated after ${name}, because it may have been done`,
      async () => {
        const before = upstream.requests.length;
        failFirst(1, fail);
        const { answer, entry } = await proxied.call('up', method);
        assert.equal(answer.status, 502);
        assert.match(errorOf(answer).message, /whether it acted is unknown/);
        assert.equal(entry['error_code'], 'UPSTREAM_CLOSED');
        assert.equal(entry['attempts'], 1);
        assert.equal(upstream.requests.length, before + 1);
      },
    );
  }
}

const bodies = [
  { name: 'a batch', body: `[${rpc('tools/list')}]` },
  { name: 'what is no JSON', body: 'tools/list' },
  { name: 'a method named twice', body: '{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call"}' },
  { name: 'a method in the wrong place', body: '{"jsonrpc":"2.0","id":1,"params":{"method":"tools/list"}}' },
];
for (const { name, body } of bodies) {
  verifies('retries.only-safe', `${name} is not repeated after a reset`, async () => {
    failFirst(1, reset);
    const { answer, entry } = await proxied.ask('/up/mcp', { method: 'POST', body });
    assert.equal(answer.status, 502);
    assert.equal(entry['attempts'], 1);
  });
}

const bodiless = [
  { method: 'GET', status: 200, attempts: 2 },
  { method: 'DELETE', status: 502, attempts: 1 },
];
for (const { method, status, attempts } of bodiless) {
  verifies('retries.only-safe', `after a reset ${method} has ${attempts} attempts`, async () => {
    failFirst(1, reset);
    const { answer, entry } = await proxied.ask('/up/mcp', { method });
    assert.equal(answer.status, status);
    assert.equal(entry['attempts'], attempts);
  });
}

for (const status of [429, 503]) {
  for (const method of ['tools/call', 'tools/list']) {
    verifies(
      'retries.only-safe',
      `${method} is repeated after ${status}, which says that it was not done`,
      async () => {
        failFirst(2, ({ response }) => void response.writeHead(status).end('later'));
        const { answer, entry } = await proxied.call('up', method);
        assert.equal(answer.status, 200);
        assert.equal(entry['attempts'], 3);
      },
    );
  }
  verifies(['retries.only-safe', 'retries.default-three'], `the fourth ${status} is passed on as it is`, async () => {
    const headers = { 'retry-after': '0', 'x-own': 'yes', 'content-type': 'text/plain' };
    failFirst(9, ({ response, index }) => void response.writeHead(status, headers).end(`no ${index}`));
    const { answer, entry } = await proxied.call('up', 'tools/call');
    assert.equal(answer.status, status);
    assert.equal(answer.text(), `no ${upstream.requests.length - 1}`);
    assert.equal(answer.header('x-own'), 'yes');
    assert.equal(answer.header('retry-after'), '0');
    assert.equal(entry['attempts'], 4);
    assert.equal(entry['http_status'], status);
  });
}

for (const status of [400, 404, 408, 500, 502, 504]) {
  verifies('retries.only-safe', `an answer ${status} is passed on at once, also to what only reads`, async () => {
    failFirst(1, ({ response }) => void response.writeHead(status).end('no'));
    const { answer, entry } = await proxied.call('up', 'tools/list');
    assert.equal(answer.status, status);
    assert.equal(answer.text(), 'no');
    assert.equal(entry['attempts'], 1);
  });
}

verifies('retries.deadline', 'Retry-After is waited for when it fits', async () => {
  const times: number[] = [];
  failFirst(1, ({ response }) => void response.writeHead(503, { 'retry-after': '1' }).end());
  const answering = upstream.requests.length;
  const start = performance.now();
  const { answer, entry } = await proxied.call('up', 'tools/call');
  times.push(performance.now() - start);
  assert.equal(answer.status, 200);
  assert.equal(entry['attempts'], 2);
  assert.equal(upstream.requests.length, answering + 2);
  assert.ok((times[0] ?? 0) >= 990, `after ${times[0]} ms`);
});

const tooLate = [
  { name: 'seconds', value: String(FIRST_BYTE_MS / 1_000 + 1) },
  { name: 'a date', value: 'Fri, 31 Dec 2999 23:59:59 GMT' },
];
for (const { name, value } of tooLate) {
  verifies('retries.deadline', `a Retry-After in ${name} beyond the deadline is passed on at once`, async () => {
    failFirst(1, ({ response }) => void response.writeHead(429, { 'retry-after': value }).end('slow down'));
    const { answer, entry } = await proxied.call('up', 'tools/list');
    assert.equal(answer.status, 429);
    assert.equal(answer.header('retry-after'), value);
    assert.equal(answer.text(), 'slow down');
    assert.equal(entry['attempts'], 1);
    assert.ok(Number(entry['latency_ms']) < FIRST_BYTE_MS);
  });
}

const long = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list', params: 'x'.repeat(REPLAY_BYTES_MAX) });
const framings = [
  { name: 'with a length', headers: POST },
  // Its beginning is read before anything is sent, so that the method is known.
  { name: 'in chunks', headers: { ...POST, 'transfer-encoding': 'chunked' } },
];
for (const { name, headers } of framings) {
  verifies('retries.only-safe', `a long body ${name} is not repeated once it has left, whatever it asks`, async () => {
    for (const [fail, status] of [
      [reset, 502],
      [({ response }: Conversation): void => void response.writeHead(503).end(), 503],
    ] as const) {
      failFirst(1, fail);
      // oxlint-disable-next-line no-await-in-loop
      const { answer, entry } = await proxied.ask('/up/mcp', { method: 'POST', headers, body: long });
      assert.equal(answer.status, status);
      assert.equal(entry['attempts'], 1);
      assert.equal(entry['rpc_method'], 'tools/list');
    }
  });
}

verifies('retries.only-safe', 'a long body is repeated as long as nothing was sent', async () => {
  const { answer, entry } = await proxied.ask('/twice/mcp', { method: 'POST', headers: POST, body: long });
  assert.equal(answer.status, 502);
  assert.equal(entry['attempts'], 2);
  assert.equal(entry['error_code'], 'UPSTREAM_UNREACHABLE');
});

verifies('retries.only-safe', 'a kept-alive connection that has died costs what only reads nothing', async () => {
  for (const [method, attempts, status] of [
    ['tools/list', 1, 200],
    ['tools/list', 2, 200],
    ['tools/call', 1, 502],
  ] as const) {
    // oxlint-disable-next-line no-await-in-loop
    const { answer, entry } = await proxied.call('stale', method);
    assert.equal(answer.status, status);
    assert.equal(entry['attempts'], attempts);
  }
});
