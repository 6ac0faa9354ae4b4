import assert from 'node:assert/strict';
import { test } from 'node:test';
import { presentQuestions } from '../../src/gateway/questions.ts';
import { missingCapabilities } from '../../src/mcp/questions.ts';
import type { InputRequest, JsonObject } from '../../src/mcp/waist.ts';

const form: InputRequest = { method: 'elicitation/create', params: { message: 'Sure?' } };
const url: InputRequest = {
  method: 'elicitation/create',
  params: { mode: 'url', message: 'Go', url: 'https://a.example' },
};
const roots: InputRequest = { method: 'roots/list', params: {} };
const sampling: InputRequest = { method: 'sampling/createMessage', params: { messages: [] } };
const tools: InputRequest = { method: 'sampling/createMessage', params: { messages: [], tools: [] } };

const CASES: { name: string; question: InputRequest; declared: JsonObject; missing?: JsonObject }[] = [
  { name: 'a form', question: form, declared: { elicitation: { form: {} } } },
  { name: 'a form to who declared elicitation only', question: form, declared: { elicitation: {} } },
  {
    name: 'a form to who has only URLs',
    question: form,
    declared: { elicitation: { url: {} } },
    missing: { elicitation: { form: {} } },
  },
  { name: 'a form to who has nothing', question: form, declared: {}, missing: { elicitation: { form: {} } } },
  { name: 'a URL', question: url, declared: { elicitation: { url: {} } } },
  {
    name: 'a URL to who has only forms',
    question: url,
    declared: { elicitation: {} },
    missing: { elicitation: { url: {} } },
  },
  { name: 'roots', question: roots, declared: { roots: {} } },
  { name: 'roots to who has none', question: roots, declared: {}, missing: { roots: {} } },
  { name: 'sampling', question: sampling, declared: { sampling: {} } },
  {
    name: 'sampling with tools to who has it without',
    question: tools,
    declared: { sampling: {} },
    missing: { sampling: { tools: {} } },
  },
];

for (const { name, question, declared, missing } of CASES) {
  test(`${name}: ${missing === undefined ? 'fits' : 'is not relayed'}`, () => {
    assert.deepEqual(missingCapabilities({ q: question }, declared), missing);
  });
}

test('the asking server is named in the text, and the URL is untouched', () => {
  assert.deepEqual(presentQuestions({ q: url }, 'crm'), {
    q: { method: 'elicitation/create', params: { mode: 'url', message: '[crm] Go', url: 'https://a.example' } },
  });
  assert.deepEqual(presentQuestions({ q: url }, undefined), { q: url });
});

test('context of other servers is not given away', () => {
  for (const includeContext of ['thisServer', 'allServers', 'none']) {
    const asked = { q: { ...sampling, params: { includeContext } } };
    assert.deepEqual(presentQuestions(asked, undefined)['q']?.params, { includeContext: 'none' });
  }
});
