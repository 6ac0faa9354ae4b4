import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import { CHILD_TEXT_BYTES_MAX, DIAG_LINES_PER_SECOND_MAX } from '../../src/limits.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { converse, stdioServer } from '../support/stdio-server.ts';
import { waitFor } from '../support/wait.ts';

after(() => checkNothingLeft());

test('a flood on stderr neither holds up the answers nor fills the log', async (t) => {
  const { ask, messages, stderr, channel } = await converse(t, stdioServer('floods-stderr.mjs'));
  for (const id of [1, 2, 3]) {
    // oxlint-disable-next-line no-await-in-loop -- one flood after the other
    await ask(id, 'echo');
  }
  await waitFor(() => messages.length === 3, { deadlineMs: 10_000 });
  await channel.close();
  const summaries = stderr.filter((line) => line.endsWith('further lines were dropped)'));
  assert.ok(summaries.length >= 1);
  assert.ok(stderr.length <= (summaries.length + 1) * (DIAG_LINES_PER_SECOND_MAX + 1));
  const dropped = summaries.reduce((sum, line) => sum + Number(/\d+/.exec(line)?.[0]), 0);
  assert.equal(dropped + stderr.length - summaries.length, 3 * 20_001);
  assert.ok(stderr.every((line) => line.length <= CHILD_TEXT_BYTES_MAX));
});
