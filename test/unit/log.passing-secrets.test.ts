import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PASSING_SECRET_COUNT_MAX } from '../../src/limits.ts';
import { holdPassingSecrets } from '../../src/log/passing-secrets.ts';
import { makeRedactor } from '../../src/log/redact.ts';

test('a text is hidden from when it is added until it is let go of, beside those that stay', () => {
  const passing = holdPassingSecrets();
  const redactor = makeRedactor([{ reveal: () => 'configured-secret' }], passing);
  const text = 'configured-secret token-1 token-2';
  assert.equal(redactor.text(text), '[redacted] token-1 token-2');
  const letGo = passing.hide('token-1');
  passing.hide('token-2');
  assert.equal(redactor.text(text), '[redacted] [redacted] [redacted]');
  assert.equal(redactor.text(`Basic ${Buffer.from('x:token-1').toString('base64')}`).includes('dG9rZW4tM'), false);
  assert.deepEqual(
    redactor.value({ a: ['token-1'] }, 'full'),
    Object.assign(Object.create(null), { a: ['[redacted]'] }),
  );
  letGo();
  letGo();
  assert.equal(redactor.text(text), '[redacted] token-1 [redacted]');
});

test('a text that was added twice stays hidden until both have let go', () => {
  const passing = holdPassingSecrets();
  const [one, other] = [passing.hide('token-1'), passing.hide('token-1')];
  one();
  assert.equal(passing.replace('token-1', '*'), '*');
  other();
  assert.equal(passing.replace('token-1', '*'), 'token-1');
});

test('no more are held than the bound', () => {
  const passing = holdPassingSecrets();
  for (let at = 0; at <= PASSING_SECRET_COUNT_MAX; at += 1) passing.hide(`token-number-${at};`);
  assert.equal(passing.replace('token-number-0;', '*'), 'token-number-0;');
  assert.equal(passing.replace(`token-number-1; token-number-${PASSING_SECRET_COUNT_MAX};`, '*'), '* *');
});
