/**
 * The YAML subset against the `yaml` package: the same value or a problem, never a different value.
 *
 * Three sources of text: documents printed from random values (which must be accepted), token soup that looks like
 * YAML, and mutations of valid documents. `FUZZ_RUNS` multiplies the number of cases for a longer run by hand.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import * as fc from 'fast-check';
import * as YAML from 'yaml';
import { parseYaml, yamlToValue } from '../../src/text/yaml.ts';
import { verifies } from '../support/verifies.ts';

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 1);
const ORACLE = { version: '1.2', schema: 'core', uniqueKeys: true, logLevel: 'silent' } as const;

/** Equal in type, value, sign of zero and order of keys. */
function same(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || a === null || typeof b !== 'object' || b === null) return Object.is(a, b);
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const names = Object.keys(a);
  const others = Object.keys(b);
  return (
    names.length === others.length &&
    names.every(
      (name, index) =>
        name === others[index] && same((a as Record<string, unknown>)[name], (b as Record<string, unknown>)[name]),
    )
  );
}

/** The oracle's value, with two of its errors made good: it fails where the specification does not. */
function oracle(text: string): unknown {
  // It does not expect a byte order mark before a list.
  const plain = text.replace(/^\uFEFF/, '');
  try {
    return YAML.parse(plain, ORACLE);
  } catch (error) {
    // It reads on after a text that a comment separates from its key.
    if (!(error instanceof YAML.YAMLParseError) || error.code !== 'MULTILINE_IMPLICIT_KEY') throw error;
    return YAML.parse(plain.replaceAll(/^[ \t]*#.*\n/gm, ''), ORACLE);
  }
}

type Verdict = 'accepted' | 'rejected';

/** Fails when the text is accepted with another value than the oracle's. */
function compare(text: string): Verdict {
  const document = parseYaml(text);
  if (document.problems.length > 0) return 'rejected';
  const ours = yamlToValue(document.root);
  let theirs: unknown;
  try {
    theirs = oracle(text);
  } catch (error) {
    assert.fail(`accepted as ${JSON.stringify(ours)}, but the oracle refuses it: ${String(error)}`);
  }
  assert.ok(same(ours, theirs), `${JSON.stringify(ours)} is not the oracle's ${JSON.stringify(theirs)}`);
  return 'accepted';
}

/** A list whose items are separated by `¦`. */
function items(list: string): string[] {
  return list.split('¦');
}

const FRAGMENTS = [
  items(
    'a¦b¦0¦1¦-¦?¦:¦,¦[¦]¦{¦}¦#¦&¦*¦!¦|¦>¦\'¦"¦%¦@¦`¦~¦<¦=¦.¦+¦\\¦ ¦\t¦\n¦\n¦\n¦\n¦ ¦  ¦    ¦\r\n¦\n\n¦\n  ¦\n    ¦\n ',
  ),
  items(
    ': ¦:\n¦: ¦- ¦-\n¦- - ¦? ¦a: ¦b:\n  ¦c: d\n¦- a\n¦ # c¦#¦# c\n¦---\n¦---¦...\n¦%YAML 1.2\n¦key¦value¦http://x/y',
  ),
  items(
    "|\n¦>\n¦|-\n¦>+\n¦|2\n¦>1-\n¦|+ # c\n¦\\n¦\\u0041¦\\x41¦''¦\\\"¦\\\n¦\"a¦'b¦a:b¦a#b¦-a¦?a¦:a¦<<: ¦__proto__: ¦1: ",
  ),
  items(
    'null¦true¦False¦no¦1¦-0¦0x1F¦0o17¦1e3¦.5¦1.¦.inf¦-.INF¦.nan¦9007199254740993¦é¦\u{1F600}¦\u00A0¦\u2028¦\u0085¦\uFEFF¦\u007F',
  ),
  items('{a: b}¦[a, b]¦{"a":1}¦{¦}¦[¦]¦, ¦"a": ¦\'b\': ¦"a"¦\'b\''),
].flat();
const soup = fc.array(fc.constantFrom(...FRAGMENTS), { maxLength: 24 }).map((fragments) => fragments.join(''));

/** Lines with random indentation: the soup above seldom nests. */
const HEADS = items('¦- ¦- - ¦a: ¦b: ¦c:¦"d": ¦\'e\' : ¦-¦- f: ');
const TAILS = items(
  '¦¦x¦x y¦1¦|¦>¦|-¦>-¦|+¦>+¦|1¦>2¦"q¦\'q¦q"¦q\'¦"q"¦\'q\'¦[¦]¦[x,¦x]¦{¦}¦{g: 1,¦h: 2}¦, x¦# c¦x # c¦\t¦ ¦x\t¦\\¦x \\¦x: y',
);
const ENDS = items('\n¦\n¦\n¦\n\n¦\r\n¦ \n¦\t\n¦\n   \n');
const line = fc.tuple(
  fc.integer({ min: 0, max: 5 }),
  fc.constantFrom(...HEADS),
  fc.constantFrom(...TAILS),
  fc.constantFrom(...ENDS),
);
const nested = fc
  .array(line, { maxLength: 9 })
  .map((lines) => lines.map(([indent, head, tail, end]) => ' '.repeat(indent) + head + tail + end).join(''));

const WORDS = [
  items(
    'a¦b¦token¦null¦true¦1¦-0¦1.0¦~¦__proto__¦constructor¦yes¦0o7¦¦${A}¦sha256:3d1f¦*¦&a¦!b¦- c¦d: e¦f #g¦# h¦@i¦`j¦%k¦{l¦[m¦|¦>',
  ),
  items('two words¦ lead¦trail ¦a\nb¦a\n\nb\n¦a\n  b\n c\n\n¦\n¦\na¦tab\tin¦\t¦it\'s¦"q"¦\\'),
].flat();
const word = fc.oneof(
  fc.constantFrom(...WORDS),
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.string({ unit: fc.constantFrom('a', ' ', '\n', ':', '#', '-', '\t', '"', "'"), maxLength: 12 }),
  fc.string({ unit: fc.constantFrom('ab', ' ', '\n', 'long '), minLength: 60, maxLength: 120 }),
);
const value = fc.letrec<{ node: unknown; leaf: unknown }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 4 },
    tie('leaf'),
    fc.array(tie('node'), { maxLength: 4 }),
    fc.dictionary(word, tie('node'), { maxKeys: 4 }),
  ),
  leaf: fc.oneof(
    word,
    fc.boolean(),
    fc.constant(null),
    fc.integer(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
  ),
})).node;

/** What configuration files consist of: names as keys, printable text. */
const plainText = fc.oneof(
  fc.constantFrom(...items('npx¦-y¦@scope/pkg¦/srv¦${A:-b}¦https://api.example/mcp/¦0.0.0.0:3000¦*¦no¦1')),
  fc.string({ unit: 'grapheme-ascii', maxLength: 30 }),
  fc.array(fc.string({ unit: 'grapheme-ascii', maxLength: 20 }), { maxLength: 4 }).map((lines) => lines.join('\n')),
);
const config = fc.letrec<{ node: unknown }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 4 },
    plainText,
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('node'), { maxLength: 4 }),
    fc.dictionary(fc.stringMatching(/^[A-Za-z0-9_-]{1,32}$/), tie('node'), { maxKeys: 5 }),
  ),
}));
const configRoot = fc.dictionary(fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_-]{0,20}$/), config.node, { maxKeys: 5 });

const printOptions = fc.record({
  indent: fc.integer({ min: 1, max: 6 }),
  indentSeq: fc.boolean(),
  lineWidth: fc.constantFrom(0, 40, 80),
  minContentWidth: fc.constantFrom(0, 20),
  singleQuote: fc.constantFrom(true, false, null),
  collectionStyle: fc.constantFrom<('any' | 'block' | 'flow')[]>('any', 'block', 'flow'),
  defaultStringType: fc.constantFrom<('PLAIN' | 'QUOTE_SINGLE' | 'QUOTE_DOUBLE' | 'BLOCK_LITERAL' | 'BLOCK_FOLDED')[]>(
    ...(['PLAIN', 'PLAIN', 'QUOTE_SINGLE', 'QUOTE_DOUBLE', 'BLOCK_LITERAL', 'BLOCK_FOLDED'] as const),
  ),
  aliasDuplicateObjects: fc.constant(false),
});
const printed = fc.tuple(value, printOptions).map(([node, options]) => YAML.stringify(node, options));

const mutated = fc
  .tuple(
    fc.oneof(
      printed,
      fc.tuple(configRoot, printOptions).map(([node, options]) => YAML.stringify(node, options)),
      nested,
    ),
    fc.array(
      fc.tuple(
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.constantFrom(...FRAGMENTS, ''),
        fc.integer({ min: 0, max: 3 }),
      ),
      { maxLength: 4 },
    ),
  )
  .map(([text, edits]) =>
    edits.reduce((before, [where, insert, remove]) => {
      const at = Math.floor(where * before.length);
      return before.slice(0, at) + insert + before.slice(at + remove);
    }, text),
  );

const SOURCES = [
  { name: 'any text', source: fc.string({ unit: 'binary' }), runs: 2000 },
  { name: 'token soup', source: soup, runs: 8000 },
  { name: 'indented lines', source: nested, runs: 8000 },
  { name: 'printed values', source: printed, runs: 2000 },
  { name: 'mutated documents', source: mutated, runs: 4000 },
];
for (const row of SOURCES) {
  verifies('files.yaml-same-or-error', `${row.name}: the value is the oracle's or there is a problem`, () => {
    let accepted = 0;
    const property = fc.property(row.source, (text) => {
      if (compare(text) === 'accepted') accepted += 1;
    });
    fc.assert(property, { numRuns: row.runs * RUNS });
    assert.ok(accepted > (row.runs * RUNS) / 20, `only ${accepted} of ${row.runs * RUNS} were accepted`);
  });
}

verifies('files.yaml-same-or-error', 'a printed configuration is accepted with the value it was printed from', () => {
  const property = fc.property(configRoot, printOptions, (node, options) => {
    // An empty list below its key and as far left is not YAML, although the oracle prints it so.
    const indentSeq = options.indentSeq || options.collectionStyle === 'block';
    const text = YAML.stringify(node, { ...options, indentSeq });
    // Nor is a dash alone on its line inside a flow collection.
    fc.pre(options.collectionStyle !== 'flow' || !/[-?:]\n/.test(text));
    // With an indent of one the oracle prints wrong indentation indicators; with any, it misreads white space after them.
    fc.pre(!/[|>][0-9]/.test(text));
    assert.deepEqual(parseYaml(text).problems, []);
    assert.equal(compare(text), 'accepted');
  });
  fc.assert(property, { numRuns: 1500 * RUNS });
});

test('JSON is accepted with the value it has, however it is indented', () => {
  const indent = fc.constantFrom(undefined, 1, 2, 4, '\t', ' \t');
  const property = fc.property(fc.jsonValue({ maxDepth: 8 }), indent, fc.boolean(), (node, space, crlf) => {
    // A whole number that a double cannot hold exactly is a problem, in JSON too.
    const printedJson = JSON.stringify(
      node,
      (_, leaf: unknown) => (typeof leaf === 'number' && Number.isInteger(leaf) ? leaf % 2 ** 53 : leaf),
      space,
    );
    const text = crlf ? printedJson.replaceAll('\n', '\r\n') : printedJson;
    const document = parseYaml(text);
    assert.deepEqual(document.problems, []);
    assert.ok(same(yamlToValue(document.root), JSON.parse(text)));
    compare(text);
  });
  fc.assert(property, { numRuns: 1500 * RUNS });
});

test('a comparison that is wrong on purpose is found', () => {
  const property = fc.property(printed, (text) => {
    const document = parseYaml(text);
    if (document.problems.length > 0) return;
    assert.notEqual(typeof yamlToValue(document.root), 'number');
  });
  assert.throws(() => fc.assert(property, { numRuns: 2000 }), /Property failed/);
});
