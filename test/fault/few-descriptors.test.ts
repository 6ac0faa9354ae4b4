/**
 * More clients than the process may have files open: the rest of it goes on, and the operator is told.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after } from 'node:test';
import { checkNothingLeft } from '../support/leaks.ts';
import { PROGRAM_ARGS, runCommand, startApp } from '../support/start-app.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor } from '../support/wait.ts';

after(() => checkNothingLeft());

const LIMIT = 200;
const LIMITED = ['sh', '-c', `ulimit -n ${LIMIT}; exec "$0" "$@"`, process.execPath, ...PROGRAM_ARGS] as const;

verifies('listener.full', 'clients that take every connection keep no file from being read', async (t) => {
  const app = await startApp(t, { program: LIMITED });
  const sockets = Array.from({ length: LIMIT }, () => connect(app.port, '127.0.0.1').on('error', () => undefined));
  t.after(() => sockets.forEach((socket) => socket.destroy()));
  await Promise.all(sockets.map((socket) => once(socket, 'connect')));
  await waitFor(() => /connections are refused: as many are open as there may be count=150$/m.test(app.stderr()));
  writeFileSync(
    join(app.dir, 'mcproxy.yml'),
    'listen: 127.0.0.1:0\nlog: { file: access.log, level: debug }\nadmin: { socket: admin.sock }\n',
  );
  await waitFor(() => app.stderr().includes('configuration reloaded'));
  const { code, stdout } = await runCommand(['status', '--config', app.dir]);
  assert.equal(code, 0, stdout);
});
