import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { createJsonScan } from '../../src/text/json-scan.ts';
import type { JsonScan } from '../../src/text/json-scan.ts';

const KEYS = ['a', 'b', 'c', 'é', '__proto__', 'q"\\', ''];
const PATHS = [[], ['a'], ['a', 'b'], ['a', 'b', 'c'], ['b'], ['é', 'q"\\'], ['__proto__'], ['c', ''], ['b', 'a']];

/** Any JSON text: keys often wanted ones, repeated keys, white space and escapes as a writer may choose. */
const jsonText = fc.letrec<{ value: string; object: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5, depthSize: 'small' },
    fc.oneof(fc.string({ unit: 'binary' }), fc.string()).chain(anySpelling),
    fc
      .oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.integer(), fc.constant(2 ** 60))
      .map((n) => JSON.stringify(n)),
    fc.constantFrom('true', 'false', 'null', '-0', '1e400', '9007199254740993', '-12345678901234567890', '0.5E-3'),
    tie('object'),
    fc.array(tie('value'), { maxLength: 4 }).map((list) => `[${list.join(' ,\n')}]`),
  ),
  object: fc
    .array(
      fc.tuple(
        fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...KEYS) }, fc.string()).chain(anySpelling),
        tie('value'),
        spaces(),
      ),
      { maxLength: 5 },
    )
    .map(
      (members) =>
        `{${members.map(([key, value, space]) => `${space}${key}${space}:${space}${value}${space}`).join(',')}}`,
    ),
}));

function spaces(): fc.Arbitrary<string> {
  return fc.constantFrom('', '', ' ', '\n\t', '\r\n ');
}

/** A string as JSON, some of its characters written as escapes without need. */
function anySpelling(text: string): fc.Arbitrary<string> {
  return fc.boolean().map((escaped) => {
    if (!escaped) return JSON.stringify(text);
    return `"${Array.from({ length: text.length }, (_, i) => `\\u${text.charCodeAt(i).toString(16).padStart(4, '0')}`).join('')}"`;
  });
}

function feedCut(scan: JsonScan, bytes: Uint8Array, cuts: readonly number[]): void {
  const ends = [...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].toSorted((a, b) => a - b);
  let start = 0;
  for (const end of ends) {
    scan.feed(bytes.subarray(start, end));
    start = end;
  }
}

/** What the scan has to say for a valid text; literals of unsafe integers are compared through Number. */
function lookup(value: unknown, path: readonly string[]): { has: boolean; scalar: unknown } {
  let at = value;
  for (const key of path) {
    if (typeof at !== 'object' || at === null || Array.isArray(at) || !Object.hasOwn(at, key))
      return { has: false, scalar: undefined };
    at = (at as Record<string, unknown>)[key];
  }
  return { has: true, scalar: typeof at === 'object' && at !== null ? undefined : at };
}

const cuts = fc.array(fc.nat(), { maxLength: 8 });

test('of valid JSON the scan reads what JSON.parse reads, however the text is cut', () => {
  fc.assert(
    fc.property(fc.oneof(jsonText.object, jsonText.value), cuts, (text, at) => {
      const scan = createJsonScan(PATHS);
      feedCut(scan, Buffer.from(` ${text}\n`), at);
      assert.equal(scan.state, 'done');
      const value: unknown = JSON.parse(Buffer.from(text).toString());
      for (const [index, path] of PATHS.entries()) {
        const expected = lookup(value, path);
        const actual = scan.get(index);
        assert.equal(scan.has(index), expected.has);
        if (typeof expected.scalar === 'number' && typeof actual === 'string') {
          assert.equal(Number(actual), expected.scalar);
          assert.ok(!Number.isSafeInteger(expected.scalar));
        } else assert.equal(actual, expected.scalar);
      }
    }),
    { numRuns: 3_000 },
  );
});

test('a reset scan answers as a new one', () => {
  fc.assert(
    fc.property(jsonText.object, jsonText.object, fc.nat(), (first, second, cut) => {
      const used = createJsonScan(PATHS);
      used.feed(Buffer.from(first).subarray(0, cut % (first.length + 1)));
      used.reset();
      used.feed(Buffer.from(second));
      const fresh = createJsonScan(PATHS);
      fresh.feed(Buffer.from(second));
      assert.deepEqual(report(used), report(fresh));
    }),
    { numRuns: 500 },
  );
});

test('any bytes leave the scan in the same state and with the same values however they are cut, and it never throws', () => {
  const nearlyJson = fc
    .tuple(jsonText.value, fc.nat(), fc.constantFrom('', '"', '\\', '{', '}', ',', ':', '0', '\u0000', 'tru'))
    .map(([text, at, junk]) =>
      Buffer.from(text.slice(0, at % (text.length + 1)) + junk + text.slice(at % (text.length + 1))),
    );
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), nearlyJson), cuts, (bytes, at) => {
      const whole = createJsonScan(PATHS);
      whole.feed(bytes);
      const cut = createJsonScan(PATHS);
      feedCut(cut, bytes, at);
      assert.deepEqual(report(cut), report(whole));
    }),
    { numRuns: 3_000 },
  );
});

function report(scan: JsonScan): unknown {
  return { state: scan.state, topLevel: scan.topLevel, values: PATHS.map((_, i) => [scan.has(i), scan.get(i)]) };
}
