import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OAUTH_SCOPE_CHARS_MAX, OAUTH_SCOPE_COUNT_MAX } from '../../src/limits.ts';
import { verifies } from '../support/verifies.ts';
import { lackedScopes, parseBearerChallenge } from '../../src/text/challenge.ts';

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

const many = (count: number): string => Array.from({ length: count }, (_, at) => `s${at}`).join(' ');
for (const { name, field, expected } of [
  { name: 'none', field: undefined, expected: undefined },
  { name: 'a refusal for another reason', field: 'Bearer error="invalid_token", scope="a"', expected: undefined },
  { name: 'another scheme', field: 'DPoP error="insufficient_scope", scope="a"', expected: undefined },
  { name: 'one scope', field: 'Bearer error="insufficient_scope", scope="a:b/c"', expected: ['a:b/c'] },
  { name: 'scopes twice', field: 'Bearer scope=" b  a b ", error=insufficient_scope', expected: ['b', 'a'] },
  { name: 'no scope', field: 'Bearer error="insufficient_scope"', expected: [] },
  { name: 'a control character', field: 'Bearer error="insufficient_scope", scope="a\u0001b c"', expected: [] },
  { name: 'a tab', field: 'Bearer error="insufficient_scope", scope="a\tb"', expected: [] },
  { name: 'a line end', field: 'Bearer error="insufficient_scope", scope="a\r\nX: y"', expected: [] },
  { name: 'beyond ASCII', field: 'Bearer error="insufficient_scope", scope="caf\u00e9"', expected: [] },
  { name: 'a quote', field: String.raw`Bearer error="insufficient_scope", scope="a\"b"`, expected: [] },
  {
    name: 'as many as may be',
    field: `Bearer error="insufficient_scope", scope="${many(OAUTH_SCOPE_COUNT_MAX)}"`,
    expected: many(OAUTH_SCOPE_COUNT_MAX).split(' '),
  },
  {
    name: 'one more',
    field: `Bearer error="insufficient_scope", scope="${many(OAUTH_SCOPE_COUNT_MAX + 1)}"`,
    expected: [],
  },
  {
    name: 'a huge one',
    field: `Bearer error="insufficient_scope", scope="${'x'.repeat(OAUTH_SCOPE_CHARS_MAX + 1)}"`,
    expected: [],
  },
]) {
  verifies('oauth-out.scope-missing', `the scopes that are lacking by ${name} are read`, () => {
    assert.deepEqual(lackedScopes(field), expected);
  });
}
