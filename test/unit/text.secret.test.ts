import assert from 'node:assert/strict';
import test from 'node:test';
import { format, inspect } from 'node:util';

import { makeSecret } from '../../src/text/secret.ts';

const secret = makeSecret('hunter2');

// That it can be stringified is what is tested here, so the type must not say that it cannot.
const stringify = String as (value: unknown) => string;

const printings = [
  { name: 'String()', print: () => stringify(secret), expected: '[secret]' },
  { name: 'a template literal', print: () => `${secret as unknown as string}!`, expected: '[secret]!' },
  { name: 'JSON.stringify', print: () => JSON.stringify({ secret }), expected: '{"secret":"[secret]"}' },
  {
    name: 'inspect',
    print: () => inspect({ secret }, { depth: 9, showHidden: true }),
    expected: '{ secret: [secret] }',
  },
  { name: 'format %s', print: () => format('%s', secret), expected: '[secret]' },
  { name: 'format %o', print: () => format('%o', secret), expected: '[secret]' },
  { name: 'format %j', print: () => format('%j', secret), expected: '"[secret]"' },
  { name: 'Object.values', print: () => inspect(Object.values(secret)).includes('hunter2'), expected: false },
];
for (const { name, print, expected } of printings) {
  test(`${name} does not show a secret`, () => assert.equal(print(), expected));
}

test('a secret is revealed on request and cannot be changed', () => {
  assert.equal(secret.reveal(), 'hunter2');
  assert.throws(() => Object.assign(secret, { reveal: () => 'other' }), TypeError);
});
