import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProxyError } from '../../src/errors.ts';
import { mergeLists, type ListPart } from '../../src/gateway/catalog-merge.ts';

interface Part {
  readonly ttlMs?: number;
  readonly scope?: 'public' | 'private';
  readonly missing?: boolean;
}

function part(name: string, { ttlMs = 1_000, scope = 'public', missing = false }: Part = {}): ListPart {
  const items = [{ name }];
  const error = missing ? new ProxyError('UPSTREAM_NOT_READY', 'down') : undefined;
  return { items, known: { list: { items, keys: [name], ttlMs, scope, cut: false }, ttlMs, missing: error } };
}

const CASES = [
  { name: 'the least time of all parts', parts: [part('a'), part('b', { ttlMs: 7.9 })], ttlMs: 7, scope: 'public' },
  {
    name: 'no time when a part is missing',
    parts: [part('a'), part('b', { missing: true })],
    ttlMs: 0,
    scope: 'private',
  },
  {
    name: 'private when one part is',
    parts: [part('a'), part('b', { scope: 'private' })],
    ttlMs: 1_000,
    scope: 'private',
  },
  {
    name: 'private when users see different servers',
    parts: [part('a')],
    uniform: false,
    ttlMs: 1_000,
    scope: 'private',
  },
  { name: 'nothing to keep of no servers', parts: [], ttlMs: 0, scope: 'private' },
];

for (const { name, parts, uniform = true, ttlMs, scope } of CASES) {
  test(`a merged list has ${name}`, () => {
    const merged = mergeLists('tools', parts, uniform);
    assert.deepEqual([merged.ttlMs, merged.scope], [ttlMs, scope]);
  });
}

test('the first of two equal names stays', () => {
  const merged = mergeLists('tools', [part('a'), part('a'), part('b')], true);
  assert.deepEqual(merged.items, [{ name: 'a' }, { name: 'b' }]);
});
