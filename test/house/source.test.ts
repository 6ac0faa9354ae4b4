import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findImports, readSource } from './source.ts';

const CASES = [
  { name: 'line comments', text: 'a(); // b()\nc();', code: 'a();       \nc();' },
  { name: 'block comments over lines', text: 'a /* b\nc */ d', code: 'a     \n     d' },
  { name: 'strings with escapes', text: `f('a\\'b', "c")`, code: `f('    ', " ")` },
  { name: 'a template with code inside', text: '`a${b({ c: `d` })}e`', code: '` ${b({ c: ` ` })} `' },
  { name: 'a regular expression with a slash in a class', text: 'x = /[/]"/.test(y)', code: 'x = /    /.test(y)' },
  { name: 'a division', text: 'x = a / b; // c / d', code: 'x = a / b;         ' },
  { name: 'an unfinished string', text: "f('a\ng()", code: "f(' \ng()" },
];

for (const { name, text, code } of CASES) {
  test(`the lexer blanks what is not code: ${name}`, () => {
    const source = readSource('src/x.ts', text);
    assert.equal(source.code, code);
    assert.equal(source.code.length, text.length);
  });
}

test('imports of every spelling are found, those in comments and strings are not', () => {
  const text = [
    `import { a } from './a.ts';`,
    `import type { b } from './b.ts';`,
    `import './c.ts';`,
    `export * from "./d.ts";`,
    `type E = import('./e.ts').E;`,
    `const f = await import('./f.ts'); const g = require('./g.ts');`,
    `// import h from './h.ts'`,
    `const i = "import i from './i.ts'"; Array.from('abc');`,
  ].join('\n');
  const specifiers = findImports(readSource('src/x.ts', text)).map((found) => found.specifier);
  assert.deepEqual(specifiers, ['./a.ts', './b.ts', './c.ts', './d.ts', './e.ts', './f.ts', './g.ts']);
});
