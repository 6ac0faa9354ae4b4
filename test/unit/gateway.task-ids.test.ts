import assert from 'node:assert/strict';
import { makeSealer } from '../../src/auth/seal.ts';
import { ProxyError } from '../../src/errors.ts';
import { createTaskIds } from '../../src/gateway/task-ids.ts';
import { TASK_ID_CHARS_MAX } from '../../src/limits.ts';
import { verifies } from '../support/verifies.ts';

const key = Buffer.alloc(32, 7);
const code = (run: () => unknown): string | undefined => {
  try {
    run();
    return undefined;
  } catch (error) {
    return error instanceof ProxyError ? error.code : String(error);
  }
};

verifies('gateway.tasks.ids', 'an id is good at every instance with the same key, for its user only', () => {
  const exposed = createTaskIds(makeSealer(key), 'alice').seal('raw ü', 'files');
  assert.deepEqual(createTaskIds(makeSealer(key), 'alice').open(exposed), { serverName: 'files', taskId: 'raw ü' });
  assert.equal(code(() => createTaskIds(makeSealer(key), 'bob').open(exposed)), 'RPC_PARAMS'); // prettier-ignore
  assert.equal(code(() => createTaskIds(makeSealer(Buffer.alloc(32, 8)), 'alice').open(exposed)), 'RPC_PARAMS'); // prettier-ignore
  for (const broken of [undefined, 7, '', 'raw', exposed.slice(1), `${exposed}A`]) {
    assert.equal(code(() => createTaskIds(makeSealer(key), 'alice').open(broken)), 'RPC_PARAMS'); // prettier-ignore
  }
});

verifies('gateway.tasks.ids', 'the longest id that is carried can be opened, a longer one is refused', () => {
  const ids = createTaskIds(makeSealer(key), 'alice');
  const longest = '\u{1F600}'.repeat(TASK_ID_CHARS_MAX / 2);
  assert.equal(ids.open(ids.seal(longest, 's'.repeat(32))).taskId, longest);
  for (const id of [`${longest}x`, 7, undefined]) assert.equal(code(() => ids.seal(id, 's')), 'UPSTREAM_PROTOCOL'); // prettier-ignore
});
