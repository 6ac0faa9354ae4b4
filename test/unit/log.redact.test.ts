import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { LOG_PARAMS_BYTES_MAX, LOG_PARAMS_DEPTH_MAX, LOG_PARAMS_NODE_COUNT_MAX } from '../../src/limits.ts';
import { makeRedactor } from '../../src/log/redact.ts';
import { verifies } from '../support/verifies.ts';

function redactor(...secrets: string[]) {
  return makeRedactor(secrets.map((text) => ({ reveal: () => text })));
}

/** A copy with ordinary prototypes, as a reader of the log would see it. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

const SECRET = 'p@ss/w"ord+1';
const base64 = (text: string): string => Buffer.from(text).toString('base64');
const spellings = [
  { name: 'as it is', text: `token ${SECRET} here`, expected: 'token [redacted] here' },
  { name: 'twice', text: `${SECRET}${SECRET},${SECRET}`, expected: '[redacted][redacted],[redacted]' },
  { name: 'inside JSON', text: JSON.stringify({ a: SECRET }), expected: '{"a":"[redacted]"}' },
  {
    name: 'inside JSON inside JSON',
    text: JSON.stringify(JSON.stringify({ a: SECRET })),
    expected: '"{\\"a\\":\\"[redacted]\\"}"',
  },
  { name: 'in a URL', text: `/x?k=${encodeURIComponent(SECRET)}&b=1`, expected: '/x?k=[redacted]&b=1' },
  {
    name: 'in a URL in lower case',
    text: `/x?k=${encodeURIComponent(SECRET).replaceAll('%2F', '%2f')}`.replaceAll('%2B', '%2b'),
    expected: '/x?k=[redacted]',
  },
];
for (const c of spellings) {
  test(`a secret ${c.name} is replaced`, () => assert.equal(redactor(SECRET).text(c.text), c.expected));
}

test('the password of a Basic credential is replaced for a user name of any length', () => {
  for (const user of ['', 'a', 'ab', 'abc', 'alice']) {
    const shown = redactor(SECRET).text(`Basic ${base64(`${user}:${SECRET}`)}`);
    assert.match(shown, /^Basic [A-Za-z0-9+/]*\[redacted\][A-Za-z0-9+/=]{0,4}$/);
    const known = Buffer.from(shown.replace(/^Basic |\[redacted\].*$/g, ''), 'base64').toString();
    assert.ok(`${user}:`.startsWith(known), known);
  }
});

test('a short secret is not searched for, and no secrets change nothing', () => {
  assert.equal(redactor('abcde').text('abcde abcde'), 'abcde abcde');
  assert.equal(redactor().text('Bearer abcdef'), 'Bearer abcdef');
});

test('secrets that overlap or contain each other leave no rest', () => {
  assert.equal(redactor('abcdefgh', 'efghijkl').text('xabcdefghijkly'), 'x[redacted]y');
  assert.equal(redactor('abcdef', 'abcdefghij').text('xabcdefghijy'), 'x[redacted]y');
  assert.equal(redactor('abcdefghij', 'cdefgh').text('xcdefghy abcdefghij'), 'x[redacted]y [redacted]');
  assert.equal(redactor('aaaaaa').text('aaaaaaaaa'), '[redacted]');
});

test('a file that was masked before does not mask the mark', () => {
  assert.equal(redactor('redacted', '[redacted]', 'secret-1').text('redacted secret-1'), 'redacted [redacted]');
});

verifies('log.params-keys', 'keys mode keeps the shape and shows no value', () => {
  const value = { query: 'x', limit: 3, deep: [{ on: true, none: null }], token: 'abc' };
  assert.deepEqual(plain(redactor().value(value, 'keys')), {
    query: 'string',
    limit: 'number',
    deep: [{ on: 'boolean', none: 'null' }],
    token: 'string',
  });
});

const secretKeys =
  'token access_token refreshToken X-Auth-Token client_secret PASSWORD passwd db.pwd Authorization Proxy-Authorization api_key apiKey ' +
  'X-API-Key APIKEY aws_credentials Cookie Set-Cookie private_key session sessionId Mcp-Session-Id signature pass auth jwt';
for (const key of secretKeys.split(' ')) {
  test(`full mode hides the value of ${key}`, () => {
    for (const value of ['v', 12345, ['v'], { a: 'v' }]) {
      assert.deepEqual(plain(redactor().value([{ [key]: value }], 'full')), [{ [key]: '[redacted]' }]);
    }
  });
}

const openValues = [
  { query: 'v' },
  { author: 'v' },
  { keyboard: 'v' },
  { path: '/v' },
  { monkey: 'v' },
  { max_tokens: 4096 },
  { tokenCount: 3 },
  { sessions: 3 },
  { hasToken: true },
  { token: null },
  { compass: 'v' },
];
for (const value of openValues) {
  test(`full mode shows ${JSON.stringify(value)}`, () => {
    assert.deepEqual(plain(redactor().value(value, 'full')), value);
  });
}

test('a header or variable written as name and value is hidden by its name', () => {
  const list = [
    { name: 'Authorization', value: 'v' },
    { key: 'API_KEY', value: 'v' },
    { name: 'Accept', value: 'v' },
  ];
  assert.deepEqual(plain(redactor().value(list, 'full')), [
    { name: 'Authorization', value: '[redacted]' },
    { key: 'API_KEY', value: '[redacted]' },
    { name: 'Accept', value: 'v' },
  ]);
});

test('configured secrets are hidden in values, keys and numbers', () => {
  assert.deepEqual(plain(redactor('sesame-1', '12345678').value({ 'a sesame-1': 'x sesame-1', n: 12345678 }, 'full')), {
    'a [redacted]': 'x [redacted]',
    n: '[redacted]',
  });
  assert.deepEqual(plain(redactor('sesame-1').value({ 'a sesame-1': 1 }, 'keys')), { 'a [redacted]': 'number' });
});

test('a member called __proto__ is data like any other', () => {
  const shown = redactor().value(JSON.parse('{"__proto__":{"polluted":"v"},"a":1}'), 'full');
  assert.equal(JSON.stringify(shown), '{"__proto__":{"polluted":"v"},"a":1}');
  assert.equal(({} as { polluted?: string }).polluted, undefined);
});

test('what JSON does not know is named by its type', () => {
  const value = [1n, Symbol('s'), () => 1];
  assert.deepEqual(redactor().value(value, 'full'), ['[bigint]', '[symbol]', '[function]']);
  assert.deepEqual(redactor().value(value, 'keys'), ['bigint', 'symbol', 'function']);
});

verifies('log.params-full', 'depth, width and string length are bounded', () => {
  const circular: { self?: unknown } = {};
  circular.self = circular;
  const nested = JSON.stringify(redactor().value(circular, 'full'));
  assert.equal(nested.split('self').length - 1, LOG_PARAMS_DEPTH_MAX);
  assert.match(nested, /"\[object\]"/);

  const wide = Array.from({ length: 10_000 }, () => 0);
  const list = redactor().value(wide, 'full') as unknown[];
  assert.equal(list.length, LOG_PARAMS_NODE_COUNT_MAX);
  assert.equal(list.at(-1), `[${10_000 - LOG_PARAMS_NODE_COUNT_MAX + 1} more]`);
  const members = redactor().value(Object.fromEntries(wide.map((_, i) => [`k${i}`, 0])), 'keys') as object;
  assert.equal(Object.keys(members).length, LOG_PARAMS_NODE_COUNT_MAX);

  const long = 'x'.repeat(LOG_PARAMS_BYTES_MAX + 1);
  assert.deepEqual(plain(redactor().value({ file: long, name: 'n' }, 'full')), {
    file: `[${long.length} characters]`,
    name: 'n',
  });
});

/** Every string of a value, keys included. */
function strings(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, member]) => [key, ...strings(member)]);
}

verifies('log.redaction', 'no configured secret is in any output, in any spelling it was given', () => {
  // No brackets: a secret that begins or ends with a piece of the mark itself is out of scope.
  const secret = fc.string({ unit: 'binary', minLength: 6, maxLength: 24 }).filter((s) => !/[[\]]|redact/.test(s));
  const spell = fc.constantFrom<(s: string) => string>(
    (s) => s,
    (s) => JSON.stringify(s).slice(1, -1),
    (s) => encodeURIComponent(s.replace(/\p{Surrogate}/gu, '-')),
    (s) => base64(`u:${s}`),
  );
  const secrets = fc.array(secret, { minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(fc.record({ secrets, picks: fc.array(fc.nat()), spell, rest: fc.jsonValue() }), (given) => {
      const r = redactor(...given.secrets);
      const hidden = given.picks.map((pick) => given.secrets[pick % given.secrets.length] ?? '');
      const text = hidden.map(given.spell).join('-');
      const value = { [text]: { rest: given.rest, hidden, [hidden.join('')]: [text] } };
      const outputs = [
        r.text(text),
        r.text(hidden.join('')),
        ...strings(r.value(value, 'keys')),
        ...strings(r.value(value, 'full')),
      ];
      for (const one of given.secrets) for (const output of outputs) assert.ok(!output.includes(one));
    }),
  );
});

test('the search finds what a plain search finds', () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 6, maxLength: 9 });
  const haystack = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 200 });
  fc.assert(
    fc.property(fc.array(letters, { minLength: 1, maxLength: 5 }), haystack, (secrets, text) => {
      // Oracle: mark each character that some secret covers, then print each run of marks once.
      const covered = Array.from(text, (_, at) =>
        secrets.some((s) => Array.from(s, (_c, i) => at - i).some((from) => from >= 0 && text.startsWith(s, from))),
      );
      // Runs that touch without overlapping are two marks, so they are compared with the marks removed.
      const expected = Array.from(text, (char, at) => (covered[at] ? '#' : char))
        .join('')
        .replace(/#+/g, '#');
      assert.equal(
        redactor(...secrets)
          .text(text)
          .replace(/(?:\[redacted\])+/g, '#'),
        expected,
      );
    }),
  );
});
