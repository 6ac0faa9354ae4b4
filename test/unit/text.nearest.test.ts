import assert from 'node:assert/strict';
import test from 'node:test';

import { findNearest } from '../../src/text/nearest.ts';

const WORDS = ['listen', 'servers', 'timeouts', 'path_prefix', 'auth', 'log', 'ui'];

const cases: { word: string; nearest: string | undefined }[] = [
  { word: 'listen', nearest: 'listen' },
  { word: 'lisen', nearest: 'listen' },
  { word: 'lsiten', nearest: 'listen' },
  { word: 'LISTEN', nearest: 'listen' },
  { word: 'server', nearest: 'servers' },
  { word: 'pathPrefix', nearest: 'path_prefix' },
  { word: 'path-prefix', nearest: 'path_prefix' },
  { word: 'autn', nearest: 'auth' },
  { word: 'lgo', nearest: 'log' },
  { word: 'completely', nearest: undefined },
  { word: 'xy', nearest: undefined },
  { word: '', nearest: undefined },
  { word: 'servers'.repeat(20), nearest: undefined },
];
for (const { word, nearest } of cases) {
  test(`"${word.slice(0, 20)}" suggests ${nearest ?? 'nothing'}`, () =>
    assert.equal(findNearest(word, WORDS), nearest));
}

test('of two words that are equally near the first is suggested', () => {
  assert.equal(findNearest('cat', ['car', 'cut']), 'car');
});
