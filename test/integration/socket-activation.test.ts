import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, type TestContext } from 'node:test';
import { send } from '../support/http-client.ts';
import { ROOT } from '../house/tree.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { makeTempDir, writeFiles } from '../support/temp-dir.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor, within } from '../support/wait.ts';

after(() => checkNothingLeft());

interface TcpHandle {
  readonly fd: number;
  bind(address: string, port: number): number;
  getsockname(out: { port?: number }): number;
  close(): void;
}

/**
 * What a service manager does: it holds a socket and hands it to one process after the other, without accepting on it.
 * A `net.Server` would accept, so this is the handle beneath it.
 */
function hold(t: TestContext): { port: number; descriptor: number } {
  const { binding } = process as unknown as { binding(name: string): { TCP: new (type: number) => TcpHandle } };
  const { TCP } = binding('tcp_wrap');
  const handle = new TCP(1);
  assert.equal(handle.bind('127.0.0.1', 0), 0);
  const address: { port?: number } = {};
  handle.getsockname(address);
  t.after(() => handle.close());
  return { port: address.port ?? 0, descriptor: handle.fd };
}

async function start(t: TestContext, dir: string, descriptor: number): Promise<ChildProcess> {
  // The shell becomes the program, so that its own id is that of the program.
  const script = 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"';
  const program = [process.execPath, '--import', import.meta.resolve('tsx'), join(ROOT, 'src/main.ts')];
  const child = spawn('sh', ['-c', script, 'sh', ...program, 'serve', '--config', dir], {
    stdio: ['ignore', 'ignore', 'pipe', descriptor],
    env: { PATH: process.env['PATH'] },
  });
  t.after(() => void child.kill('SIGKILL'));
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (said += text));
  await waitFor(() => said.includes('listening on'), { deadlineMs: 20_000, what: 'a start with a passed socket' });
  return child;
}

verifies(
  ['service.socket-activation', 'service.restart-refuses-nobody'],
  'a socket that was passed outlives a restart: who connects in between is answered by the next process',
  async (t) => {
    const { port, descriptor } = hold(t);
    const dir = makeTempDir(t);
    // The port of the configuration is not asked for: it would be another one.
    writeFiles(dir, {
      'mcproxy.yml': 'listen: 127.0.0.1:1\nlog: { file: access.log }\nadmin: { socket: admin.sock }\n',
    });
    const get = (): Promise<{ status: number }> => send(`http://127.0.0.1:${port}/healthz`);
    const first = await start(t, dir, descriptor);
    assert.equal((await get()).status, 200);
    first.kill('SIGTERM');
    await within(once(first, 'close'), { deadlineMs: 15_000, what: 'the end of the first process' });

    // Connected by the kernel, accepted by nobody yet.
    const between = get();
    const second = await start(t, dir, descriptor);
    assert.equal((await within(between, { deadlineMs: 15_000 })).status, 200);
    second.kill('SIGTERM');
    const [code] = (await within(once(second, 'close'), { deadlineMs: 15_000 })) as [number];
    assert.equal(code, 0);
  },
);
