import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeChange } from '../../src/mcp/tool-diff.ts';

const schema = (properties: object, required: string[] = []): object => ({ type: 'object', properties, required });

const cases: readonly [name: string, before: object, after: object, expected: readonly string[]][] = [
  ['nothing', { description: 'a' }, { description: 'a' }, []],
  [
    'lines of a description in the middle',
    { description: 'a\nb\nc\nd' },
    { description: 'a\nx\ny\nd' },
    ['description:', '  - b', '  - c', '  + x', '  + y'],
  ],
  ['a description that comes', {}, { description: 'a' }, ['description:', '  + a']],
  [
    'arguments that come and go',
    { inputSchema: schema({ a: { type: 'string' } }) },
    { inputSchema: schema({ b: { type: 'number' } }, ['b']) },
    ['argument b added: {"required":true,"type":"number"}', 'argument a removed (was {"type":"string"})'],
  ],
  [
    'an argument that becomes required and another type',
    { inputSchema: schema({ a: { type: 'string' } }) },
    { inputSchema: schema({ a: { type: 'number' } }, ['a']) },
    ['argument a: type changed: "string" -> "number"', 'argument a: required added: true'],
  ],
  [
    'the description of an argument',
    { inputSchema: schema({ a: { description: 'x' } }) },
    { inputSchema: schema({ a: { description: 'y' } }) },
    ['argument a: description:', '  - x', '  + y'],
  ],
  [
    'a member deep inside an argument',
    { inputSchema: schema({ a: { items: { type: 'string' } } }) },
    { inputSchema: schema({ a: { items: { type: 'number' } } }) },
    ['argument a: items: type changed: "string" -> "number"'],
  ],
  [
    'what a schema says besides its members',
    { inputSchema: schema({}) },
    { inputSchema: { ...schema({}), additionalProperties: false } },
    ['arguments: additionalProperties added: false'],
  ],
  [
    'annotations',
    { annotations: { readOnlyHint: true } },
    { annotations: { readOnlyHint: false } },
    ['annotation readOnlyHint changed: true -> false'],
  ],
  [
    'a result',
    {},
    { outputSchema: { properties: { n: { type: 'number' } } } },
    ['result member n added: {"type":"number"}'],
  ],
  [
    'a member called __proto__',
    { inputSchema: schema({}) },
    { inputSchema: schema(JSON.parse('{"__proto__":{}}') as object) },
    ['argument __proto__ added: {}'],
  ],
];

for (const [name, before, after, expected] of cases) {
  test(`in words: ${name}`, () => {
    assert.deepEqual(describeChange(before as Record<string, unknown>, after as Record<string, unknown>), expected);
  });
}

test('every difference that changes a digest has words', () => {
  const base = { name: 't', title: 'T', description: 'd', inputSchema: schema({ a: {} }), annotations: { x: 1 } };
  for (const change of [
    { title: 'U' },
    { title: undefined },
    { description: '' },
    { inputSchema: {} },
    { inputSchema: 1 },
    { inputSchema: schema({ a: true }) },
    { outputSchema: {} },
    { outputSchema: { type: 'object' } },
    { annotations: [] },
    { inputSchema: { type: 'object', properties: { a: {} } } },
  ]) {
    assert.notDeepEqual(describeChange(base, { ...base, ...change }), [], JSON.stringify(change));
  }
});
