import assert from 'node:assert/strict';
import { test } from 'node:test';

import { countCrash, restartDelayMs } from '../../src/upstream/backoff.ts';

test('a restart waits a second, twice as long after each crash, and never more than thirty seconds', () => {
  const delays = [1, 2, 3, 4, 5, 6, 7, 2_000].map(restartDelayMs);
  assert.deepEqual(delays, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
});

const CRASHES = [
  { name: 'the first crash is the first', earlier: 0, uptimeMs: 10, count: 1 },
  { name: 'a quick second crash is the second', earlier: 1, uptimeMs: 10, count: 2 },
  { name: 'just under a minute is not healthy yet', earlier: 4, uptimeMs: 59_999, count: 5 },
  { name: 'a crash after a healthy minute is the first again', earlier: 4, uptimeMs: 60_000, count: 1 },
];

for (const { name, earlier, uptimeMs, count } of CRASHES) {
  test(name, () => assert.equal(countCrash(earlier, uptimeMs), count));
}
