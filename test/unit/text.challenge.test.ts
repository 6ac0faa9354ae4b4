import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseBearerChallenge } from '../../src/text/challenge.ts';

const URL_OF = 'https://mcp.example/.well-known/oauth-protected-resource/mcp';
const cases = [
  { name: 'no field', field: undefined, expected: [undefined, undefined] },
  { name: 'no parameters', field: 'Bearer', expected: [undefined, undefined] },
  { name: 'both parameters', field: `Bearer resource_metadata="${URL_OF}", scope="a b"`, expected: [URL_OF, 'a b'] },
  { name: 'names in other letters', field: `bearer RESOURCE_METADATA="${URL_OF}"`, expected: [URL_OF, undefined] },
  { name: 'a bare value', field: 'Bearer scope=a, error=invalid_token', expected: [undefined, 'a'] },
  { name: 'blanks around the sign', field: 'Bearer scope = "a"', expected: [undefined, 'a'] },
  { name: 'an escaped quote', field: String.raw`Bearer scope="a\"b"`, expected: [undefined, 'a"b'] },
  { name: 'the first of two', field: 'Bearer scope="a", scope="b"', expected: [undefined, 'a'] },
  { name: 'another scheme before it', field: 'Basic realm="x, scope=y", Bearer scope="a"', expected: [undefined, 'a'] },
  { name: 'another scheme behind it', field: 'Bearer realm="x", DPoP scope="a"', expected: [undefined, undefined] },
  { name: 'what stands in a text', field: 'Bearer realm="scope=b"', expected: [undefined, undefined] },
  { name: 'half a text', field: 'Bearer scope="a', expected: [undefined, undefined] },
];
for (const { name, field, expected } of cases) {
  test(`a challenge with ${name} is read`, () => {
    const { resourceMetadata, scope } = parseBearerChallenge(field);
    assert.deepEqual([resourceMetadata, scope], expected);
  });
}

test('a long field takes no time', () => {
  const startMs = performance.now();
  for (const piece of ['a="', 'a=\\', '"\\', 'Bearer ', ',= ']) parseBearerChallenge(piece.repeat(10_000));
  assert.ok(performance.now() - startMs < 2_000);
});
