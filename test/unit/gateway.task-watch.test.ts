import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TASKS_EXTENSION } from '../../src/mcp/protocol.ts';
import type { JsonObject } from '../../src/mcp/waist.ts';
import { SILENT, startWorld, tools, TWO, type World } from '../support/gateway-world.ts';
import { configOf, request } from '../support/scripted-peer.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor } from '../support/wait.ts';

const CAN = { extensions: { [TASKS_EXTENSION]: {} } };
const STATE = { taskId: 'raw', status: 'working', ttlMs: null };

async function taskAt(world: World, server: 'files' | 'mail'): Promise<string> {
  const peer = world.peer(server);
  peer.answer = ({ method }) => {
    if (method === 'tools/call') return { kind: 'task', task: STATE };
    return method === 'tasks/get' ? { kind: 'complete', result: { ...STATE, status: 'completed' } } : undefined;
  };
  const call = request('tools/call', { name: `${server}__a` }, { clientCapabilities: CAN });
  const outcome = await world.view().call(call, SILENT).outcome;
  assert.ok(outcome.kind === 'task', JSON.stringify(outcome));
  return String(outcome.task['taskId']);
}

test('tasks are listened to at their servers, under ids that their users know', async (t) => {
  const world = startWorld(t, configOf(TWO, { alice: '*', bob: '*' }), {
    files: { tools: tools('a') },
    mail: { tools: tools('a') },
  });
  const taskIds = [await taskAt(world, 'files'), await taskAt(world, 'mail')];
  const told: JsonObject[] = [];
  const wanted = { taskIds, clientCapabilities: CAN, onTask: (task: JsonObject) => void told.push(task) };
  const foreign = await world.view('bob').watchTasks(wanted);
  assert.deepEqual(foreign.agreed, []);
  const watch = await world.view().watchTasks({ ...wanted, taskIds: [...taskIds, 'made up'] });
  t.after(() => watch.stop());
  assert.deepEqual(watch.agreed, taskIds);
  const [files, mail] = [world.peer('files'), world.peer('mail')].map(({ taskListens }) => taskListens);
  assert.deepEqual([files?.length, mail?.length], [1, 1]);
  mail?.[0]?.onTask({ ...STATE, status: 'completed' });
  files?.[0]?.onTask({ ...STATE, taskId: 'somebody else’s' });
  // What cannot be shown is not told, and breaks nothing.
  files?.[0]?.onTask({ ...STATE, inputRequests: { q: { method: 'elicitation/create', params: {} } } });
  files?.[0]?.onTask({ ...STATE, inputRequests: 7 });
  assert.deepEqual(told, [{ ...STATE, taskId: taskIds[1], status: 'completed' }]);
});

verifies(
  'gateway.tasks.listen-again',
  'a subscription that ends is made again and the state is asked for',
  async (t) => {
    const world = startWorld(t, configOf(TWO), { files: { tools: tools('a') } });
    const taskId = await taskAt(world, 'files');
    const told: JsonObject[] = [];
    const onTask = (task: JsonObject): void => void told.push(task);
    const watch = await world.view().watchTasks({ taskIds: [taskId], clientCapabilities: CAN, onTask });
    const { taskListens } = world.peer('files');
    taskListens[0]?.stop();
    await waitFor(() => told.length === 1);
    assert.equal(taskListens.length, 2);
    assert.deepEqual(told, [{ ...STATE, taskId, status: 'completed' }]);
    watch.stop();
  },
);
