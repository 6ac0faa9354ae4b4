import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseToml } from '../../src/text/toml.ts';

const CASES: readonly { readonly name: string; readonly text: string; readonly value: unknown }[] = [
  { name: 'nothing', text: '# only a comment', value: {} },
  { name: 'strings of all kinds', text: 'a = "x\\n\\u00e9"\nb = \'c:\\d\'\n', value: { a: 'x\né', b: 'c:\\d' } },
  { name: 'long strings', text: `a = """\none \\\n   two"""\nb = '''\nx'y'''`, value: { a: 'one two', b: "x'y" } },
  {
    name: 'dotted and quoted keys',
    text: 'a.b."c d" = true\na.e = false',
    value: { a: { b: { 'c d': true }, e: false } },
  },
  {
    name: 'numbers as text',
    text: 'n = -1.5e3\nd = 1979-05-27 07:32:00Z',
    value: { n: '-1.5e3', d: '1979-05-27 07:32:00Z' },
  },
  { name: 'arrays over lines', text: 'a = [ 1, # one\n  [ "x" ],\n]', value: { a: ['1', ['x']] } },
  { name: 'inline tables', text: 'a = { b = "c", d.e = 1 }', value: { a: { b: 'c', d: { e: '1' } } } },
  { name: 'tables', text: '[a]\r\nx = 1\r\n[a.b]\r\ny = 2\r\n', value: { a: { x: '1', b: { y: '2' } } } },
  {
    name: 'arrays of tables',
    text: '[[a]]\nx = 1\n[[a]]\n[a.b]\ny = 2',
    value: { a: [{ x: '1' }, { b: { y: '2' } }] },
  },
  {
    name: 'a name that is special elsewhere',
    text: '[__proto__]\nx = 1',
    value: JSON.parse('{"__proto__":{"x":"1"}}'),
  },
  { name: 'a key without a value', text: 'a =', value: undefined },
  { name: 'two pairs on a line', text: 'a = 1 b = 2', value: undefined },
  { name: 'a string without an end', text: 'a = "x', value: undefined },
  { name: 'a value that is used as a table', text: 'a = 1\n[a.b]', value: undefined },
  { name: 'deep nesting', text: `a = ${'['.repeat(10_000)}`, value: undefined },
];

for (const { name, text, value } of CASES) {
  test(`TOML is read: ${name}`, () => {
    assert.equal(JSON.stringify(parseToml(text)), JSON.stringify(value));
  });
}

test('whatever the text is, reading it ends and never throws', () => {
  const pieces = ['[', ']', '{', '}', '=', '"', "'", '"""', "'''", '\\', '\n', '.', ',', '#', 'a', ' '];
  const piece = fc.constantFrom(...pieces);
  fc.assert(fc.property(fc.array(piece, { maxLength: 60 }), (drawn) => void parseToml(drawn.join(''))));
});
