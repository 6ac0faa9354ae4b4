import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { McpRequest } from '../../src/mcp/waist.ts';
import { completeOutcome, errorOutcome, readUrlElicitations } from '../../src/upstream/legacy-result.ts';

const request = (params: Record<string, unknown>): McpRequest => ({
  method: 'resources/read',
  params,
  clientCapabilities: {},
  clientInfo: undefined,
  logLevel: undefined,
  wantsProgress: false,
});

const ERROR_CASES = [
  { name: 'a missing resource', code: -32002, data: { x: 1 }, expected: { code: -32602, data: { x: 1, uri: 'a://b' } } },
  { name: 'a code of the server’s own', code: -32000, data: 'd', expected: { code: -32603, data: { original: { code: -32000, data: 'd' } } } },
  { name: 'a code that the modern era reserved', code: -32021, data: undefined, expected: { code: -32603, data: { original: { code: -32021 } } } },
  { name: 'bad parameters', code: -32602, data: 'd', expected: { code: -32602, data: 'd' } },
  { name: 'a code of no range', code: 42, data: undefined, expected: { code: 42, data: undefined } },
]; // prettier-ignore
for (const { name, code, data, expected } of ERROR_CASES) {
  test(`an error is passed on in the modern form: ${name}`, () => {
    const outcome = errorOutcome(request({ uri: 'a://b' }), { code, message: 'm', data });
    assert.deepEqual(outcome, { kind: 'error', message: 'm', ...expected });
  });
}

test('a result loses the metadata of its hop and keeps the rest', () => {
  const meta = { 'io.modelcontextprotocol/related-task': { taskId: 't' }, 'a.b/c': 1 };
  const outcome = completeOutcome('tools/call', { content: [], resultType: 'task', _meta: meta });
  assert.deepEqual(outcome, { kind: 'complete', result: { content: [], _meta: { 'a.b/c': 1 } } });
});

test('no tool speaks of tasks, also one that needs them', () => {
  const tools = [
    { name: 'a', execution: { taskSupport: 'required' } },
    { name: 'b', execution: { taskSupport: 'optional' }, inputSchema: { type: 'object', x: 1 } },
  ];
  assert.deepEqual(completeOutcome('tools/list', { tools, nextCursor: '' }), {
    kind: 'complete',
    result: {
      tools: [{ name: 'a' }, { name: 'b', inputSchema: { type: 'object', x: 1 } }],
      nextCursor: '',
      ttlMs: 0,
      cacheScope: 'private',
    },
  });
});

test('pages to visit become questions without their ids', () => {
  const elicitations = [{ mode: 'url', url: 'https://a.example', message: 'go', elicitationId: 'e' }, { mode: 'url' }];
  assert.deepEqual(readUrlElicitations({ code: -32042, message: 'm', data: { elicitations } }), {
    'url-1': { method: 'elicitation/create', params: { mode: 'url', message: 'go', url: 'https://a.example' } },
  });
  assert.equal(readUrlElicitations({ code: -32042, message: 'm', data: { elicitations: [] } }), undefined);
  assert.equal(readUrlElicitations({ code: -32000, message: 'm', data: { elicitations } }), undefined);
});
