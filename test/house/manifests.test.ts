import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatBound, generateTables, limitsTable, replaceTables } from '../../build/readme-tables.ts';
import { REQUIREMENTS } from '../requirements.ts';
import { verifies } from '../support/verifies.ts';
import { checkChangelog, checkLock, checkManifest, checkRequirements, checkTables } from './manifests.ts';
import { readSource } from './source.ts';
import { readSources, readText } from './tree.ts';

verifies('repository.no-dependencies', 'package.json needs nothing at run time and pins everything else', () => {
  assert.deepEqual(checkManifest(readText('package.json')), []);
});

verifies('repository.lock-portable', 'the lock file belongs to package.json and names no host', () => {
  assert.deepEqual(checkLock(readText('package-lock.json'), readText('package.json')), []);
});

verifies('repository.changelog', 'the newest version in the changelog is that of package.json', () => {
  assert.deepEqual(checkChangelog(readText('CHANGELOG.md'), readText('package.json')), []);
});

verifies('repository.readme-tables', 'the tables in the README are those of the code', () => {
  assert.deepEqual(checkTables(readText('README.md'), generateTables()), []);
});

verifies('repository.requirements', 'every requirement has a test and every tested requirement is known', () => {
  const tests = readSources('test').filter((source) => source.path.endsWith('.test.ts'));
  assert.deepEqual(checkRequirements(Object.keys(REQUIREMENTS), tests), []);
});

const MANIFESTS = [
  { name: 'a runtime dependency', manifest: { dependencies: { yaml: '2.9.1' } } },
  { name: 'an optional dependency', manifest: { optionalDependencies: { yaml: '2.9.1' } } },
  { name: 'a range', manifest: { devDependencies: { yaml: '^2.9.1' } } },
  { name: 'a tag', manifest: { devDependencies: { yaml: 'latest' } } },
];

for (const { name, manifest } of MANIFESTS) {
  test(`the manifest check reports ${name}`, () => {
    assert.equal(checkManifest(JSON.stringify(manifest)).length, 1);
  });
}

const MANIFEST = JSON.stringify({ version: '1.2.3', devDependencies: { yaml: '2.9.1' } });
const ROOT_ENTRY = { devDependencies: { yaml: '2.9.1' } };
const LOCKS = [
  {
    name: 'a platform that is missing',
    lock: {
      version: '1.2.3',
      packages: { '': ROOT_ENTRY, 'node_modules/a': { optionalDependencies: { 'a-win32': '1.0.0' } } },
    },
  },
  { name: 'a host', lock: { version: '1.2.3', packages: { '': ROOT_ENTRY, a: { resolved: 'https://x.test/a' } } } },
  { name: 'another version of the product', lock: { version: '1.2.2', packages: { '': ROOT_ENTRY } } },
  { name: 'another version of a package', lock: { version: '1.2.3', packages: { '': { devDependencies: {} } } } },
];

for (const { name, lock } of LOCKS) {
  test(`the lock check reports ${name}`, () => {
    assert.equal(checkLock(JSON.stringify(lock), MANIFEST).length, 1);
  });
}

test('the lock check is content with a lock that fits', () => {
  assert.deepEqual(checkLock(JSON.stringify({ version: '1.2.3', packages: { '': ROOT_ENTRY } }), MANIFEST), []);
});

test('the changelog check reports another version and none at all, and looks past what is unreleased', () => {
  assert.equal(checkChangelog('## [1.2.2] - 2026-01-01\n', MANIFEST).length, 1);
  assert.equal(checkChangelog('# Changelog\n', MANIFEST).length, 1);
  assert.deepEqual(checkChangelog('## [Unreleased]\n\n## [1.2.3] - 2026-01-01\n## [1.2.2]\n', MANIFEST), []);
});

const README = 'Text.\n<!-- table:a -->\n| a |\n<!-- /table -->\nMore.\n<!-- table:b -->\n<!-- /table -->\n';

test('the table check reports a table that is old, missing or unknown', () => {
  assert.equal(checkTables(README, { a: '| new |\n', b: '' }).length, 1);
  assert.equal(checkTables(README, { a: '| a |\n', b: '', c: '' }).length, 1);
  assert.equal(checkTables(README, { a: '| a |\n' }).length, 1);
  assert.deepEqual(checkTables(README, { a: '| a |\n', b: '' }), []);
});

test('tables are replaced between their markers and nowhere else', () => {
  const tables = { a: '| new |\n', b: '| $& |\n' };
  const replaced = replaceTables(README, tables);
  assert.deepEqual(checkTables(replaced, tables), []);
  assert.ok(replaced.startsWith('Text.\n') && replaced.includes('\nMore.\n'));
});

test('the limits table has the comment above each bound and refuses a bound without one', () => {
  const text = '/** Free. */\nconst KIB = 1024;\n/** One\n * body. */\nexport const BODY_BYTES_MAX = 2 * KIB;\n';
  assert.match(limitsTable(text, { BODY_BYTES_MAX: 2048 }), /\| `BODY_BYTES_MAX` \| 2 KiB \| One body\. \|\n$/);
  assert.throws(() => limitsTable('export const A_MAX = 1;', { A_MAX: 1 }), /A_MAX has no comment/);
});

const BOUNDS = [
  { name: 'BODY_BYTES_MAX', value: 1_073_741_824, text: '1 GiB' },
  { name: 'LINE_BYTES_MAX', value: 1500, text: '1500 B' },
  { name: 'RETRY_DELAY_MS_BASE', value: 250, text: '250 ms' },
  { name: 'KEEP_ALIVE_MS', value: 65_000, text: '65 s' },
  { name: 'IDLE_MS_DEFAULT', value: 1_800_000, text: '30 min' },
  { name: 'ITEMS_MAX', value: 10_000, text: '10000' },
];

for (const { name, value, text } of BOUNDS) {
  test(`the bound ${name} of ${value} prints as ${text}`, () => {
    assert.equal(formatBound(name, value), text);
  });
}

test('the requirement check reports ids without a test, unknown ids and ids that are not written out', () => {
  const text = `verifies('a.b', 'x', f);\nverifies(['a.c', 'a.x'], 'y', f);`;
  const table = 'verifies(id, "z", f);';
  const sources = [readSource('test/unit/a.test.ts', text), readSource('test/unit/b.test.ts', table)];
  assert.deepEqual(checkRequirements(['a.b', 'a.c', 'a.d'], sources), [
    'test/unit/b.test.ts: verifies() wants its ids written out',
    'test/unit/a.test.ts: unknown requirement a.x',
    'test/requirements.ts: no test verifies a.d',
  ]);
});

test('a table of cases names the requirements of the tests that it makes', () => {
  const text = `const rows = [{ id: 'a.b' }, { id: 'other' }];\nverifies(row.id, 'x', f);`;
  assert.deepEqual(checkRequirements(['a.b', 'a.c'], [readSource('test/unit/a.test.ts', text)]), [
    'test/requirements.ts: no test verifies a.c',
  ]);
});
