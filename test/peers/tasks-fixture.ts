/**
 * A server of 2026-07-28 with the tasks extension, with the tools that the tasks scenarios of the conformance suite
 * prescribe.
 *
 *   node --import tsx test/peers/tasks-fixture.ts [PORT]   Streamable HTTP on 127.0.0.1
 *   node --import tsx test/peers/tasks-fixture.ts stdio    newline-delimited JSON on stdin and stdout
 *
 * Ids count from `task-1`, so that two of these servers make equal ones. Tasks are kept for a run. The SDK carries
 * the extension's results and methods, and leaves what they mean to the server.
 */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { toNodeHandler } from '@modelcontextprotocol/node';
import {
  CLIENT_CAPABILITIES_META_KEY,
  createMcpHandler,
  fromJsonSchema,
  inputRequired,
  ProtocolError,
  Server,
  type ServerContext,
} from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';

const EXTENSION = 'io.modelcontextprotocol/tasks';
const MISSING_CAPABILITY = -32_021;
const INVALID_PARAMS = -32_602;

type Json = Record<string, unknown>;

interface Task {
  state: Json;
  questions: Json;
  readonly answers: Json;
  /** Goes on when something has been answered. */
  onAnswer: (() => void) | undefined;
}

type Run = (args: Json, task: Task) => Promise<Json>;

const tasks = new Map<string, Task>();

const FORM = {
  type: 'object',
  properties: { confirm: { type: 'boolean' }, name: { type: 'string' } },
};

/** Tools that run as tasks; `failing_job` does nothing else. */
const TASK_TOOLS: Readonly<Record<string, Run>> = {
  slow_compute: async ({ seconds = 1 }, task) => {
    say(task, 'computing');
    await pause(Number(seconds) * 1_000);
    return text(`computed for ${String(seconds)} s`);
  },
  failing_job: async () => {
    await pause(300);
    return { ...text('the job failed'), isError: true };
  },
  protocol_error_job: async () => {
    await pause(100);
    throw new ProtocolError(-32_603, 'the job broke the server', { job: 'protocol_error_job' });
  },
  confirm_delete: async ({ filename }, task) => {
    const { sure } = await ask(task, { sure: elicit(`Delete ${String(filename)}?`) });
    return text(`${String((sure as Json)['action'])} ${String(filename)}`);
  },
  sample_text: async (_args, task) => {
    const params = { messages: [{ role: 'user', content: { type: 'text', text: 'Say hello' } }], maxTokens: 10 };
    const { sampled } = await ask(task, { sampled: { method: 'sampling/createMessage', params } });
    return text(JSON.stringify(sampled));
  },
  multi_input: async (_args, task) => {
    const { first, second } = await ask(task, { first: elicit('First?'), second: elicit('Second?') });
    return text(JSON.stringify([first, second]));
  },
};

const TOOLS = ['greet', 'test_tool_with_task', ...Object.keys(TASK_TOOLS)].map((name) => ({
  name,
  description: name,
  inputSchema: { type: 'object' as const },
}));

function makeServer(): Server {
  const server = new Server(
    { name: 'tasks-fixture', version: '1.0.0' },
    { capabilities: { tools: {}, extensions: { [EXTENSION]: {} } } },
  );
  server.setRequestHandler('tools/list', () => ({ tools: TOOLS, ttlMs: 0, cacheScope: 'private' as const }));
  server.setRequestHandler('tools/call', (request, context) => call(request.params, context) as never);
  const params = fromJsonSchema<Json>({ type: 'object' });
  const serve = (method: string, run: (task: Task, answers: Json) => Json): void =>
    server.setRequestHandler(method, { params }, async (given, context) => {
      requireTasks(context);
      const task = tasks.get(String(given['taskId']));
      if (task === undefined) throw new ProtocolError(INVALID_PARAMS, 'Task not found');
      return run(task, context.mcpReq.inputResponses ?? {});
    });
  serve('tasks/get', (task) => ({ ...task.state, ...(isAsking(task) ? { inputRequests: task.questions } : {}) }));
  serve('tasks/update', (task, answers) => {
    for (const [key, answer] of Object.entries(answers)) {
      if (task.questions[key] === undefined) continue;
      const { [key]: _, ...open } = task.questions;
      task.questions = open;
      task.answers[key] = answer;
    }
    task.onAnswer?.();
    return {};
  });
  serve('tasks/cancel', (task) => {
    if (!isOver(task)) change(task, { status: 'cancelled', statusMessage: 'cancelled by the client' });
    return {};
  });
  return server;
}

async function call(
  { name, arguments: args = {} }: { name: string; arguments?: Json | undefined },
  context: ServerContext,
) {
  if (name === 'greet') return text(`Hello, ${typeof args['name'] === 'string' ? args['name'] : 'world'}!`);
  if (name === 'test_tool_with_task') {
    requireTasks(context);
    const { user_name: given } = context.mcpReq.inputResponses ?? {};
    if (given === undefined) {
      const question = inputRequired.elicit({ message: 'Who are you?', requestedSchema: FORM as never });
      return inputRequired({ inputRequests: { user_name: question }, requestState: 'asked' });
    }
    return begin(async () => text(`worked for ${JSON.stringify(given)}`), args);
  }
  const run = TASK_TOOLS[name];
  if (run === undefined) throw new ProtocolError(INVALID_PARAMS, `Unknown tool: ${name}`);
  if (hasTasks(context)) return begin(run, args);
  if (name === 'slow_compute') return run(args, emptyTask());
  return requireTasks(context);
}

function begin(run: Run, args: Json): Json {
  const taskId = `task-${tasks.size + 1}`;
  const now = new Date().toISOString();
  const task = emptyTask();
  task.state = { taskId, status: 'working', createdAt: now, lastUpdatedAt: now, ttlMs: 600_000, pollIntervalMs: 100 };
  tasks.set(taskId, task);
  run(args, task).then(
    (result) => change(task, { status: 'completed', result }),
    (error: ProtocolError) => {
      const { code, message, data } = error;
      change(task, { status: 'failed', error: { code, message, data } });
    },
  );
  return { ...task.state, resultType: 'task' };
}

function emptyTask(): Task {
  return { state: {}, questions: {}, answers: {}, onAnswer: undefined };
}

function change(task: Task, news: Json): void {
  if (isOver(task)) return;
  task.state = { ...task.state, ...news, lastUpdatedAt: new Date().toISOString() };
}

function say(task: Task, statusMessage: string): void {
  change(task, { statusMessage });
}

async function ask(task: Task, questions: Json): Promise<Json> {
  task.questions = questions;
  change(task, { status: 'input_required' });
  await new Promise<void>((resolve) => {
    task.onAnswer = () => {
      if (!isAsking(task)) resolve();
    };
  });
  change(task, { status: 'working' });
  return task.answers;
}

function isAsking(task: Task): boolean {
  return task.state['status'] === 'input_required' && Object.keys(task.questions).length > 0;
}

function isOver({ state }: Task): boolean {
  return ['completed', 'failed', 'cancelled'].includes(String(state['status']));
}

function elicit(message: string): Json {
  return { method: 'elicitation/create', params: { mode: 'form', message, requestedSchema: FORM } };
}

function text(value: string): Json {
  return { content: [{ type: 'text', text: value }] };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}

function hasTasks({ mcpReq }: ServerContext): boolean {
  const declared = (mcpReq.envelope as Json | undefined)?.[CLIENT_CAPABILITIES_META_KEY] as Json | undefined;
  return (declared?.['extensions'] as Json | undefined)?.[EXTENSION] !== undefined;
}

function requireTasks(context: ServerContext): void {
  if (hasTasks(context)) return;
  const requiredCapabilities = { extensions: { [EXTENSION]: {} } };
  throw new ProtocolError(MISSING_CAPABILITY, 'This needs the tasks extension.', { requiredCapabilities });
}

const [argument = '0'] = process.argv.slice(2);
if (argument === 'stdio') serveStdio(makeServer);
else {
  const handle = toNodeHandler(createMcpHandler(makeServer)) as http.RequestListener;
  const server = http.createServer(handle);
  server.listen(Number(argument), '127.0.0.1', () =>
    console.log(`listening on ${(server.address() as AddressInfo).port}`),
  );
}
