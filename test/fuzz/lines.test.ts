import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { createLineFramer } from '../../src/text/lines.ts';

test('lines are those of the whole text, however it is cut', () => {
  const text = fc
    .array(fc.oneof(fc.string({ unit: 'grapheme' }), fc.constantFrom('\n', '\r\n', '\r', '')), { maxLength: 20 })
    .map((parts) => parts.join(''));
  fc.assert(
    fc.property(text, fc.array(fc.nat(), { maxLength: 10 }), (whole, at) => {
      const bytes = Buffer.from(whole);
      const seen: string[] = [];
      const framer = createLineFramer({ onLine: (line) => seen.push(line) });
      let start = 0;
      for (const end of [...at.map((cut) => cut % (bytes.length + 1)), bytes.length].toSorted((a, b) => a - b)) {
        framer.feed(bytes.subarray(start, end));
        start = end;
      }
      framer.end();
      const expected = bytes
        .toString()
        .split('\n')
        .map((line) => line.replace(/\r$/, ''))
        .filter((line) => line !== '');
      assert.deepEqual(seen, expected);
    }),
    { numRuns: 2_000 },
  );
});
