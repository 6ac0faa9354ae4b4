import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RPC_DEPTH_MAX } from '../../src/limits.ts';
import { errorResponse, parseMessage, result } from '../../src/mcp/jsonrpc.ts';

const kinds = [
  { text: '{"jsonrpc":"2.0","id":1,"method":"m"}', kind: 'request' },
  { text: '{"jsonrpc":"2.0","id":"","method":"m","params":{},"x":1}', kind: 'request' },
  { text: '{"jsonrpc":"2.0","method":"m"}', kind: 'notification' },
  { text: '{"jsonrpc":"2.0","id":0,"result":{}}', kind: 'result' },
  { text: '{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":""}}', kind: 'error' },
  { text: '{"jsonrpc":"2.0","error":{"code":1,"message":"x","data":[]}}', kind: 'error' },
  { text: '[{"jsonrpc":"2.0","method":"m"}]', kind: 'batch' },
];
for (const c of kinds) test(`${c.text} is a ${c.kind}`, () => assert.equal(parseMessage(c.text).kind, c.kind));

const problems = [
  { text: '{', code: 'RPC_PARSE', id: undefined },
  { text: '', code: 'RPC_PARSE', id: undefined },
  { text: 'null', code: 'RPC_INVALID', id: undefined },
  { text: '[]', code: 'RPC_INVALID', id: undefined },
  { text: '[[]]', code: 'RPC_INVALID', id: undefined },
  { text: '[1]', code: 'RPC_INVALID', id: undefined },
  { text: '{"id":1,"method":"m"}', code: 'RPC_INVALID', id: 1 },
  { text: '{"jsonrpc":"1.0","id":"a","method":"m"}', code: 'RPC_INVALID', id: 'a' },
  { text: '{"jsonrpc":"2.0","id":1}', code: 'RPC_INVALID', id: 1 },
  { text: '{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":""}}', code: 'RPC_INVALID', id: 1 },
  { text: '{"jsonrpc":"2.0","id":1,"method":"m","result":{}}', code: 'RPC_INVALID', id: 1 },
  { text: '{"jsonrpc":"2.0","id":null,"method":"m"}', code: 'RPC_INVALID', id: undefined },
  { text: '{"jsonrpc":"2.0","id":1.5,"method":"m"}', code: 'RPC_INVALID', id: undefined },
  { text: '{"jsonrpc":"2.0","id":9007199254740993,"method":"m"}', code: 'RPC_INVALID', id: undefined },
  { text: '{"jsonrpc":"2.0","id":9007199254740993,"result":{}}', code: 'RPC_INVALID', id: undefined },
  { text: '{"jsonrpc":"2.0","id":1,"method":2}', code: 'RPC_INVALID', id: 1 },
  { text: '{"jsonrpc":"2.0","id":1,"method":"m","params":[]}', code: 'RPC_INVALID', id: 1 },
  { text: '{"jsonrpc":"2.0","id":1,"method":"m","params":null}', code: 'RPC_INVALID', id: 1 },
  { text: '{"jsonrpc":"2.0","result":{}}', code: 'RPC_INVALID', id: undefined },
  { text: '{"jsonrpc":"2.0","id":1,"result":3}', code: 'RPC_INVALID', id: 1 },
  { text: '{"jsonrpc":"2.0","id":1,"error":{"code":"x","message":""}}', code: 'RPC_INVALID', id: 1 },
  { text: '{"jsonrpc":"2.0","id":true,"error":{"code":1,"message":""}}', code: 'RPC_INVALID', id: undefined },
];
for (const c of problems) {
  test(`${c.text === '' ? 'an empty text' : c.text} is a problem`, () => {
    const parsed = parseMessage(c.text);
    assert.ok(parsed.kind === 'problem');
    assert.deepEqual({ code: parsed.code, id: parsed.id }, { code: c.code, id: c.id });
    assert.notEqual(parsed.text, '');
  });
}

test('a message is read down to the bound of its nesting and no further', () => {
  const nested = (depth: number): string =>
    `{"jsonrpc":"2.0","id":1,"result":{"a":${'['.repeat(depth)}${']'.repeat(depth)}}}`;
  assert.equal(parseMessage(nested(RPC_DEPTH_MAX - 2)).kind, 'result');
  const beyond = parseMessage(nested(RPC_DEPTH_MAX - 1));
  assert.ok(beyond.kind === 'problem');
  assert.deepEqual([beyond.code, beyond.id], ['RPC_INVALID', 1]);
});

test('answers carry the id with its type, and null where it is unknown', () => {
  assert.deepEqual(result('7', { a: 1 }), { jsonrpc: '2.0', id: '7', result: { a: 1 } });
  assert.deepEqual(errorResponse(7, { code: -32602, message: 'm', data: { b: 2 } }), {
    jsonrpc: '2.0',
    id: 7,
    error: { code: -32602, message: 'm', data: { b: 2 } },
  });
  assert.equal(
    JSON.stringify(errorResponse(undefined, { code: 1, message: 'm' })),
    '{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"m"}}',
  );
});
