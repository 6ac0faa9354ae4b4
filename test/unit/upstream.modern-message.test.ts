import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { JsonObject, McpRequest } from '../../src/mcp/waist.ts';
import { modernParams, readDiscovery, readModernResult } from '../../src/upstream/modern-message.ts';

const TASKS = { extensions: { 'io.modelcontextprotocol/tasks': {} } };
const request = (changes: Partial<McpRequest> = {}): McpRequest => ({
  method: 'tools/call',
  params: { name: 'a', _meta: { traceparent: 't', 'io.modelcontextprotocol/logLevel': 'debug', progressToken: 'x' } },
  clientCapabilities: {},
  clientInfo: { name: 'c', version: '1' },
  logLevel: undefined,
  wantsProgress: false,
  ...changes,
});

test('the envelope is made anew for the hop', () => {
  const params = modernParams(request({ wantsProgress: true, logLevel: 'info', clientCapabilities: { roots: {} } }), 7);
  assert.deepEqual(params, {
    name: 'a',
    _meta: {
      traceparent: 't',
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientCapabilities': { roots: {} },
      'io.modelcontextprotocol/clientInfo': { name: 'c', version: '1' },
      'io.modelcontextprotocol/logLevel': 'info',
      progressToken: 7,
    },
  });
  assert.deepEqual(Object.keys(modernParams(request(), 7)['_meta'] as JsonObject).length, 4);
});

const ask = (method: string): JsonObject => ({ resultType: 'input_required', inputRequests: { k: { method } } });
const RESULT_CASES: readonly [name: string, result: JsonObject, changes: Partial<McpRequest>, kind: string][] = [
  ['complete', { resultType: 'complete', content: [] }, {}, 'complete'],
  ['no kind, which means complete', { content: [] }, {}, 'complete'],
  ['an unknown kind', { resultType: 'other' }, {}, 'error'],
  ['a task for a client with tasks', { resultType: 'task', taskId: 't' }, { clientCapabilities: TASKS }, 'task'],
  ['a task for a client without', { resultType: 'task', taskId: 't' }, {}, 'error'],
  ['a declared question', ask('roots/list'), { clientCapabilities: { roots: {} } }, 'input_required'],
  ['a question that was not declared', ask('roots/list'), {}, 'error'],
  ['a question of no kind', ask('ping'), { clientCapabilities: { roots: {} } }, 'error'],
  ['a question in a list', ask('roots/list'), { method: 'tools/list', clientCapabilities: { roots: {} } }, 'error'],
  ['a state without a question', { resultType: 'input_required', requestState: 's' }, {}, 'input_required'],
  ['a state that is no text', { resultType: 'input_required', requestState: 1 }, {}, 'error'],
];
for (const [name, result, changes, kind] of RESULT_CASES) {
  test(`a result is read: ${name}`, () => {
    assert.equal(readModernResult('s', request(changes), result).kind, kind);
  });
}

test('questions and state pass unchanged, metadata of the hop does not', () => {
  const inputRequests = { k: { method: 'roots/list', params: { x: 1 } } };
  const result = { resultType: 'input_required', inputRequests, requestState: 's', _meta: {} };
  const outcome = readModernResult('s', request({ clientCapabilities: { roots: {} } }), result);
  assert.deepEqual(outcome, { kind: 'input_required', inputRequests, requestState: 's' });
});

test('a discovery without a modern revision that is known is none', () => {
  assert.equal(readDiscovery({ supportedVersions: ['2026-07-28'], capabilities: {} })?.revision, '2026-07-28');
  assert.equal(readDiscovery({ supportedVersions: ['2025-11-25'], capabilities: {} }), undefined);
  assert.equal(readDiscovery({ capabilities: {} }), undefined);
});
