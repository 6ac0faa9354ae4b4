import assert from 'node:assert/strict';
import { test } from 'node:test';

import { problemsText } from '../../src/app/report.ts';
import type { Problem } from '../../src/model.ts';

const base: Problem = {
  severity: 'error',
  file: '/etc/mcproxy/tokens.yml',
  position: { line: 3, column: 5 },
  excerpt: '    tokn: …',
  text: 'unknown key "tokn"',
  fix: 'did you mean "token"?',
};

test('a problem shows place, text, line, caret and fix, and the count comes last', () => {
  const warning: Problem = { ...base, severity: 'warning', position: undefined, excerpt: undefined, fix: undefined };
  assert.equal(
    problemsText([base, warning]),
    [
      '/etc/mcproxy/tokens.yml:3:5: error: unknown key "tokn"',
      '        tokn: …',
      '        ^',
      '  fix: did you mean "token"?',
      '/etc/mcproxy/tokens.yml: warning: unknown key "tokn"',
      '1 error, 1 warning',
      '',
    ].join('\n'),
  );
});

test('no problems give no text', () => {
  assert.equal(problemsText([]), '');
});

test('control characters of a file do not reach the terminal', () => {
  const text = problemsText([{ ...base, text: 'key "\u001b[2Jx\n"', excerpt: '\u001b]0;x\u0007' }]);
  assert.doesNotMatch(text.replaceAll('\n', ''), /\p{Cc}/u);
});
