import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { findOwners, isWithin, unwrapUri, wrapUri, type Offer } from '../../src/gateway/resource-ownership.ts';

function offer(serverName: string, uris: string[], templates: string[] = []): Offer {
  const list = (keys: string[]) => ({ items: [], keys, ttlMs: 0, scope: 'private', cut: false }) as const;
  return { serverName, resources: list(uris), templates: list(templates) };
}

test('a wrapped URI comes back as it was, also through a URL parser', () => {
  fc.assert(
    fc.property(fc.webUrl({ withFragments: true, withQueryParameters: true }), (uri) => {
      const wrapped = wrapUri('My_Files', uri);
      assert.deepEqual(unwrapUri(wrapped), { serverName: 'My_Files', uri });
      assert.equal(new URL(wrapped).href, wrapped);
    }),
  );
  assert.deepEqual(unwrapUri(wrapUri('b', wrapUri('a', 'x:y'))), { serverName: 'b', uri: 'mcproxy:a/x:y' });
  assert.equal(unwrapUri('file:///mcproxy:a/x'), undefined);
});

const OWNERS = [
  { name: 'an exact URI', uri: 'x:1', owner: 'a' },
  { name: 'an exact URI of two servers is the first’s', uri: 'x:both', owner: 'a' },
  { name: 'an exact URI wins over a template', uri: 't:special', owner: 'b' },
  { name: 'a template', uri: 't:7', owner: 'a' },
  { name: 'a template with more fixed text wins', uri: 'u:long/7/end', owner: 'b' },
  { name: 'a template with less', uri: 'u:long/7', owner: 'a' },
  { name: 'fixed texts that would overlap', uri: 'v:aba', owner: undefined },
  { name: 'fixed texts in order', uri: 'v:ab-ba', owner: 'a' },
  { name: 'nobody’s, though a template is only a variable', uri: 'z:1', owner: undefined },
];

const OWNERSHIP = findOwners([
  offer('a', ['x:1', 'x:both'], ['t:{id}', 'u:{path}', 'v:ab{x}ba', '{+any}']),
  offer('b', ['x:both', 't:special'], ['u:long/{id}/end', 't:{other}']),
]);

for (const { name, uri, owner } of OWNERS) {
  test(`the owner by ${name}`, () => {
    assert.equal(OWNERSHIP.ownerOf(uri), owner);
  });
}

test('templates that differ only in the names of variables are the same', () => {
  assert.equal(OWNERSHIP.ownerOfTemplate('t:{other}'), 'a');
  assert.equal(OWNERSHIP.ownerOfTemplate('u:long/{id}/end'), 'b');
  assert.equal(OWNERSHIP.ownerOfTemplate('none:{x}'), undefined);
});

test('what was made from a template by filling in text matches it', () => {
  const literal = fc.stringMatching(/^[a-z/]{0,5}$/);
  fc.assert(
    fc.property(fc.array(fc.tuple(literal, fc.string()), { maxLength: 5 }), literal, (parts, end) => {
      const template = `s:${parts.map(([text]) => `${text}{v}`).join('')}${end}`;
      const uri = `s:${parts.map(([text, value]) => text + value).join('')}${end}`;
      assert.equal(findOwners([offer('a', [], [template])]).ownerOf(uri), 'a');
    }),
  );
});

test('a part of a resource is within it, a longer name is not', () => {
  assert.ok(isWithin('file:///x', 'file:///x'));
  assert.ok(isWithin('file:///x/y', 'file:///x'));
  assert.ok(isWithin('file:///x/y', 'file:///x/'));
  assert.ok(isWithin('file:///x#1', 'file:///x'));
  assert.ok(!isWithin('file:///xy', 'file:///x'));
  assert.ok(!isWithin('file:///x', 'file:///x/y'));
});
