/**
 * A task of 2026-07-28 that a call became, followed to its result for a client that knows no tasks.
 *
 * The state is asked for at the pace that the server names; questions of the task are put to the client, each once,
 * and answered with `tasks/update`; what the server says about the state is progress. A client that cancels, a
 * question that cannot be answered and the end of the time that a call may be held cancel the task. A failure of
 * ours on the way (a server that restarts) is waited over, a bounded number of times. Source: MCP extension tasks
 * 2026-07-28, Polling, Input Required.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { ProxyError } from '../errors.ts';
import { QUESTION_COUNT_MAX, QUESTION_ROUND_COUNT_MAX, TASK_FAILURE_COUNT_MAX, TASK_MS_MAX } from '../limits.ts';
import { isObject } from '../mcp/jsonrpc.ts';
import { RPC_ERROR } from '../mcp/protocol.ts';
import { readQuestions } from '../mcp/questions.ts';
import type { JsonObject, McpEvents, McpOutcome, McpRequest } from '../mcp/waist.ts';
import { pollDelayMs } from '../upstream/legacy-task.ts';
import { endUnanswered, type Answers } from './downstream-asking.ts';
import type { Questions } from '../mcp/questions.ts';
import { failed, ownFailure, toolFailure, unservable } from './downstream-result.ts';
import type { GatewayView } from './view.ts';

export interface TaskDriving {
  readonly view: GatewayView;
  /** The call that became a task, with the capabilities that it declared. */
  readonly request: McpRequest;
  /** The client gave up. */
  readonly signal: AbortSignal;
  ask(questions: Questions): Promise<Answers>;
  /** The server says something new about the state of the task. */
  onStatus(message: string): void;
}

const SILENT: McpEvents = { onProgress: () => undefined, onLog: () => undefined };

/** Resolves to the outcome of the call; to undefined when the client gave up. Never rejects. */
export async function driveTask(created: JsonObject, driving: TaskDriving): Promise<McpOutcome | undefined> {
  const { signal } = driving;
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), TASK_MS_MAX);
  const taskId = String(created['taskId']);
  const end = AbortSignal.any([signal, late.signal]);
  try {
    const ended = await new Drive(taskId, { ...driving, signal: end }).run(created);
    if (ended.kind === 'outcome') return ended.outcome;
    tell(driving, 'tasks/cancel', { taskId });
    if (signal.aborted) return undefined;
    if (ended.kind === 'unanswered') return ended.outcome;
    return failed(
      new ProxyError('UPSTREAM_TIMEOUT', `the task did not end within ${TASK_MS_MAX} ms and was cancelled`),
    );
  } finally {
    clearTimeout(timer);
  }
}

const TOO_OFTEN = 'The server asked more often than is allowed for one task.';

type Ended =
  | { readonly kind: 'outcome'; readonly outcome: McpOutcome }
  /** The task goes on at the server, but not for us. */
  | { readonly kind: 'unanswered'; readonly outcome: McpOutcome }
  | { readonly kind: 'aborted' };

/** Says something about the task; whether it is understood changes nothing here. */
function tell(driving: TaskDriving, method: string, params: JsonObject): void {
  void ask(driving, method, params);
}

function ask({ view, request }: TaskDriving, method: string, params: JsonObject): Promise<McpOutcome> {
  const { _meta } = request.params;
  const asked = { ...request, method, params: { ...params, _meta }, logLevel: undefined, wantsProgress: false };
  return view.call(asked, SILENT).outcome;
}

/** One task; a class because it remembers what was asked and said. */
class Drive {
  readonly #taskId: string;
  readonly #driving: TaskDriving;
  /** Keys are unique over the life of a task. Bounded by QUESTION_ROUND_COUNT_MAX rounds of QUESTION_COUNT_MAX. */
  readonly #answered = new Set<string>();
  #roundCount = 0;
  #status: unknown;
  #failureCount = 0;

  constructor(taskId: string, driving: TaskDriving) {
    this.#taskId = taskId;
    this.#driving = driving;
  }

  async run(created: JsonObject): Promise<Ended> {
    const { signal } = this.#driving;
    let task = created;
    while (!signal.aborted) {
      this.#tellStatus(task);
      // oxlint-disable-next-line no-await-in-loop -- each state follows the one before
      const ended = readEnd(task, this.#driving.request.method) ?? (await this.#answerQuestions(task));
      if (ended !== undefined) return ended;
      // oxlint-disable-next-line no-await-in-loop
      const next = await this.#nextState(task);
      if ('kind' in next) return next;
      task = next.task;
    }
    return { kind: 'aborted' };
  }

  #tellStatus({ statusMessage }: JsonObject): void {
    if (typeof statusMessage !== 'string' || statusMessage === this.#status) return;
    this.#status = statusMessage;
    this.#driving.onStatus(statusMessage);
  }

  async #answerQuestions({ status, inputRequests }: JsonObject): Promise<Ended | undefined> {
    if (status !== 'input_required') return undefined;
    const isOpen = ([key]: [string, unknown]): boolean => !this.#answered.has(key);
    const open = Object.entries(readQuestions(inputRequests) ?? {})
      .filter(isOpen)
      .slice(0, QUESTION_COUNT_MAX);
    if (open.length === 0) return undefined;
    this.#roundCount += 1;
    if (this.#roundCount > QUESTION_ROUND_COUNT_MAX) return { kind: 'unanswered', outcome: unservable(TOO_OFTEN) };
    const answers = await this.#driving.ask(Object.fromEntries(open));
    if (this.#driving.signal.aborted) return { kind: 'aborted' };
    const { method } = this.#driving.request;
    if (answers.kind === 'end') return { kind: 'unanswered', outcome: endUnanswered(method, answers.text) };
    for (const [key] of open) this.#answered.add(key);
    const { inputResponses = {} } = answers.responses;
    const outcome = await this.#unlessAborted(
      ask(this.#driving, 'tasks/update', { taskId: this.#taskId, inputResponses }),
    );
    if (outcome === undefined) return { kind: 'aborted' };
    return outcome.kind === 'error' ? { kind: 'unanswered', outcome } : undefined;
  }

  async #nextState(task: JsonObject): Promise<Ended | { readonly task: JsonObject }> {
    const { signal } = this.#driving;
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop -- the pace of the server
      await delay(pollDelayMs(task['pollIntervalMs']), undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return { kind: 'aborted' };
      // oxlint-disable-next-line no-await-in-loop
      const outcome = await this.#unlessAborted(ask(this.#driving, 'tasks/get', { taskId: this.#taskId }));
      if (outcome === undefined) return { kind: 'aborted' };
      if (outcome.kind === 'complete') {
        this.#failureCount = 0;
        return { task: outcome.result };
      }
      this.#failureCount += 1;
      const mayPass = outcome.kind === 'error' && isPassing(outcome.data);
      if (!mayPass || this.#failureCount > TASK_FAILURE_COUNT_MAX) return { kind: 'unanswered', outcome };
    }
  }

  /** Undefined as soon as the call is over: a server may never answer. */
  #unlessAborted<T>(promise: Promise<T>): Promise<T | undefined> {
    const { signal } = this.#driving;
    if (signal.aborted) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      const onAbort = (): void => resolve(undefined);
      signal.addEventListener('abort', onAbort, { once: true });
      void promise.then((value) => {
        signal.removeEventListener('abort', onAbort);
        resolve(value);
      });
    });
  }
}

/** Whether asking again may help: the server was not there, and the task may be. */
function isPassing(data: unknown): boolean {
  const code = ownFailure(data);
  return code !== undefined && /^UPSTREAM_(UNREACHABLE|CLOSED|TIMEOUT|NOT_READY)$/.test(code);
}

/** What the state says about the end of the call; undefined while the task goes on. */
function readEnd({ status, statusMessage, result, error }: JsonObject, method: string): Ended | undefined {
  switch (status) {
    case 'working':
    case 'input_required':
      return undefined;
    case 'completed':
      if (!isObject(result)) return over(unservable('The server ended a task without a result.'));
      return over({ kind: 'complete', result: withoutKind(result) });
    case 'failed': {
      const { code, message, data } = isObject(error) ? error : {};
      const text = typeof message === 'string' ? message : 'The task failed.';
      return over({ kind: 'error', code: typeof code === 'number' ? code : RPC_ERROR.internal, message: text, data });
    }
    case 'cancelled': {
      const text = typeof statusMessage === 'string' ? statusMessage : 'The server cancelled the task.';
      return over(method === 'tools/call' ? { kind: 'complete', result: toolFailure(text) } : unservable(text));
    }
    default:
      return over(unservable('The server told a state of a task that is not of the protocol.'));
  }
}

function over(outcome: McpOutcome): Ended {
  return { kind: 'outcome', outcome };
}

function withoutKind(result: JsonObject): JsonObject {
  const { resultType: _, ...rest } = result;
  return rest;
}
