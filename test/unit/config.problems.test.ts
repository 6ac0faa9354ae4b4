import assert from 'node:assert/strict';
import test from 'node:test';

import { collectProblems, isPlainName, type Place, type Remark } from '../../src/config/problems.ts';
import { EXCERPT_CHARS_MAX, PROBLEM_COUNT_MAX } from '../../src/limits.ts';

const KNOWN = new Set(['token', 'servers', 'url']);

function excerptOf(line: string, place: Place, remark: Partial<Remark> = {}): string | undefined {
  const list = collectProblems();
  list.forFile('f', line, KNOWN).error(place, { text: 'x', ...remark });
  return list.list()[0]?.excerpt;
}

const excerpts: { name: string; line: string; column: number; shown?: string; excerpt: string | undefined }[] = [
  { name: 'a value after a known key', line: '  token: hunter2', column: 10, excerpt: '  token: …' },
  { name: 'a quoted known key', line: '  "token": "hunter2"', column: 12, excerpt: '  "token": …' },
  { name: 'a value after an unknown key', line: '  hunter2: hunter3', column: 12, excerpt: '  …        …' },
  { name: 'a known key that is no key', line: 'token hunter2', column: 7, excerpt: '…     …' },
  { name: 'a key the caller shows', line: '  tokn: hunter2', column: 3, shown: 'tokn', excerpt: '  tokn: …' },
  { name: 'a key that stands elsewhere', line: '  hunter2: tokn', column: 3, shown: 'tokn', excerpt: '  …' },
  { name: 'an item of a list', line: '  - hunter2', column: 5, excerpt: '  - …' },
  {
    name: 'braces',
    line: 'a: { token: hunter2, tokn: x }',
    column: 22,
    shown: 'tokn',
    excerpt: '…                    tokn: …',
  },
  {
    name: 'a known key before braces',
    line: 'servers: { hunter2: x, b: y }',
    column: 24,
    excerpt: 'servers: { …           …',
  },
  { name: 'the end of a line', line: 'token:', column: 7, excerpt: 'token:' },
  { name: 'an empty line', line: '', column: 1, excerpt: '' },
  { name: 'a place far to the right', line: 'x'.repeat(1_000), column: EXCERPT_CHARS_MAX + 2, excerpt: undefined },
];
for (const { name, line, column, shown, excerpt } of excerpts) {
  test(`an excerpt shows no value: ${name}`, () => {
    assert.equal(excerptOf(line, { line: 1, column }, shown === undefined ? {} : { shown }), excerpt);
  });
}

const names: { name: string; plain: boolean }[] = [
  { name: 'alice', plain: true },
  { name: 'sequential-thinking', plain: true },
  { name: 'web2', plain: true },
  { name: 'a long name that nobody would take for a key, or would they', plain: false },
  { name: 'ghp_16C7e42F292c6912E7710c838347Ae178B4a', plain: false },
  { name: 'sk-live-4242424242424242', plain: false },
  { name: '12345678', plain: false },
  { name: 'a\nb', plain: false },
  { name: '', plain: false },
];
for (const { name, plain } of names) {
  test(`${JSON.stringify(name)} is ${plain ? 'a name' : 'treated as a secret'}`, () =>
    assert.equal(isPlainName(name), plain));
}

test('more problems than the limit are counted, and warnings are left out before errors', () => {
  const list = collectProblems();
  const file = list.forFile('f', '', KNOWN);
  for (let count = 0; count < PROBLEM_COUNT_MAX; count++) file.warning({ line: 1, column: 1 }, { text: 'w' });
  for (let count = 0; count < 3; count++) file.error({ line: 2, column: 1 }, { text: 'e' });
  const problems = list.list();
  assert.equal(problems.length, PROBLEM_COUNT_MAX);
  assert.equal(problems.filter(({ text }) => text === 'e').length, 3);
  assert.deepEqual([problems.at(-1)?.severity, problems.at(-1)?.text], ['warning', '4 more problems are not shown']);
  assert.equal(list.errorCount(), 3);
});

test('errors that are not shown are still errors', () => {
  const list = collectProblems();
  const file = list.forFile('f', '', KNOWN);
  for (let count = 0; count < 1_000; count++) file.error({ line: count + 1, column: 1 }, { text: 'e' });
  const problems = list.list();
  assert.equal(problems.length, PROBLEM_COUNT_MAX);
  assert.deepEqual([problems.at(-1)?.severity, problems.at(-1)?.text], ['error', '901 more problems are not shown']);
  assert.equal(file.errorCount(), 1_000);
});
