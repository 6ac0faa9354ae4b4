import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';

import { CANCELLED_CALL_MS, PARKED_CALL_MS_MAX, QUESTION_GATHER_MS } from '../../src/limits.ts';
import { isObject } from '../../src/mcp/jsonrpc.ts';
import type { JsonObject, McpOutcome, McpRequest } from '../../src/mcp/waist.ts';
import { openLegacyPeer, type MortalPeer } from '../../src/upstream/legacy-peer.ts';
import { scriptedChannel, settle, type ScriptedChannel } from '../support/scripted-channel.ts';
import { verifies } from '../support/verifies.ts';

const ALL = { elicitation: { form: {}, url: {} }, sampling: {}, roots: {} };
const TIMEOUTS = { connectMs: 1_000, firstByteMs: 60_000, idleMs: 120_000 };

interface Asked {
  outcome: McpOutcome | undefined;
  readonly progress: JsonObject[];
  readonly logs: JsonObject[];
  cancel(reason?: string): void;
}

async function connect(t: TestContext): Promise<{ peer: MortalPeer; channel: ScriptedChannel }> {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const channel = scriptedChannel();
  channel.onSend = ({ id, method }) => {
    const capabilities = { logging: {}, tasks: {} };
    if (method === 'initialize') channel.say({ id, result: { protocolVersion: '2025-11-25', capabilities } });
    if (method === 'logging/setLevel') channel.say({ id, result: {} });
  };
  const peer = openLegacyPeer({
    serverName: 's',
    timeouts: TIMEOUTS,
    roots: true,
    startMs: 5_000,
    onDiag: () => undefined,
    open: channel.open,
  });
  await peer.describe();
  return { peer, channel };
}

async function call(peer: MortalPeer, params: JsonObject, changes: Partial<McpRequest> = {}): Promise<Asked> {
  const asked: Asked = { outcome: undefined, progress: [], logs: [], cancel: () => undefined };
  const request: McpRequest = {
    method: 'tools/call',
    params,
    clientCapabilities: ALL,
    clientInfo: undefined,
    logLevel: undefined,
    wantsProgress: false,
    ...changes,
  };
  const made = peer.call(request, {
    onProgress: (told) => asked.progress.push(told),
    onLog: (told) => asked.logs.push(told),
  });
  void made.outcome.then((outcome) => (asked.outcome = outcome));
  asked.cancel = (reason) => made.cancel(reason);
  await settle();
  return asked;
}

const lastId = (channel: ScriptedChannel): number => channel.requests('tools/call').at(-1)?.['id'] as number;

/** The code of the last refusal. */
function errorCode(channel: ScriptedChannel): unknown {
  const error = channel.sent.at(-1)?.['error'];
  return isObject(error) ? error['code'] : undefined;
}

/** The server asks something within the only call; resolves when the client has it. */
async function park(t: TestContext, channel: ScriptedChannel, asked: Asked): Promise<JsonObject> {
  channel.say({ id: 'e1', method: 'elicitation/create', params: { message: 'm', elicitationId: 'x', task: {} } });
  t.mock.timers.tick(QUESTION_GATHER_MS);
  await settle();
  assert.equal(asked.outcome?.kind, 'input_required');
  return { ...asked.outcome };
}

test('metadata of vendors goes on, a progress token of ours is added, what belongs to the hop is not sent', async (t) => {
  const { peer, channel } = await connect(t);
  await call(peer, { name: 'a', _meta: { 'com.example/x': 1 } }, { wantsProgress: true });
  const [sent] = channel.requests('tools/call');
  assert.deepEqual(sent?.['params'], { name: 'a', _meta: { 'com.example/x': 1, progressToken: sent?.['id'] } });
});

test('progress that does not increase is dropped', async (t) => {
  const { peer, channel } = await connect(t);
  const asked = await call(peer, { name: 'a' }, { wantsProgress: true });
  for (const progress of [1, 1, 0.5, 2, 'x', 3]) {
    channel.say({ method: 'notifications/progress', params: { progressToken: lastId(channel), progress, total: 9 } });
  }
  channel.say({ method: 'notifications/progress', params: { progressToken: 999, progress: 4 } });
  assert.deepEqual(asked.progress, [1, 2, 3].map((progress) => ({ progress, total: 9 }))); // prettier-ignore
});

test('questions that come together are asked together, without what belongs to the hop', async (t) => {
  const { peer, channel } = await connect(t);
  const asked = await call(peer, { name: 'a' });
  channel.say({ id: 7, method: 'roots/list' });
  channel.say({ id: '7', method: 'sampling/createMessage', params: { messages: [], includeContext: 'allServers' } });
  const question = await park(t, channel, asked);
  assert.deepEqual(question['inputRequests'], {
    'q-1': { method: 'roots/list', params: {} },
    'q-2': { method: 'sampling/createMessage', params: { messages: [], includeContext: 'none' } },
    'q-3': { method: 'elicitation/create', params: { message: 'm' } },
  });
  const answers = { 'q-1': { roots: [] }, 'q-2': { role: 'assistant' }, 'q-3': { action: 'accept' }, extra: {} };
  const retried = await call(peer, { name: 'a', inputResponses: answers, requestState: question['requestState'] });
  const given = channel.sent.filter((each) => each['result'] !== undefined);
  assert.deepEqual(
    given.map(({ id, result }) => [id, result]),
    [
      [7, { roots: [] }],
      ['7', { role: 'assistant' }],
      ['e1', { action: 'accept' }],
    ],
  );
  channel.say({ id: lastId(channel), result: { content: [] } });
  await settle();
  assert.deepEqual(retried.outcome, { kind: 'complete', result: { content: [] } });
  assert.equal(channel.requests('tools/call').length, 1, 'the server was called once');
});

test('an answer that comes while the call is parked waits for the client', async (t) => {
  const { peer, channel } = await connect(t);
  const question = await park(t, channel, await call(peer, { name: 'a' }));
  channel.say({ id: lastId(channel), result: { content: [], isError: true } });
  const retried = await call(peer, { name: 'a', inputResponses: {}, requestState: question['requestState'] });
  assert.deepEqual(retried.outcome, { kind: 'complete', result: { content: [], isError: true } });
});

verifies('protocol.case-86', 'a parked call whose client does not return is given up at the server', async (t) => {
  const { peer, channel } = await connect(t);
  const question = await park(t, channel, await call(peer, { name: 'a' }));
  t.mock.timers.tick(PARKED_CALL_MS_MAX);
  await settle();
  assert.deepEqual(
    channel.sent.slice(-2).map(({ id, result, method, params }) => ({ id, result, method, params })),
    [
      { id: 'e1', result: { action: 'cancel' }, method: undefined, params: undefined },
      {
        id: undefined,
        result: undefined,
        method: 'notifications/cancelled',
        params: { requestId: lastId(channel), reason: 'no answer in time' },
      },
    ],
  );
  const retried = await call(peer, { name: 'a', inputResponses: {}, requestState: question['requestState'] });
  assert.equal(retried.outcome?.kind === 'error' && retried.outcome.code, -32602);
});

test('a client that gives up its question gives up the call at the server at once', async (t) => {
  const { peer, channel } = await connect(t);
  const asked = await call(peer, { name: 'a' });
  const question = await park(t, channel, asked);
  asked.cancel('no more');
  await settle();
  const [answer, cancelled] = channel.sent.slice(-2);
  assert.deepEqual(answer, { jsonrpc: '2.0', id: 'e1', result: { action: 'cancel' } });
  assert.deepEqual(cancelled?.['params'], { requestId: lastId(channel), reason: 'no more' });
  const retried = await call(peer, { name: 'a', inputResponses: {}, requestState: question['requestState'] });
  assert.equal(retried.outcome?.kind === 'error' && retried.outcome.code, -32602);
});

test('a client that has come back to its question cancels nothing by its first request', async (t) => {
  const { peer, channel } = await connect(t);
  const first = await call(peer, { name: 'a' });
  const question = await park(t, channel, first);
  const answers = { 'q-1': { action: 'accept' } };
  const second = await call(peer, { name: 'a', inputResponses: answers, requestState: question['requestState'] });
  first.cancel();
  await settle();
  assert.equal(second.outcome, undefined);
  assert.equal(channel.requests('notifications/cancelled').length, 0);
});

test('the task of a newer client’s words is not asked of the server', async (t) => {
  const { peer, channel } = await connect(t);
  await call(peer, { name: 'a', task: { ttl: 1 } });
  assert.deepEqual(channel.requests('tools/call')[0]?.['params'], { name: 'a' });
});

test('a state serves one retry, and only of its own method', async (t) => {
  const { peer, channel } = await connect(t);
  const question = await park(t, channel, await call(peer, { name: 'a' }));
  const { requestState } = question;
  const other = await call(peer, { uri: 'a', requestState }, { method: 'resources/read' });
  assert.equal(other.outcome?.kind === 'error' && other.outcome.code, -32602);
  const first = await call(peer, { name: 'a', inputResponses: { 'q-1': { action: 'accept' } }, requestState });
  const second = await call(peer, { name: 'a', inputResponses: { 'q-1': { action: 'accept' } }, requestState });
  assert.equal(first.outcome, undefined);
  assert.equal(second.outcome?.kind === 'error' && second.outcome.code, -32602);
});

test('a question that the server takes back is not asked', async (t) => {
  const { peer, channel } = await connect(t);
  const asked = await call(peer, { name: 'a' });
  channel.say({ id: 3, method: 'roots/list' });
  channel.say({ method: 'notifications/cancelled', params: { requestId: 3 } });
  t.mock.timers.tick(QUESTION_GATHER_MS);
  await settle();
  assert.equal(asked.outcome, undefined);
});

test('a cancelled call is cancelled at the server, and for a while a question is not taken for another call', async (t) => {
  const { peer, channel } = await connect(t);
  const gone = await call(peer, { name: 'a' });
  const goneId = lastId(channel);
  gone.cancel('enough');
  await settle();
  assert.deepEqual(channel.sent.at(-1)?.['params'], { requestId: goneId, reason: 'enough' });
  await call(peer, { name: 'b' });
  channel.say({ id: 1, method: 'roots/list' });
  await settle();
  assert.deepEqual(errorCode(channel), -32602);
  t.mock.timers.tick(CANCELLED_CALL_MS);
  const count = channel.sent.length;
  channel.say({ id: 2, method: 'roots/list' });
  await settle();
  assert.equal(channel.sent.length, count, 'taken');
});

test('the late answer of a cancelled call ends the doubt at once', async (t) => {
  const { peer, channel } = await connect(t);
  const gone = await call(peer, { name: 'a' });
  const goneId = lastId(channel);
  gone.cancel();
  const asked = await call(peer, { name: 'b' });
  channel.say({ id: goneId, result: { content: [] } });
  await park(t, channel, asked);
});

test('silence ends a call in time, and a sign of life prolongs it', async (t) => {
  const { peer, channel } = await connect(t);
  const silent = await call(peer, { name: 'a' });
  const alive = await call(peer, { name: 'b' });
  channel.say({ method: 'notifications/progress', params: { progressToken: lastId(channel), progress: 1 } });
  t.mock.timers.tick(TIMEOUTS.firstByteMs);
  await settle();
  assert.equal(silent.outcome?.kind === 'error' && silent.outcome.code, 504);
  assert.equal(alive.outcome, undefined);
  t.mock.timers.tick(TIMEOUTS.idleMs - TIMEOUTS.firstByteMs);
  await settle();
  assert.equal((alive.outcome as McpOutcome | undefined)?.kind, 'error');
});

const UNTIED = [
  { name: 'no call is in progress', methods: [] },
  { name: 'only a list is in progress', methods: ['tools/list'] },
  { name: 'two calls are in progress', methods: ['tools/call', 'prompts/get'] },
];
for (const { name, methods } of UNTIED) {
  verifies('protocol.case-87', `a question without a tie is refused when ${name}`, async (t) => {
    const { peer, channel } = await connect(t);
    for (const method of methods) await call(peer, {}, { method }); // oxlint-disable-line no-await-in-loop
    channel.say({ id: 'q', method: 'elicitation/create', params: { message: 'm' } });
    await settle();
    assert.equal(channel.sent.at(-1)?.['id'], 'q');
    assert.equal(errorCode(channel), -32602);
  });
}

test('a tie decides between calls', async (t) => {
  const { peer, channel } = await connect(t);
  const first = await call(peer, { name: 'a' });
  const firstId = lastId(channel);
  const second = await call(peer, { name: 'b' });
  channel.say({ id: 'q', method: 'roots/list' }, firstId);
  t.mock.timers.tick(QUESTION_GATHER_MS);
  await settle();
  assert.equal(first.outcome?.kind, 'input_required');
  assert.equal(second.outcome, undefined);
});

test('the level of the connection is the most verbose wanted, and each call gets its own', async (t) => {
  const { peer, channel } = await connect(t);
  const debug = await call(peer, { name: 'a' }, { logLevel: 'debug' });
  const debugId = lastId(channel);
  const error = await call(peer, { name: 'b' }, { logLevel: 'error' });
  const errorId = lastId(channel);
  assert.deepEqual(
    channel.requests('logging/setLevel').map(({ params }) => params),
    [{ level: 'debug' }],
  );
  const say = (level: string, relatedTo?: number): void =>
    channel.say({ method: 'notifications/message', params: { level, data: level } }, relatedTo);
  say('info', debugId);
  say('info', errorId);
  say('critical', errorId);
  say('critical');
  assert.deepEqual(debug.logs, [{ level: 'info', data: 'info' }]);
  assert.deepEqual(error.logs, [{ level: 'critical', data: 'critical' }]);
});

test('a ping is answered here, and a method that clients do not serve is refused', async (t) => {
  const { channel } = await connect(t);
  channel.say({ id: 'p', method: 'ping' });
  channel.say({ id: 'x', method: 'tasks/list' });
  await settle();
  assert.deepEqual(channel.sent.at(-2), { jsonrpc: '2.0', id: 'p', result: {} });
  assert.equal(errorCode(channel), -32601);
});

test('the end of the connection leaves no timer and no call', async (t) => {
  const { peer, channel } = await connect(t);
  const parked = await call(peer, { name: 'a' });
  await park(t, channel, parked);
  const running = await call(peer, { name: 'b' });
  channel.events.onClose(new Error('gone'));
  await settle();
  assert.equal(running.outcome?.kind, 'error');
  const count = channel.sent.length;
  t.mock.timers.tick(PARKED_CALL_MS_MAX * 2);
  await settle();
  assert.equal(channel.sent.length, count);
});
