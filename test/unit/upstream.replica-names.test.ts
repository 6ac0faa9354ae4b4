import assert from 'node:assert/strict';
import type { McpOutcome } from '../../src/mcp/waist.ts';
import { nameOutcome, readReturn } from '../../src/upstream/replica-names.ts';
import { request } from '../support/scripted-peer.ts';
import { verifies } from '../support/verifies.ts';

const question = (requestState: string | undefined): McpOutcome => ({
  kind: 'input_required',
  inputRequests: {},
  requestState,
});

for (const own of ['plain', 'with:colon', 'two\nlines', '', undefined]) {
  verifies('gateway.replicas.stay', `the state ${JSON.stringify(own)} comes back to the replica that gave it`, () => {
    const shown = nameOutcome(question(own), 'tools/call', 'key-1');
    assert.ok(shown.kind === 'input_required');
    const { requestState } = shown;
    const back = readReturn(request('tools/call', { name: 'x', inputResponses: {}, requestState }));
    assert.equal(back?.key, 'key-1');
    const state = own === undefined ? {} : { requestState: own };
    assert.deepEqual(back?.request.params, { name: 'x', inputResponses: {}, ...state });
  });
}

verifies('gateway.replicas.stay', 'what is said about a task goes to the replica that has it', () => {
  const task = nameOutcome({ kind: 'task', task: { taskId: 't:1', status: 'working' } }, 'tools/call', 'b');
  assert.deepEqual(task, { kind: 'task', task: { taskId: 'b:t:1', status: 'working' } });
  const back = readReturn(request('tasks/get', { taskId: 'b:t:1' }));
  assert.deepEqual([back?.key, back?.request.params], ['b', { taskId: 't:1' }]);
  const got = nameOutcome({ kind: 'complete', result: { taskId: 't:1', status: 'completed' } }, 'tasks/get', 'b');
  assert.deepEqual(got, { kind: 'complete', result: { taskId: 'b:t:1', status: 'completed' } });
});

verifies('gateway.replicas.stay', 'what is no task and no question is for any replica, and unchanged', () => {
  const call = request('tools/call', { name: 'x', arguments: { taskId: 'b:t' } });
  assert.equal(readReturn(call), undefined);
  const result: McpOutcome = { kind: 'complete', result: { content: [], taskId: 'mine', status: 'x' } };
  assert.deepEqual(nameOutcome(result, 'tools/call', 'b'), result);
});
