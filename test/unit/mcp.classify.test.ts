import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RPC_BATCH_COUNT_MAX } from '../../src/limits.ts';
import { classifyHttp } from '../../src/mcp/classify.ts';
import type { HttpClass, HttpInput } from '../../src/mcp/classify.ts';
import { META } from '../../src/mcp/protocol.ts';

type Headers = HttpInput['headers'];

const V26 = '2026-07-28';
const envelope = (changes: Record<string, unknown> = {}): Record<string, unknown> => {
  const meta: Record<string, unknown> = {
    [META.protocolVersion]: V26,
    [META.clientCapabilities]: {},
    [META.clientInfo]: { name: 'desk', version: '1' },
    ...changes,
  };
  return Object.fromEntries(Object.entries(meta).filter(([, value]) => value !== undefined));
};
const request = (method: string, params?: unknown): unknown => ({
  jsonrpc: '2.0',
  id: 'c-1',
  method,
  ...(params === undefined ? {} : { params }),
});
const modern = (method: string, params: Record<string, unknown> = {}, meta: Record<string, unknown> = {}): unknown =>
  request(method, { ...params, _meta: envelope(meta) });
const post = (body: unknown, headers: Headers = {}): HttpClass => classifyHttp({ httpMethod: 'POST', headers, body });
const headersFor = (method: string, name?: string): Headers => ({ protocolVersion: V26, method, name });

const call = modern('tools/call', { name: 'crm.find', arguments: {} });
const LIST = headersFor('tools/list');
const encoded = (text: string): string => `=?base64?${Buffer.from(text).toString('base64')}?=`;

const rejections: { name: string; body: unknown; headers?: Headers; code: string; http?: number; id?: string }[] = [
  { name: '2: no _meta at all', body: request('tools/list', {}), headers: LIST, code: 'RPC_PARAMS' },
  {
    name: '3: _meta without a version',
    body: modern('tools/list', {}, { [META.protocolVersion]: undefined }),
    headers: LIST,
    code: 'RPC_PARAMS',
  },
  {
    name: '4: _meta without capabilities',
    body: modern('tools/list', {}, { [META.clientCapabilities]: undefined }),
    headers: LIST,
    code: 'RPC_PARAMS',
  },
  {
    name: 'capabilities that are no object',
    body: modern('tools/list', {}, { [META.clientCapabilities]: [] }),
    headers: LIST,
    code: 'RPC_PARAMS',
  },
  {
    name: 'a version that is no string',
    body: modern('tools/list', {}, { [META.protocolVersion]: 2026 }),
    headers: LIST,
    code: 'RPC_PARAMS',
  },
  {
    name: '6: the header says 2026-07-28, the body v999',
    body: modern('tools/list', {}, { [META.protocolVersion]: 'v999' }),
    headers: LIST,
    code: 'HEADER_MISMATCH',
  },
  {
    name: '7: header and body say v999',
    body: modern('tools/list', {}, { [META.protocolVersion]: 'v999' }),
    headers: { ...LIST, protocolVersion: 'v999' },
    code: 'VERSION_UNSUPPORTED',
  },
  {
    name: 'an envelope that names a legacy revision',
    body: modern('tools/list', {}, { [META.protocolVersion]: '2025-06-18' }),
    headers: { ...LIST, protocolVersion: '2025-06-18' },
    code: 'VERSION_UNSUPPORTED',
  },
  {
    name: 'an unserved version without its header',
    body: modern('tools/list', {}, { [META.protocolVersion]: 'v999' }),
    headers: { method: 'tools/list' },
    code: 'VERSION_UNSUPPORTED',
  },
  {
    name: '8: no version header',
    body: modern('tools/list'),
    headers: { method: 'tools/list' },
    code: 'HEADER_MISMATCH',
  },
  {
    name: '9: no Mcp-Method',
    body: modern('tools/list'),
    headers: { protocolVersion: V26 },
    code: 'HEADER_MISMATCH',
  },
  {
    name: '9: Mcp-Method in another case',
    body: modern('tools/list'),
    headers: headersFor('TOOLS/LIST'),
    code: 'HEADER_MISMATCH',
  },
  { name: '11: no Mcp-Name', body: call, headers: headersFor('tools/call'), code: 'HEADER_MISMATCH' },
  {
    name: '11: another Mcp-Name',
    body: call,
    headers: headersFor('tools/call', 'crm'),
    code: 'HEADER_MISMATCH',
  },
  {
    name: '13: Mcp-Name with bad padding',
    body: call,
    headers: headersFor('tools/call', '=?base64?Y3JtLmZpbmQ?='),
    code: 'HEADER_MISMATCH',
  },
  {
    name: '13: a marker in capitals is literal, so it differs',
    body: call,
    headers: headersFor('tools/call', encoded('crm.find').replace('base64', 'BASE64')),
    code: 'HEADER_MISMATCH',
  },
  {
    name: '14: Mcp-Name twice, as Node joins it',
    body: call,
    headers: headersFor('tools/call', 'crm.find, crm.find'),
    code: 'HEADER_MISMATCH',
  },
  {
    name: 'a tool call without a name',
    body: modern('tools/call'),
    headers: headersFor('tools/call', 'x'),
    code: 'RPC_PARAMS',
    http: 200,
  },
  {
    name: '30: an unknown log level',
    body: modern('tools/list', {}, { [META.logLevel]: 'bogus' }),
    headers: LIST,
    code: 'RPC_PARAMS',
  },
  ...['initialize', 'ping', 'logging/setLevel', 'resources/subscribe', 'resources/unsubscribe', 'tasks/result'].map(
    (method) => ({
      name: `19: the removed method ${method}`,
      body: modern(method),
      headers: headersFor(method),
      code: 'RPC_METHOD',
      http: 404,
    }),
  ),
  { name: '21: a batch', body: [call], headers: LIST, code: 'RPC_INVALID', id: 'none' },
  {
    name: '21: a response',
    body: { jsonrpc: '2.0', id: 'c-1', result: {} },
    headers: LIST,
    code: 'RPC_INVALID',
  },
  {
    name: 'a response without a session',
    body: { jsonrpc: '2.0', id: 'c-1', error: { code: 1, message: '' } },
    code: 'RPC_INVALID',
  },
  { name: 'a body that is not JSON', body: undefined, code: 'RPC_PARSE', id: 'none' },
  { name: 'a body that is no message', body: { id: 'c-1' }, code: 'RPC_INVALID' },
  {
    name: 'initialize with a modern version header',
    body: request('initialize', { protocolVersion: '2025-11-25' }),
    headers: { protocolVersion: V26 },
    code: 'HEADER_MISMATCH',
  },
  {
    name: 'a request whose header names a later revision',
    body: request('tools/list'),
    headers: { protocolVersion: '2027-01-01', sessionId: 's' },
    code: 'RPC_PARAMS',
  },
  {
    name: '56: a legacy request with a bad version header',
    body: request('tools/list'),
    headers: { protocolVersion: '1900-01-01', sessionId: 's' },
    code: 'VERSION_UNSUPPORTED',
  },
  { name: '57: a batch without a session', body: [request('ping')], code: 'RPC_INVALID', id: 'none' },
  {
    name: '57: a batch in a session of 2025-06-18',
    body: [request('ping')],
    headers: { sessionId: 's', protocolVersion: '2025-06-18' },
    code: 'RPC_INVALID',
    id: 'none',
  },
  {
    name: '57: initialize in a batch',
    body: [request('initialize')],
    headers: { sessionId: 's' },
    code: 'RPC_INVALID',
    id: 'none',
  },
  { name: 'an empty batch', body: [], headers: { sessionId: 's' }, code: 'RPC_INVALID', id: 'none' },
  {
    name: 'a batch over its bound',
    body: Array.from({ length: RPC_BATCH_COUNT_MAX + 1 }, () => request('ping')),
    headers: { sessionId: 's' },
    code: 'RPC_INVALID',
    id: 'none',
  },
  {
    name: 'a modern request in a batch',
    body: [call],
    headers: { sessionId: 's' },
    code: 'RPC_INVALID',
    id: 'none',
  },
];
for (const c of rejections) {
  test(`refused: ${c.name}`, () => {
    const actual = post(c.body, c.headers);
    assert.ok(actual.kind === 'reject', JSON.stringify(actual));
    assert.deepEqual(
      { code: actual.code, http: actual.http, id: actual.id },
      { code: c.code, http: c.http ?? 400, id: c.id === 'none' ? undefined : 'c-1' },
    );
  });
}

test('7: an unsupported version is answered with those that are served and the one asked for', () => {
  const actual = post(modern('tools/list', {}, { [META.protocolVersion]: 'v999' }), {
    ...LIST,
    protocolVersion: 'v999',
  });
  assert.deepEqual(actual.kind === 'reject' && actual.data, { supported: [V26], requested: 'v999' });
});

const accepted: { name: string; body: unknown; headers: Headers; expected?: string }[] = [
  { name: '1: server/discover', body: modern('server/discover'), headers: headersFor('server/discover') },
  { name: '5: no clientInfo', body: modern('tools/list', {}, { [META.clientInfo]: undefined }), headers: LIST },
  {
    name: '11: tools/call with its name',
    body: call,
    headers: headersFor('tools/call', 'crm.find'),
    expected: 'crm.find',
  },
  {
    name: '12: Mcp-Name between spaces',
    body: call,
    headers: headersFor('tools/call', '  crm.find\t'),
    expected: 'crm.find',
  },
  {
    name: '13: an encoded name',
    body: modern('prompts/get', { name: 'grüße' }),
    headers: headersFor('prompts/get', encoded('grüße')),
    expected: 'grüße',
  },
  {
    name: '15: resources/read mirrors the URI',
    body: modern('resources/read', { uri: 'file:///a' }),
    headers: headersFor('resources/read', 'file:///a'),
    expected: 'file:///a',
  },
  {
    name: 'tasks/get mirrors the task id',
    body: modern('tasks/get', { taskId: 't' }),
    headers: headersFor('tasks/get', 't'),
    expected: 't',
  },
  { name: '20: an unknown method is left to dispatch', body: modern('acme/do'), headers: headersFor('acme/do') },
  {
    name: '23: session and event id are ignored',
    body: modern('tools/list'),
    headers: { ...LIST, sessionId: 's', lastEventId: '1' },
  },
];
for (const c of accepted) {
  test(`modern: ${c.name}`, () => {
    const actual = post(c.body, c.headers);
    assert.ok(actual.kind === 'modern', JSON.stringify(actual));
    assert.equal(actual.revision, V26);
    assert.equal(actual.name, c.expected);
    assert.equal(actual.message, c.body);
  });
}

test('an envelope gives capabilities, client and log level', () => {
  const actual = post(
    modern('tools/list', {}, { [META.clientCapabilities]: { roots: {} }, [META.logLevel]: 'warning' }),
    LIST,
  );
  assert.ok(actual.kind === 'modern');
  assert.deepEqual(actual.envelope, {
    revision: V26,
    clientCapabilities: { roots: {} },
    clientInfo: { name: 'desk', version: '1' },
    logLevel: 'warning',
  });
});

test('a modern notification is dropped, by envelope or by header', () => {
  const body = { jsonrpc: '2.0', method: 'notifications/cancelled', params: {} };
  assert.equal(post(body, { protocolVersion: V26 }).kind, 'drop');
  assert.equal(post({ ...body, params: { _meta: envelope() } }).kind, 'drop');
});

const ping = request('ping');
const pong = { jsonrpc: '2.0', id: 1, result: {} };
const note = { jsonrpc: '2.0', method: 'notifications/initialized' };
const init = (protocolVersion: unknown): unknown => request('initialize', { protocolVersion });
const legacy: {
  name: string;
  httpMethod?: string;
  body?: unknown;
  headers?: Headers;
  expected: Record<string, unknown>;
}[] = [
  {
    name: '52: initialize at a legacy revision',
    body: init('2025-06-18'),
    expected: { action: 'initialize', revision: '2025-06-18' },
  },
  {
    name: '52: initialize at an unknown revision',
    body: init('1999-01-01'),
    expected: { action: 'initialize', revision: '2025-11-25' },
  },
  {
    name: '52: initialize at a modern revision',
    body: init(V26),
    expected: { action: 'initialize', revision: '2025-11-25' },
  },
  {
    name: 'initialize with a session header',
    body: init('2024-11-05'),
    headers: { sessionId: 'old' },
    expected: { action: 'initialize', revision: '2024-11-05' },
  },
  {
    name: 'a request within a session',
    body: ping,
    headers: { sessionId: ' s ', protocolVersion: '2025-11-25' },
    expected: { action: 'message', sessionId: 's', headerRevision: '2025-11-25' },
  },
  {
    name: '54: a request without a session',
    body: ping,
    expected: { action: 'message', sessionId: undefined, headerRevision: undefined },
  },
  {
    name: '53: a notification',
    body: note,
    headers: { sessionId: 's' },
    expected: { action: 'message', sessionId: 's' },
  },
  { name: 'a response', body: pong, headers: { sessionId: 's' }, expected: { action: 'message', sessionId: 's' } },
  {
    name: 'a foreign _meta is no envelope',
    body: request('tools/list', { _meta: { progressToken: 1 } }),
    headers: { sessionId: 's' },
    expected: { action: 'message' },
  },
  {
    name: '57: a batch',
    body: [ping, note, pong],
    headers: { sessionId: 's' },
    expected: { action: 'batch', sessionId: 's' },
  },
  {
    name: 'GET',
    httpMethod: 'GET',
    headers: { sessionId: 's', lastEventId: '7' },
    expected: { action: 'stream', sessionId: 's', lastEventId: '7' },
  },
  { name: 'DELETE', httpMethod: 'DELETE', headers: { sessionId: 's' }, expected: { action: 'delete', sessionId: 's' } },
];
for (const c of legacy) {
  test(`legacy: ${c.name}`, () => {
    const actual = classifyHttp({ httpMethod: c.httpMethod ?? 'POST', headers: c.headers ?? {}, body: c.body });
    assert.equal(actual.kind, 'legacy', JSON.stringify(actual));
    for (const [key, value] of Object.entries(c.expected))
      assert.equal((actual as unknown as Record<string, unknown>)[key], value, key);
  });
}

for (const httpMethod of ['GET', 'DELETE', 'PUT']) {
  test(`22: ${httpMethod} of a modern client is not allowed`, () => {
    const actual = classifyHttp({ httpMethod, headers: { protocolVersion: V26, sessionId: 's' }, body: undefined });
    assert.ok(actual.kind === 'reject' && actual.code === 'METHOD_NOT_ALLOWED');
    assert.match(actual.headers?.['allow'] ?? '', /POST/);
  });
}

test('a message repeats a peer text short and printable', () => {
  const actual = post(call, headersFor('tools/call', encoded(`\u001b[31m${'x'.repeat(500)}`)));
  assert.ok(actual.kind === 'reject');
  assert.match(actual.message, /^[\x20-\x7e…]{1,250}$/);
});
