import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { after } from 'node:test';
import { openListener } from '../../src/http/server.ts';
import { checkNothingLeft } from '../support/leaks.ts';
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
