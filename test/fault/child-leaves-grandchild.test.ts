import assert from 'node:assert/strict';
import { after, test, type TestContext } from 'node:test';

import { checkNothingLeft } from '../support/leaks.ts';
import { converse, isRunning, stdioServer, type Conversation } from '../support/stdio-server.ts';
import { waitFor, within } from '../support/wait.ts';

after(() => checkNothingLeft());

async function withGrandchild(t: TestContext): Promise<Conversation & { readonly grandchild: number }> {
  const conversation = await converse(t, stdioServer('spawns-grandchild.mjs'));
  await waitFor(() => conversation.messages.length === 1);
  const grandchild = (conversation.messages[0] as { params: { pid: number } }).params.pid;
  assert.equal(isRunning(grandchild), true);
  return { ...conversation, grandchild };
}

test('a stop takes a grandchild along that the child left behind', async (t) => {
  const { channel, child, grandchild } = await withGrandchild(t);
  await within(channel.close(), { deadlineMs: 10_000 });
  assert.deepEqual(await child.exited, { code: 0, signal: null, cause: 'stopped' });
  await waitFor(() => !isRunning(grandchild), { what: 'the end of the grandchild' });
});

test('a crash is told at once although a grandchild holds stdout, and takes the grandchild along', async (t) => {
  const { ask, child, ends, grandchild } = await withGrandchild(t);
  await ask(1, 'exit');
  await within(child.exited);
  await assert.rejects(ask(2, 'echo'), { code: 'UPSTREAM_UNREACHABLE', message: /ended with exit code 5/ });
  await waitFor(() => ends.length === 1, { deadlineMs: 1_000 });
  assert.match(ends[0]?.message ?? '', /ended with exit code 5/);
  await waitFor(() => !isRunning(grandchild), { deadlineMs: 10_000, what: 'the end of the grandchild' });
  await within(child.stop());
});
