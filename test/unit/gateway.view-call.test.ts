import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { McpOutcome } from '../../src/mcp/waist.ts';
import { errorOf, result, SILENT, startWorld, tools, TWO } from '../support/gateway-world.ts';
import { configOf, request } from '../support/scripted-peer.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor } from '../support/wait.ts';

const QUESTION = { method: 'elicitation/create', params: { message: 'Sure?', requestedSchema: {} } } as const;

verifies(
  ['protocol.case-44', 'protocol.case-47'],
  'a question comes back to the same server with its own state, and no other request can use it',
  async (t) => {
    const config = configOf(TWO, { alice: '*', bob: '*' });
    const world = startWorld(t, config, { files: { tools: tools('rm') }, mail: { tools: tools('rm') } });
    for (const peer of world.peers) {
      peer.answer = ({ method, params }) =>
        method === 'tools/call' && params['inputResponses'] === undefined
          ? { kind: 'input_required', inputRequests: { sure: QUESTION }, requestState: 'their.own "state"' }
          : undefined;
    }
    const params = { name: 'files__rm', arguments: { path: '/a', deep: { x: 1, y: 2 } } };
    const can = { clientCapabilities: { elicitation: {} } };
    const view = world.view();
    const asked = await view.call(request('tools/call', params, can), SILENT).outcome;
    assert.ok(asked.kind === 'input_required');
    assert.equal(asked.inputRequests['sure']?.params['message'], '[files] Sure?');
    const requestState = asked.requestState ?? '';
    const inputResponses = { sure: { action: 'accept' } };

    const refused = [
      { why: 'other params', by: 'alice', params: { ...params, arguments: { path: '/b' } }, state: requestState },
      { why: 'another server', by: 'alice', params: { ...params, name: 'mail__rm' }, state: requestState },
      { why: 'another principal', by: 'bob', params, state: requestState },
      { why: 'an altered inner state', by: 'alice', params, state: `${requestState}x` },
      { why: 'an altered seal', by: 'alice', params, state: `A${requestState}` },
      { why: 'no text', by: 'alice', params, state: 7 },
    ];
    for (const { why, by, params: theirs, state } of refused) {
      const retry = request('tools/call', { ...theirs, inputResponses, requestState: state }, can);
      const outcome = await world.view(by).call(retry, SILENT).outcome;
      assert.ok(outcome.kind === 'error' && outcome.code === -32602, why);
    }
    const before = world.peer('files').requests.length;
    const again = { arguments: { deep: { y: 2, x: 1 }, path: '/a' }, name: 'files__rm' };
    const retry = request('tools/call', { ...again, inputResponses, requestState }, can);
    const done = await view.call(retry, SILENT).outcome;
    assert.equal(done.kind, 'complete');
    assert.equal(world.peer('files').requests.length, before + 1);
    assert.equal(world.peer('files').requests.at(-1)?.params['requestState'], 'their.own "state"');

    world.clock.advance(60 * 60_000 + 1);
    const late = await view.call(retry, SILENT).outcome;
    assert.ok(late.kind === 'error' && late.code === -32602);
  },
);

test('a question without a state is retried without one, whatever the length of others', async (t) => {
  const world = startWorld(t, configOf(TWO), { files: { tools: tools('rm') } });
  const can = { clientCapabilities: { elicitation: {} } };
  for (const state of [undefined, '', 'x'.repeat(100_000)]) {
    world.peer('files').answer = ({ method, params }) =>
      method === 'tools/call' && params['inputResponses'] === undefined
        ? { kind: 'input_required', inputRequests: { sure: QUESTION }, requestState: state }
        : undefined;
    const view = world.view();
    const asked = await view.call(request('tools/call', { name: 'files__rm' }, can), SILENT).outcome;
    assert.ok(asked.kind === 'input_required');
    const params = { name: 'files__rm', inputResponses: {}, requestState: asked.requestState };
    assert.equal((await view.call(request('tools/call', params, can), SILENT).outcome).kind, 'complete');
    const sent = world.peer('files').requests.at(-1)?.params ?? {};
    assert.equal(sent['requestState'], state);
    assert.equal('requestState' in sent, state !== undefined);
  }
});

verifies(
  ['protocol.case-48', 'protocol.case-50'],
  'a question that the client did not declare is not relayed, nor one to a list, nor a task',
  async (t) => {
    const world = startWorld(t, configOf(TWO), { files: { tools: tools('rm') } });
    const view = world.view();
    await result(view, 'tools/list');
    const peer = world.peer('files');
    peer.answer = () => ({ kind: 'input_required', inputRequests: { sure: QUESTION }, requestState: undefined });
    const error = await errorOf(view, 'tools/call', { name: 'files__rm' });
    assert.deepEqual([error.code, error.data], [-32021, { requiredCapabilities: { elicitation: { form: {} } } }]);
    assert.equal((await errorOf(world.view('alice', 'files'), 'tools/list')).code, 502);
    peer.answer = () => ({ kind: 'task', task: { taskId: '1' } });
    assert.equal((await errorOf(view, 'tools/call', { name: 'files__rm' })).code, 502);
  },
);

test('a cancelled call is cancelled at its server, and never reaches one that it did not reach yet', async (t) => {
  const world = startWorld(t, configOf(TWO), { files: { tools: tools('wait') } });
  const view = world.view();
  const early = view.call(request('tools/call', { name: 'files__wait' }), SILENT);
  early.cancel();
  await early.outcome;
  const peer = world.peer('files');
  assert.deepEqual(
    peer.requests.map(({ method }) => method),
    ['tools/list'],
  );
  let free: (outcome: McpOutcome) => void = () => undefined;
  peer.answer = ({ method }) => (method === 'tools/call' ? new Promise((resolve) => (free = resolve)) : undefined);
  const call = view.call(request('tools/call', { name: 'files__wait' }), SILENT);
  await waitFor(() => peer.requests.length === 2);
  call.cancel();
  assert.equal(peer.cancelled.length, 1);
  free({ kind: 'complete', result: {} });
  await call.outcome;
});
