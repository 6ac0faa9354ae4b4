import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import { checkNothingLeft } from '../support/leaks.ts';
import { converse, stdioServer } from '../support/stdio-server.ts';
import { waitFor, within } from '../support/wait.ts';

after(() => checkNothingLeft());

test('a crash ends the conversation at once, and its last words are told', async (t) => {
  const base = stdioServer('crash-after-n.mjs');
  const { ask, messages, ends, child, stderr } = await converse(t, { ...base, args: [...base.args, '2'] });
  await Promise.all([ask(1, 'echo'), ask(2, 'echo'), ask(3, 'echo')]);
  const exit = await within(child.exited);
  assert.deepEqual(exit, { code: 7, signal: null, cause: 'crashed' });
  await waitFor(() => ends.length === 1, { deadlineMs: 250 });
  assert.equal(messages.length, 2);
  assert.match(ends[0]?.message ?? '', /^server peer ended with exit code 7; whether it acted/);
  await within(child.stop());
  assert.equal((await child.exited).cause, 'crashed');
  assert.deepEqual(stderr, ['out of luck']);
});

test('a child that is killed from outside is a crash with its signal', async (t) => {
  const { ask, messages, ends, child } = await converse(t, stdioServer('echo.mjs'));
  await ask(1, 'echo');
  await waitFor(() => messages.length === 1);
  process.kill(child.pid, 'SIGSEGV');
  await waitFor(() => ends.length === 1);
  assert.match(ends[0]?.message ?? '', /was ended by SIGSEGV/);
  assert.equal((await child.exited).cause, 'crashed');
  assert.equal(ends.length, 1);
});
