import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';

import { CHILD_TEXT_BYTES_MAX, DIAG_LINES_PER_SECOND_MAX } from '../../src/limits.ts';
import { createStderrLines } from '../../src/upstream/child-stderr.ts';

function readAll(chunks: readonly (string | Buffer)[]): string[] {
  const lines: string[] = [];
  const reader = createStderrLines((line) => lines.push(line));
  for (const chunk of chunks) reader.feed(Buffer.from(chunk));
  reader.end();
  return lines;
}

const CASES = [
  { name: 'lines are told one by one', chunks: ['a\nb\n'], expected: ['a', 'b'] },
  { name: 'a line may come in pieces', chunks: ['a', 'b', '\nc'], expected: ['ab', 'c'] },
  { name: 'empty lines and carriage returns are left out', chunks: ['\n\r\na\r\n\n'], expected: ['a'] },
  {
    name: 'a long line is cut, the next is whole',
    chunks: ['x'.repeat(9_000), '\nb\n'],
    expected: ['x'.repeat(4_096), 'b'],
  },
];

for (const { name, chunks, expected } of CASES) {
  test(name, () => assert.deepEqual(readAll(chunks), expected));
}

test('lines beyond the number of a second are counted and said in one line', () => {
  const lines = readAll(['x\n'.repeat(DIAG_LINES_PER_SECOND_MAX + 7)]);
  assert.equal(lines.length, DIAG_LINES_PER_SECOND_MAX + 1);
  assert.equal(lines.at(-1), '(7 further lines were dropped)');
});

test('a new second has room again', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const lines: string[] = [];
  const reader = createStderrLines((line) => lines.push(line));
  const flood = Buffer.from('x\n'.repeat(DIAG_LINES_PER_SECOND_MAX + 1));
  reader.feed(flood);
  context.mock.timers.tick(1_000);
  reader.feed(flood);
  context.mock.timers.tick(1_000);
  assert.equal(lines.filter((line) => line === 'x').length, 2 * DIAG_LINES_PER_SECOND_MAX);
  assert.equal(lines.filter((line) => line === '(1 further lines were dropped)').length, 2);
});

test('no cut of the chunks changes the lines, and none is longer than its bound', () => {
  const text = fc.array(fc.constantFrom('a', '\n', 'é', '€', 'x'.repeat(3_000)), { maxLength: 40 });
  fc.assert(
    fc.property(text, fc.array(fc.nat(200_000)), (parts, cuts) => {
      const bytes = Buffer.from(parts.join(''));
      const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].toSorted((a, b) => a - b);
      const chunks = places.slice(1).map((end, index) => bytes.subarray(places[index], end));
      const lines = readAll(chunks);
      assert.deepEqual(lines, readAll([bytes]));
      // A character that the cut splits becomes U+FFFD, which may be longer by two bytes.
      assert.ok(lines.every((line) => Buffer.byteLength(line) <= CHILD_TEXT_BYTES_MAX + 6));
    }),
  );
});
