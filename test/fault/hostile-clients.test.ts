/**
 * Clients that want more than is theirs: an answer of mcproxy's own held for ever, another value of a parameter that
 * the operator set.
 *
 * The bound of the first is two minutes, so that the mechanism is tested with a shorter one, on a real connection.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { test } from 'node:test';
import { beginExchange } from '../../src/app/begin.ts';
import { sendJson } from '../../src/http/reply.ts';
import { rpc, startProxied } from '../support/proxied-app.ts';
import { startUpstream } from '../support/recording-upstream.ts';
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

test('a query parameter that the operator set cannot be set again by a client', async (t) => {
  const upstream = await startUpstream(t);
  const proxied = await startProxied(t, { servers: { up: `{ url: "${upstream.url}/mcp?tenant=a" }` } });
  const queries = {
    '?tenant=b&x=1&ten%61nt=c': '/mcp?tenant=a&x=1',
    '?y;tenant=b': '/mcp?tenant=a',
    '?x=%20&X=+': '/mcp?tenant=a&x=%20&X=+',
  };
  for (const [query, expected] of Object.entries(queries)) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other, because the last is looked at
    await proxied.ask(`/up/mcp${query}`, { method: 'POST', body: rpc('ping') });
    assert.equal(upstream.requests.at(-1)?.url, expected);
  }
});
