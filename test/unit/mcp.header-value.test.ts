import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { decodeHeaderValue, encodeHeaderValue, encodeParam, matchesParam } from '../../src/mcp/header-value.ts';

const spellings = [
  { value: 'us-west1', text: 'us-west1' },
  { value: 'a b', text: 'a b' },
  { value: '', text: '=?base64??=' },
  { value: 'Hello, 世界', text: '=?base64?SGVsbG8sIOS4lueVjA==?=' },
  { value: ' padded ', text: '=?base64?IHBhZGRlZCA=?=' },
  { value: 'line1\nline2', text: '=?base64?bGluZTEKbGluZTI=?=' },
  { value: 'a\tb', text: '=?base64?YQli?=' },
  { value: '=?base64?SGk=?=', text: '=?base64?PT9iYXNlNjQ/U0drPT89?=' },
  { value: '=?base64?', text: '=?base64?' },
];
for (const c of spellings) {
  test(`${JSON.stringify(c.value)} travels as ${c.text}`, () => {
    assert.equal(encodeHeaderValue(c.value), c.text);
    assert.deepEqual(decodeHeaderValue(c.text), { ok: true, value: c.value });
  });
}

const readings = [
  { text: '', value: '' },
  { text: ' \tx ', value: 'x' },
  { text: '=?BASE64?SGk=?=', value: '=?BASE64?SGk=?=' },
  { text: '=?base64?SGk=', value: '=?base64?SGk=' },
  { text: 'SGk=?=', value: 'SGk=?=' },
  { text: '=?base64?=', value: '=?base64?=' },
  { text: '=?base64?SGk?=', value: undefined },
  { text: '=?base64?SG k=?=', value: undefined },
  { text: '=?base64?SG-_?=', value: undefined },
  { text: '=?base64?SGl=?=', value: undefined },
  { text: '=?base64?/w==?=', value: undefined },
  { text: 'caf\u00e9', value: undefined },
  { text: 'a\u00a0', value: undefined },
  { text: 'a\tb', value: undefined },
  { text: 'a\u0000b', value: undefined },
];
for (const c of readings) {
  test(`the header ${JSON.stringify(c.text)} reads as ${JSON.stringify(c.value)}`, () => {
    assert.deepEqual(decodeHeaderValue(c.text), c.value === undefined ? { ok: false } : { ok: true, value: c.value });
  });
}

test('every text survives the way through a header, and the header is printable ASCII', () => {
  const texts = fc.oneof(
    fc.string({ unit: 'grapheme' }),
    fc.string({ unit: 'binary-ascii' }),
    fc.string().map((text) => `=?base64?${text}?=`),
  );
  fc.assert(
    fc.property(texts, (text) => {
      const header = encodeHeaderValue(text);
      assert.match(header, /^[\x20-\x7e]+$/);
      assert.deepEqual(decodeHeaderValue(header), { ok: true, value: text });
    }),
    { numRuns: 2_000 },
  );
});

test('arguments become header texts by type, and null or absent ones none', () => {
  for (const [value, text] of [
    ['x', 'x'],
    [true, 'true'],
    [42, '42'],
    [-0, '0'],
    [1e21, '1000000000000000000000'],
    [1.5, undefined],
    [null, undefined],
    [undefined, undefined],
    [{}, undefined],
  ]) {
    assert.equal(encodeParam(value), text);
  }
});

test('a header matches its argument, numbers by value', () => {
  const matches: [string, string | number | boolean, boolean][] = [
    ['42', 42, true],
    ['42.0', 42, true],
    ['4.2e1', 42, true],
    ['43', 42, false],
    ['', 0, false],
    ['0x2a', 42, false],
    ['Infinity', Infinity, false],
    ['true', true, true],
    ['True', true, false],
    ['x', 'x', true],
    ['42', '42', true],
    ['=?base64?eA==?=', 'x', true],
    ['', '', true],
    ['=?base64??=', '', true],
    ['é', 'é', false],
  ];
  for (const [text, value, expected] of matches) assert.equal(matchesParam(text, value), expected, `${text} ${value}`);
});
