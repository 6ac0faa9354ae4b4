import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { EXPOSED_NAME_CHARS_MAX } from '../../src/limits.ts';
import { exposeName, findOwnersByName, isSuffixed, makeNameTables, stripPrefix } from '../../src/mcp/names.ts';
import { verifies } from '../support/verifies.ts';

const LONG = 'a-very-long-tool-name-that-no-provider-would-take-as-it-is';

const NAMES = [
  { name: 'a short name', server: 'files', tool: 'read_file', exposed: 'files__read_file' },
  { name: 'a dot and a hyphen', server: 'crm', tool: 'crm.find-account', exposed: 'crm__crm.find-account' },
  { name: 'two underscores in the tool', server: 'a', tool: 'b__c', exposed: 'a__b__c' },
  { name: 'a long name', server: 'files', tool: LONG, exposed: 'files__a-very-long-tool-name-that-no-provi_0uvgv3i' },
  { name: 'a slash', server: 'files', tool: 'dir/list', exposed: 'files__dir_list_1k8b0e2' },
  { name: 'letters of no model provider', server: 'files', tool: 'löschen', exposed: 'files__l_schen_1v73w0h' },
  { name: 'another prefix', server: 'files', prefix: 'f', tool: 'read_file', exposed: 'f__read_file' },
  { name: 'no prefix', server: 'files', prefix: '', tool: 'read_file', exposed: 'read_file' },
  { name: 'no prefix and a slash', server: 'files', prefix: '', tool: 'dir/list', exposed: 'dir_list_1k8b0e2' },
  { name: 'no prefix and a name', server: 'files', prefix: '', tool: '', exposed: '_1aovbb4' },
];

for (const { name, server, prefix = server, tool, exposed } of NAMES) {
  test(`${name} is exposed the same for ever: ${exposed}`, () => {
    assert.equal(exposeName(tool, { server, prefix, prefixes: [prefix, 'other'] }), exposed);
  });
}

/** The exposed names of servers, each with its tools. */
function expose(...servers: [server: string, prefix: string, names: string[]][]): string[][] {
  const tables = makeNameTables(servers.map(([server, prefix, names]) => ({ server, prefix, names })));
  return servers.map(([server]) => [...(tables.get(server)?.exposed.values() ?? [])]);
}

test('a server whose prefix begins like another with two underscores keeps its names, and the other gives way', () => {
  const owners = ['a', 'a__b', 'a_'].map((name) => ({ server: name, prefix: name }));
  const prefixes = owners.map(({ prefix }) => prefix);
  assert.equal(exposeName('c', { server: 'x', prefix: 'a__b', prefixes }), 'a__b__c');
  assert.match(exposeName('b__c', { server: 'x', prefix: 'a', prefixes }), /^a__b__c_[0-9a-z]{7}$/);
  assert.equal(exposeName('x', { server: 'x', prefix: 'a_', prefixes }), 'a___x');
  assert.match(exposeName('_x', { server: 'x', prefix: 'a', prefixes }), /^a___x_[0-9a-z]{7}$/);
  assert.deepEqual(
    findOwnersByName('a__b__c', owners).map(({ server }) => server),
    ['a__b', 'a'],
  );
});

verifies('gateway.names.no-prefix', 'a tool without prefix does not take a name of another prefix', () => {
  const [alone, files] = expose(['any', '', ['files__read', 'read']], ['files', 'files', ['read']]);
  assert.match(alone?.[0] ?? '', /^files__read_[0-9a-z]{7}$/);
  assert.deepEqual([alone?.[1], files], ['read', ['files__read']]);
});

verifies(
  'gateway.names.shared-prefix',
  'the first of the servers that share a prefix keeps a name they all have',
  () => {
    const one = expose(['a', '', ['read', 'x']], ['b', '', ['y', 'read']], ['c', '', ['read']]);
    assert.deepEqual(one[0], ['read', 'x']);
    assert.match(one[1]?.[1] ?? '', /^read_[0-9a-z]{7}$/);
    assert.equal(new Set(one.flat()).size, 5);
    // What a later server is given does not depend on how many come before it.
    assert.deepEqual(expose(['a', '', ['read']], ['c', '', ['read']])[1], one[2]);
    const tables = makeNameTables([
      { server: 'a', prefix: '', names: ['read'] },
      { server: 'b', prefix: '', names: ['read', 'x__y'] },
      { server: 'x', prefix: 'x', names: [] },
    ]);
    assert.deepEqual(
      tables.get('b')?.conflicts.map(({ name, gaveWayTo }) => [name, gaveWayTo]),
      [
        ['read', 'a'],
        ['x__y', 'x__'],
      ],
    );
    assert.deepEqual(tables.get('a')?.conflicts, []);
  },
);

test('names that differ only in characters that are not allowed stay apart', () => {
  const tables = makeNameTables([{ server: 's', prefix: 's', names: ['a/b', 'a b', 'a_b', 'a/b'] }]);
  const { exposed, original } = tables.get('s') ?? assert.fail();
  assert.equal(new Set(exposed.values()).size, 3);
  assert.equal(exposed.get('a_b'), 's__a_b');
  for (const [name, shown] of exposed) assert.equal(original.get(shown), name);
});

test('a name that looks like the changed form of another is still callable', () => {
  const changed = exposeName('dir/list', { server: 'files', prefix: 'files', prefixes: ['files'] });
  assert.ok(isSuffixed(changed));
  const taken = changed.slice('files__'.length);
  const tables = makeNameTables([{ server: 'files', prefix: 'files', names: [taken, 'dir/list'] }]);
  const { exposed, original } = tables.get('files') ?? assert.fail();
  assert.equal(exposed.get(taken), `files__${taken}`);
  assert.notEqual(exposed.get('dir/list'), exposed.get(taken));
  assert.equal(original.get(exposed.get('dir/list') ?? ''), 'dir/list');
});

test('the prefix is taken off only where it is', () => {
  assert.equal(stripPrefix('files__read', 'files'), 'read');
  assert.equal(stripPrefix('mail__read', 'files'), 'mail__read');
  assert.equal(stripPrefix('files__read', ''), 'files__read');
});

// Few letters, so that prefixes and names meet.
const word = fc.oneof(fc.stringMatching(/^[ab_]{0,4}$/), fc.stringMatching(/^[A-Za-z0-9_-]{0,32}$/));
const toolName = fc.oneof(fc.stringMatching(/^[ab_]{0,6}$/), fc.string(), fc.constant(LONG));
const servers = fc.array(fc.record({ prefix: word, names: fc.array(toolName, { maxLength: 8 }) }), { maxLength: 6 });

verifies('gateway.names.unique', 'whatever prefixes and tools are, exposed names fit, are unique and lead back', () => {
  fc.assert(
    fc.property(servers, (drawn) => {
      const owners = drawn.map((each, at) => ({ server: `server${at}`, ...each }));
      const seen = new Set<string>();
      for (const [server, { exposed, original }] of makeNameTables(owners)) {
        const owner = owners.find((each) => each.server === server);
        assert.deepEqual(new Set(exposed.keys()), new Set(owner?.names));
        for (const [tool, name] of exposed) {
          assert.match(name, /^[A-Za-z0-9_.-]+$/);
          assert.ok(name.length <= EXPOSED_NAME_CHARS_MAX, name);
          assert.equal(original.get(name), tool);
          assert.ok(!seen.has(name), `${name} twice`);
          seen.add(name);
          assert.ok(findOwnersByName(name, owners).some((each) => each.server === server));
        }
      }
    }),
  );
});

test('a name depends only on what shares its prefix', () => {
  fc.assert(
    fc.property(servers, fc.array(toolName, { maxLength: 5 }), (drawn, names) => {
      const others = drawn.filter(({ prefix }) => prefix !== 'own').map((each, at) => ({ server: `s${at}`, ...each }));
      const own = { server: 'own', prefix: 'own', names };
      const silent = others.map((each) => ({ ...each, names: [] }));
      assert.deepEqual(
        makeNameTables([...others, own]).get('own')?.exposed,
        makeNameTables([...silent, own]).get('own')?.exposed,
      );
    }),
  );
});
