import assert from 'node:assert/strict';
import test from 'node:test';

import fc from 'fast-check';

import { interpolate } from '../../src/text/interpolate.ts';

const VARIABLES: Readonly<Record<string, string>> = { A: 'one', B_2: 'two', EMPTY: '', REF: '${A}' };
const lookup = (name: string): string | undefined => VARIABLES[name];

const cases = [
  { name: 'text without a reference', input: 'a $ b {c} }', text: 'a $ b {c} }' },
  { name: 'a reference', input: '${A}', text: 'one' },
  { name: 'several references', input: '<${A}-${B_2}>', text: '<one-two>' },
  { name: 'the spelling of editors', input: '${env:A}', text: 'one' },
  { name: 'an unused default', input: '${A:-x}', text: 'one' },
  { name: 'a default for a missing variable', input: '${C:-a b: "c"}', text: 'a b: "c"' },
  { name: 'an empty default', input: '[${C:-}]', text: '[]' },
  { name: 'a default for an empty variable', input: '${EMPTY:-x}', text: 'x' },
  { name: 'an empty variable', input: '[${EMPTY}]', text: '[]' },
  { name: 'a variable that holds a reference', input: '${REF}', text: '${A}' },
  { name: 'an escape', input: '$${A}', text: '${A}' },
  { name: 'an escape after a dollar', input: '$$${A}', text: '$${A}' },
  { name: 'an escape beside a reference', input: '$${A}${A}', text: '${A}one' },
  { name: 'a dollar before a reference in another place', input: '$ ${A}', text: '$ one' },
];
for (const { name, input, text } of cases) {
  test(`${name} is interpolated`, () => {
    const result = interpolate(input, lookup);
    assert.equal(result.text, text);
    assert.deepEqual(result.missing, []);
    assert.equal(result.malformedAt, undefined);
  });
}

const malformed = [
  { name: 'a reference that is not closed', input: 'ab${A', at: 2 },
  { name: 'a reference without name', input: '${}', at: 0 },
  { name: 'a name with a blank', input: '${A B}', at: 0 },
  { name: 'a name that begins with a digit', input: '${1}', at: 0 },
  { name: 'an operator that is not supported', input: '${A:?x}', at: 0 },
  { name: 'a nested reference', input: '${C:-${A}}', at: 0 },
  { name: 'the reference of another program', input: 'x ${input:key}', at: 2 },
];
for (const { name, input, at } of malformed) {
  test(`${name} is told by its offset`, () => assert.equal(interpolate(input, lookup).malformedAt, at));
}

test('every missing variable is named', () => {
  const result = interpolate('${C} ${A} ${D}', lookup);
  assert.deepEqual(result.missing, ['C', 'D']);
  assert.deepEqual(result.variables, [{ name: 'A', value: 'one' }]);
});

test('a default is not reported as a variable', () => {
  assert.deepEqual(interpolate('${C:-x}', lookup).variables, []);
});

test('an escaped text always comes back as it was', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom('$', '{', '}', 'A', ':-', ' ')), (parts) => {
      const text = parts.join('');
      const escaped = text.replaceAll('${', () => '$${');
      const result = interpolate(escaped, lookup);
      assert.equal(result.text, text);
      assert.equal(result.malformedAt, undefined);
    }),
  );
});

test('many unclosed references take no quadratic time', () => {
  const started = performance.now();
  interpolate('${A:-'.repeat(400_000), lookup);
  interpolate(`${'${A:-'.repeat(400_000)}}`, lookup);
  assert.ok(performance.now() - started < 2_000);
});
