/**
 * Clients that take their time: with the headers, with the body, and in asking for what is refused.
 *
 * The bounds are half a minute and more, so that the mechanism is tested with shorter ones, on the real listener and
 * the real body reader; that they are what `limits.ts` says is a property of their defaults.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { connect, type Socket } from 'node:net';
import { after } from 'node:test';
import type { ProxyError } from '../../src/errors.ts';
import { pumpBody, readBody, type RequestBody } from '../../src/http/body.ts';
import { openListener } from '../../src/http/server.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { listenLocally } from '../support/listening.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor, within } from '../support/wait.ts';
import type { Cleanup } from '../support/temp-dir.ts';

after(() => checkNothingLeft());

const SHORT_MS = 150;
/** Long enough for a busy machine to drip in time. */
const DRIP_MS = 600;

interface Door {
  readonly port: number;
  readonly requests: string[];
  readonly failures: ProxyError[];
}

async function openDoor(cleanup: Cleanup): Promise<Door> {
  const requests: string[] = [];
  const failures: ProxyError[] = [];
  const listener = await openListener({
    host: '127.0.0.1',
    port: 0,
    headersMs: SHORT_MS,
    onRequest(request, response) {
      requests.push(request.url ?? '');
      response.end('{}');
    },
    onMalformed(failure, socket) {
      failures.push(failure);
      socket.end();
    },
  });
  cleanup.after(async () => {
    listener.abort();
    await listener.close();
  });
  return { port: listener.port, requests, failures };
}

function open(cleanup: Cleanup, port: number): Socket {
  const socket = connect(port, '127.0.0.1').on('error', () => undefined);
  cleanup.after(() => void socket.destroy());
  return socket.resume();
}

const heads = [
  { name: 'half a request line', bytes: 'GET /he', count: 1 },
  { name: 'headers without an end', bytes: 'GET / HTTP/1.1\r\nHost: x\r\nX-', count: 1 },
  { name: 'not a single byte', bytes: '', count: 0 },
];
for (const { name, bytes, count } of heads) {
  verifies('guard.slow-client', `a client that sends ${name} is cut off`, async (t) => {
    const door = await openDoor(t);
    const socket = open(t, door.port);
    if (bytes !== '') socket.write(bytes);
    await within(once(socket, 'close'), { what: 'the end of the connection' });
    assert.deepEqual(
      door.failures.map(({ code }) => code),
      Array.from({ length: count }, () => 'REQUEST_TIMEOUT'),
    );
    assert.deepEqual(door.requests, []);
  });
}

verifies('guard.slow-client', 'a client that drips headers is cut off, however often it drips', async (t) => {
  const door = await openDoor(t);
  const socket = open(t, door.port);
  socket.write('GET / HTTP/1.1\r\n');
  await waitFor(() => {
    if (!socket.destroyed) socket.write('X: y\r\n');
    return socket.destroyed;
  });
  assert.deepEqual(
    door.failures.map(({ code }) => code),
    ['REQUEST_TIMEOUT'],
  );
});

verifies('guard.slow-client', 'a kept-alive connection that is quiet between requests is not cut off', async (t) => {
  const door = await openDoor(t);
  const socket = open(t, door.port);
  const other = open(t, door.port);
  const hello = 'GET /1 HTTP/1.1\r\nHost: x\r\n\r\n';
  socket.write(hello);
  await waitFor(() => door.requests.length === 1);
  // A second connection that is slow shows that the time has passed.
  other.write('GET');
  await within(once(other, 'close'));
  socket.write(hello);
  await waitFor(() => door.requests.length === 2);
});

interface Reading {
  readonly socket: Socket;
  readonly outcomes: (RequestBody['kind'] | ProxyError['code'])[];
  readonly request: () => IncomingMessage;
}

/** A client that has sent the head of a POST, to a server that reads the body with a short bound. */
async function beginBody(
  cleanup: Cleanup,
  read: (request: IncomingMessage, tell: (outcome: Reading['outcomes'][number]) => void) => void,
): Promise<Reading> {
  const outcomes: Reading['outcomes'] = [];
  let incoming: IncomingMessage | undefined;
  const server: Server = createServer((request) => {
    incoming = request;
    read(request, (outcome) => void outcomes.push(outcome));
  });
  const socket = open(cleanup, await listenLocally(cleanup, server));
  socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n');
  await waitFor(() => incoming !== undefined);
  return { socket, outcomes, request: () => incoming ?? assert.fail() };
}

verifies('guard.slow-client', 'a body that stops arriving is given up, one that drips is not', async (t) => {
  const reading = await beginBody(t, (request, tell) =>
    readBody(request, {
      bodyBytesMax: 10_000,
      idleMs: DRIP_MS,
      onBytes: () => undefined,
      onReady: (body) => tell(body.kind),
      onFailure: ({ code }) => tell(code),
    }),
  );
  const start = performance.now();
  await waitFor(() => {
    reading.socket.write('x');
    return performance.now() - start > 2 * DRIP_MS;
  });
  assert.deepEqual(reading.outcomes, []);
  await waitFor(() => reading.outcomes.length > 0);
  assert.deepEqual(reading.outcomes, ['REQUEST_TIMEOUT']);
});

verifies('guard.slow-client', 'a body that stops on its way to the upstream is given up', async (t) => {
  const reading = await beginBody(t, (request, tell) => {
    pumpBody(request, {
      head: Buffer.alloc(0),
      bodyBytesMax: 10_000,
      idleMs: SHORT_MS,
      onBytes: () => undefined,
      write: () => true,
      onEnd: () => tell('stream'),
      onFailure: ({ code }) => tell(code),
    });
  });
  reading.socket.write('x');
  await waitFor(() => reading.outcomes.length > 0);
  assert.deepEqual(reading.outcomes, ['REQUEST_TIMEOUT']);
});

verifies('guard.slow-client', 'a client is not blamed for the silence of an upstream that does not read', async (t) => {
  let pump: { resume(): void } | undefined;
  const reading = await beginBody(t, (request, tell) => {
    pump = pumpBody(request, {
      head: Buffer.alloc(0),
      bodyBytesMax: 10_000,
      idleMs: SHORT_MS,
      onBytes: () => undefined,
      write: () => false,
      onEnd: () => tell('stream'),
      onFailure: ({ code }) => tell(code),
    });
  });
  reading.socket.write('x');
  await waitFor(() => reading.request().isPaused());
  const start = performance.now();
  await waitFor(() => performance.now() - start > 2 * SHORT_MS);
  assert.deepEqual(reading.outcomes, []);
  pump?.resume();
  await waitFor(() => reading.outcomes.length > 0);
  assert.deepEqual(reading.outcomes, ['REQUEST_TIMEOUT']);
});
