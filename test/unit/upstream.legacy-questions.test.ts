import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { InputRequest, JsonObject } from '../../src/mcp/waist.ts';
import { readQuestion, toLegacyAnswer, vendorMeta } from '../../src/upstream/legacy-questions.ts';

type Method = InputRequest['method'];
const CAPABILITY_CASES: readonly [name: string, method: Method, params: JsonObject, has: JsonObject, code?: number][] =
  [
    ['a form for a client with empty elicitation', 'elicitation/create', {}, { elicitation: {} }],
    ['a form for a client with forms', 'elicitation/create', { mode: 'form' }, { elicitation: { form: {} } }],
    ['a form for a client with pages only', 'elicitation/create', {}, { elicitation: { url: {} } }, -32602],
    ['a page for a client with empty elicitation', 'elicitation/create', { mode: 'url' }, { elicitation: {} }, -32602],
    ['a page for a client with pages', 'elicitation/create', { mode: 'url' }, { elicitation: { url: {} } }],
    ['an unknown mode', 'elicitation/create', { mode: 'x' }, { elicitation: { form: {}, url: {} } }, -32602],
    ['a form for a client without elicitation', 'elicitation/create', {}, {}, -32602],
    ['sampling for a client with it', 'sampling/createMessage', {}, { sampling: {} }],
    ['sampling for a client without it', 'sampling/createMessage', {}, {}, -1],
    ['sampling with tools for a client without those', 'sampling/createMessage', { tools: [] }, { sampling: {} }, -1],
    ['sampling with tools', 'sampling/createMessage', { tools: [] }, { sampling: { tools: {} } }],
    ['roots for a client with them', 'roots/list', {}, { roots: {} }],
    ['roots for a client without them', 'roots/list', {}, { sampling: {} }, -32601],
  ];

for (const [name, method, params, has, code] of CAPABILITY_CASES) {
  test(`a question is checked against the client: ${name}`, () => {
    const question = readQuestion(method, params, has);
    assert.equal(question.kind === 'refused' ? question.error.code : undefined, code);
  });
}

test('metadata of the protocol does not survive a hop, that of vendors and traces does', () => {
  const meta = { 'io.modelcontextprotocol/related-task': {}, progressToken: 1, traceparent: 't', 'a.b/c': 2 };
  assert.deepEqual(vendorMeta(meta), { traceparent: 't', 'a.b/c': 2 });
  assert.equal(vendorMeta({ progressToken: 1 }), undefined);
  assert.equal(vendorMeta([]), undefined);
});

const text = (value: string): JsonObject => ({ type: 'text', text: value });
const ANSWER_CASES = [
  { name: 'one block', revision: '2025-06-18', content: [text('a')], expected: text('a') },
  { name: 'several blocks', revision: '2024-11-05', content: [text('a'), text('b')], expected: text('a\nb') },
  { name: 'a list where lists are known', revision: '2025-11-25', content: [text('a')], expected: [text('a')] },
  { name: 'no list', revision: '2025-06-18', content: text('a'), expected: text('a') },
];
for (const { name, revision, content, expected } of ANSWER_CASES) {
  test(`sampled content fits the revision: ${name}`, () => {
    const answer = toLegacyAnswer('sampling/createMessage', { role: 'assistant', content }, revision);
    assert.deepEqual(answer, { role: 'assistant', content: expected });
  });
}
