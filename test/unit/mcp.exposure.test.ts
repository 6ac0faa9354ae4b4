import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { plainExposure } from '../../src/config/exposure.ts';
import { makeExposure, type Exposure } from '../../src/mcp/exposure.ts';
import type { ExposureConfig } from '../../src/model.ts';
import { verifies } from '../support/verifies.ts';

const exposure = (rules: Partial<ExposureConfig>): Exposure => makeExposure({ ...plainExposure('files'), ...rules });
const forced = (tool: string, argument: string, value: unknown) => ({ tool, argument, mode: 'forced', value }) as const;
const fallback = (tool: string, argument: string, value: unknown) =>
  ({ tool, argument, mode: 'default', value }) as const;

test('without rules everything is shown as it is', () => {
  const plain = exposure({});
  for (const kind of ['tools', 'prompts', 'resources'] as const) {
    assert.ok(plain.isPlain(kind));
    assert.ok(plain.shows(kind, 'x:/../y'));
  }
  assert.equal(plain.ownName('tools', 'any'), 'any');
  const given = { a: 1 };
  assert.equal(plain.completeArguments('any', given), given);
});

verifies('gateway.exposure.filter', 'allow names what is shown, deny goes before it, and each kind has its own', () => {
  const rules = exposure({
    tools: { allow: ['read_*', 'list'], deny: ['*_secret'] },
    prompts: { allow: [], deny: [] },
    resources: { allow: undefined, deny: ['db:*'] },
  });
  const shown = (kind: 'tools' | 'prompts' | 'resources', names: string[]) => names.filter((n) => rules.shows(kind, n));
  assert.deepEqual(shown('tools', ['read_a', 'list', 'lists', 'read_secret', 'write']), ['read_a', 'list']);
  assert.deepEqual(shown('prompts', ['a', '']), []);
  assert.deepEqual(shown('resources', ['db:1', 'file:///a', 'DB:1', 'd%62:1', 'db{x}']), ['file:///a', 'db{x}']);
  assert.equal(rules.ownName('tools', 'write'), undefined);
  assert.equal(rules.shows('tools', `read_${'a'.repeat(9_000)}`), false);
});

const URIS = [
  { uri: 'file:///srv/a', shown: true },
  { uri: 'file:///srv/a%20b', shown: true },
  { uri: 'file:///srv/.hidden', shown: true },
  { uri: 'file:///srv/a..b', shown: true },
  { uri: 'file:///etc/passwd', shown: false },
  { uri: 'file:///srv/../etc/passwd', shown: false },
  { uri: 'file:///srv/%2e%2e/etc/passwd', shown: false },
  { uri: 'file:///srv/..%2fetc/passwd', shown: false },
  { uri: 'file:///srv/x%5c..%5c..', shown: false },
  { uri: 'file:///srv/x?/../../etc/passwd', shown: false },
  { uri: 'file:///srv/./private/a', shown: false },
  { uri: 'file:///srv/private/a', shown: false },
  { uri: 'file:///srv/%70rivate/a', shown: false },
  { uri: 'file:///srv/privat%65/%ff', shown: false },
  { uri: 'FILE:///srv/a', shown: false },
  { uri: 'file://localhost/srv/a', shown: false },
  { uri: 'file:///srv/{+path}', shown: true },
  { uri: 'file:///{+path}', shown: false },
];
for (const { uri, shown } of URIS) {
  verifies('gateway.exposure.resources', `${uri} is ${shown ? 'within' : 'not within'} what the patterns allow`, () => {
    const rules = exposure({ resources: { allow: ['file:///srv/*'], deny: ['file:///srv/private/*'] } });
    assert.equal(rules.shows('resources', uri), shown);
  });
}

const DEFINITION = {
  name: 'search_files',
  title: 'Search',
  description: 'own words',
  inputSchema: {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $anchor: 'top',
    type: 'object',
    required: ['path', 'root', 7],
    properties: { root: { type: 'string' }, path: { $ref: '#/$defs/path' }, limit: { type: 'integer' } },
    $defs: { path: { type: 'string', 'x-vendor': { root: 1 } } },
    allOf: [{ required: ['root'] }],
  },
  outputSchema: { type: 'object', properties: { root: {} } },
  'x-vendor': [1],
  _meta: { root: 1 },
};

verifies('gateway.exposure.transform', 'a definition changes only where the rules are about it', () => {
  const rules = exposure({
    rename: [['search_files', 'search']],
    describe: [['search_files', 'our words']],
    arguments: [forced('search_*', 'root', '/srv'), fallback('search_files', 'limit', 20)],
  });
  const { properties, required: _, ...schema } = DEFINITION.inputSchema;
  const shown = rules.showTool(DEFINITION);
  assert.deepEqual(shown, {
    ...DEFINITION,
    name: 'search',
    description: 'our words',
    inputSchema: { ...schema, required: ['path', 7], properties: { path: properties.path } },
  });
  assert.deepEqual(Object.keys(shown), Object.keys(DEFINITION));
  assert.deepEqual(Object.keys(shown['inputSchema'] as object), Object.keys(DEFINITION.inputSchema));
  assert.equal(
    JSON.stringify(rules.showTool({ ...DEFINITION, name: 'other' })),
    JSON.stringify({ ...DEFINITION, name: 'other' }),
  );
  for (const inputSchema of [undefined, true, { type: 'object' }, { properties: 1, required: 'x' }]) {
    assert.deepEqual(rules.showTool({ name: 'search_x', inputSchema }), { name: 'search_x', inputSchema });
  }
});

verifies(
  'gateway.exposure.arguments',
  'forced values overwrite, defaults stand in, and a name goes before patterns',
  () => {
    const rules = exposure({
      arguments: [
        forced('*', 'root', '/'),
        forced('read', 'root', { a: [null] }),
        fallback('*', 'limit', 20),
        fallback('r*', 'limit', 10),
        forced('*', '__proto__', 1),
      ],
    });
    const read = rules.completeArguments('read', { root: '/etc', limit: null, x: 1 });
    assert.deepEqual(
      new Map(Object.entries(read)),
      new Map<string, unknown>([
        ['__proto__', 1],
        ['limit', null],
        ['root', { a: [null] }],
        ['x', 1],
      ]),
    );
    assert.equal(rules.completeArguments('read', {})['limit'], 20);
    assert.equal(rules.completeArguments('write', {})['root'], '/');
  },
);

test('a renamed tool is found by its new name alone, and names can be swapped', () => {
  const rules = exposure({
    rename: [
      ['a', 'b'],
      ['b', 'a'],
      ['c', 'd'],
      ['same', 'same'],
    ],
  });
  assert.deepEqual(
    ['a', 'b', 'c', 'same'].map((own) => rules.shownName('tools', own)),
    ['b', 'a', 'd', 'same'],
  );
  assert.deepEqual(
    ['a', 'b', 'c', 'd'].map((shown) => rules.ownName('tools', shown)),
    ['b', 'a', undefined, 'c'],
  );
  assert.equal(rules.shownName('prompts', 'a'), 'a');
});

test('a tool whose name another one got is shown with a hash, unless that one is hidden', () => {
  const rename = [['read_file', 'read']] as const;
  const shown = exposure({ rename }).shownName('tools', 'read');
  assert.match(shown, /^read_[0-9a-z]{7}$/);
  const hidden = exposure({ rename, tools: { allow: undefined, deny: ['read_file'] } });
  assert.equal(hidden.shownName('tools', 'read'), 'read');
  assert.equal(hidden.ownName('tools', 'read'), 'read');
});

test('whatever is renamed and hidden, names of tools stay unique and lead back', () => {
  const name = fc.stringMatching(/^[abc]{1,2}$/);
  const renames = fc.uniqueArray(fc.tuple(name, name), { selector: ([, shown]) => shown });
  fc.assert(
    fc.property(renames, fc.uniqueArray(name), fc.array(name), (drawn, tools, deny) => {
      const rename = [...new Map(drawn)];
      const rules = exposure({ rename, tools: { allow: undefined, deny } });
      const visible = tools.filter((own) => rules.shows('tools', own));
      const shown = visible.map((own) => rules.shownName('tools', own));
      assert.equal(new Set(shown).size, visible.length);
      assert.deepEqual(
        shown.map((each) => rules.ownName('tools', each)),
        visible,
      );
    }),
  );
});
