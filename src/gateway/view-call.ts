/**
 * One call through a view: found, made, and its end in the words of the view.
 *
 * Finding the server may wait for a list, so a call can be cancelled before it reached anybody. It never rejects: a
 * failure of ours is an error outcome (`data.source`), one that nobody foresaw is also a diag line. The state of a
 * question is sealed on its way out and opened on its way back, for every view alike; so is the id of a task.
 */
import { ProxyError } from '../errors.ts';
import { INPUT_METHODS } from '../mcp/protocol.ts';
import { missingCapabilities } from '../mcp/questions.ts';
import { declaresTasks, TASK_METHODS } from '../mcp/tasks.ts';
import type { JsonObject, McpCall, McpEvents, McpOutcome, McpRequest } from '../mcp/waist.ts';
import { failureOutcome } from '../upstream/peer-outcome.ts';
import type { OnDiag } from './diag.ts';
import { presentQuestions } from './questions.ts';
import type { StateSeal } from './state-seal.ts';
import { missingCapability, showTask } from './task-call.ts';
import type { Found, Target } from './target.ts';
import type { TaskIds } from './task-ids.ts';

export interface CallContext {
  readonly principalId: string;
  readonly seal: StateSeal;
  readonly taskIds: TaskIds;
  readonly onDiag: OnDiag;
  /** Whether everybody who may come in sees the same; else no answer is `public`. */
  readonly uniform: () => boolean;
  /** Counts a call that goes to a server; the result ends it. @throws {ProxyError} RATE_LIMITED */
  enter(request: McpRequest, target: Target): () => void;
}

/** Begins at once. @param find where the request goes; may throw a ProxyError */
export function startCall(
  request: McpRequest,
  events: McpEvents,
  how: { readonly find: () => Promise<Found>; readonly context: CallContext },
): McpCall {
  let cancelled = false;
  let inner: McpCall | undefined;
  let leave: (() => void) | undefined;

  async function run(): Promise<McpOutcome> {
    const found = await how.find();
    if (found.kind === 'answer') return { kind: 'complete', result: found.result };
    if (found.kind === 'outcome') return found.outcome;
    const upstream = openState(
      { ...request, params: found.params, caller: how.context.principalId },
      found,
      how.context,
    );
    // Nobody waits for it any more, and the server has not heard of it.
    if (cancelled) throw new ProxyError('CLIENT_GONE', 'the client cancelled the request');
    leave = how.context.enter(request, found);
    inner = found.member.call(upstream, namedEvents(events, found.asker));
    const made = { request: upstream, target: found, context: how.context };
    const outcome = await inner.outcome;
    if (outcome.kind !== 'complete' || !TASK_METHODS.has(request.method)) return finish(outcome, made);
    const exposedId = String(request.params['taskId']);
    return showTask(outcome.result, { exposedId, target: found, clientCapabilities: request.clientCapabilities });
  }

  return {
    outcome: run()
      .catch((error: unknown) => failure(error, how.context.onDiag))
      .finally(() => leave?.()),
    cancel(reason) {
      cancelled = true;
      // The server may never end it then.
      leave?.();
      inner?.cancel(reason);
    },
  };
}

function failure(error: unknown, onDiag: OnDiag): McpOutcome {
  if (error instanceof ProxyError) return failureOutcome(error);
  onDiag('warn', 'a bug in the gateway', { error: error instanceof Error ? error.stack : String(error) });
  return failureOutcome(new ProxyError('INTERNAL', 'mcproxy failed; its diagnostic log says more', { cause: error }));
}

function openState(request: McpRequest, target: Target, { principalId, seal }: CallContext): McpRequest {
  const { requestState, ...params } = request.params;
  if (requestState === undefined) return request;
  const binding = { principalId, serverName: target.member.server.name, method: request.method, params };
  const inner = seal.unwrap(requestState, binding);
  return { ...request, params: inner === undefined ? params : { ...params, requestState: inner } };
}

function namedEvents(events: McpEvents, asker: string | undefined): McpEvents {
  if (asker === undefined) return events;
  return {
    onProgress: (params) => events.onProgress(params),
    onLog(params) {
      const { logger } = params;
      events.onLog({ ...params, logger: typeof logger === 'string' ? `${asker}/${logger}` : asker });
    },
    onAttempt: () => events.onAttempt?.(),
  };
}

interface Made {
  /** As it went to the server. */
  readonly request: McpRequest;
  readonly target: Target;
  readonly context: CallContext;
}

function finish(outcome: McpOutcome, made: Made): McpOutcome {
  const { target } = made;
  if (outcome.kind === 'complete') return { kind: 'complete', result: freshness(target.show(outcome.result), made) };
  if (outcome.kind === 'error') return { ...outcome, data: target.showError(outcome.data) };
  if (outcome.kind === 'input_required' && INPUT_METHODS.has(made.request.method)) return ask(outcome, made);
  if (outcome.kind === 'task' && isTaskAllowed(made.request)) return showCreated(outcome.task, made);
  throw new ProxyError(
    'UPSTREAM_PROTOCOL',
    `server ${target.member.server.name} answered ${made.request.method} with a result of a kind that is not allowed`,
  );
}

function isTaskAllowed({ method, clientCapabilities }: McpRequest): boolean {
  return method === 'tools/call' && declaresTasks(clientCapabilities);
}

function showCreated(task: JsonObject, { request, target, context }: Made): McpOutcome {
  const exposedId = context.taskIds.seal(task['taskId'], target.member.server.name);
  const shown = showTask(task, { exposedId, target, clientCapabilities: request.clientCapabilities });
  return shown.kind === 'complete' ? { kind: 'task', task: shown.result } : shown;
}

/** What a retry brought belongs to its answers alone, and what not all may see is for no shared cache. */
function freshness(result: JsonObject, { request, context }: Made): JsonObject {
  if (result['cacheScope'] === undefined && result['ttlMs'] === undefined) return result;
  const retried = request.params['inputResponses'] !== undefined || request.params['requestState'] !== undefined;
  const shown = context.uniform() && !retried ? result : { ...result, cacheScope: 'private' };
  return retried ? { ...shown, ttlMs: 0 } : shown;
}

function ask(outcome: Extract<McpOutcome, { kind: 'input_required' }>, made: Made): McpOutcome {
  const { request, target, context } = made;
  const missing = missingCapabilities(outcome.inputRequests, request.clientCapabilities);
  const { name } = target.member.server;
  if (missing !== undefined) return missingCapability(`server ${name}`, missing);
  const binding = {
    principalId: context.principalId,
    serverName: name,
    method: request.method,
    params: request.params,
  };
  return {
    kind: 'input_required',
    inputRequests: presentQuestions(outcome.inputRequests, target.asker),
    requestState: context.seal.wrap(outcome.requestState, binding),
  };
}
