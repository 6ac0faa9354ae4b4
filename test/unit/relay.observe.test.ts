import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { Entry } from '../../src/model.ts';
import { observeRequest, observeResponse, type RequestFields } from '../../src/relay/observe.ts';

function makeEntry(): Entry {
  return {
    tsMs: 0,
    requestId: 'id',
    principal: null,
    clientIp: null,
    route: null,
    upstream: null,
    rpcMethod: null,
    rpcName: null,
    httpStatus: null,
    rpcError: null,
    latencyMs: 0,
    attempts: 0,
    bytesIn: 0,
    bytesOut: 0,
    outcome: 'ok',
    errorCode: null,
    error: null,
    toolError: false,
    params: undefined,
  };
}

interface SeenRequest {
  readonly method: string | null;
  readonly name: string | null;
  readonly readOnly: boolean;
  readonly expectsResponse: boolean;
}

function seeRequest(body: string, headers: RequestFields = {}): SeenRequest {
  const observer = observeRequest(headers);
  observer.feed(Buffer.from(body));
  const entry = makeEntry();
  observer.fill(entry);
  return {
    method: entry.rpcMethod,
    name: entry.rpcName,
    readOnly: observer.readOnly(),
    expectsResponse: observer.expectsResponse(),
  };
}

const MODERN = { 'mcp-protocol-version': '2026-07-28' };
const requests: { name: string; body: string; headers?: RequestFields; seen: SeenRequest }[] = [
  {
    name: 'a tool call',
    body: '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search"}}',
    seen: { method: 'tools/call', name: 'search', readOnly: false, expectsResponse: true },
  },
  {
    name: 'a list',
    body: '{"method":"tools/list","id":"a"}',
    seen: { method: 'tools/list', name: null, readOnly: true, expectsResponse: true },
  },
  {
    name: 'a resource',
    body: '{"method":"resources/read","params":{"uri":"file:///x"},"id":0}',
    seen: { method: 'resources/read', name: 'file:///x', readOnly: true, expectsResponse: true },
  },
  {
    name: 'a notification',
    body: '{"method":"notifications/initialized"}',
    seen: { method: 'notifications/initialized', name: null, readOnly: false, expectsResponse: false },
  },
  {
    name: 'a response of the client',
    body: '{"id":3,"result":{}}',
    seen: { method: null, name: null, readOnly: false, expectsResponse: false },
  },
  {
    name: 'a batch of lists',
    body: '[{"id":1,"method":"tools/list"}]',
    seen: { method: 'batch', name: null, readOnly: false, expectsResponse: false },
  },
  { name: 'nothing', body: '', seen: { method: null, name: null, readOnly: false, expectsResponse: false } },
  { name: 'no JSON', body: '\x00\xff{', seen: { method: null, name: null, readOnly: false, expectsResponse: false } },
  {
    name: 'names that are no text',
    body: '{"method":7,"params":{"name":{"name":"x"}},"id":1}',
    seen: { method: null, name: null, readOnly: false, expectsResponse: false },
  },
  {
    name: 'modern headers before the body has come',
    body: '{"jsonrpc"',
    headers: { ...MODERN, 'mcp-method': 'tools/call', 'mcp-name': '=?base64?csO8YmU=?=' },
    seen: { method: 'tools/call', name: 'rübe', readOnly: false, expectsResponse: false },
  },
  {
    name: 'a name that cannot be decoded',
    body: '',
    headers: { ...MODERN, 'mcp-method': 'tools/call', 'mcp-name': '=?base64?***?=' },
    seen: { method: 'tools/call', name: '=?base64?***?=', readOnly: false, expectsResponse: false },
  },
  {
    name: 'modern headers that call a change a list',
    body: '{"id":1,"method":"tools/call","params":{"name":"delete"}}',
    headers: { ...MODERN, 'mcp-method': 'tools/list', 'mcp-name': 'x' },
    seen: { method: 'tools/call', name: 'delete', readOnly: false, expectsResponse: true },
  },
  {
    name: 'mirrored headers of a legacy revision',
    body: '',
    headers: { 'mcp-protocol-version': '2025-11-25', 'mcp-method': 'tools/list', 'mcp-name': 'x' },
    seen: { method: null, name: null, readOnly: false, expectsResponse: false },
  },
];
for (const { name, body, headers, seen } of requests) {
  test(`a request is read along: ${name}`, () => assert.deepEqual(seeRequest(body, headers), seen));
}

interface SeenResponse {
  /** Index of the chunk that completed the answer. */
  readonly completeAt: number;
  readonly rpcError: number | null;
  readonly toolError: boolean;
  readonly outcome: string;
}

function seeResponse(type: string, chunks: readonly (string | Buffer)[], expects = true): SeenResponse {
  const observer = observeResponse(type, () => expects);
  const completed = chunks.map((chunk) => observer.feed(Buffer.from(chunk)));
  const entry = makeEntry();
  observer.fill(entry);
  assert.ok(completed.filter(Boolean).length <= 1, 'complete once');
  return {
    completeAt: completed.indexOf(true),
    rpcError: entry.rpcError,
    toolError: entry.toolError,
    outcome: entry.outcome,
  };
}

const JSON_TYPE = 'application/json';
const STREAM = 'text/event-stream';
const FINE = { rpcError: null, toolError: false, outcome: 'ok' };
const responses: { name: string; type: string; chunks: string[]; expects?: boolean; seen: SeenResponse }[] = [
  { name: 'a result', type: JSON_TYPE, chunks: ['{"id":1,', '"result":{}}', '\n'], seen: { ...FINE, completeAt: 1 } },
  {
    name: 'an error that the client made',
    type: JSON_TYPE,
    chunks: ['{"id":1,"error":{"code":-32602}}'],
    seen: { completeAt: 0, rpcError: -32_602, toolError: false, outcome: 'client_error' },
  },
  {
    name: 'an error that the server made',
    type: JSON_TYPE,
    chunks: ['{"error":{"message":"x","code":-32603},"id":1}'],
    seen: { completeAt: 0, rpcError: -32_603, toolError: false, outcome: 'upstream_error' },
  },
  {
    name: 'a tool that failed',
    type: JSON_TYPE,
    chunks: ['{"id":1,"result":{"content":[{"isError":false}],"isError":true}}'],
    seen: { completeAt: 0, rpcError: null, toolError: true, outcome: 'ok' },
  },
  {
    name: 'a stream with a notification, a request and the response',
    type: STREAM,
    chunks: [
      'data: {"method":"n"}\n\n',
      'data: {"id":1,"method":"ping"}\n\n',
      'event: message\ndata: {"id":1,',
      '\ndata: "error":{"code":-32001}}\n',
      '\n',
      ': more\n\n',
    ],
    seen: { completeAt: 4, rpcError: -32_001, toolError: false, outcome: 'upstream_error' },
  },
  {
    name: 'an error without an id in a stream',
    type: STREAM,
    chunks: ['data: {"error":{"code":-32600}}\n\n'],
    seen: { completeAt: 0, rpcError: -32_600, toolError: false, outcome: 'client_error' },
  },
  {
    name: 'only the first response of a stream',
    type: STREAM,
    chunks: ['data: {"id":1,"result":{}}\n\n', 'data: {"id":2,"error":{"code":-32600}}\n\n'],
    seen: { ...FINE, completeAt: 0 },
  },
  {
    name: 'a stream that nobody expects a response in',
    type: STREAM,
    chunks: ['data: {"id":1,"error":{"code":-32600}}\n\n'],
    expects: false,
    seen: { ...FINE, completeAt: -1 },
  },
  {
    name: 'a stream that is cut before its blank line',
    type: STREAM,
    chunks: ['data: {"id":1,"error":{"code":-32600}}\n'],
    seen: { ...FINE, completeAt: -1 },
  },
  {
    name: 'another type',
    type: 'text/html',
    chunks: ['{"id":1,"error":{"code":1}}'],
    seen: { ...FINE, completeAt: -1 },
  },
  { name: 'no JSON', type: JSON_TYPE, chunks: ['<html>'], seen: { ...FINE, completeAt: -1 } },
];
for (const { name, type, chunks, expects, seen } of responses) {
  test(`an answer is read along: ${name}`, () => assert.deepEqual(seeResponse(type, chunks, expects), seen));
}

test('whether a response is expected is asked when it comes, not before', () => {
  let known = false;
  const observer = observeResponse(STREAM, () => known);
  assert.equal(observer.feed(Buffer.from(': hello\n\n')), false);
  known = true;
  assert.equal(observer.feed(Buffer.from('data: {"id":1,"result":{}}\n\n')), true);
});

test('an event of any size is read along in constant memory', () => {
  const observer = observeResponse(STREAM, () => true);
  const piece = Buffer.alloc(1024 * 1024, 'x');
  const before = process.memoryUsage().arrayBuffers;
  observer.feed(Buffer.from('data: {"id":1,"result":{"isError":true,"text":"'));
  for (let count = 0; count < 64; count += 1) observer.feed(piece);
  assert.ok(process.memoryUsage().arrayBuffers - before < 2 * piece.length);
  assert.equal(observer.feed(Buffer.from('"}}\n\n')), true);
});

test('whatever comes, observing never fails', () => {
  fc.assert(
    fc.property(fc.constantFrom(JSON_TYPE, STREAM), fc.array(fc.uint8Array({ maxLength: 30 })), (type, chunks) => {
      seeResponse(
        type,
        chunks.map((chunk) => Buffer.from(chunk)),
      );
      const observer = observeRequest({});
      for (const chunk of chunks) observer.feed(Buffer.from(chunk));
      observer.fill(makeEntry());
    }),
  );
});
