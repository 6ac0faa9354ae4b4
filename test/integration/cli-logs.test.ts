/**
 * `mcproxy logs` on files as they lie about: compressed ones, names as clients know them, words that mean nothing.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after } from 'node:test';
import { gzipSync } from 'node:zlib';
import { checkNothingLeft } from '../support/leaks.ts';
import { runCommand } from '../support/start-app.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { verifies } from '../support/verifies.ts';

after(() => checkNothingLeft());

const entry = (upstream: string | null, rpcName: string): string =>
  `${JSON.stringify({ ts: 't', principal: 'ann', upstream, rpc_name: rpcName, outcome: 'ok' })}\n`;

verifies('log.logs-command', 'a log that a rotation has compressed is shown like any other', async (t) => {
  const dir = makeTempDir(t);
  const [old, log] = [join(dir, 'access.log.2.gz'), join(dir, 'access.log')];
  // Longer than what is read at once.
  writeFileSync(old, gzipSync(entry('files', 'read').repeat(2_000)));
  writeFileSync(log, entry('files', 'write'));
  const shown = await runCommand(['logs', old, log, '--lines', '0']);
  assert.equal(shown.code, 0, shown.stderr);
  assert.equal(shown.stdout.match(/ files read /g)?.length, 2_000);
  assert.match(shown.stdout, / files write /);
  writeFileSync(old, gzipSync(entry('files', 'read')).subarray(0, -9));
  const cut = await runCommand(['logs', old]);
  assert.deepEqual([cut.code, /access\.log\.2\.gz cannot be read/.test(cut.stderr)], [66, true]);
});

verifies('log.logs-command', 'a tool is found by its own name and by the one that clients know', async (t) => {
  const log = join(makeTempDir(t), 'access.log');
  writeFileSync(log, entry('files', 'read') + entry('other', 'read') + entry(null, 'gone__read'));
  const count = async (tool: string): Promise<number> =>
    (await runCommand(['logs', log, '--json', '--tool', tool])).stdout.split('\n').length - 1;
  assert.deepEqual(
    await Promise.all(['read', 'files__read', 'files__*', 'gone__read', 'nothing'].map(count)),
    [2, 1, 1, 1, 0],
  );
});

verifies('log.logs-command', 'an outcome that there is not is wrong use, a pattern of some is not', async (t) => {
  const log = join(makeTempDir(t), 'access.log');
  writeFileSync(log, entry('files', 'read'));
  const wrong = await runCommand(['logs', log, '--outcome', 'error']);
  assert.equal(wrong.code, 64);
  assert.match(wrong.stderr, /--outcome is one of ok, client_error/);
  assert.equal((await runCommand(['logs', log, '--outcome', '*_error'])).code, 0);
});
