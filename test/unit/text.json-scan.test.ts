import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SCAN_VALUE_BYTES_MAX } from '../../src/limits.ts';
import { createJsonScan } from '../../src/text/json-scan.ts';
import type { JsonScan } from '../../src/text/json-scan.ts';

const PATHS = [['id'], ['method'], ['params', 'name'], ['params']];

function scan(text: string, paths = PATHS): JsonScan {
  const made = createJsonScan(paths);
  made.feed(Buffer.from(text));
  return made;
}

const cases = [
  {
    name: 'wanted scalars are found among others',
    text: '{"x":[{"id":9}],"id":7,"method":"m","params":{"a":{"name":1},"name":"n"}}',
    values: [7, 'm', 'n', undefined],
  },
  {
    name: 'escapes in keys and strings are decoded',
    text: '{"m\\u0065thod":"\\u00e9\\n\\"","id":"é"}',
    values: ['é', 'é\n"', undefined, undefined],
  },
  { name: 'the last of repeated keys counts', text: '{"id":1,"id":2}', values: [2, undefined, undefined, undefined] },
  {
    name: 'a repeated key hides what the first held',
    text: '{"params":{"name":"a"},"params":{}}',
    values: [undefined, undefined, undefined, undefined],
  },
  {
    name: 'literals are values',
    text: '{"id":null,"method":true,"params":false}',
    values: [null, true, undefined, false],
  },
  { name: 'numbers are values', text: '{"id":-0.5e1,"method":0}', values: [-5, 0, undefined, undefined] },
  {
    name: 'an integer beyond the safe range stays text',
    text: '{"id":9007199254740993,"method":-9007199254740992}',
    values: ['9007199254740993', '-9007199254740992', undefined, undefined],
  },
  {
    name: 'a quote and brackets inside strings are text',
    text: '{"x":["}\\"]{","\\\\"],"id":"]}"}',
    values: [']}', undefined, undefined, undefined],
  },
];
for (const c of cases) {
  test(`scanning: ${c.name}`, () => {
    const made = scan(c.text);
    assert.equal(made.state, 'done');
    assert.deepEqual(
      PATHS.map((_, i) => made.get(i)),
      c.values,
    );
  });
}

test('a path exists also where its value is an object or array', () => {
  assert.deepEqual(
    PATHS.map((_, i) => scan('{"id":[1],"params":{"name":{}}}').has(i)),
    [true, false, true, true],
  );
});

const states = [
  { text: '', state: 'open', topLevel: undefined },
  { text: '{"id":1', state: 'open', topLevel: 'object' },
  { text: '{} \r\n', state: 'done', topLevel: 'object' },
  { text: '[{"id":1}]', state: 'done', topLevel: 'array' },
  { text: '"x"', state: 'done', topLevel: 'scalar' },
  { text: '42', state: 'open', topLevel: 'scalar' },
  { text: '42\n', state: 'done', topLevel: 'scalar' },
  { text: '{}{}', state: 'failed', topLevel: 'object' },
  { text: '{"id" 1}', state: 'failed', topLevel: 'object' },
  { text: '{"id":1 2}', state: 'failed', topLevel: 'object' },
  { text: '{"id":01}', state: 'failed', topLevel: 'object' },
  { text: '{"id":"\\x"}', state: 'failed', topLevel: 'object' },
  { text: '{id:1}', state: 'failed', topLevel: 'object' },
  { text: '{"id":1,}', state: 'failed', topLevel: 'object' },
  { text: 'event: x', state: 'failed', topLevel: 'scalar' },
  { text: '<html>', state: 'failed', topLevel: undefined },
];
for (const c of states) {
  test(`the state after ${JSON.stringify(c.text)} is ${c.state}`, () => {
    const made = scan(c.text);
    assert.deepEqual({ state: made.state, topLevel: made.topLevel }, { state: c.state, topLevel: c.topLevel });
  });
}

test('values captured before a text fails stay', () => {
  const made = scan('{"id":3,"method":oops');
  made.feed(Buffer.from('!'));
  assert.equal(made.state, 'failed');
  assert.equal(made.get(0), 3);
});

test('a value or key over its bound is not captured, in one chunk or in many', () => {
  const fits = 'x'.repeat(SCAN_VALUE_BYTES_MAX);
  for (const size of [1, 100, 10_000]) {
    const text = Buffer.from(JSON.stringify({ [`${fits}y`]: 1, id: fits, method: `${fits}y` }));
    const made = createJsonScan([...PATHS]);
    for (let at = 0; at < text.length; at += size) made.feed(text.subarray(at, at + size));
    assert.equal(made.get(0), fits);
    assert.equal(made.get(1), undefined);
    assert.equal(made.has(1), true);
    assert.equal(made.state, 'done');
  }
});

test('long strings with escapes before the closing quote end where they should', () => {
  for (let slashes = 0; slashes < 8; slashes += 1) {
    const value = { x: `${'a'.repeat(200)}"${'\\'.repeat(slashes)}`, id: slashes };
    for (const size of [3, 64, 10_000]) {
      const text = Buffer.from(JSON.stringify(value));
      const made = createJsonScan([['id']]);
      for (let at = 0; at < text.length; at += size) made.feed(text.subarray(at, at + size));
      assert.equal(made.get(0), slashes);
    }
  }
});

test('nesting without end costs no memory and does not throw', () => {
  const made = createJsonScan(PATHS);
  for (let i = 0; i < 100; i += 1) made.feed(Buffer.alloc(10_000, '['));
  assert.equal(made.state, 'open');
});
