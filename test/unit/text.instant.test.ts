import assert from 'node:assert/strict';
import test from 'node:test';
import { formatInstant, parseInstant } from '../../src/text/instant.ts';

const cases = [
  { text: '2027-01-31', start: '2027-01-31T00:00:00Z', end: '2027-02-01T00:00:00Z' },
  { text: '2028-02-29', start: '2028-02-29T00:00:00Z', end: '2028-03-01T00:00:00Z' },
  { text: '2027-01-31T18:00:00Z', start: '2027-01-31T18:00:00Z', end: '2027-01-31T18:00:00Z' },
  { text: '2027-01-31T18:00+02:00', start: '2027-01-31T16:00:00Z', end: '2027-01-31T16:00:00Z' },
  { text: ' 2027-01-31t18:00:00.5-0130 ', start: '2027-01-31T19:30:00Z', end: '2027-01-31T19:30:00Z' },
];
for (const { text, start, end } of cases) {
  test(`"${text}" begins at ${start} and ends at ${end}`, () => {
    const [from, to] = (['start', 'end'] as const).map((edge) => formatInstant(parseInstant(text, edge) ?? 0));
    assert.deepEqual([from, to], [start, end]);
  });
}

for (const text of [
  '',
  'soon',
  '2027-02-29',
  '2027-13-01',
  '2027-1-1',
  '2027-01-31T24:00:00Z',
  '2027-01-31T18:00:00',
  '31.01.2027',
  '20270131',
]) {
  test(`"${text}" is no instant`, () => assert.equal(parseInstant(text, 'end'), undefined));
}
