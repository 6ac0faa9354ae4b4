import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { LOG_FIELD_BYTES_MAX, LOG_LINE_BYTES_MAX, LOG_PARAMS_BYTES_MAX } from '../../src/limits.ts';
import { formatEntry } from '../../src/log/access.ts';
import { CUT_MARK } from '../../src/log/quote.ts';
import type { Entry } from '../../src/model.ts';
import { verifies } from '../support/verifies.ts';

const STAMP = { seq: 7, startId: 'k3x9' };
const FIELDS = [
  'ts request_id principal client_ip route upstream rpc_method rpc_name http_status rpc_error latency_ms attempts',
  'bytes_in bytes_out outcome error_code error seq start_id',
]
  .join(' ')
  .split(' ');

function entry(changes: Partial<Entry> = {}): Entry {
  return {
    tsMs: Date.UTC(2026, 6, 28, 12, 0, 0, 5),
    requestId: 'r-1',
    principal: 'alice',
    clientIp: '192.0.2.7',
    route: '/github/mcp',
    upstream: 'github',
    rpcMethod: 'tools/call',
    rpcName: 'search',
    httpStatus: 200,
    rpcError: null,
    latencyMs: 12.34567,
    attempts: 1,
    bytesIn: 120,
    bytesOut: 4096,
    outcome: 'ok',
    errorCode: null,
    error: null,
    toolError: false,
    params: undefined,
    ...changes,
  };
}

function parse(line: string): Record<string, unknown> {
  assert.ok(line.endsWith('}\n'));
  return JSON.parse(line) as Record<string, unknown>;
}

verifies('log.field-order', 'an entry is one line with the fixed fields in the fixed order', () => {
  assert.equal(
    formatEntry(entry(), STAMP),
    '{"ts":"2026-07-28T12:00:00.005Z","request_id":"r-1","principal":"alice","client_ip":"192.0.2.7",' +
      '"route":"/github/mcp","upstream":"github","rpc_method":"tools/call","rpc_name":"search","http_status":200,' +
      '"rpc_error":null,"latency_ms":12.346,"attempts":1,"bytes_in":120,"bytes_out":4096,"outcome":"ok",' +
      '"error_code":null,"error":null,"seq":7,"start_id":"k3x9"}\n',
  );
});

test('a failed call carries its codes and message', () => {
  const line = parse(
    formatEntry(
      entry({ httpStatus: 502, rpcError: -32602, outcome: 'upstream_error', errorCode: 'UPSTREAM_CLOSED', error: 'x' }),
      STAMP,
    ),
  );
  assert.deepEqual(
    [line['http_status'], line['rpc_error'], line['outcome'], line['error_code'], line['error']],
    [502, -32602, 'upstream_error', 'UPSTREAM_CLOSED', 'x'],
  );
});

verifies('log.field-order', 'unknown fields are null, never left out', () => {
  const line = parse(
    formatEntry(
      entry({
        principal: null,
        clientIp: null,
        route: null,
        upstream: null,
        rpcMethod: null,
        rpcName: null,
        httpStatus: null,
      }),
      STAMP,
    ),
  );
  assert.deepEqual(Object.keys(line), FIELDS);
  assert.equal(line['principal'], null);
  assert.equal(line['http_status'], null);
});

test('tool_error and params stand at the end and only when there is something to say', () => {
  const line = parse(formatEntry(entry({ toolError: true, params: { q: 1 } }), STAMP));
  assert.deepEqual(Object.keys(line), [...FIELDS, 'tool_error', 'params']);
  assert.deepEqual([line['tool_error'], line['params']], [true, { q: 1 }]);
  assert.equal(parse(formatEntry(entry({ params: null }), STAMP))['params'], null);
});

const numbers = [
  { name: 'NaN', value: Number.NaN, printed: null },
  { name: 'Infinity', value: Infinity, printed: null },
  { name: 'a negative zero', value: -0, printed: 0 },
  { name: 'less than a microsecond', value: 0.0004, printed: 0 },
  { name: 'three decimals', value: 1.2345, printed: 1.235 },
  { name: 'a year', value: 31_536_000_000.5, printed: 31_536_000_000.5 },
];
for (const c of numbers) {
  test(`a latency that is ${c.name} gives valid JSON`, () => {
    assert.equal(parse(formatEntry(entry({ latencyMs: c.value }), STAMP))['latency_ms'], c.printed);
  });
}

test('a wall time that no calendar has becomes null', () => {
  for (const tsMs of [Number.NaN, 9e15, -Infinity]) {
    assert.equal(parse(formatEntry(entry({ tsMs }), STAMP))['ts'], null);
  }
});

const hostile = [
  { name: 'a newline', text: 'a\nb\r\nc', back: 'a\nb\r\nc' },
  { name: 'the line separators of Unicode', text: 'a\u2028b\u2029c\u0085d', back: 'a\u2028b\u2029c\u0085d' },
  { name: 'a terminal escape', text: '\u001b[2J\u009b2J', back: '\u001b[2J\u009b2J' },
  { name: 'a bidirectional override', text: 'abc\u202etxt', back: 'abc\u202etxt' },
  { name: 'quotes and backslashes', text: '","outcome":"ok\\', back: '","outcome":"ok\\' },
  { name: 'a lone surrogate', text: 'a\ud800b\udc00', back: 'a\ufffdb\ufffd' },
  { name: 'a pair of surrogates', text: 'a😀b', back: 'a😀b' },
  { name: 'a NUL', text: 'a\0b', back: 'a\0b' },
];
for (const c of hostile) {
  test(`${c.name} in a field or in the content stays inside its line`, () => {
    const line = formatEntry(entry({ rpcName: c.text, params: { [c.text]: c.text } }), STAMP);
    // The only control character is the newline at the end.
    assert.match(line, /^[^\p{Cc}\p{Zl}\p{Zp}\p{Cs}\u202e]*\n$/u);
    assert.equal(parse(line)['rpc_name'], c.back);
    assert.deepEqual(parse(line)['params'], { [c.back]: c.back });
  });
}

test('an escaped backslash before something like a surrogate is left alone', () => {
  const params = ['\\ud800', '\\\\udfff\ud800'];
  assert.deepEqual(parse(formatEntry(entry({ params }), STAMP))['params'], ['\\ud800', '\\\\udfff\ufffd']);
});

test('a long field is cut to its bound and marked', () => {
  for (const unit of ['a', 'é', '\u0001', '😀', '\ud800', '"']) {
    const line = formatEntry(entry({ error: unit.repeat(LOG_FIELD_BYTES_MAX + 1) }), STAMP);
    const error = String(parse(line)['error']);
    assert.ok(error.endsWith(CUT_MARK), unit);
    const printed = line.slice(line.indexOf('"error":"') + 9, line.indexOf('","seq"'));
    assert.ok(Buffer.byteLength(printed) <= LOG_FIELD_BYTES_MAX, unit);
    assert.ok(Buffer.byteLength(printed) > LOG_FIELD_BYTES_MAX - 8, unit);
  }
});

test('a field of exactly its bound is whole', () => {
  const error = 'a'.repeat(LOG_FIELD_BYTES_MAX);
  assert.equal(parse(formatEntry(entry({ error }), STAMP))['error'], error);
});

test('content over its bound is replaced by its size', () => {
  const params = 'a'.repeat(LOG_PARAMS_BYTES_MAX - 1);
  assert.deepEqual(parse(formatEntry(entry({ params }), STAMP))['params'], {
    truncated: true,
    bytes: LOG_PARAMS_BYTES_MAX + 1,
  });
});

test('content that cannot be printed does not cost the entry', () => {
  const circular: { self?: unknown } = {};
  circular.self = circular;
  let deep: unknown = 1;
  for (let i = 0; i < 100_000; i += 1) deep = [deep];
  for (const params of [circular, 1n, deep]) {
    assert.deepEqual(parse(formatEntry(entry({ params }), STAMP))['params'], { truncated: true, bytes: null });
  }
  assert.equal(parse(formatEntry(entry({ params: () => 1 }), STAMP))['params'], null);
});

test('any entry is one parseable line of valid UTF-8 within the bound of a line', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string({ unit: 'binary', minLength: 3_000, maxLength: 9_000 }),
  );
  const maybe = fc.option(text);
  fc.assert(
    fc.property(
      fc.record({ rpcName: maybe, error: maybe, route: maybe, params: fc.jsonValue(), latencyMs: fc.double() }),
      (fields) => {
        const copies = { requestId: fields.rpcName ?? '', principal: fields.error, upstream: fields.route };
        const line = formatEntry(entry({ ...fields, ...copies }), STAMP);
        assert.equal(line.indexOf('\n'), line.length - 1);
        assert.equal(Buffer.from(line).toString(), line);
        assert.ok(Buffer.byteLength(line) <= LOG_LINE_BYTES_MAX);
        assert.deepEqual(Object.keys(parse(line)), [...FIELDS, 'params']);
      },
    ),
  );
});
