import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { checkNothingLeft } from '../support/leaks.ts';
import { isRunning } from '../support/stdio-server.ts';
import { waitFor } from '../support/wait.ts';

after(() => checkNothingLeft());

const HOLDER = fileURLToPath(new URL('../peers/holds-children.ts', import.meta.url));
const SCRIPTS = ['echo.mjs', 'echo.mjs', 'garbage-stdout.mjs', 'crash-after-n.mjs'];

for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
  test(`servers that read stdin leave when mcproxy is gone without a word (${signal})`, async () => {
    const holder = spawn(process.execPath, ['--import', 'tsx', HOLDER, ...SCRIPTS], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(holder.stdout, 'data')) as [Buffer];
    const children = JSON.parse(line.toString()) as number[];
    assert.equal(children.filter(isRunning).length, SCRIPTS.length);
    holder.kill(signal);
    await once(holder, 'exit');
    await waitFor(() => !children.some(isRunning), { what: 'the end of the children' });
  });
}
