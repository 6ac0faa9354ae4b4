import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { after } from 'node:test';
import { openListener } from '../../src/http/server.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { listenLocally } from '../support/listening.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor, within } from '../support/wait.ts';

after(() => checkNothingLeft());

verifies(
  'shutdown.just-accepted',
  'a connection that was just accepted brings its request though the listener closes',
  async () => {
    const listener = await openListener({
      host: '127.0.0.1',
      port: 0,
      onRequest: (_request, response) => void response.writeHead(200, { connection: 'close' }).end('served'),
      onMalformed: (_failure, socket) => void socket.destroy(),
    });
    const asking = connect(listener.port, '127.0.0.1');
    const silent = connect(listener.port, '127.0.0.1');
    await Promise.all([once(asking, 'connect'), once(silent, 'connect')]);
    // Both ends are in this process, so that accepted connections are among its open sockets.
    const sockets = (): string[] => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap');
    await waitFor(() => sockets().length === 4);
    const closed = listener.close();
    asking.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    assert.match(await within(text(asking)), /^HTTP\/1\.1 200 [\s\S]*served/);
    // One that stays silent keeps nobody.
    silent.resume();
    await within(Promise.all([once(silent, 'close'), closed]));
  },
);

verifies(
  'listener.full',
  'that as many connections are open as there may be is told once, until there is room',
  async () => {
    const told: number[] = [];
    const listener = await openListener({
      host: '127.0.0.1',
      port: 0,
      connectionCountMax: 1,
      onFull: (count) => void told.push(count),
      onRequest: (_request, response) => void response.end(),
      onMalformed: (_failure, socket) => void socket.destroy(),
    });
    const dial = async (): Promise<Socket> => {
      const socket = connect(listener.port, '127.0.0.1');
      await once(socket, 'connect');
      return socket.resume();
    };
    for (const expected of [[1], [1, 1]]) {
      const first = await dial();
      for (let count = 0; count < 3; count += 1) await within(once(await dial(), 'close'));
      assert.deepEqual(told, expected);
      first.destroy();
      // The next is let in only when the listener has seen that this one is gone.
      await waitFor(async () => {
        const next = await dial();
        next.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
        return (await within(text(next))).startsWith('HTTP/1.1 200');
      });
      told.length = expected.length;
    }
    listener.abort();
    await within(listener.close());
  },
);

verifies('listener.waiting', 'that a port is in use and waited for is told once', async (t) => {
  const port = await listenLocally(t, createServer());
  const told: string[] = [];
  const waiting = openListener({
    host: '127.0.0.1',
    port,
    // Some tries long.
    portWaitMs: 900,
    onWaiting: (reason) => void told.push(reason),
    onRequest: (_request, response) => void response.end(),
    onMalformed: (_failure, socket) => void socket.destroy(),
  });
  await assert.rejects(within(waiting), /is in use by another process/);
  assert.deepEqual(told, [`127.0.0.1:${port} is in use, waiting for it`]);
});
