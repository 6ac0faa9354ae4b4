import assert from 'node:assert/strict';
import fc from 'fast-check';
import { ProxyError } from '../../src/errors.ts';
import { createRateLimiter, type Charge } from '../../src/http/rate-limit.ts';
import { verifies } from '../support/verifies.ts';

const charge = (key: string, limit: Partial<Charge>): Charge => ({
  key,
  of: key,
  rate: undefined,
  burst: undefined,
  concurrent: undefined,
  ...limit,
});

function limiterAt(start = 0) {
  const clock = { nowMs: start, monotonicMs: () => clock.nowMs };
  return { clock, limiter: createRateLimiter(clock) };
}

/** Milliseconds to wait; 0 when it was let through. */
function waitOf(enter: () => unknown): number {
  try {
    enter();
    return 0;
  } catch (error) {
    assert.ok(error instanceof ProxyError && error.code === 'RATE_LIMITED', String(error));
    const ms = Number(error.data?.['retry_after_ms']);
    assert.equal(error.headers?.['retry-after'], String(Math.max(1, Math.ceil(ms / 1_000))));
    return ms;
  }
}

verifies('limits.buckets', 'a burst comes at once, then so many in the time, and a pause fills up to the burst', () => {
  const { clock, limiter } = limiterAt();
  const one = [charge('user a', { rate: { count: 60, perMs: 60_000 }, burst: 3 })];
  const enter = (): number => waitOf(() => limiter.enter(one));
  assert.deepEqual([enter(), enter(), enter(), enter()], [0, 0, 0, 1_000]);
  clock.nowMs += 400;
  assert.equal(enter(), 600);
  clock.nowMs += 600;
  assert.deepEqual([enter(), enter()], [0, 1_000]);
  clock.nowMs += 3_600_000;
  assert.deepEqual([enter(), enter(), enter(), enter()], [0, 0, 0, 1_000]);
});

verifies('limits.buckets', 'without a burst the number of the rate may come at once', () => {
  const { limiter } = limiterAt(5);
  const one = [charge('user a', { rate: { count: 2, perMs: 1_000 } })];
  assert.deepEqual(
    [1, 2, 3].map(() => waitOf(() => limiter.enter(one))),
    [0, 0, 500],
  );
});

verifies('limits.buckets', 'what one limit refuses no other has counted', () => {
  const { limiter } = limiterAt();
  const wide = charge('server s', { rate: { count: 2, perMs: 1_000 }, concurrent: 2 });
  const narrow = charge('user a', { rate: { count: 1, perMs: 1_000 } });
  limiter.enter([wide, narrow]);
  assert.ok(waitOf(() => limiter.enter([wide, narrow])) > 0);
  assert.equal(
    waitOf(() => limiter.enter([wide])),
    0,
  );
});

verifies('limits.buckets', 'what is in progress counts until it ends, once', () => {
  const { limiter } = limiterAt();
  const one = [charge('server s', { concurrent: 2 })];
  const leave = limiter.enter(one);
  limiter.enter(one);
  assert.ok(waitOf(() => limiter.enter(one)) > 0);
  leave();
  leave();
  assert.equal(
    waitOf(() => limiter.enter(one)),
    0,
  );
  assert.ok(waitOf(() => limiter.enter(one)) > 0);
});

verifies('limits.buckets', 'several that come together are paid off afterwards', () => {
  const { clock, limiter } = limiterAt();
  const one = [charge('user a', { rate: { count: 1, perMs: 1_000 }, burst: 5 })];
  limiter.enter(one, 100);
  clock.nowMs += 95_000;
  assert.equal(
    waitOf(() => limiter.enter(one)),
    1_000,
  );
});

verifies('limits.buckets', 'in no span do more calls pass than the burst and what the rate adds to it', () => {
  const gaps = fc.array(fc.integer({ min: 0, max: 3_000 }), { minLength: 1, maxLength: 80 });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 10 }), gaps, (count, burst, waits) => {
      const { clock, limiter } = limiterAt();
      const one = [charge('k', { rate: { count, perMs: 1_000 }, burst })];
      const passed: number[] = [];
      for (const gap of waits) {
        clock.nowMs += gap;
        if (waitOf(() => limiter.enter(one)) === 0) passed.push(clock.nowMs);
      }
      for (let from = 0; from < passed.length; from += 1) {
        for (let to = from; to < passed.length; to += 1) {
          const span = (passed[to] ?? 0) - (passed[from] ?? 0);
          assert.ok(to - from + 1 <= burst + (span * count) / 1_000 + 1e-6);
        }
      }
    }),
  );
});

verifies('limits.buckets', 'whoever waits as told gets in', () => {
  const rates = fc.record({
    count: fc.integer({ min: 1, max: 1_000 }),
    perMs: fc.constantFrom(1_000, 60_000, 3_600_000),
  });
  fc.assert(
    fc.property(rates, fc.integer({ min: 1, max: 30 }), (rate, tries) => {
      const { clock, limiter } = limiterAt(0.3);
      const one = [charge('k', { rate, burst: 1 })];
      for (let attempt = 0; attempt < tries; attempt += 1) {
        clock.nowMs += waitOf(() => limiter.enter(one));
      }
      clock.nowMs += rate.perMs;
      assert.equal(
        waitOf(() => limiter.enter(one)),
        0,
      );
      const ms = waitOf(() => limiter.enter(one));
      clock.nowMs += ms;
      assert.equal(
        waitOf(() => limiter.enter(one)),
        0,
      );
    }),
  );
});
