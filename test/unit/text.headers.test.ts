import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TOKEN_BYTES_MAX } from '../../src/limits.ts';
import {
  accepts,
  connectionTokens,
  HOP_BY_HOP,
  isToken,
  parseBearer,
  parseMediaType,
  parseRetryAfter,
  parseTraceparent,
} from '../../src/text/headers.ts';

test('hop-by-hop fields are listed in lower case', () => {
  for (const name of [
    'connection',
    'keep-alive',
    'te',
    'trailer',
    'transfer-encoding',
    'upgrade',
    'proxy-authorization',
  ])
    assert.ok(HOP_BY_HOP.has(name));
  assert.ok([...HOP_BY_HOP].every((name) => name === name.toLowerCase()));
});

test('a Connection value names fields, and what is no token is passed over', () => {
  assert.deepEqual(connectionTokens('close, X-Foo ,,a b, te'), ['close', 'x-foo', 'te']);
  assert.deepEqual(connectionTokens(undefined), []);
});

test('a token is not empty and has no separators', () => {
  for (const text of ['a', "!#$%&'*+-.^_`|~09AZ"]) assert.equal(isToken(text), true, text);
  for (const text of ['', 'a b', 'a:b', 'é', 'a\n', '"a"', 'a/b']) assert.equal(isToken(text), false, text);
});

const mediaTypes = [
  { value: 'application/json', type: 'application/json', parameters: [] },
  {
    value: ' Text/HTML ; Charset="utf-8;\\"x" ; q=1;',
    type: 'text/html',
    parameters: [
      ['charset', 'utf-8;"x'],
      ['q', '1'],
    ],
  },
  { value: '*/*', type: '*/*', parameters: [] },
  { value: 'json', type: undefined, parameters: [] },
  { value: 'a/b/c', type: undefined, parameters: [] },
  { value: 'a/b; c', type: undefined, parameters: [] },
  { value: 'a/b; c="x', type: undefined, parameters: [] },
  { value: '', type: undefined, parameters: [] },
];
for (const c of mediaTypes) {
  test(`the media type of ${JSON.stringify(c.value)} is ${c.type}`, () => {
    const parsed = parseMediaType(c.value);
    assert.equal(parsed?.type, c.type);
    if (parsed !== undefined) assert.deepEqual([...parsed.parameters], c.parameters);
  });
}

const acceptances = [
  { accept: undefined, type: 'text/event-stream', expected: true },
  { accept: '', type: 'text/event-stream', expected: true },
  { accept: 'application/json, text/event-stream', type: 'text/event-stream', expected: true },
  { accept: 'application/json', type: 'text/event-stream', expected: false },
  { accept: 'TEXT/*;q=0.1', type: 'text/event-stream', expected: true },
  { accept: '*/*', type: 'application/json', expected: true },
  { accept: '*/*, text/event-stream;q=0', type: 'text/event-stream', expected: false },
  { accept: 'text/event-stream;q=0, */*', type: 'text/event-stream', expected: false },
  { accept: 'text/*;q=0, text/event-stream', type: 'text/event-stream', expected: true },
  { accept: '*/*;q=0.000', type: 'application/json', expected: false },
  { accept: 'a/b;x="q=0,c/d", c/e', type: 'c/d', expected: false },
  { accept: 'nonsense, application/json', type: 'application/json', expected: true },
];
for (const c of acceptances) {
  test(`${c.type} is ${c.expected ? '' : 'not '}accepted by ${c.accept ?? 'no Accept'}`, () =>
    assert.equal(accepts(c.accept, c.type), c.expected));
}

const bearers = [
  { value: 'Bearer abc', token: 'abc' },
  { value: 'bEARER   a-._~+/9==', token: 'a-._~+/9==' },
  { value: 'Bearer', token: undefined },
  { value: 'Bearer ', token: undefined },
  { value: 'Bearer\tabc', token: undefined },
  { value: 'Bearer abc ', token: undefined },
  { value: 'Bearer a b', token: undefined },
  { value: 'Bearer a=b', token: undefined },
  { value: 'Bearer é', token: undefined },
  { value: 'Basic abc', token: undefined },
  { value: 'Bearerabc', token: undefined },
  { value: 'Bearer a, Bearer b', token: undefined },
];
for (const c of bearers) {
  test(`the bearer token of ${JSON.stringify(c.value)} is ${c.token}`, () => {
    assert.deepEqual(parseBearer(c.value), c.token === undefined ? { ok: false } : { ok: true, token: c.token });
  });
}

test('a bearer token at its bound is read, one byte over it is not', () => {
  assert.equal(parseBearer(`Bearer ${'a'.repeat(TOKEN_BYTES_MAX)}`).ok, true);
  assert.equal(parseBearer(`Bearer ${'a'.repeat(TOKEN_BYTES_MAX + 1)}`).ok, false);
});

const NOW_MS = Date.UTC(1994, 10, 6, 8, 49, 37);
const waits = [
  { value: '0', ms: 0 },
  { value: ' 120 ', ms: 120_000 },
  { value: 'Sun, 06 Nov 1994 08:49:40 GMT', ms: 3_000 },
  { value: 'Sunday, 06-Nov-94 08:49:40 GMT', ms: 3_000 },
  { value: 'Sun Nov  6 08:49:40 1994', ms: 3_000 },
  { value: 'Sun, 06 Nov 1994 08:00:00 GMT', ms: 0 },
  { value: 'Saturday, 06-Nov-60 08:49:37 GMT', ms: 0 },
  { value: 'Sun, 31 Feb 1995 08:49:40 GMT', ms: undefined },
  { value: 'Sun, 06 Foo 1994 08:49:40 GMT', ms: undefined },
  { value: 'Sun, 06 Nov 1994 24:00:00 GMT', ms: undefined },
  { value: '1.5', ms: undefined },
  { value: '-1', ms: undefined },
  { value: '', ms: undefined },
  { value: 'soon', ms: undefined },
];
for (const c of waits) {
  test(`Retry-After ${JSON.stringify(c.value)} asks for ${c.ms} ms`, () =>
    assert.equal(parseRetryAfter(c.value, NOW_MS), c.ms));
}

test('a traceparent is version 00 with ids that are not zero', () => {
  const [trace, parent] = ['0af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203331'];
  assert.equal(parseTraceparent(`00-${trace}-${parent}-01`), true);
  for (const value of [
    `01-${trace}-${parent}-01`,
    `00-${'0'.repeat(32)}-${parent}-01`,
    `00-${trace}-${'0'.repeat(16)}-01`,
    `00-${trace}-${parent}-0`,
    `00-${trace.toUpperCase()}-${parent}-01`,
    `00-${trace}-${parent}-01\n`,
  ]) {
    assert.equal(parseTraceparent(value), false, value);
  }
});

test('long hostile values are read in linear time', () => {
  const long = 32_768;
  parseBearer(`Bearer ${'='.repeat(long)}!`);
  parseMediaType(`a/b;c="${'\\'.repeat(long)}`);
  accepts('a/b;c="'.repeat(long / 7), 'a/b');
  connectionTokens(' ,'.repeat(long / 2));
  parseRetryAfter('9'.repeat(long), 0);
});
