import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import type { ProxyError } from '../../src/errors.ts';
import { CHILD_INPUT_BYTES_MAX } from '../../src/limits.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { converse, stdioServer } from '../support/stdio-server.ts';
import { waitFor, within } from '../support/wait.ts';

after(() => checkNothingLeft());

const MIB = 1024 * 1024;
const MESSAGE_COUNT = CHILD_INPUT_BYTES_MAX / MIB;

test('sends into a full pipe are bounded, and end when the child does', async (t) => {
  const { ask, messages, child, ends } = await converse(t, stdioServer('never-reads.mjs'));
  await waitFor(() => messages.length === 1);
  const filler = 'x'.repeat(MIB - 200);
  const sends = Array.from({ length: MESSAGE_COUNT }, (_, id) => ask(id, 'echo', { filler }));
  await assert.rejects(ask(98, 'echo', { filler }), { code: 'UPSTREAM_NOT_READY', message: /does not read its input/ });
  process.kill(child.pid, 'SIGKILL');
  const results = await within(Promise.allSettled(sends));
  const errors = results.map((result) => (result.status === 'rejected' ? (result.reason as ProxyError) : undefined));
  assert.match(errors[0]?.message ?? '', /was ended by SIGKILL while a message was sent to it/);
  // The first was being written; the others provably did not leave, so that they may be sent again elsewhere.
  assert.deepEqual(
    errors.map((error) => error?.code),
    ['UPSTREAM_CLOSED', ...Array.from({ length: MESSAGE_COUNT - 1 }, () => 'UPSTREAM_UNREACHABLE')],
  );
  await waitFor(() => ends.length === 1);
  await assert.rejects(ask(99, 'echo'), { code: 'UPSTREAM_UNREACHABLE' });
});

test('a child that does not read is stopped by SIGTERM', async (t) => {
  const { ask, messages, child, channel } = await converse(t, stdioServer('never-reads.mjs'));
  await waitFor(() => messages.length === 1);
  const send = assert.rejects(ask(1, 'echo', { filler: 'x'.repeat(MIB) }), { code: 'UPSTREAM_CLOSED' });
  await within(channel.close());
  await send;
  assert.deepEqual(await child.exited, { code: null, signal: 'SIGTERM', cause: 'stopped' });
});
