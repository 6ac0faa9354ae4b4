import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareText } from '../../src/text/order.ts';

const CASES = [
  { name: 'equal texts have no order', a: 'a', b: 'a', expected: 0 },
  { name: 'a letter comes before a later one', a: 'a', b: 'b', expected: -1 },
  { name: 'a text comes before a longer one that begins with it', a: 'github', b: 'github2', expected: -1 },
  { name: 'capitals come before small letters, whatever the language', a: 'Z', b: 'a', expected: -1 },
] as const;

for (const { name, a, b, expected } of CASES) {
  test(name, () => {
    assert.equal(compareText(a, b), expected);
    assert.equal(compareText(b, a), expected === 0 ? 0 : -expected);
  });
}
