import assert from 'node:assert/strict';
import { test } from 'node:test';
import { verifies } from '../support/verifies.ts';
import { checkBans, checkCircles, checkFloors, floorOf, SET_INTERVAL_FILES } from './floors.ts';
import { readSource } from './source.ts';
import { readSources } from './tree.ts';

verifies('repository.house-floors', 'every import of src goes down or stays in its room', () => {
  assert.deepEqual(checkFloors(readSources('src')), []);
});

verifies('repository.house-floors', 'no imports of src run in a circle', () => {
  assert.deepEqual(checkCircles(readSources('src')), []);
});

verifies('repository.house-purity', 'nothing in src calls what its floor may not', () => {
  assert.deepEqual(checkBans(readSources('src')), []);
});

test('at most two files own a repeating timer', () => {
  assert.ok(SET_INTERVAL_FILES.length <= 2);
});

const BAD_IMPORTS = [
  { name: 'an import upwards', path: 'src/text/yaml.ts', text: `import { a } from '../mcp/a.ts';` },
  { name: 'a type import upwards', path: 'src/http/server.ts', text: `import type { A } from '../relay/a.ts';` },
  { name: 'an import between rooms of one floor', path: 'src/auth/a.ts', text: `import { b } from '../log/b.ts';` },
  { name: 'a type named in place', path: 'src/text/a.ts', text: `let x: import('../app/app.ts').App;` },
  { name: 'an export from above', path: 'src/limits.ts', text: `export * from './text/a.ts';` },
  { name: 'the main file', path: 'src/app/cli.ts', text: `import { main } from '../main.ts';` },
  {
    name: 'a Node module on a pure floor',
    path: 'src/config/parse.ts',
    text: `import { readFileSync } from 'node:fs';`,
  },
  { name: 'a Node module without its prefix', path: 'src/app/cli.ts', text: `import fs from 'fs';` },
  { name: 'a package', path: 'src/app/cli.ts', text: `import { parse } from 'yaml';` },
  { name: 'a file outside src', path: 'src/app/cli.ts', text: `import manifest from '../../package.json';` },
  { name: 'a room that is not in the table', path: 'src/lib/a.ts', text: '' },
];

for (const { name, path, text } of BAD_IMPORTS) {
  test(`the floor check reports ${name}`, () => {
    assert.equal(checkFloors([readSource(path, text)]).length, 1);
  });
}

const GOOD_IMPORTS = [
  { name: 'down', path: 'src/relay/a.ts', text: `import { b } from '../http/b.ts';` },
  { name: 'in the room', path: 'src/relay/a.ts', text: `import { b } from './b.ts';` },
  { name: 'a Node module on a floor that may', path: 'src/log/a.ts', text: `import { open } from 'node:fs';` },
  { name: 'the version', path: 'src/app/version.ts', text: `import manifest from '../../package.json';` },
];

for (const { name, path, text } of GOOD_IMPORTS) {
  test(`the floor check allows imports: ${name}`, () => {
    assert.deepEqual(checkFloors([readSource(path, text)]), []);
  });
}

test('the circle check reports a circle of three once', () => {
  const sources = [
    readSource('src/log/a.ts', `import './b.ts';`),
    readSource('src/log/b.ts', `import type { C } from './c.ts';`),
    readSource('src/log/c.ts', `import './a.ts';`),
    readSource('src/log/d.ts', `import './a.ts';`),
  ];
  assert.deepEqual(checkCircles(sources), ['circle: src/log/a.ts → src/log/b.ts → src/log/c.ts → src/log/a.ts']);
});

const BAD_CALLS = [
  { path: 'src/relay/a.ts', text: 'const now = Date.now();' },
  { path: 'src/relay/a.ts', text: 'const now = Date.now;' },
  { path: 'src/log/a.ts', text: 'const now = new Date();' },
  { path: 'src/upstream/a.ts', text: 'const jitter = Math.random();' },
  { path: 'src/auth/a.ts', text: `const token = process.env['TOKEN'];` },
  { path: 'src/app/a.ts', text: 'process.exit(1);' },
  { path: 'src/text/a.ts', text: 'setTimeout(f, 1);' },
  { path: 'src/mcp/a.ts', text: 'const id = crypto.randomUUID();' },
  { path: 'src/app/a.ts', text: 'setInterval(f, 1);' },
  { path: 'src/app/a.ts', text: 'await fetch(url);' },
  { path: 'src/app/a.ts', text: 'await globalThis.fetch (url);' },
  { path: 'src/app/a.ts', text: 'names.sort((a, b) => a.localeCompare(b));' },
  { path: 'src/app/a.ts', text: 'new Intl.Collator();' },
  { path: 'src/main.ts', text: `console.log('hello');` },
  { path: 'src/relay/a.ts', text: 'export default 1;' },
  { path: 'src/relay/a.ts', text: 'const here = import.meta.url;' },
];

for (const { path, text } of BAD_CALLS) {
  test(`the ban check reports "${text}" in ${path}`, () => {
    assert.equal(checkBans([readSource(path, text)]).length, 1);
  });
}

test('the ban check does not read comments, strings or longer names', () => {
  const text = `// Date.now()\nconst a = 'fetch(x)'; prefetch(b); this.fetch(c); const d = new Date(e);`;
  assert.deepEqual(checkBans([readSource('src/relay/a.ts', text)]), []);
});

test('the environment and the clock are there for app', () => {
  assert.deepEqual(checkBans([readSource('src/app/a.ts', 'Date.now(); process.env; Math.random();')]), []);
});

test('floors are those of the map', () => {
  const floors = [
    'src/errors.ts',
    'src/text/a.ts',
    'src/config/a.ts',
    'src/log/a.ts',
    'src/relay/a.ts',
    'src/app/a.ts',
  ];
  assert.deepEqual(floors.map(floorOf), [0, 1, 2, 3, 4, 5]);
  assert.equal(floorOf('src/main.ts'), 6);
});
