/**
 * A client that asks for a large answer of mcproxy's own and never reads it.
 *
 * The bound is two minutes, so that the mechanism is tested with a shorter one, on a real connection.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { beginExchange } from '../../src/app/begin.ts';
import { sendJson } from '../../src/http/reply.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor } from '../support/wait.ts';

const CLOCK = { wallMs: () => 0, monotonicMs: () => 0, random: () => 0 };
const UNREAD_MS = 150;

verifies('guard.slow-client', 'a client that never reads a large answer is cut off', async (t) => {
  let entryCount = 0;
  let closed = false;
  const server = createServer((request, response) => {
    const append = (_entry: unknown, done: (ok: boolean) => void): void => {
      entryCount += 1;
      done(true);
    };
    const exchange = beginExchange(request, response, { clock: CLOCK, trusted: undefined, append });
    response.on('close', () => (closed = true));
    sendJson(exchange, 200, { body: 'x'.repeat(32 * 1024 ** 2), unreadMs: UNREAD_MS });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1').on('error', () => undefined);
  t.after(() => {
    socket.destroy();
    server.closeAllConnections();
    server.close();
  });
  socket.pause().write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await waitFor(() => closed, { what: 'the end of the connection' });
  assert.equal(entryCount, 1);
});
