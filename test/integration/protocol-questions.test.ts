/**
 * Questions of servers through `/mcp` of a real mcproxy, case by case as `protocol-cases.ts` numbers them.
 *
 * A modern HTTP server whose answers the test writes, and a command of 2025-11-25 that asks within its calls. Time that
 * has to pass (case 86) and ties (87) are tested at the peer, `upstream.legacy-calls.test.ts`.
 */
import assert from 'node:assert/strict';
import { after } from 'node:test';
import { BOTH, eventsOf, request, type Json } from '../support/downstream-clients.ts';
import { openStream, readUntil, send } from '../support/http-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { command, headersOf, settingsFile, usersFile } from '../support/message-app.ts';
import { messageOf, modernClient } from '../support/modern-client.ts';
import { startModernUpstream, type Script } from '../support/modern-upstream.ts';
import { startApp } from '../support/start-app.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor } from '../support/wait.ts';

let script: Script = () => undefined;
const modern = await startModernUpstream({ after }, ['note://one'], (method, params) => script(method, params));
const app = await startApp(
  { after },
  {
    files: {
      'mcproxy.yml': settingsFile({ asks: command('asks.mjs'), modern: `{ url: "${modern.url}" }` }),
      'tokens.yml': usersFile({ alice: '"*"', bob: '"*"' }),
    },
  },
);
// Hooks run in the order of their registration.
after(() => checkNothingLeft());

const MCP = `${app.url}/mcp`;
const CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities';
const alice = modernClient(MCP, 'alice');
const bob = modernClient(MCP, 'bob');
await waitFor(async () => (await alice.toolNames()).some((name) => name === 'asks__ask'), {
  deadlineMs: 20_000,
  what: 'the tools of both servers',
});

const FORM = { method: 'elicitation/create', params: { mode: 'form', message: 'Sure?', requestedSchema: { a: 1 } } };
const PAGE = { method: 'elicitation/create', params: { mode: 'url', message: 'Go', url: 'https://a.example/?x=1' } };
const STATE = 'their.own "state" é';
const can = (capabilities: Json): { meta: Json } => ({ meta: { [CAPABILITIES]: capabilities } });
const FORMS = can({ elicitation: { form: {} } });

/** Calls of the modern server so far, and its params of the last. */
const calls = (): readonly Json[] => modern.asked('tools/call').map((each) => (each.json() as Json)['params'] as Json);

/** The server asks until it gets answers. */
function askFirst(inputRequests: Json | undefined, requestState?: string): Script {
  return (method, params) => {
    if (method !== 'tools/call') return undefined;
    if (params['inputResponses'] !== undefined || params['requestState'] !== undefined) {
      return { result: { resultType: 'complete', content: [{ type: 'text', text: 'done' }] } };
    }
    const questions = inputRequests === undefined ? {} : { inputRequests };
    const state = requestState === undefined ? {} : { requestState };
    return { result: { resultType: 'input_required', ...questions, ...state } };
  };
}

const SLOW = { name: 'modern__mirrored', arguments: {} };

verifies('protocol.case-44', 'a question passes as it is, and its retry brings the state back', async () => {
  script = askFirst({ 'a key/of:theirs': FORM }, STATE);
  const asked = await alice.resultOf('tools/call', SLOW, { ...FORMS, id: 'first' });
  assert.equal(asked['resultType'], 'input_required');
  const named = { ...FORM, params: { ...FORM.params, message: '[modern] Sure?' } };
  assert.deepEqual(asked['inputRequests'], { 'a key/of:theirs': named });
  const inputResponses = { 'a key/of:theirs': { action: 'accept', content: { a: [1] } } };
  const retry = { ...SLOW, inputResponses, requestState: asked['requestState'] };
  assert.equal((await alice.resultOf('tools/call', retry, { ...FORMS, id: 'second' }))['resultType'], 'complete');
  assert.deepEqual(calls().at(-1)?.['inputResponses'], inputResponses);
  assert.equal(calls().at(-1)?.['requestState'], STATE);
});

verifies('protocol.case-45', 'a question without a state is retried without one', async () => {
  script = askFirst({ q: FORM });
  const { requestState } = await alice.resultOf('tools/call', SLOW, FORMS);
  await alice.resultOf('tools/call', { ...SLOW, inputResponses: { q: { action: 'decline' } }, requestState }, FORMS);
  assert.deepEqual(calls().at(-1)?.['inputResponses'], { q: { action: 'decline' } });
  assert.ok(!Object.hasOwn(calls().at(-1) ?? {}, 'requestState'));
});

verifies('protocol.case-46', 'a state alone is relayed, and comes back', async () => {
  script = askFirst(undefined, STATE);
  const asked = await alice.resultOf('tools/call', SLOW);
  assert.equal(asked['resultType'], 'input_required');
  const done = await alice.resultOf('tools/call', { ...SLOW, requestState: asked['requestState'] });
  assert.equal(done['resultType'], 'complete');
  assert.equal(calls().at(-1)?.['requestState'], STATE);
});

verifies('protocol.case-47', 'a state that is altered or not of this request reaches no server', async () => {
  script = askFirst({ q: FORM }, STATE);
  const { requestState } = await alice.resultOf('tools/call', SLOW, FORMS);
  const before = calls().length;
  const retry = { ...SLOW, inputResponses: { q: { action: 'accept' } }, requestState };
  const refused = [
    [bob, retry],
    [alice, { ...retry, arguments: { other: 1 } }],
    [alice, { ...retry, requestState: `${requestState}x` }],
    [alice, { ...retry, requestState: 'made up' }],
  ] as const;
  for (const [client, params] of refused) {
    // oxlint-disable-next-line no-await-in-loop -- which one fails should be clear
    const { error } = messageOf(await client.ask('tools/call', params, FORMS));
    assert.equal(error?.code, -32602, JSON.stringify(params));
  }
  assert.equal(calls().length, before);
});

verifies('protocol.case-48', 'a question in answer to a list is an invalid answer', async () => {
  script = (method) => (method === 'completion/complete' ? askFirst({ q: FORM })('tools/call', {}) : undefined);
  const ref = { type: 'ref/resource', uri: 'note://one' };
  const answer = await alice.ask('completion/complete', { ref, argument: { name: 'a', value: '' } }, FORMS);
  assert.equal(messageOf(answer)['error'].data.code, 'UPSTREAM_PROTOCOL');
});

verifies('protocol.case-49', 'a result of an unknown kind is not relayed', async () => {
  script = (method) => (method === 'tools/call' ? { result: { resultType: 'surprise', secret: 1 } } : undefined);
  const message = messageOf(await alice.ask('tools/call', SLOW));
  const { code, data } = message['error'];
  assert.deepEqual([code, data.source, data.code], [502, 'mcproxy', 'UPSTREAM_PROTOCOL']);
  assert.doesNotMatch(JSON.stringify(message), /secret/);
});

verifies('protocol.case-50', 'what the client did not declare is not asked', async () => {
  const tools = { method: 'sampling/createMessage', params: { messages: [], maxTokens: 1, tools: [] } };
  const cases = [
    { question: FORM, declared: {} },
    { question: PAGE, declared: { elicitation: {} } },
    { question: tools, declared: { sampling: {} } },
    { question: { method: 'roots/list' }, declared: { elicitation: {}, sampling: {} } },
    { question: { method: 'ping' }, declared: { elicitation: {}, sampling: {}, roots: {} } },
  ];
  for (const { question, declared } of cases) {
    script = askFirst({ q: question });
    // oxlint-disable-next-line no-await-in-loop -- one script at a time
    const message = messageOf(await alice.ask('tools/call', SLOW, can(declared)));
    assert.equal(message['error']?.data.code, 'UPSTREAM_PROTOCOL', JSON.stringify(message));
  }
});

verifies('protocol.case-51', 'the result of a retry is not kept, and is for nobody else', async () => {
  script = (method, params) => {
    if (method !== 'resources/read') return undefined;
    if (params['requestState'] === undefined) return { result: { resultType: 'input_required', requestState: 's' } };
    const contents = [{ uri: params['uri'], text: 'for alice' }];
    return { result: { resultType: 'complete', contents, ttlMs: 60_000, cacheScope: 'public' } };
  };
  const uri = 'note://one';
  for (const client of [alice, bob]) {
    // oxlint-disable-next-line no-await-in-loop -- the second must not get what the first did
    const { requestState } = await client.resultOf('resources/read', { uri });
    // oxlint-disable-next-line no-await-in-loop
    const read = await client.resultOf('resources/read', { uri, requestState });
    assert.deepEqual([read['ttlMs'], read['cacheScope']], [0, 'private']);
  }
  assert.equal(modern.asked('resources/read').length, 4);
});

verifies(
  'protocol.case-85',
  'a question of an older server is answered by a retry, and its tool ran once',
  async () => {
    const call = { name: 'asks__ask', arguments: {} };
    const asked = await alice.resultOf('tools/call', call, FORMS);
    const [[key, question] = ['', {}]] = Object.entries(asked['inputRequests'] as Json);
    assert.equal(question.params.message, '[asks] Who are you?');
    const inputResponses = { [key]: { action: 'accept', content: { name: 'Ada' } } };
    const { requestState } = asked;
    const theft = messageOf(await bob.ask('tools/call', { ...call, inputResponses, requestState }, FORMS));
    assert.equal(theft['error'].code, -32602);
    const done = await alice.resultOf('tools/call', { ...call, inputResponses, requestState }, FORMS);
    assert.deepEqual(JSON.parse(done['content'][0].text), inputResponses[key]);
    assert.equal((await toldOf('tools/call')).filter(({ params }) => params.name === 'ask').length, 1);
    const again = messageOf(await alice.ask('tools/call', { ...call, inputResponses, requestState }, FORMS));
    assert.equal(again['error'].code, -32602);
  },
);

verifies('protocol.case-86', 'a client that cancels while it is asked cancels the call at the server', async () => {
  const client = await legacy('2025-11-25');
  const stream = await client.call({ name: 'asks__ask', arguments: {} });
  await readUntil(stream, (text) => text.includes('elicitation/create'));
  const count = async (): Promise<number> => (await toldOf('notifications/cancelled')).length;
  const before = await count();
  await client.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'call' } });
  await waitFor(async () => (await count()) === before + 1);
  assert.deepEqual((await toldOf(undefined)).at(-1)?.['result'], { action: 'cancel' });
});

verifies(
  'protocol.case-89',
  'a page has an id for a client of 2025-11-25 and is not shown to an older one',
  async () => {
    script = askFirst({ q: PAGE });
    const recent = await legacy('2025-11-25');
    const asked = await recent.call(SLOW);
    const [question] = eventsOf(await readUntil(asked, (text) => text.includes('elicitation/create')));
    assert.equal(question?.['params'].url, PAGE.params.url);
    assert.match(question?.['params'].elicitationId, /./);
    await recent.post({ jsonrpc: '2.0', id: question?.['id'], result: { action: 'accept' } });
    await readUntil(asked, (text) => text.includes('"id":"call"'));
    assert.deepEqual(calls().at(-1)?.['inputResponses'], { q: { action: 'accept' } });

    const old = await legacy('2025-06-18');
    const message = messageOf(await old.post(request('call', 'tools/call', SLOW)));
    assert.equal(message['error']?.data.code, 'UPSTREAM_PROTOCOL');
    const { elicitation } = (calls().at(-1) ?? {})['_meta'][CAPABILITIES] as Json;
    assert.deepEqual(elicitation, {});
  },
);

verifies('protocol.case-90', 'a missing resource and a page to visit are said in the modern form', async () => {
  const gone = messageOf(await alice.ask('resources/read', { uri: 'note://gone' }));
  assert.deepEqual([gone['error'].code, gone['error'].data.uri], [-32602, 'note://gone']);
  const call = { name: 'asks__visit', arguments: {} };
  const asked = await alice.resultOf('tools/call', call, can({ elicitation: { url: {} } }));
  const [[key, question] = ['', {}]] = Object.entries(asked['inputRequests'] as Json);
  const { mode, url, elicitationId } = question.params as Json;
  assert.deepEqual([mode, url, elicitationId], ['url', 'https://login.example/x', undefined]);
  const retry = { ...call, inputResponses: { [key]: { action: 'accept' } }, requestState: asked['requestState'] };
  const done = await alice.resultOf('tools/call', retry, can({ elicitation: { url: {} } }));
  assert.deepEqual(JSON.parse(done['content'][0].text), { visits: 2 });
});

/** What the older server was told with this method; answers without one. */
async function toldOf(method: string | undefined): Promise<Json[]> {
  const { content } = await alice.resultOf('tools/call', { name: 'asks__told' });
  return (JSON.parse(content[0].text) as Json[]).filter((message) => message['method'] === method);
}

async function legacy(protocolVersion: string) {
  const capabilities = { elicitation: { form: {}, url: {} } };
  const params = { protocolVersion, capabilities, clientInfo: { name: 'test', version: '1' } };
  const first = await send(MCP, { headers: headersOf('alice'), body: request(0, 'initialize', params) });
  const headers = {
    ...headersOf('alice'),
    accept: BOTH,
    'mcp-session-id': first.header('mcp-session-id') ?? '',
    'mcp-protocol-version': protocolVersion,
  };
  return {
    post: (body: Json) => send(MCP, { headers, body }),
    call: (called: Json) => openStream(MCP, { headers, body: request('call', 'tools/call', called) }),
  };
}
