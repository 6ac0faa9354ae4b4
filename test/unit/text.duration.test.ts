import assert from 'node:assert/strict';
import test from 'node:test';

import fc from 'fast-check';

import { formatDuration, parseDuration } from '../../src/text/duration.ts';

const cases: { input: string; ms: number | undefined }[] = [
  { input: '10s', ms: 10_000 },
  { input: '250ms', ms: 250 },
  { input: '5m', ms: 300_000 },
  { input: '2h', ms: 7_200_000 },
  { input: '1d', ms: 86_400_000 },
  { input: '1h30m', ms: 5_400_000 },
  { input: '30', ms: 30_000 },
  { input: '0', ms: 0 },
  { input: '0.5', ms: 500 },
  { input: '1.5s', ms: 1_500 },
  { input: ' 3s ', ms: 3_000 },
  { input: '', ms: undefined },
  { input: 's', ms: undefined },
  { input: '-1s', ms: undefined },
  { input: '1e3', ms: undefined },
  { input: '0x10', ms: undefined },
  { input: '1.s', ms: undefined },
  { input: '10 s', ms: undefined },
  { input: '10sec', ms: undefined },
  { input: '10S', ms: undefined },
  { input: 'Infinity', ms: undefined },
  { input: '99999999999999999d', ms: undefined },
  { input: '1'.repeat(40), ms: undefined },
];
for (const { input, ms } of cases) {
  test(`"${input}" is ${ms === undefined ? 'no span of time' : `${ms} ms`}`, () =>
    assert.equal(parseDuration(input), ms));
}

test('what is printed is read back as the same span', () => {
  fc.assert(fc.property(fc.nat(2_000_000_000), (ms) => assert.equal(parseDuration(formatDuration(ms)), ms)));
});

test('a span is printed in its largest units', () => {
  assert.equal(formatDuration(90_250), '1m30s250ms');
  assert.equal(formatDuration(300_000), '5m');
  assert.equal(formatDuration(0), '0s');
});
