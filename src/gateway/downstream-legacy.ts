/**
 * One message of a client of an older revision, within its session; the same for every transport.
 *
 * Answers here what concerns only this hop: `ping`, the log level, subscriptions, cancellation. Everything else is a
 * call through the view; a question that comes back is put to the client on the stream of its request, and the call
 * is made again with the answers, a bounded number of times. A call that the server runs as a task is held open to its
 * end (`downstream-task`). A request whose client cancelled it gets no response.
 * Source: MCP 2025-11-25 basic, server/*; 2026-07-28 basic/patterns/mrtr (the other side).
 */
import { setTimeout as delay } from 'node:timers/promises';
import { ProxyError } from '../errors.ts';
import { QUESTION_PAUSE_MS, QUESTION_ROUND_COUNT_MAX } from '../limits.ts';
import { isRpcId } from '../mcp/jsonrpc.ts';
import type { JsonRpcNotification, JsonRpcRequest, JsonRpcResponse, SingleMessage } from '../mcp/jsonrpc.ts';
import { isLogLevel, type LogLevel } from '../mcp/protocol.ts';
import { TASK_METHODS, withoutTasks, withTasks } from '../mcp/tasks.ts';
import type { JsonObject, McpCall, McpEvents, McpOutcome, McpRequest } from '../mcp/waist.ts';
import { askClient, endUnanswered } from './downstream-asking.ts';
import type { ServingContext } from './downstream-context.ts';
import { legacyRequest, reachesLevel } from './downstream-request.ts';
import { failureOf, legacyResponse, unservable } from './downstream-result.ts';
import { driveTask } from './downstream-task.ts';
import { mayCall, maySubscribe, type Session } from './session.ts';
import type { GatewayView } from './view.ts';

/** An older server sends what it likes until the client sets a level; this much is of use and not noise. */
const LOG_LEVEL_DEFAULT: LogLevel = 'info';

/** What `initialize` is answered with. */
export async function initializeResult(
  revision: string,
  { view, serverInfo }: Pick<ServingContext, 'view' | 'serverInfo'>,
): Promise<Record<string, unknown>> {
  const { capabilities, instructions } = await view.discover();
  return {
    protocolVersion: revision,
    // Of the newer revision only; a call that becomes a task is held open instead.
    capabilities: withoutTasks(capabilities),
    serverInfo,
    ...(instructions === undefined ? {} : { instructions }),
  };
}

/** Takes a message that has no response. */
export function acceptLegacy(session: Session, content: SingleMessage): void {
  if (content.kind === 'notification') acceptNotification(session, content.message);
  else if (content.kind !== 'request') session.questions.receive(content.message);
}

function acceptNotification(session: Session, { method, params }: JsonRpcNotification): void {
  if (method !== 'notifications/cancelled' || !isRpcId(params?.['requestId'])) return;
  const { requestId, reason } = params as { requestId: string | number; reason?: unknown };
  session.calls.get(requestId)?.cancel(typeof reason === 'string' ? reason : undefined);
}

/** Serves one request. Resolves to its response, or to undefined when the client cancelled it. Never rejects. */
export async function serveLegacy(
  session: Session,
  message: JsonRpcRequest,
  context: ServingContext,
): Promise<JsonRpcResponse | undefined> {
  const { id, method, params = {} } = message;
  let outcome: McpOutcome | undefined;
  try {
    outcome = await answer(session, message, context);
  } catch (thrown) {
    outcome = failureOf(thrown, context);
  }
  if (outcome === undefined) return undefined;
  const to = { id, method, params, requestId: context.requestId };
  return legacyResponse(outcome, to, session.claims.revision);
}

async function answer(
  session: Session,
  message: JsonRpcRequest,
  context: ServingContext,
): Promise<McpOutcome | undefined> {
  const params = message.params ?? {};
  if (TASK_METHODS.has(message.method)) throw new ProxyError('RPC_METHOD', 'Method not found');
  switch (message.method) {
    case 'ping':
      return DONE;
    case 'logging/setLevel':
      if (!isLogLevel(params['level'])) throw new ProxyError('RPC_PARAMS', '`params.level` is no log level');
      session.logLevel = params['level'];
      return DONE;
    case 'resources/subscribe':
      return subscribe(session, uriOf(params), context.view);
    case 'resources/unsubscribe':
      return unsubscribe(session, uriOf(params));
    default:
      return new LegacyCall(session, message, context).run();
  }
}

const DONE: McpOutcome = { kind: 'complete', result: {} };

function uriOf(params: JsonObject): string {
  const { uri } = params;
  if (typeof uri !== 'string') throw new ProxyError('RPC_PARAMS', '`params.uri` has to be a string');
  return uri;
}

async function subscribe(session: Session, uri: string, view: GatewayView): Promise<McpOutcome> {
  if (session.subscriptions.has(uri)) return DONE;
  if (!maySubscribe(session)) throw new ProxyError('OVERLOADED', 'this session is subscribed to too many resources');
  // Taken before the answer, so that a second request for the same does not count twice.
  session.subscriptions.set(uri, view);
  const agreed = await view.subscribe(uri).catch((error: unknown) => {
    session.subscriptions.delete(uri);
    throw error;
  });
  if (agreed && session.subscriptions.get(uri) === view) return DONE;
  if (agreed) {
    // Unsubscribed or ended meanwhile, when there was nothing to undo yet.
    await view.unsubscribe(uri);
    return DONE;
  }
  session.subscriptions.delete(uri);
  throw new ProxyError('RPC_PARAMS', 'the server does not tell about updates of this resource', { data: { uri } });
}

async function unsubscribe(session: Session, uri: string): Promise<McpOutcome> {
  const view = session.subscriptions.get(uri);
  session.subscriptions.delete(uri);
  await view?.unsubscribe(uri);
  return DONE;
}

/** One request through the view, with its rounds of questions; a class because it can be cancelled. */
class LegacyCall {
  readonly #session: Session;
  readonly #message: JsonRpcRequest;
  readonly #context: ServingContext;
  readonly #cancelled = new AbortController();
  #call: McpCall | undefined;
  /** As far as the client was told. */
  #progress = 0;

  constructor(session: Session, message: JsonRpcRequest, context: ServingContext) {
    this.#session = session;
    this.#message = message;
    this.#context = context;
  }

  async run(): Promise<McpOutcome | undefined> {
    const { calls } = this.#session;
    const { id } = this.#message;
    if (calls.has(id)) throw new ProxyError('RPC_INVALID', 'a request with this id is in progress');
    if (!mayCall(this.#session))
      throw new ProxyError('OVERLOADED', 'too many requests of this session are in progress');
    calls.set(id, this);
    try {
      return await this.#rounds();
    } finally {
      calls.delete(id);
    }
  }

  cancel(reason: string | undefined): void {
    this.#cancelled.abort();
    this.#call?.cancel(reason);
  }

  async #rounds(): Promise<McpOutcome | undefined> {
    const { view, traceparent } = this.#context;
    const { claims, logLevel = LOG_LEVEL_DEFAULT } = this.#session;
    const capabilities = this.#message.method === 'tools/call' ? withTasks(claims.capabilities) : claims.capabilities;
    const own = { ...claims, capabilities, logLevel };
    const { request, progressToken } = legacyRequest(this.#message, own, traceparent);
    const { signal } = this.#cancelled;
    const events = this.#events(progressToken);
    let { params } = request;
    for (let round = 0; round <= QUESTION_ROUND_COUNT_MAX; round += 1) {
      this.#call = view.call({ ...request, params }, events);
      // oxlint-disable-next-line no-await-in-loop -- each round needs the answers of the one before
      const outcome = await this.#unlessCancelled(this.#call.outcome);
      if (outcome?.kind === 'task') return this.#drive(outcome.task, request, events);
      if (outcome === undefined || outcome.kind !== 'input_required') return outcome;
      // oxlint-disable-next-line no-await-in-loop
      const answers = await this.#ask(outcome.inputRequests);
      if (signal.aborted) return undefined;
      if (answers.kind === 'end') {
        this.#call.cancel('the client did not answer');
        return endUnanswered(request.method, answers.text);
      }
      const { requestState } = outcome;
      const retry = requestState === undefined ? answers.responses : { ...answers.responses, requestState };
      params = { ...request.params, ...retry };
    }
    this.#call?.cancel('asked too often');
    return unservable('The server asked more often than is allowed for one request.');
  }

  #drive(task: JsonObject, request: McpRequest, events: McpEvents): Promise<McpOutcome | undefined> {
    return driveTask(task, {
      view: this.#context.view,
      request,
      signal: this.#cancelled.signal,
      ask: (questions) => this.#ask(questions),
      onStatus: (message) => events.onProgress({ progress: Math.floor(this.#progress) + 1, message }),
    });
  }

  /** Undefined as soon as the client gave up: the server may never answer then. */
  #unlessCancelled<T>(promise: Promise<T>): Promise<T | undefined> {
    const { signal } = this.#cancelled;
    if (signal.aborted) return Promise.resolve(undefined);
    return new Promise((resolve, reject) => {
      const onAbort = (): void => resolve(undefined);
      signal.addEventListener('abort', onAbort, { once: true });
      promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
    });
  }

  async #ask(
    inputRequests: Extract<McpOutcome, { kind: 'input_required' }>['inputRequests'],
  ): ReturnType<typeof askClient> {
    const { signal } = this.#cancelled;
    if (Object.keys(inputRequests).length === 0) {
      await delay(QUESTION_PAUSE_MS, undefined, { signal }).catch(() => undefined);
      return { kind: 'answers', responses: {} };
    }
    const { questions, claims } = this.#session;
    return askClient(inputRequests, { questions, claims, tell: this.#context.tell, signal });
  }

  #events(progressToken: string | number | undefined): McpEvents {
    const tell = (method: string, params: JsonObject): void => {
      if (!this.#cancelled.signal.aborted) this.#context.tell({ jsonrpc: '2.0', method, params });
    };
    const session = this.#session;
    return {
      onProgress: (params) => {
        this.#progress = Number(params['progress']);
        if (progressToken !== undefined) tell('notifications/progress', { ...params, progressToken });
      },
      onLog(params) {
        // The level may have been changed since the request began.
        if (reachesLevel(params, session.logLevel ?? LOG_LEVEL_DEFAULT)) tell('notifications/message', params);
      },
      onAttempt: () => this.#context.onAttempt(),
    };
  }
}
