import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { EXPOSED_NAME_CHARS_MAX } from '../../src/limits.ts';
import { exposeName, findServersByName, makeNameTable, stripPrefix } from '../../src/mcp/names.ts';

const LONG = 'a-very-long-tool-name-that-no-provider-would-take-as-it-is';

const NAMES = [
  { name: 'a short name', server: 'files', tool: 'read_file', exposed: 'files__read_file' },
  { name: 'a dot and a hyphen', server: 'crm', tool: 'crm.find-account', exposed: 'crm__crm.find-account' },
  { name: 'two underscores in the tool', server: 'a', tool: 'b__c', exposed: 'a__b__c' },
  { name: 'a long name', server: 'files', tool: LONG, exposed: 'files__a-very-long-tool-name-that-no-provi_0uvgv3i' },
  { name: 'a slash', server: 'files', tool: 'dir/list', exposed: 'files__dir_list_1k8b0e2' },
  { name: 'letters of no model provider', server: 'files', tool: 'löschen', exposed: 'files__l_schen_1v73w0h' },
];

for (const { name, server, tool, exposed } of NAMES) {
  test(`${name} is exposed the same for ever: ${exposed}`, () => {
    assert.equal(exposeName(tool, { server, servers: [server, 'other'] }), exposed);
  });
}

test('a server whose name begins like another with two underscores keeps its names, and the other gives way', () => {
  const servers = ['a', 'a__b', 'a_'];
  assert.equal(exposeName('c', { server: 'a__b', servers }), 'a__b__c');
  assert.match(exposeName('b__c', { server: 'a', servers }), /^a__b__c_[0-9a-z]{7}$/);
  assert.equal(exposeName('x', { server: 'a_', servers }), 'a___x');
  assert.match(exposeName('_x', { server: 'a', servers }), /^a___x_[0-9a-z]{7}$/);
  assert.deepEqual(findServersByName('a__b__c', servers), ['a__b', 'a']);
});

test('names that differ only in characters that are not allowed stay apart', () => {
  const { exposed, original } = makeNameTable(['a/b', 'a b', 'a_b', 'a/b'], { server: 's', servers: ['s'] });
  assert.equal(new Set(exposed.values()).size, 3);
  assert.equal(exposed.get('a_b'), 's__a_b');
  for (const [name, shown] of exposed) assert.equal(original.get(shown), name);
});

test('a name that looks like the changed form of another is still callable', () => {
  const taken = exposeName('dir/list', { server: 'files', servers: ['files'] }).slice('files__'.length);
  const { exposed, original } = makeNameTable([taken, 'dir/list'], { server: 'files', servers: ['files'] });
  assert.equal(exposed.get(taken), `files__${taken}`);
  assert.notEqual(exposed.get('dir/list'), exposed.get(taken));
  assert.equal(original.get(exposed.get('dir/list') ?? ''), 'dir/list');
});

test('the prefix is taken off only where it is', () => {
  assert.equal(stripPrefix('files__read', 'files'), 'read');
  assert.equal(stripPrefix('mail__read', 'files'), 'mail__read');
});

const server = fc.stringMatching(/^[A-Za-z0-9_-]{1,32}$/);

test('whatever servers and tools are called, every exposed name fits, is unique and leads back', () => {
  fc.assert(
    fc.property(fc.uniqueArray(server, { minLength: 1, maxLength: 5 }), fc.array(fc.string()), (servers, tools) => {
      const seen = new Map<string, string>();
      for (const each of servers) {
        const { exposed, original } = makeNameTable(tools, { server: each, servers });
        assert.equal(exposed.size, new Set(tools).size);
        for (const [tool, name] of exposed) {
          assert.match(name, /^[A-Za-z0-9_.-]+$/);
          assert.ok(name.length <= EXPOSED_NAME_CHARS_MAX, name);
          assert.equal(original.get(name), tool);
          assert.equal(seen.get(name), undefined, `${name} twice`);
          seen.set(name, each);
          assert.ok(findServersByName(name, servers).includes(each));
        }
      }
    }),
  );
});
