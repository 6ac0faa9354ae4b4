import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { createExpiry, type Expiry } from '../../src/gateway/expiry.ts';

interface World {
  readonly expiry: Expiry<string>;
  readonly expired: string[];
  pass(ms: number): void;
}

function start(t: TestContext): World {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const expired: string[] = [];
  let nowMs = 0;
  const clock = { monotonicMs: () => nowMs };
  return {
    expiry: createExpiry<string>({ ms: 100, clock, onExpired: (item) => expired.push(item) }),
    expired,
    pass(ms) {
      nowMs += ms;
      t.mock.timers.tick(ms);
    },
  };
}

test('each thing ends its own time after it was put, in that order', (t) => {
  const { expiry, expired, pass } = start(t);
  expiry.put('a');
  pass(60);
  expiry.put('b');
  pass(39);
  assert.deepEqual(expired, []);
  pass(1);
  assert.deepEqual(expired, ['a']);
  pass(60);
  assert.deepEqual(expired, ['a', 'b']);
});

test('what is put again begins anew, and what is taken does not end', (t) => {
  const { expiry, expired, pass } = start(t);
  for (const item of ['a', 'b', 'c']) expiry.put(item);
  pass(50);
  expiry.put('a');
  expiry.take('b');
  pass(50);
  assert.deepEqual(expired, ['c']);
  pass(50);
  assert.deepEqual(expired, ['c', 'a']);
});

test('something that is put while another ends has its whole time', (t) => {
  const { expiry, expired, pass } = start(t);
  expiry.put('a');
  pass(100);
  expiry.put('b');
  expiry.take('nobody');
  pass(99);
  assert.deepEqual(expired, ['a']);
  pass(1);
  assert.deepEqual(expired, ['a', 'b']);
});
