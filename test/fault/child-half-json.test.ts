import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import { checkNothingLeft } from '../support/leaks.ts';
import { converse, stdioServer } from '../support/stdio-server.ts';
import { waitFor } from '../support/wait.ts';

after(() => checkNothingLeft());

test('an answer that comes in pieces is whole, and half of one is dropped with the end of the child', async (t) => {
  const { ask, messages, channel, ends } = await converse(t, stdioServer('half-json.mjs'));
  const params = { text: 'ünïcödé 😀'.repeat(50) };
  await ask(1, 'echo', params);
  await waitFor(() => messages.length === 1);
  assert.deepEqual(messages[0]?.['result'], params);
  await ask(2, 'die', params);
  await waitFor(() => ends.length === 1);
  assert.equal(messages.length, 1);
  assert.equal(channel.droppedCount, 1);
  assert.match(ends[0]?.message ?? '', /ended with exit code 1/);
});
