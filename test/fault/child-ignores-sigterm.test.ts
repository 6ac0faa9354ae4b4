import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import { CHILD_EOF_MS_MAX, CHILD_TERM_MS_MAX } from '../../src/limits.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { converse, isRunning, stdioServer } from '../support/stdio-server.ts';
import { waitFor, within } from '../support/wait.ts';

after(() => checkNothingLeft());

test('a child that ignores the end of stdin and SIGTERM is killed, in this order', async (t) => {
  const { child, channel, messages, stderr, ends } = await converse(t, stdioServer('ignores-sigterm.mjs'));
  await waitFor(() => messages.length === 1);
  const startMs = performance.now();
  const stopped = channel.close();
  assert.equal(ends.length, 1, 'pending calls fail at once');
  await within(stopped, { deadlineMs: 10_000 });
  const tookMs = performance.now() - startMs;
  assert.deepEqual(await child.exited, { code: null, signal: 'SIGKILL', cause: 'killed' });
  assert.deepEqual(stderr, ['ignored the end of stdin', 'ignored SIGTERM']);
  assert.ok(tookMs >= CHILD_EOF_MS_MAX + CHILD_TERM_MS_MAX - 50, `only ${tookMs} ms`);
  assert.equal(isRunning(child.pid), false);
});
