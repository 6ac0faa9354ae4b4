import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isGlob, matchesGlob, passesGlobs } from '../../src/text/glob.ts';

const CASES = [
  { pattern: 'read_file', matching: ['read_file'], other: ['read_fil', 'read_files', 'Read_file', ''] },
  { pattern: 'read_*', matching: ['read_', 'read_file', 'read_*'], other: ['read', 'xread_', ''] },
  { pattern: '*_file', matching: ['_file', 'a_file_file'], other: ['a_files'] },
  { pattern: 'a*b*c', matching: ['abc', 'abbcbc', 'a*b*c'], other: ['ab', 'acb', 'abcd'] },
  { pattern: 'a?c', matching: ['abc', 'a?c'], other: ['ac', 'abbc'] },
  { pattern: '*', matching: ['', 'anything/at:all'], other: [] },
  { pattern: '', matching: [''], other: ['a'] },
  { pattern: 'a.c[x]', matching: ['a.c[x]'], other: ['abcx', 'a.cx'] },
  { pattern: 'file:///srv/*', matching: ['file:///srv/a/b'], other: ['file:///srv', 'http:///srv/a'] },
];

for (const { pattern, matching, other } of CASES) {
  test(`the pattern '${pattern}' matches what it says and nothing else`, () => {
    for (const text of matching) assert.ok(matchesGlob(pattern, text), text);
    for (const text of other) assert.ok(!matchesGlob(pattern, text), text);
  });
}

test('deny goes before allow, and without allow all else passes', () => {
  const passing = (allow: string[] | undefined, deny: string[]) =>
    ['a', 'ab', 'b'].filter((text) => passesGlobs({ allow, deny }, text));
  assert.deepEqual(passing(undefined, []), ['a', 'ab', 'b']);
  assert.deepEqual(passing([], []), []);
  assert.deepEqual(passing(['a*'], ['?b']), ['a']);
});

test('only texts with * or ? can match more than themselves', () => {
  assert.deepEqual(['a', 'a*', '?', ''].map(isGlob), [false, true, true, false]);
});

test('patterns match what the same pattern matches as a regular expression', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[ab*?]{0,8}$/), fc.stringMatching(/^[ab]{0,10}$/), (pattern, text) => {
      const expression = new RegExp(`^${pattern.replaceAll('*', '.*').replaceAll('?', '.')}$`);
      assert.equal(matchesGlob(pattern, text), expression.test(text));
    }),
  );
});

test('a pattern made to take long does not', () => {
  const startMs = performance.now();
  assert.equal(matchesGlob(`${'a*'.repeat(100)}b`, 'a'.repeat(8_000)), false);
  assert.ok(performance.now() - startMs < 1_000);
});
