import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import { checkNothingLeft } from '../support/leaks.ts';
import { converse, stdioServer } from '../support/stdio-server.ts';
import { waitFor } from '../support/wait.ts';

after(() => checkNothingLeft());

test('what is no message on stdout is counted and dropped, with two diag lines in all', async (t) => {
  const { ask, messages, channel, diag, ends } = await converse(t, stdioServer('garbage-stdout.mjs'));
  await ask(1, 'echo', { n: 1 });
  await ask(2, 'echo', { n: 2 });
  await waitFor(() => messages.length === 2);
  assert.deepEqual(messages, [
    { jsonrpc: '2.0', id: 1, result: { n: 1 } },
    { jsonrpc: '2.0', id: 2, result: { n: 2 } },
  ]);
  assert.equal(channel.droppedCount, 14);
  assert.equal(ends.length, 0);
  await channel.close();
  assert.deepEqual(
    diag.map(({ level, data }) => ({ level, ...data })),
    [
      { level: 'warn', server: 'peer', line: 'Server v1.0 listening on stdio' },
      { level: 'info', server: 'peer', count: 14 },
    ],
  );
});
