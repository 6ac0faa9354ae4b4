import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { QUESTION_GATHER_MS, TASK_MS_MAX, TASK_POLL_MS_MAX, TASK_POLL_MS_MIN } from '../../src/limits.ts';
import type { JsonObject, McpOutcome } from '../../src/mcp/waist.ts';
import { openLegacyPeer } from '../../src/upstream/legacy-peer.ts';
import { pollDelayMs } from '../../src/upstream/legacy-task.ts';
import { request } from '../support/scripted-peer.ts';
import { scriptedChannel, settle, type ScriptedChannel } from '../support/scripted-channel.ts';

const CALL = { name: 'job', arguments: {} };
const RELATED = { _meta: { 'io.modelcontextprotocol/related-task': { taskId: 't-1' } } };

interface World {
  readonly channel: ScriptedChannel;
  readonly outcomes: McpOutcome[];
  readonly progress: JsonObject[];
  call(params?: JsonObject): Promise<{ cancel(reason?: string): void }>;
  /** Answers the last open request of a method. */
  answer(method: string, body: JsonObject): Promise<void>;
  tick(ms: number): Promise<void>;
}

/** @param tasks whether the server offers tasks for tools */
async function start(t: TestContext, tasks = true): Promise<World> {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const channel = scriptedChannel();
  channel.onSend = ({ id, method }) => {
    const capabilities = { tools: {}, ...(tasks ? { tasks: { requests: { tools: { call: {} } } } } : {}) };
    if (method === 'initialize') channel.say({ id, result: { protocolVersion: '2025-11-25', capabilities } });
    const listed = [
      { name: 'job', execution: { taskSupport: 'required' } },
      { name: 'plain', execution: { taskSupport: 'optional' } },
    ];
    if (method === 'tools/list') channel.say({ id, result: { tools: listed } });
  };
  const peer = openLegacyPeer({
    serverName: 's',
    timeouts: { connectMs: 1_000, firstByteMs: 60_000, idleMs: 60_000 },
    roots: true,
    startMs: 5_000,
    onDiag: () => undefined,
    open: channel.open,
  });
  t.after(() => peer.close());
  await peer.describe();
  const outcomes: McpOutcome[] = [];
  const progress: JsonObject[] = [];
  const can = { elicitation: { form: {} } };
  return {
    channel,
    outcomes,
    progress,
    async call(params = CALL) {
      const asked = request('tools/call', params, { clientCapabilities: can, wantsProgress: true });
      const made = peer.call(asked, { onProgress: (step) => void progress.push(step), onLog: () => undefined });
      void made.outcome.then((outcome) => void outcomes.push(outcome));
      await settle();
      return made;
    },
    async answer(method, body) {
      channel.say({ id: channel.requests(method).at(-1)?.['id'], ...body });
      await settle();
    },
    async tick(ms) {
      t.mock.timers.tick(ms);
      await settle();
    },
  };
}

const state = (status: string, more: JsonObject = {}): JsonObject => ({
  taskId: 't-1',
  status,
  ttl: null,
  pollInterval: 500,
  ...more,
});
const created = { result: { task: state('working', { statusMessage: 'one' }) } };
const count = ({ channel }: World, method: string): number => channel.requests(method).length;

test('a tool that needs a task is called as one, and its result is fetched when the task has ended', async (t) => {
  const world = await start(t);
  await world.call();
  assert.equal(count(world, 'tools/list'), 1, 'nobody had read the list');
  const meta = { progressToken: world.channel.requests('tools/call')[0]?.['id'] };
  const sent = { ...CALL, _meta: meta, task: { ttl: TASK_MS_MAX } };
  assert.deepEqual(world.channel.requests('tools/call')[0]?.['params'], sent);
  await world.answer('tools/call', created);
  await world.tick(500);
  await world.answer('tasks/get', { result: state('working', { statusMessage: 'two' }) });
  assert.equal(count(world, 'tasks/result'), 0);
  await world.tick(500);
  await world.answer('tasks/get', { result: state('completed', { statusMessage: 'two' }) });
  await world.answer('tasks/result', { result: { content: [], isError: true, ...RELATED } });
  assert.deepEqual(world.outcomes, [{ kind: 'complete', result: { content: [], isError: true } }]);
  assert.deepEqual(world.progress.map(({ message }) => message), ['one', 'two']); // prettier-ignore
  await world.tick(TASK_MS_MAX);
  assert.equal(count(world, 'tasks/get'), 2, 'nothing is asked afterwards');
  assert.equal(count(world, 'tasks/cancel'), 0);
});

const PLAIN = [
  { name: 'a tool that may run as a task', tasks: true, tool: 'plain', lists: 1 },
  { name: 'a server without tasks', tasks: false, tool: 'job', lists: 0 },
];
for (const { name, tasks, tool, lists } of PLAIN) {
  test(`${name} is called plainly`, async (t) => {
    const world = await start(t, tasks);
    await world.call({ name: tool });
    assert.equal(count(world, 'tools/list'), lists);
    assert.ok(!Object.hasOwn(world.channel.requests('tools/call')[0]?.['params'] as JsonObject, 'task'));
  });
}

test('a question of a task finds its call among others by the id, and its answer says it', async (t) => {
  const world = await start(t);
  await world.call({ name: 'plain' });
  await world.call();
  await world.answer('tools/call', created);
  await world.tick(500);
  await world.answer('tasks/get', { result: state('input_required') });
  assert.equal(count(world, 'tasks/result'), 1);
  world.channel.say({ id: 'q', method: 'elicitation/create', params: { message: 'm', ...RELATED } });
  await world.tick(QUESTION_GATHER_MS);
  const [asked] = world.outcomes;
  assert.ok(asked?.kind === 'input_required');
  assert.deepEqual(asked.inputRequests, { 'q-1': { method: 'elicitation/create', params: { message: 'm' } } });
  const inputResponses = { 'q-1': { action: 'decline' } };
  await world.call({ ...CALL, inputResponses, requestState: asked.requestState });
  assert.deepEqual(world.channel.sent.at(-1), { jsonrpc: '2.0', id: 'q', result: { action: 'decline', ...RELATED } });
  await world.answer('tasks/result', { result: { content: [] } });
  assert.equal(world.outcomes.at(-1)?.kind, 'complete');
  assert.equal(count(world, 'tools/call'), 2, 'the retry is no call');
});

test('a question of a task that is not in progress is refused, although a call is', async (t) => {
  const world = await start(t);
  await world.call({ name: 'plain' });
  world.channel.say({ id: 'q', method: 'elicitation/create', params: { message: 'm', ...RELATED } });
  await settle();
  assert.match(JSON.stringify(world.channel.sent.at(-1)), /"id":"q","error":\{"code":-32602/);
});

test('a cancelled call cancels its task, and the request for its result', async (t) => {
  const world = await start(t);
  const made = await world.call();
  await world.answer('tools/call', { result: { task: state('input_required') } });
  const resultId = world.channel.requests('tasks/result')[0]?.['id'];
  made.cancel('enough');
  await settle();
  const last = world.channel.sent.slice(-2).map(({ method, params }) => [method, params]);
  assert.deepEqual(last, [
    ['tasks/cancel', { taskId: 't-1' }],
    ['notifications/cancelled', { requestId: resultId }],
  ]);
});

test('a task that was made after its call was cancelled is cancelled too', async (t) => {
  const world = await start(t);
  (await world.call()).cancel();
  await world.answer('tools/call', created);
  assert.deepEqual(world.channel.requests('tasks/cancel')[0]?.['params'], { taskId: 't-1' });
});

test('a task that is unknown, silent or without an end fails its call', async (t) => {
  const world = await start(t);
  await world.call();
  await world.answer('tools/call', created);
  await world.tick(500);
  await world.answer('tasks/get', { error: { code: -32602, message: 'Task has expired' } });
  assert.deepEqual(world.outcomes.at(-1), {
    kind: 'error',
    code: -32602,
    message: 'Task has expired',
    data: undefined,
  });
  await world.call();
  await world.answer('tools/call', created);
  await world.tick(60_000);
  assert.equal(world.outcomes.at(-1)?.kind === 'error' && world.outcomes.at(-1)?.kind, 'error');
  assert.equal(count(world, 'tasks/cancel'), 1);
  await world.call();
  await world.answer('tools/call', { result: { task: state('working', { pollInterval: 1e9 }) } });
  for (let ms = 0; ms < TASK_MS_MAX && world.outcomes.length < 3; ms += TASK_POLL_MS_MAX) {
    // oxlint-disable-next-line no-await-in-loop -- time passes in steps
    await world.tick(TASK_POLL_MS_MAX);
    // oxlint-disable-next-line no-await-in-loop
    await world.answer('tasks/get', { result: state('working', { pollInterval: 1e9 }) });
  }
  assert.equal(world.outcomes.length, 3);
  assert.equal(count(world, 'tasks/cancel'), 2);
});

test('the pace is the server’s within bounds', () => {
  for (const [wanted, ms] of [[0, TASK_POLL_MS_MIN], [700, 700], [1e9, TASK_POLL_MS_MAX], ['x', 1_000]] as const) {
    assert.equal(pollDelayMs(wanted), ms);
  } // prettier-ignore
});
