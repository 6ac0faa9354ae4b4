/**
 * One task of 2025-11-25, followed to its result for a client that made an ordinary call.
 *
 * `tasks/get` is asked at the pace that the server names; each answer is a sign of life. As soon as the task is no
 * longer only working, `tasks/result` is asked, which waits for the end and on whose stream the server asks its
 * questions (`input_required`). Whoever made the call bounds the whole, and finds the questions by the task's id.
 * Source: MCP 2025-11-25 basic/utilities/tasks.
 */
import { ProxyError } from '../errors.ts';
import {
  SSE_RESUME_COUNT_MAX,
  TASK_MS_MAX,
  TASK_POLL_MS_DEFAULT,
  TASK_POLL_MS_MAX,
  TASK_POLL_MS_MIN,
  TASK_REPLY_MS_MAX,
} from '../limits.ts';
import { isObject } from '../mcp/jsonrpc.ts';
import type { JsonObject } from '../mcp/waist.ts';
import { askWithin } from './conversation.ts';
import type { Answer, Conversation } from './conversation.ts';

export interface LegacyTaskOptions {
  readonly conversation: Conversation;
  /** The state of the task whenever the server tells it. */
  onState(task: JsonObject): void;
  /** `tasks/result` is open at the server under this id, from now until `onAnswer`. */
  onOpen(id: number): void;
  /** The end: of the task, or of what can be known of it. Called once, unless the task was cancelled. */
  onAnswer(answer: Answer): void;
}

/** What a call says to be run as a task. */
export const AS_TASK: JsonObject = { ttl: TASK_MS_MAX };

/** The task that the server made of a call; undefined when it answered in another way. */
export function readCreatedTask(answer: Answer): JsonObject | undefined {
  if (answer.kind !== 'result') return undefined;
  const { task } = answer.result;
  return isObject(task) && typeof task['taskId'] === 'string' ? task : undefined;
}

/** Milliseconds until the state of a task is asked for again. */
export function pollDelayMs(wanted: unknown): number {
  const ms = typeof wanted === 'number' && wanted >= 0 ? wanted : TASK_POLL_MS_DEFAULT;
  return Math.min(Math.max(ms, TASK_POLL_MS_MIN), TASK_POLL_MS_MAX);
}

/** Tells the server that nobody wants the task any more; what it answers changes nothing. */
export function cancelLegacyTask(conversation: Conversation, taskId: string): void {
  void askWithin(conversation, { method: 'tasks/cancel', params: { taskId } }, TASK_REPLY_MS_MAX);
}

export class LegacyTask {
  readonly taskId: string;
  readonly #options: LegacyTaskOptions;
  #timer: NodeJS.Timeout | undefined;
  #resultId: number | undefined;
  #resultCount = 0;
  #isOver = false;

  /** Follows the task from the state in which it was made. */
  constructor(created: JsonObject, options: LegacyTaskOptions) {
    this.taskId = String(created['taskId']);
    this.#options = options;
    this.#take(created);
  }

  /** Lets go of the task; the server is told. */
  cancel(): void {
    if (this.#isOver) return;
    this.#stop();
    const { conversation } = this.#options;
    cancelLegacyTask(conversation, this.taskId);
    if (this.#resultId === undefined) return;
    conversation.forget(this.#resultId);
    void conversation.notify('notifications/cancelled', { requestId: this.#resultId });
  }

  #take(task: JsonObject): void {
    this.#options.onState(task);
    if (this.#isOver) return;
    const { status } = task;
    if (status !== 'working' && this.#resultId === undefined) this.#askResult();
    this.#timer = setTimeout(() => void this.#poll(), pollDelayMs(task['pollInterval']));
  }

  async #poll(): Promise<void> {
    const { conversation } = this.#options;
    const { taskId } = this;
    const answer = await askWithin(conversation, { method: 'tasks/get', params: { taskId } }, TASK_REPLY_MS_MAX);
    if (this.#isOver) return;
    if (answer.kind === 'result') return this.#take(answer.result);
    // A refusal is final (an expired task is unknown), unless the result is on its way, which says more.
    if (answer.kind === 'error' && this.#resultId === undefined) return this.#end(answer);
    this.#timer = setTimeout(() => void this.#poll(), TASK_POLL_MS_DEFAULT);
  }

  #askResult(): void {
    const params = { taskId: this.taskId };
    this.#resultId = this.#options.conversation.ask(
      'tasks/result',
      () => params,
      (answer) => this.#onResult(answer),
    );
    this.#resultCount += 1;
    this.#options.onOpen(this.#resultId);
  }

  /** Asking again for a result that was cut on its way is safe, and the task is still there. */
  #onResult(answer: Answer): void {
    this.#resultId = undefined;
    if (answer.kind !== 'failed' || this.#resultCount >= SSE_RESUME_COUNT_MAX) this.#end(answer);
  }

  #end(answer: Answer): void {
    if (this.#isOver) return;
    this.#stop();
    if (answer.kind === 'failed') cancelLegacyTask(this.#options.conversation, this.taskId);
    this.#options.onAnswer(answer);
  }

  #stop(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }
}

/** The task did not end in the time that a held call may take. */
export function taskTooLong(serverName: string): ProxyError {
  return new ProxyError('UPSTREAM_TIMEOUT', `the task of server ${serverName} did not end within ${TASK_MS_MAX} ms`);
}
