import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { makeSealer } from '../../src/auth/seal.ts';

const KEY = Buffer.alloc(32, 7);
const sealer = makeSealer(KEY);

test('what is sealed opens again, also by another sealer with the same key', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.string(), (text, context) => {
      const handle = sealer.seal(text, context);
      assert.match(handle, /^[A-Za-z0-9_-]+$/);
      assert.equal(sealer.open(handle, context), text);
      assert.equal(makeSealer(KEY).open(handle, context), text);
    }),
  );
});

test('the empty text can be sealed', () => assert.equal(sealer.open(sealer.seal('', ''), ''), ''));

test('a handle does not show its text, and the same text never gives the same handle', () => {
  const handles = [sealer.seal('/messages?sessionId=1', 'c'), sealer.seal('/messages?sessionId=1', 'c')];
  assert.notEqual(handles[0], handles[1]);
  for (const handle of handles) assert.doesNotMatch(Buffer.from(handle, 'base64url').toString('latin1'), /messages/);
});

test('no single altered, missing or added character opens', () => {
  const handle = sealer.seal('text', 'c');
  for (let at = 0; at < handle.length; at += 1) {
    const other = handle[at] === 'A' ? 'Q' : 'A';
    assert.equal(sealer.open(handle.slice(0, at) + other + handle.slice(at + 1), 'c'), undefined, `altered at ${at}`);
    assert.equal(sealer.open(handle.slice(0, at), 'c'), undefined, `cut at ${at}`);
  }
  assert.equal(sealer.open(`${handle}AAAA`, 'c'), undefined);
});

const foreign = [
  { name: 'another context', open: () => sealer.open(sealer.seal('text', 'alice'), 'bob') },
  { name: 'another key', open: () => makeSealer(Buffer.alloc(32, 8)).open(sealer.seal('text', 'c'), 'c') },
  { name: 'nothing', open: () => sealer.open('', 'c') },
  { name: 'characters of no handle', open: () => sealer.open(`${'A'.repeat(50)}+/=`, 'c') },
  { name: 'a handle without end', open: () => sealer.open('A'.repeat(10_000), 'c') },
  { name: 'random bytes', open: () => sealer.open('Zm9v'.repeat(20), 'c') },
];
for (const { name, open } of foreign) {
  test(`${name} does not open`, () => assert.equal(open(), undefined));
}
