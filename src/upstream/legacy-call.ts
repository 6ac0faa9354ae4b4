/**
 * One call to a legacy server, over all its rounds.
 *
 * The client's request and the server's differ in length. While somebody waits, the call *runs*. When the server asks
 * something, the client's request ends with the question and the server's stays open: the call is *parked* until the
 * client comes back with answers, however often. The end of either side ends it: an answer while parked is kept for
 * the client that returns; a client that does not return in time, or cancels, lets go of the server.
 *
 * A refusal with pages to visit first (-32042) is a parked call without a request at the server: when the user has
 * agreed, the request is made again, which is safe because it was refused. A tool that only runs as a task is called as
 * one, and the call goes on until the task's end (`legacy-task`). Finding the call that a message belongs to is left to
 * `legacy-calls`. Source: MCP 2025-11-25 basic/utilities/cancellation; 2026-07-28 basic/patterns/mrtr.
 */
import { randomUUID } from 'node:crypto';

import { ProxyError } from '../errors.ts';
import { PARKED_CALL_MS_MAX, QUESTION_COUNT_MAX, QUESTION_GATHER_MS, TASK_MS_MAX } from '../limits.ts';
import { isObject } from '../mcp/jsonrpc.ts';
import type { RpcErrorBody, RpcId } from '../mcp/jsonrpc.ts';
import { INPUT_METHODS, META, RPC_ERROR } from '../mcp/protocol.ts';
import { missingCapabilities } from '../mcp/questions.ts';
import type { InputRequest, JsonObject, McpEvents, McpOutcome, McpRequest } from '../mcp/waist.ts';
import type { Timeouts } from '../model.ts';
import { createProgressFilter, createStatusProgress, isLogWanted } from './call-notes.ts';
import type { Answer, Conversation } from './conversation.ts';
import { abandonAnswer, readQuestion, toLegacyAnswer } from './legacy-questions.ts';
import { completeOutcome, errorOutcome, readUrlElicitations } from './legacy-result.ts';
import { AS_TASK, LegacyTask, cancelLegacyTask, readCreatedTask, taskTooLong } from './legacy-task.ts';
import { failureOutcome } from './peer-outcome.ts';

/** One round of the client: its request, and where the outcome goes. */
export interface Round {
  readonly request: McpRequest;
  readonly events: McpEvents;
  resolve(outcome: McpOutcome): void;
}

export interface LegacyCallOptions {
  readonly serverName: string;
  readonly conversation: Conversation;
  readonly revision: string;
  readonly timeouts: Timeouts;
  /** The tool only runs as a task. */
  readonly asTask: boolean;
  /** A page of the server's tools. */
  onTools(page: JsonObject): void;
  /** A request with this id is open at the server. */
  onOpen(call: LegacyCall, id: number): void;
  /** It is no longer; a cancelled one may still be talked about, until its late answer. */
  onSettled(id: number, how: 'answered' | 'cancelled'): void;
  onParked(call: LegacyCall, state: string): void;
  /** Resumed or over: the state leads nowhere any more. */
  onUnparked(state: string): void;
}

interface OpenQuestion {
  readonly request: InputRequest;
  /** The server's id; undefined for a page to visit before the request is made again. */
  readonly id: RpcId | undefined;
}

export class LegacyCall {
  readonly #options: LegacyCallOptions;
  readonly #questions = new Map<string, OpenQuestion>(); // bounded by QUESTION_COUNT_MAX
  readonly #filterProgress = createProgressFilter();
  /** The round that waits; undefined while parked and after the end. */
  #round: Round | undefined;
  /** The round that was ended with a question last. */
  #asked: Round | undefined;
  #request: McpRequest;
  /** What the server asked and the client did not declare; bounded by QUESTION_COUNT_MAX. */
  readonly #undeclared: InputRequest[] = [];
  #questionCount = 0;
  /** The server's open request. */
  #openId: number | undefined;
  #state: string | undefined;
  #kept: McpOutcome | undefined;
  #task: LegacyTask | undefined;
  /** The open request for the result of the task. */
  #resultId: number | undefined;
  /** Ends a task that lasts too long. */
  #taskTimer: NodeJS.Timeout | undefined;
  readonly #statusProgress = createStatusProgress();
  /** Silence of the server while running, absence of the client while parked. */
  #timer: NodeJS.Timeout | undefined;
  #gathering: NodeJS.Timeout | undefined;

  constructor(first: Round, options: LegacyCallOptions) {
    this.#round = first;
    this.#request = first.request;
    this.#options = options;
  }

  get method(): string {
    return this.#request.method;
  }

  get caller(): string | undefined {
    return this.#request.caller;
  }

  get round(): Round | undefined {
    return this.#round;
  }

  /** Whether the round is in progress, or ended with the question that is open now. */
  belongsTo(round: Round): boolean {
    return this.#round === round || (this.#state !== undefined && this.#asked === round);
  }

  /** Of the task that the server runs for this call. */
  get taskId(): string | undefined {
    return this.#task?.taskId;
  }

  start(): void {
    const { conversation, timeouts, asTask } = this.#options;
    const request = this.#request;
    const id: number = conversation.ask(
      request.method,
      (token) => ({ ...upstreamParams(request, token), ...(asTask ? { task: AS_TASK } : {}) }),
      (answer) => this.#onAnswer(id, answer),
    );
    this.#openId = id;
    this.#round?.events.onAttempt?.();
    this.#options.onOpen(this, id);
    this.#awaitServer(timeouts.firstByteMs);
  }

  /** The client is back with what it was asked; what it left out is asked again. */
  resume(next: Round, answers: JsonObject): void {
    const { timeouts } = this.#options;
    this.#unpark();
    this.#round = next;
    this.#request = next.request;
    if (this.#kept !== undefined) return this.#finish(this.#kept);
    if (this.#giveAnswers(answers) === 'refused') return this.#finish(refusedByUser(this.method));
    if (this.#questions.size > 0) {
      this.#awaitServer(timeouts.idleMs);
      return this.#gather();
    }
    return this.#openId === undefined ? this.start() : this.#awaitServer(timeouts.firstByteMs);
  }

  /** Takes a question of the server, or says why it cannot be asked. */
  ask(id: RpcId, method: InputRequest['method'], params: JsonObject): RpcErrorBody | undefined {
    if (this.#questions.size >= QUESTION_COUNT_MAX) {
      return { code: RPC_ERROR.internal, message: 'Too many questions of this request wait for an answer.' };
    }
    const question = readQuestion(method, params, this.#request.clientCapabilities);
    if (question.kind === 'refused') {
      if (this.#undeclared.length < QUESTION_COUNT_MAX) this.#undeclared.push({ method, params });
      return question.error;
    }
    this.#questionCount += 1;
    this.#questions.set(`q-${this.#questionCount}`, { request: question.request, id });
    this.#gather();
    return undefined;
  }

  /** The server takes a question back. One that has been handed out cannot be recalled; its answer will be dropped. */
  withdraw(id: RpcId): void {
    for (const [key, question] of this.#questions) if (question.id === id) this.#questions.delete(key);
  }

  onProgress(params: JsonObject): void {
    this.#onSign();
    this.#statusProgress.stop();
    const passed = this.#filterProgress(params);
    if (passed !== undefined && this.#round?.request.wantsProgress === true) this.#round.events.onProgress(passed);
  }

  onLog({ _meta, ...params }: JsonObject): void {
    this.#onSign();
    const round = this.#round;
    if (round !== undefined && isLogWanted(params['level'], round.request.logLevel)) round.events.onLog(params);
  }

  /** Ends the call at the server; whoever waits gets `error`. */
  abandon(error: ProxyError, reason: string | undefined): void {
    const { conversation } = this.#options;
    const id = this.#openId;
    this.#openId = undefined;
    for (const question of this.#questions.values()) this.#dismiss(question);
    this.#questions.clear();
    if (this.#task !== undefined) this.#endTask();
    else if (id !== undefined) {
      void conversation.notify('notifications/cancelled', {
        requestId: id,
        ...(reason === undefined ? {} : { reason }),
      });
    }
    if (id !== undefined) this.#options.onSettled(id, 'cancelled');
    this.#unpark();
    this.#finish(failureOutcome(error));
  }

  #onAnswer(id: number, answer: Answer): void {
    const created = this.#options.asTask ? readCreatedTask(answer) : undefined;
    if (created !== undefined && id === this.#openId) return this.#follow(id, created);
    this.#options.onSettled(id, 'answered');
    if (id === this.#openId) return this.#onEnd(answer);
    // After `abandon` the answer is only the news that the server is done with it, or has only begun.
    if (created !== undefined) cancelLegacyTask(this.#options.conversation, String(created['taskId']));
  }

  /** The request stays open until the task ends: what the server says about either belongs to this call. */
  #follow(id: number, created: JsonObject): void {
    const { conversation, serverName } = this.#options;
    this.#taskTimer = setTimeout(() => this.abandon(taskTooLong(serverName), 'no end in time'), TASK_MS_MAX);
    this.#task = new LegacyTask(created, {
      conversation,
      onState: (task) => this.#onTaskState(task),
      onOpen: (resultId) => {
        this.#settleResult();
        this.#resultId = resultId;
        this.#options.onOpen(this, resultId);
      },
      onAnswer: (answer) => {
        this.#endTask();
        this.#options.onSettled(id, 'answered');
        this.#onEnd(answer);
      },
    });
  }

  #onTaskState(task: JsonObject): void {
    this.#onSign();
    const progress = this.#statusProgress.of(task);
    if (progress !== undefined && this.#round?.request.wantsProgress === true) this.#round.events.onProgress(progress);
  }

  #endTask(): void {
    clearTimeout(this.#taskTimer);
    this.#task?.cancel();
    this.#task = undefined;
    this.#settleResult();
  }

  #settleResult(): void {
    if (this.#resultId !== undefined) this.#options.onSettled(this.#resultId, 'answered');
    this.#resultId = undefined;
  }

  #onEnd(answer: Answer): void {
    this.#openId = undefined;
    this.#questions.clear();
    if (answer.kind === 'result') {
      if (this.method === 'tools/list') this.#options.onTools(answer.result);
      const failed = answer.result['isError'] === true;
      return this.#finish((failed ? this.#needs() : undefined) ?? completeOutcome(this.method, answer.result));
    }
    if (answer.kind === 'failed') return this.#finish(failureOutcome(answer.error));
    const pages = INPUT_METHODS.has(this.method) ? readUrlElicitations(answer) : undefined;
    if (pages === undefined) return this.#finish(this.#needs() ?? errorOutcome(this.#request, answer));
    const missing = missingCapabilities(pages, this.#request.clientCapabilities);
    if (missing !== undefined) return this.#finish(needsPages(missing));
    for (const [key, request] of Object.entries(pages)) this.#questions.set(key, { request, id: undefined });
    return this.#handOut();
  }

  /** Why a call failed whose server asked for what the client did not declare; undefined when it did not. */
  #needs(): McpOutcome | undefined {
    const asked = Object.fromEntries(this.#undeclared.map((question, at) => [String(at), question]));
    const missing = missingCapabilities(asked, this.#request.clientCapabilities);
    return missing === undefined ? undefined : needsCapabilities(this.#options.serverName, missing);
  }

  #finish(outcome: McpOutcome): void {
    clearTimeout(this.#gathering);
    this.#gathering = undefined;
    const round = this.#round;
    if (round === undefined) {
      // Parked: the timer that frees it goes on.
      this.#kept = outcome;
      return;
    }
    clearTimeout(this.#timer);
    this.#round = undefined;
    round.resolve(outcome);
  }

  #gather(): void {
    if (this.#round !== undefined) this.#gathering ??= setTimeout(() => this.#handOut(), QUESTION_GATHER_MS);
  }

  /** Ends the client's round with the questions so far. */
  #handOut(): void {
    clearTimeout(this.#gathering);
    this.#gathering = undefined;
    const round = this.#round;
    if (round === undefined || this.#questions.size === 0) return;
    this.#round = undefined;
    this.#asked = round;
    clearTimeout(this.#timer);
    const { serverName } = this.#options;
    this.#timer = setTimeout(() => this.abandon(expired(serverName), 'no answer in time'), PARKED_CALL_MS_MAX);
    // A new state for each round, so that an old one cannot be used again.
    this.#state = randomUUID();
    this.#options.onParked(this, this.#state);
    const inputRequests = Object.fromEntries([...this.#questions].map(([key, { request }]) => [key, request]));
    round.resolve({ kind: 'input_required', inputRequests, requestState: this.#state });
  }

  /** Passes answers on; a question without one stays open. `refused`: the user does not want to visit a page. */
  #giveAnswers(answers: JsonObject): 'given' | 'refused' {
    const { conversation, revision } = this.#options;
    let given: 'given' | 'refused' = 'given';
    for (const [key, { id, request }] of this.#questions) {
      const answer = answers[key];
      if (!isObject(answer)) continue;
      this.#questions.delete(key);
      if (id !== undefined) conversation.answer(id, this.#related(toLegacyAnswer(request.method, answer, revision)));
      else if (answer['action'] !== 'accept') given = 'refused';
    }
    return given;
  }

  #dismiss({ id, request }: OpenQuestion): void {
    if (id === undefined) return;
    const { conversation } = this.#options;
    const answer = abandonAnswer(request.method);
    if ('result' in answer) conversation.answer(id, this.#related(answer.result));
    else conversation.refuse(id, answer.error);
  }

  /** The answer to a question of a task says which (MCP 2025-11-25 basic/utilities/tasks, Associating Messages). */
  #related(answer: JsonObject): JsonObject {
    if (this.#task === undefined) return answer;
    return { ...answer, _meta: { [META.relatedTask]: { taskId: this.#task.taskId } } };
  }

  #unpark(): void {
    clearTimeout(this.#timer);
    if (this.#state !== undefined) this.#options.onUnparked(this.#state);
    this.#state = undefined;
  }

  /** A sign of life: silence is counted anew. */
  #onSign(): void {
    if (this.#round !== undefined) this.#awaitServer(this.#options.timeouts.idleMs);
  }

  #awaitServer(ms: number): void {
    const { serverName } = this.#options;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.abandon(tooLate(serverName, ms), 'no answer in time'), ms);
  }
}

function upstreamParams({ params, wantsProgress }: McpRequest, id: number): JsonObject {
  // A client may speak of tasks in the words of 2025-11-25; whether to make one is not its decision here.
  const { inputResponses: _responses, requestState: _state, task: _task, _meta, ...rest } = params;
  const meta = { ...(isObject(_meta) ? _meta : {}), ...(wantsProgress ? { [META.progressToken]: id } : {}) };
  return Object.keys(meta).length === 0 ? rest : { ...rest, _meta: meta };
}

function needsCapabilities(serverName: string, requiredCapabilities: JsonObject): McpOutcome {
  const names = Object.keys(requiredCapabilities).join(', ');
  const message = `Server ${serverName} needs something that this client does not offer: ${names}.`;
  return { kind: 'error', code: RPC_ERROR.missingCapability, message, data: { requiredCapabilities } };
}

function needsPages(requiredCapabilities: JsonObject): McpOutcome {
  const message = 'The server needs the user to visit a page first, which this client does not support.';
  return { kind: 'error', code: RPC_ERROR.missingCapability, message, data: { requiredCapabilities } };
}

function refusedByUser(method: string): McpOutcome {
  const text = 'The user did not agree to visit the page that the server asks for.';
  if (method !== 'tools/call') return { kind: 'error', code: RPC_ERROR.internal, message: text, data: undefined };
  return { kind: 'complete', result: { content: [{ type: 'text', text }], isError: true } };
}

function tooLate(serverName: string, ms: number): ProxyError {
  const text = `server ${serverName} was silent about the request for ${ms} ms; see \`timeouts\` in mcproxy.yml`;
  return new ProxyError('UPSTREAM_TIMEOUT', text);
}

function expired(serverName: string): ProxyError {
  return new ProxyError('UPSTREAM_TIMEOUT', `the question of server ${serverName} was not answered in time`);
}
