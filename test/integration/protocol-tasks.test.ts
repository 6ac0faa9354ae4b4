/**
 * Tasks through `/mcp` of a real mcproxy: for clients that declare them, for those that cannot, and of servers whose
 * tasks are older. Cases as `protocol-cases.ts` numbers them.
 *
 * Two servers with tasks that make equal ids, one over stdio and one over HTTP; a modern server whose answers the test
 * writes; and the published everything server, one of whose tools only runs as a task of 2025-11-25.
 */
import assert from 'node:assert/strict';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { eventsOf, request, type Json } from '../support/downstream-clients.ts';
import { readUntil, send } from '../support/http-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { headersOf, openSession, settingsFile, usersFile } from '../support/message-app.ts';
import { messageOf, modernClient, type ModernClient } from '../support/modern-client.ts';
import { startModernUpstream, type Script } from '../support/modern-upstream.ts';
import { connectClient1 } from '../support/official-clients.ts';
import { startTasksFixture } from '../support/peers.ts';
import { startApp } from '../support/start-app.ts';
import { tokenOf } from '../support/users.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor } from '../support/wait.ts';

const FIXTURE = fileURLToPath(new URL('../peers/tasks-fixture.ts', import.meta.url));
const EVERYTHING = fileURLToPath(
  new URL('../../node_modules/@modelcontextprotocol/server-everything/dist/index.js', import.meta.url),
);
const node = (...args: string[]): string => `{ command: ${process.execPath}, args: ${JSON.stringify(args)} }`;

let script: Script = () => undefined;
const remote = await startTasksFixture({ after });
const scripted = await startModernUpstream({ after }, [], (method, params) => script(method, params));
const app = await startApp(
  { after },
  {
    files: {
      'mcproxy.yml': settingsFile({
        one: node('--import', import.meta.resolve('tsx'), FIXTURE, 'stdio'),
        two: `{ url: "${remote.url}" }`,
        scripted: `{ url: "${scripted.url}" }`,
        everything: node(EVERYTHING),
      }),
      'tokens.yml': usersFile({ alice: '"*"', bob: '"*"' }),
    },
  },
);
after(() => checkNothingLeft());

const MCP = `${app.url}/mcp`;
const CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities';
const TASKS = 'io.modelcontextprotocol/tasks';
const WITH_TASKS = { meta: { [CAPABILITIES]: { elicitation: {}, extensions: { [TASKS]: {} } } } };
const alice = modernClient(MCP, 'alice');
const bob = modernClient(MCP, 'bob');
const EXPECTED = ['one__greet', 'two__greet', 'scripted__slow', 'everything__echo'];
await waitFor(
  async () => {
    const names = await alice.toolNames();
    return EXPECTED.every((name) => names.includes(name));
  },
  { deadlineMs: 30_000, what: 'the tools of all servers' },
);

async function taskOf(client: ModernClient, name: string, args: Json = {}): Promise<Json> {
  const created = await client.resultOf('tools/call', { name, arguments: args }, WITH_TASKS);
  assert.equal(created['resultType'], 'task', JSON.stringify(created));
  return created;
}

async function stateOf(client: ModernClient, taskId: unknown, status: string): Promise<Json> {
  let state: Json = {};
  await waitFor(
    async () => {
      state = await client.resultOf('tasks/get', { taskId }, WITH_TASKS);
      return state['status'] === status;
    },
    { what: `status ${status}` },
  );
  return state;
}

async function errorCode(client: ModernClient, method: string, params: Json): Promise<unknown> {
  return messageOf(await client.ask(method, params, WITH_TASKS))['error']?.code;
}

verifies('protocol.case-92', 'equal ids of two servers differ, and only their owner can use them', async () => {
  const tasks = await Promise.all([
    taskOf(alice, 'one__slow_compute', { seconds: 0.1 }),
    taskOf(alice, 'two__slow_compute', { seconds: 0.2 }),
  ]);
  const [first, second] = tasks.map(({ taskId }) => taskId as string) as [string, string];
  assert.notEqual(first, second);
  assert.doesNotMatch(first + second, /task-\d/);
  const done = await Promise.all([first, second].map((taskId) => stateOf(alice, taskId, 'completed')));
  assert.deepEqual(
    done.map(({ taskId, result }) => [taskId, result.content[0].text]),
    [
      [first, 'computed for 0.1 s'],
      [second, 'computed for 0.2 s'],
    ],
  );
  script = (method) => {
    const state = { taskId: 'raw id ü', status: 'working', ttlMs: null, createdAt: 'x', lastUpdatedAt: 'x' };
    if (method === 'tools/call') return { result: { resultType: 'task', ...state } };
    return method.startsWith('tasks/') ? { result: { resultType: 'complete', ...state } } : undefined;
  };
  const { taskId } = await taskOf(alice, 'scripted__slow');
  for (const method of ['tasks/get', 'tasks/update', 'tasks/cancel']) {
    const params = { taskId, ...(method === 'tasks/update' ? { inputResponses: {} } : {}) };
    // oxlint-disable-next-line no-await-in-loop -- which one fails should be clear
    assert.equal((await alice.resultOf(method, params, WITH_TASKS))['taskId'], taskId);
    const [asked] = scripted.asked(method);
    assert.deepEqual(asked?.values('mcp-name'), ['=?base64?cmF3IGlkIMO8?=']);
    assert.match(asked?.text() ?? '', /"taskId":"raw id ü"/);
    for (const foreign of [taskId, 'task-1', '', `${String(taskId)}A`]) {
      const by = foreign === taskId ? bob : alice;
      // oxlint-disable-next-line no-await-in-loop
      assert.equal(await errorCode(by, method, { ...params, taskId: foreign }), -32602);
    }
    assert.equal(scripted.asked(method).length, 1);
  }
});

verifies(
  'protocol.case-91',
  'a task for a client without tasks is an invalid answer, and no method is for it',
  async () => {
    script = (method) =>
      method === 'tools/call' ? { result: { resultType: 'task', taskId: 't', status: 'working' } } : undefined;
    const message = messageOf(await alice.ask('tools/call', { name: 'scripted__slow' }));
    assert.equal(message['error'].data.code, 'UPSTREAM_PROTOCOL');
    const { taskId } = await taskOf(alice, 'scripted__slow');
    const refusal = messageOf(await alice.ask('tasks/get', { taskId }));
    assert.deepEqual(
      [refusal['error'].code, refusal['error'].data],
      [-32021, { requiredCapabilities: { extensions: { [TASKS]: {} } } }],
    );
    assert.equal(await errorCode(alice, 'tasks/list', {}), -32601);
    assert.equal(await errorCode(alice, 'tasks/result', { taskId }), -32601);
  },
);

verifies(
  'gateway.tasks.questions',
  'a question of a task names its server, and its answer completes the task',
  async () => {
    const { taskId } = await taskOf(alice, 'two__confirm_delete', { filename: 'a.txt' });
    const { inputRequests } = await stateOf(alice, taskId, 'input_required');
    assert.equal(inputRequests.sure.params.message, '[two] Delete a.txt?');
    const without = { meta: { [CAPABILITIES]: { extensions: { [TASKS]: {} } } } };
    assert.equal(messageOf(await alice.ask('tasks/get', { taskId }, without))['error'].code, -32021);
    await alice.resultOf('tasks/update', { taskId, inputResponses: { sure: { action: 'accept' } } }, WITH_TASKS);
    const { result } = await stateOf(alice, taskId, 'completed');
    assert.equal(result.content[0].text, 'accept a.txt');
  },
);

verifies('gateway.tasks.listen', 'states are told under the ids that the client knows, and to no other', async () => {
  const state = { taskId: 'raw', status: 'working', ttlMs: null, createdAt: 'x', lastUpdatedAt: 'x' };
  script = (method) => (method === 'tools/call' ? { result: { resultType: 'task', ...state } } : undefined);
  const { taskId } = await taskOf(alice, 'scripted__slow');
  const notifications = { taskIds: [taskId, 'made up'] };
  const foreign = await bob.open('subscriptions/listen', { notifications }, { ...WITH_TASKS, id: 'theirs' });
  const [empty] = eventsOf(await readUntil(foreign, (text) => text.includes('\n\n')));
  assert.deepEqual(empty?.['params'].notifications, {});
  const stream = await alice.open('subscriptions/listen', { notifications }, { ...WITH_TASKS, id: 'l-1' });
  const [confirmed] = eventsOf(await readUntil(stream, (text) => text.includes('\n\n')));
  assert.deepEqual(confirmed?.['params'].notifications, { taskIds: [taskId] });
  assert.deepEqual(scripted.filters.filter(({ taskIds }) => taskIds !== undefined), [{ taskIds: ['raw'] }]); // prettier-ignore
  const sure = { method: 'elicitation/create', params: { message: 'Sure?', requestedSchema: {} } };
  scripted.tell('notifications/tasks', { ...state, status: 'input_required', inputRequests: { sure } });
  const [told] = eventsOf(await readUntil(stream, (text) => text.includes('notifications/tasks')));
  const { _meta: meta, ...task } = (told ?? {})['params'] as Json;
  assert.deepEqual(meta, { 'io.modelcontextprotocol/subscriptionId': 'l-1' });
  assert.equal(task['taskId'], taskId);
  assert.equal(task['inputRequests'].sure.params.message, '[scripted] Sure?');
  stream.close();
  foreign.close();
  await waitFor(() => scripted.filters.every(({ taskIds }) => taskIds === undefined));
});

verifies(
  ['protocol.case-91', 'gateway.tasks.driven'],
  'an older client gets the result of what became a task',
  async (t) => {
    const client = await connectClient1({
      url: MCP,
      transport: 'streamable',
      token: tokenOf('alice'),
    });
    t.after(() => client.close());
    const steps: unknown[] = [];
    const onprogress = (step: unknown): void => void steps.push(step);
    const call = (name: string, args: Json = {}): Promise<Json> =>
      client.callTool({ name, arguments: args, onprogress }) as Promise<Json>;
    for (const server of ['one', 'two']) {
      // oxlint-disable no-await-in-loop -- one server after the other
      const slow = await call(`${server}__slow_compute`, { seconds: 0.3 });
      assert.deepEqual(slow['content'], [{ type: 'text', text: 'computed for 0.3 s' }]);
      const deleted = await call(`${server}__confirm_delete`, { filename: 'b.txt' });
      assert.deepEqual(deleted['content'], [{ type: 'text', text: 'accept b.txt' }]);
      const mixed = await call(`${server}__test_tool_with_task`);
      assert.match(JSON.stringify(mixed['content']), /worked for/);
      assert.equal((await call(`${server}__failing_job`))['isError'], true);
      await assert.rejects(call(`${server}__protocol_error_job`), /the job broke the server/);
      // oxlint-enable no-await-in-loop
    }
    assert.ok(client.answered.includes('elicitation/create'));
    assert.deepEqual((steps as Json[]).map(({ message }) => message), ['computing', 'computing']); // prettier-ignore
  },
);

verifies('gateway.tasks.not-told', 'an older client is not told of tasks and cannot ask about them', async () => {
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } };
  const answer = await send(MCP, { headers: headersOf('alice'), body: request(0, 'initialize', params) });
  const { capabilities } = (answer.json() as Json)['result'] as Json;
  assert.equal(capabilities.tasks, undefined);
  assert.equal(capabilities.extensions, undefined);
  const modern = await alice.resultOf('server/discover', {});
  assert.deepEqual(modern['capabilities'].extensions, { [TASKS]: {} });
  const session = await openSession(app.url, 'alice');
  const { taskId } = await taskOf(alice, 'one__slow_compute', { seconds: 0 });
  const { response } = await session.ask('tasks/get', { taskId });
  assert.equal(response['error'].code, -32601);
});

verifies('gateway.tasks.driven', 'a call that is cancelled or cannot be answered cancels its task', async () => {
  const state = { taskId: 'raw', ttlMs: null, createdAt: 'x', lastUpdatedAt: 'x', pollIntervalMs: 100 };
  const sampling = { method: 'sampling/createMessage', params: { messages: [], maxTokens: 1 } };
  let status: Json = { status: 'working' };
  script = (method) => {
    if (method === 'tools/call') return { result: { resultType: 'task', ...state, status: 'working' } };
    return method.startsWith('tasks/') ? { result: { resultType: 'complete', ...state, ...status } } : undefined;
  };
  const cancelled = (): number => scripted.asked('tasks/cancel').length;
  const before = cancelled();
  const session = await openSession(app.url, 'alice');
  const polls = scripted.asked('tasks/get').length;
  const asking = session.ask('tools/call', { name: 'scripted__slow' }, 'mine');
  await waitFor(() => scripted.asked('tasks/get').length > polls);
  await session.tell('notifications/cancelled', { requestId: 'mine' });
  assert.deepEqual((await asking).response, {});
  await waitFor(() => cancelled() === before + 1);
  // Nobody at this client can sample.
  status = { status: 'input_required', inputRequests: { s: sampling } };
  const { response } = await session.ask('tools/call', { name: 'scripted__slow' });
  assert.equal(response['result']['isError'], true);
  await waitFor(() => cancelled() === before + 2);
});

verifies(
  'gateway.tasks.old-servers',
  'a tool that only runs as a task of 2025-11-25 is called like any other',
  async (t) => {
    const name = 'everything__simulate-research-query';
    const { tools } = await alice.resultOf('tools/list');
    const listed = (tools as Json[]).find((tool) => tool['name'] === name);
    assert.equal(listed?.['execution'], undefined);
    const client = await connectClient1({
      url: MCP,
      transport: 'streamable',
      token: tokenOf('alice'),
    });
    t.after(() => client.close());
    const messages: unknown[] = [];
    const onprogress = (step: unknown): void => void messages.push((step as Json)['message']);
    const result = await client.callTool({ name, arguments: { topic: 'python', ambiguous: true }, onprogress });
    assert.match(JSON.stringify(result), /Research Report: python/);
    assert.ok(client.answered.includes('elicitation/create'));
    assert.ok(messages.includes('Generating report...'), messages.join());
    const direct = await alice.resultOf('tools/call', { name, arguments: { topic: 'tea' } }, WITH_TASKS);
    assert.equal(direct['resultType'], 'complete');
    assert.match(JSON.stringify(direct['content']), /Research Report: tea/);
  },
);
