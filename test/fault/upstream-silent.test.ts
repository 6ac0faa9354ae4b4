import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { after } from 'node:test';
import { openStream } from '../support/http-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { errorOf, POST, rpc, startProxied } from '../support/proxied-app.ts';
import { startRawUpstream } from '../support/raw-upstream.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor } from '../support/wait.ts';

const FIRST_BYTE_MS = 500;
const IDLE_MS = 400;

/** What the upstream does with the next requests; every test sets its own. */
let onRequest: (socket: Socket) => unknown = () => undefined;
let openCount = 0;
const upstream = await startRawUpstream(
  { after },
  {
    onConnect(socket) {
      openCount += 1;
      socket.on('close', () => (openCount -= 1));
    },
    onRequest: (socket) => onRequest(socket),
  },
);
const timeouts = `timeouts: { first_byte: ${FIRST_BYTE_MS}ms, idle: ${IDLE_MS}ms }`;
const proxied = await startProxied(
  { after },
  {
    servers: {
      up: `{ url: "${upstream.url}/mcp", ${timeouts} }`,
      slow: `{ url: "${upstream.url}/mcp", timeouts: { first_byte: 10s, idle: 10s } }`,
    },
  },
);
after(() => checkNothingLeft());

const HEAD = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n';

/** Writes one byte again and again, until the connection is cut. */
function drip(socket: Socket, text: string): void {
  const next = (): void => {
    if (socket.destroyed) return;
    socket.write(text);
    setTimeout(next, 20);
  };
  next();
}

const silences = [
  { name: 'nothing at all', answer: () => undefined },
  { name: 'half a status line', answer: (socket: Socket) => void socket.write('HTTP/1.1 2') },
  { name: 'headers without an end', answer: (socket: Socket) => void socket.write(HEAD) },
  {
    name: 'headers drop by drop',
    answer: (socket: Socket) => {
      socket.write(HEAD);
      drip(socket, 'X: y\r\n');
    },
  },
  { name: 'an interim answer only', answer: (socket: Socket) => void socket.write('HTTP/1.1 100 Continue\r\n\r\n') },
];
for (const { name, answer: write } of silences) {
  for (const method of ['tools/call', 'tools/list']) {
    verifies(
      ['retries.timeout-first-byte', 'retries.unreachable'],
      `${name} for ${method} is 504 at the deadline`,
      async () => {
        onRequest = write;
        const { answer, entry } = await proxied.call('up', method);
        assert.equal(answer.status, 504);
        assert.match(errorOf(answer).message, /server up did not begin to answer in time \(timeouts\.first_byte\)/);
        assert.equal(entry['error_code'], 'UPSTREAM_TIMEOUT');
        assert.equal(entry['attempts'], 1);
        const latencyMs = Number(entry['latency_ms']);
        assert.ok(latencyMs >= FIRST_BYTE_MS - 10 && latencyMs < FIRST_BYTE_MS + 500, `${latencyMs} ms`);
        await waitFor(() => openCount === 0, { what: 'the end of the connection' });
      },
    );
  }
}

const halves = [
  { name: 'JSON with a length', head: `${HEAD}Content-Length: 100\r\n\r\n`, sent: '{"half":', text: '{"half":' },
  {
    name: 'chunked JSON',
    head: `${HEAD}Transfer-Encoding: chunked\r\n\r\n`,
    sent: '8\r\n{"half":\r\n',
    text: '{"half":',
  },
  {
    name: 'an event stream',
    head: 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n',
    sent: 'data: {"half":',
    text: 'data: {"half":',
  },
];
for (const { name, head, sent, text } of halves) {
  verifies('retries.timeout-idle', `an answer in ${name} that falls silent is cut after the idle timeout`, async () => {
    onRequest = (socket) => void socket.write(head + sent);
    const id = `idle-${name.replaceAll(' ', '-')}`;
    const headers = { ...POST, 'x-request-id': id };
    const stream = await openStream(`${proxied.url}/up/mcp`, { method: 'POST', headers, body: rpc('tools/list') });
    let received = '';
    await assert.rejects(async () => {
      for await (const chunk of stream.chunks) received += chunk.toString();
    });
    assert.equal(received, text);
    const entry = await proxied.entryOf(id);
    assert.equal(entry['error_code'], 'UPSTREAM_TIMEOUT');
    assert.match(String(entry['error']), /server up fell silent .* \(timeouts\.idle\)/);
    assert.equal(entry['http_status'], 200);
    assert.ok(Number(entry['latency_ms']) >= IDLE_MS - 10);
    await waitFor(() => openCount === 0, { what: 'the end of the connection' });
  });
}

verifies('retries.timeout-idle', 'an answer that drips is not cut, however long it takes', async () => {
  onRequest = (socket) => {
    socket.write(`${HEAD}Transfer-Encoding: chunked\r\n\r\n`);
    const start = performance.now();
    const next = (): void => {
      if (performance.now() - start > 2 * IDLE_MS) return void socket.write('1\r\n}\r\n0\r\n\r\n');
      socket.write('1\r\n \r\n');
      setTimeout(next, 20);
    };
    socket.write('1\r\n{\r\n');
    next();
  };
  const { answer, entry } = await proxied.call('up', 'tools/call');
  assert.deepEqual(answer.json(), {});
  assert.equal(entry['outcome'], 'ok');
});

verifies('retries.timeout-first-byte', 'each server has its own timeouts', async () => {
  onRequest = (socket) => {
    setTimeout(() => void socket.write(`${HEAD}Content-Length: 2\r\n\r\n{}`), FIRST_BYTE_MS + 200);
  };
  const [quick, slow] = await Promise.all([proxied.call('up', 'tools/call'), proxied.call('slow', 'tools/call')]);
  assert.equal(quick.answer.status, 504);
  assert.equal(slow.answer.status, 200);
});

verifies('retries.timeout-first-byte', 'a client that leaves ends the waiting, and the connection', async () => {
  let isAsked = false;
  onRequest = () => (isAsked = true);
  const controller = new AbortController();
  const headers = { ...POST, 'x-request-id': 'left' };
  const asking = openStream(`${proxied.url}/slow/mcp`, {
    method: 'POST',
    headers,
    body: rpc('tools/call'),
    signal: controller.signal,
  });
  await waitFor(() => isAsked);
  controller.abort();
  await assert.rejects(asking);
  const entry = await proxied.entryOf('left');
  assert.equal(entry['error_code'], 'CLIENT_GONE');
  assert.equal(entry['attempts'], 1);
  await waitFor(() => openCount === 0, { what: 'the end of the connection' });
});
