import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createShares } from '../../src/gateway/shares.ts';

test('shares know who holds most, the first among equals', () => {
  const shares = createShares();
  assert.equal(shares.largest(), undefined);
  shares.add('a', 2);
  shares.add('b', 3);
  shares.add('c', 3);
  assert.deepEqual([shares.largest(), shares.total, shares.of('a'), shares.of('z')], ['b', 8, 2, 0]);
  shares.add('b', -3);
  shares.add('c', -2);
  assert.deepEqual([shares.largest(), shares.total, shares.of('b')], ['a', 3, 0]);
});
