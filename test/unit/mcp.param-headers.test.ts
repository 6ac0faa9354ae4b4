import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { findParamHeaders, paramFields, paramMismatch } from '../../src/mcp/param-headers.ts';

const region = { type: 'string', 'x-mcp-header': 'Region' };
const inProperties = (properties: object): object => ({ type: 'object', properties });

const GOOD: readonly { name: string; schema: unknown; headers: [string, string[]][] }[] = [
  { name: 'no schema', schema: undefined, headers: [] },
  { name: 'no annotation', schema: inProperties({ a: { type: 'string' } }), headers: [] },
  { name: 'a string', schema: inProperties({ region }), headers: [['Region', ['region']]] },
  { name: 'an integer', schema: inProperties({ n: { ...region, type: 'integer' } }), headers: [['Region', ['n']]] },
  { name: 'a boolean', schema: inProperties({ b: { ...region, type: 'boolean' } }), headers: [['Region', ['b']]] },
  {
    name: 'a property of a property',
    schema: inProperties({ at: inProperties({ region }) }),
    headers: [['Region', ['at', 'region']]],
  },
  {
    name: 'a property that is called like the annotation',
    schema: inProperties({ 'x-mcp-header': { type: 'string' } }),
    headers: [],
  },
  {
    name: 'a value that looks like one',
    schema: inProperties({ a: { default: region, enum: [region] } }),
    headers: [],
  },
];

for (const { name, schema, headers } of GOOD) {
  test(`the annotations of ${name} are found`, () => {
    const found = findParamHeaders(schema);
    assert.ok(found.ok);
    assert.deepEqual(
      found.headers.map((header) => [header.name, header.path]),
      headers,
    );
  });
}

const BAD: readonly { name: string; schema: unknown }[] = [
  { name: 'at the top', schema: { ...inProperties({}), 'x-mcp-header': 'A' } },
  { name: 'on a number', schema: inProperties({ a: { ...region, type: 'number' } }) },
  { name: 'on an object', schema: inProperties({ a: { ...region, type: 'object' } }) },
  { name: 'on a property without type', schema: inProperties({ a: { 'x-mcp-header': 'A' } }) },
  { name: 'with an empty name', schema: inProperties({ a: { ...region, 'x-mcp-header': '' } }) },
  { name: 'with a space', schema: inProperties({ a: { ...region, 'x-mcp-header': 'a b' } }) },
  { name: 'with a line break', schema: inProperties({ a: { ...region, 'x-mcp-header': 'a\r\nb' } }) },
  { name: 'with a name that is no text', schema: inProperties({ a: { ...region, 'x-mcp-header': 1 } }) },
  { name: 'twice, in another case', schema: inProperties({ a: region, b: { ...region, 'x-mcp-header': 'REGION' } }) },
  { name: 'in items', schema: inProperties({ a: { type: 'array', items: region } }) },
  { name: 'in a branch', schema: { anyOf: [inProperties({ region })] } },
  { name: 'in a condition', schema: { if: inProperties({ region }) } },
  { name: 'in a definition', schema: { $defs: { r: region }, ...inProperties({ a: { $ref: '#/$defs/r' } }) } },
  { name: 'under a pattern', schema: { patternProperties: { '^a': region } } },
];

for (const { name, schema } of BAD) {
  test(`an annotation ${name} makes the tool unfit`, () => {
    assert.equal(findParamHeaders(schema).ok, false);
  });
}

test('a schema deeper than the stack is read', () => {
  let schema: unknown = region;
  for (let depth = 0; depth < 100_000; depth += 1) schema = { items: schema };
  assert.equal(findParamHeaders(schema).ok, false);
});

test('a schema with very many properties, deep and broad, is read in no time', () => {
  let deep: unknown = region;
  for (let depth = 0; depth < 50_000; depth += 1) deep = inProperties({ a: deep });
  const found = findParamHeaders(deep);
  assert.ok(found.ok);
  assert.equal(found.headers[0]?.path.length, 50_000);
  const many = Array.from({ length: 300_000 }, (_, index) => [`p${index}`, { type: 'string' }] as const);
  assert.equal(findParamHeaders(inProperties(Object.fromEntries(many))).ok, true);
  const annotated = many.slice(0, 101).map(([name]) => [name, { type: 'string', 'x-mcp-header': name }] as const);
  assert.equal(findParamHeaders(inProperties(Object.fromEntries(annotated))).ok, false);
});

test('any JSON is read as a schema without an error', () => {
  fc.assert(fc.property(fc.jsonValue(), (schema) => typeof findParamHeaders(schema).ok === 'boolean'));
});

const HEADERS = [
  { name: 'Region', path: ['region'] },
  { name: 'Count', path: ['at', 'count'] },
];

const FIELDS: readonly { name: string; args: unknown; fields: string[] }[] = [
  {
    name: 'values',
    args: { region: 'eu', at: { count: 3 } },
    fields: ['Mcp-Param-Region', 'eu', 'Mcp-Param-Count', '3'],
  },
  { name: 'null and absent', args: { region: null }, fields: [] },
  { name: 'no arguments', args: undefined, fields: [] },
  { name: 'what only the prototype has', args: Object.create({ region: 'eu' }), fields: [] },
  { name: 'a step that is no object', args: { at: 'x' }, fields: [] },
];

for (const { name, args, fields } of FIELDS) {
  test(`the fields of ${name}`, () => {
    assert.deepEqual(paramFields(HEADERS, args), fields);
  });
}

const MISMATCHES: readonly { name: string; value: unknown; text: string | undefined; problem: RegExp | undefined }[] = [
  { name: 'the same text', value: 'eu', text: 'eu', problem: undefined },
  { name: 'the same text, encoded', value: 'Hello', text: '=?base64?SGVsbG8=?=', problem: undefined },
  { name: 'half a marker, literally', value: '=?base64?SGVsbG8=', text: '=?base64?SGVsbG8=', problem: undefined },
  { name: 'an empty text', value: '', text: '', problem: undefined },
  { name: 'another text', value: 'eu', text: 'us', problem: /differs/ },
  { name: 'no header', value: 'eu', text: undefined, problem: /missing/ },
  { name: 'an integer in another form', value: 42, text: '42.0', problem: undefined },
  { name: 'a boolean', value: false, text: 'false', problem: undefined },
  { name: 'another boolean', value: false, text: 'true', problem: /differs/ },
  { name: 'no argument and no header', value: undefined, text: undefined, problem: undefined },
  { name: 'null and a header', value: null, text: 'eu', problem: undefined },
  { name: 'no argument and wrong base64', value: undefined, text: '=?base64?SGVsbG8?=', problem: /not a valid/ },
  { name: 'an argument that no header can carry', value: { a: 1 }, text: undefined, problem: undefined },
];

for (const { name, value, text, problem } of MISMATCHES) {
  test(`headers and arguments are compared: ${name}`, () => {
    const headers = [{ name: 'Region', path: ['where', 'region'] }];
    const field = (header: string) => (header === 'mcp-param-region' ? text : undefined);
    const found = paramMismatch(headers, { where: { region: value } }, field);
    if (problem === undefined) assert.equal(found, undefined);
    else assert.match(found ?? '', problem);
  });
}
