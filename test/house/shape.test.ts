import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as limits from '../../src/limits.ts';
import { verifies } from '../support/verifies.ts';
import {
  checkBounds,
  checkFileLengths,
  checkFunctionLengths,
  checkHeaders,
  checkLeftovers,
  checkNames,
  FILE_LINES_MAX,
  FUNCTION_LINES_MAX,
} from './shape.ts';
import { readSource } from './source.ts';
import { listSources, readSources } from './tree.ts';

const LIMITS = new Set(Object.keys(limits));
const ALL = ['src', 'test', 'build'] as const;

verifies('repository.house-shape', 'every file of src opens with a header of 3 to 12 lines', () => {
  assert.deepEqual(checkHeaders(readSources('src')), []);
});

verifies('repository.house-shape', 'no file is longer than its bound', () => {
  assert.deepEqual(
    ALL.flatMap(readSources).flatMap((source) => checkFileLengths([source])),
    [],
  );
});

verifies('repository.house-shape', 'no function of src is longer than its bound', () => {
  assert.deepEqual(checkFunctionLengths(readSources('src')), []);
});

verifies('repository.house-shape', 'every file has a name that says something', () => {
  assert.deepEqual(checkNames(ALL.flatMap(listSources)), []);
});

verifies('repository.house-shape', 'no comment asks for work without an issue', () => {
  assert.deepEqual(checkLeftovers(ALL.flatMap(readSources)), []);
});

verifies('repository.house-bounds', 'every collection that grows says what bounds it', () => {
  assert.deepEqual(checkBounds(readSources('src'), LIMITS), []);
});

const HEADERS = [
  { name: 'no header', text: 'export const a = 1;\n', count: 1 },
  { name: 'a header after the imports', text: `import './a.ts';\n/**\n * A.\n * B.\n * C.\n */\n`, count: 1 },
  { name: 'a header of two lines', text: '/**\n * A.\n * B.\n */\n', count: 1 },
  { name: 'a header of thirteen lines', text: `/**\n${' * A.\n'.repeat(13)} */\n`, count: 1 },
  { name: 'a header of three lines', text: '/**\n * A.\n *\n * B.\n * C.\n */\n', count: 0 },
  { name: 'a header after a hashbang', text: '#!/usr/bin/env node\n/**\n * A.\n * B.\n * C.\n */\n', count: 0 },
];

for (const { name, text, count } of HEADERS) {
  test(`the header check reports ${count} of: ${name}`, () => {
    assert.equal(checkHeaders([readSource('src/log/a.ts', text)]).length, count);
  });
}

test('the length check reports a file of one line too many', () => {
  const lines = (count: number) => readSource('src/log/a.ts', 'a();\n'.repeat(count));
  assert.equal(checkFileLengths([lines(FILE_LINES_MAX)]).length, 0);
  assert.equal(checkFileLengths([lines(FILE_LINES_MAX + 1)]).length, 1);
});

const FUNCTION_HEADS = [
  'function f(a: string): Promise<{ b: number }> {',
  'async function f<T extends Map<string, number>>(a: T) {',
  'const f = (a: string): void => {',
  'class A { async f(a = { b: 1 }): Promise<Map<string, { c: string }>> {',
  'class A { #f() {',
  'class A { constructor(a: string) {',
  'const a = { f(b: string): { c: string } | undefined {',
  'const f = function (): (a: string) => void {',
];

for (const head of FUNCTION_HEADS) {
  test(`the length check measures "${head} …"`, () => {
    const lines = (count: number) => readSource('src/log/a.ts', `${head}\n${'a();\n'.repeat(count - 2)}}\n`);
    assert.equal(checkFunctionLengths([lines(FUNCTION_LINES_MAX)]).length, 0);
    assert.equal(checkFunctionLengths([lines(FUNCTION_LINES_MAX + 1)]).length, 1);
  });
}

test('the length check does not take statements, calls and tables for functions', () => {
  const body = `\n${'a();\n'.repeat(FUNCTION_LINES_MAX)}}`;
  const text = `if (a(b)) {${body}\nswitch (c) {${body}\nf(g);\n{${body}\nconst d = e(h) ? i(j) : {${body};`;
  assert.deepEqual(checkFunctionLengths([readSource('src/log/a.ts', text)]), []);
});

const BAD_NAMES = ['src/log/utils.ts', 'src/common/a.ts', 'test/unit/log.helper.test.ts', 'src/log/index.ts'];
for (const path of [...BAD_NAMES, 'src/log/http-handler.ts', 'src/log/AccessLog.ts', 'src/log/access_log.ts']) {
  test(`the name check reports ${path}`, () => {
    assert.equal(checkNames([path]).length, 1);
  });
}

test('the name check allows names that say something', () => {
  assert.deepEqual(
    checkNames(['src/log/access.ts', 'test/unit/text.yaml-subset.test.ts', 'src/http/rate-limit.ts']),
    [],
  );
});

test('the leftover check reports marks in comments and wants an issue for the lesser one', () => {
  const text = [
    '/* FIXME */',
    '// TODO later',
    '// TODO(#12) later',
    '// TODO log-3: later',
    `const a = 'FIXME';`,
  ].join('\n');
  const complaints = checkLeftovers([readSource('src/log/a.ts', text)]);
  assert.deepEqual(
    complaints.map((complaint) => complaint.split(' ')[0]),
    ['src/log/a.ts:1:', 'src/log/a.ts:2:'],
  );
});

const COLLECTIONS = [
  { name: 'says nothing', text: 'const a = new Map<string, Set<string>>();', count: 1 },
  { name: 'names no bound', text: '// Bounded by hope.\nconst a = new Set();', count: 1 },
  { name: 'has the comment elsewhere', text: '// Bounded by BODY_BYTES_MAX.\n\nconst a = new Set();', count: 1 },
  { name: 'names a bound', text: '// Bounded by BODY_BYTES_MAX.\nconst a = new Set();', count: 0 },
  {
    name: 'names it a line earlier',
    text: '// Bounded by `BODY_BYTES_MAX`,\n// see there.\nconst a = new Set();',
    count: 0,
  },
  { name: 'names the configuration', text: 'const a = new Set<string>(); // Bounded by the configuration.', count: 0 },
  { name: 'copies another', text: `const a = new Set(['b']); const c = new Map(d);`, count: 0 },
  { name: 'is weak', text: 'const a = new WeakMap<object, string>();', count: 0 },
];

for (const { name, text, count } of COLLECTIONS) {
  test(`the bound check reports ${count} of a collection that ${name}`, () => {
    assert.equal(checkBounds([readSource('src/log/a.ts', text)], LIMITS).length, count);
  });
}

test('the bound check leaves the pure floors alone', () => {
  assert.deepEqual(checkBounds([readSource('src/text/a.ts', 'const a = new Map();')], LIMITS), []);
});
