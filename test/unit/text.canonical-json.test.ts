import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canonicalJson } from '../../src/text/canonical-json.ts';

test('members are in the order of UTF-16 code units, as the example of RFC 8785 §3.2.3', () => {
  const value = JSON.parse(
    '{"\\u20ac":"Euro Sign","\\r":"Carriage Return","\\ufb33":"Hebrew","1":"One","\\ud83d\\ude00":"Smiley","\\u0080":"Control","\\u00f6":"o"}',
  ) as unknown;
  assert.deepEqual(JSON.parse(canonicalJson(value)), value);
  assert.match(canonicalJson(value), /One.*Control.*"o".*Euro Sign.*Smiley.*Hebrew/);
});

test('numbers and literals are printed as RFC 8785 §3.2.2 says', () => {
  const value = JSON.parse(
    '{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],"literals":[null,true,false]}',
  ) as unknown;
  assert.equal(
    canonicalJson(value),
    '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27]}',
  );
});

test('the order of members makes no difference, that of items does, and __proto__ is a member like any other', () => {
  const a = JSON.parse('{"b":{"d":1,"c":[1,2]},"__proto__":0}') as unknown;
  const b = JSON.parse('{"__proto__":0,"b":{"c":[1,2],"d":1}}') as unknown;
  assert.equal(canonicalJson(a), canonicalJson(b));
  assert.equal(canonicalJson(a), '{"__proto__":0,"b":{"c":[1,2],"d":1}}');
  assert.notEqual(canonicalJson([1, 2]), canonicalJson([2, 1]));
});
