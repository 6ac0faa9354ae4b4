import assert from 'node:assert/strict';
import { after } from 'node:test';
import { holdSocket } from '../support/held-socket.ts';
import { send } from '../support/http-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { startApp } from '../support/start-app.ts';
import { verifies } from '../support/verifies.ts';
import { within } from '../support/wait.ts';

after(() => checkNothingLeft());

verifies(
  ['service.socket-activation', 'service.restart-refuses-nobody'],
  'a socket that was passed outlives a restart: who connects in between is answered by the next process',
  async (t) => {
    const { port, descriptor } = holdSocket(t);
    // The port of the configuration is not asked for: it would be another one.
    const files = {
      'mcproxy.yml': 'listen: 127.0.0.1:1\nlog: { file: access.log }\nadmin: { socket: admin.sock }\n',
    };
    const get = (): Promise<{ status: number }> => send(`http://127.0.0.1:${port}/healthz`);
    const first = await startApp(t, { files, descriptor });
    assert.equal(first.port, port);
    assert.equal((await get()).status, 200);
    await first.stop();

    // Connected by the kernel, accepted by nobody yet.
    const between = get();
    const second = await startApp(t, { dir: first.dir, descriptor });
    assert.equal((await within(between, { deadlineMs: 15_000 })).status, 200);
    assert.equal((await second.stop()).code, 0);
  },
);
