/**
 * The calls of one connection to a legacy server: which of them a message of the server belongs to.
 *
 * Streamable HTTP ties a message to a request by the stream it comes on; what belongs to a task names it (MCP 2025-11-25
 * tasks). Without a tie (stdio, HTTP+SSE, servers that ask on the general stream) a question is taken only while exactly
 * one call runs that may ask, else it is refused: guessing could ask one user on behalf of another. Parked calls, and for
 * a while cancelled ones, may still ask too: they stand in the way unless they are of the same user, to whom alone a
 * question could then go astray. Log messages follow the same rule over all calls and are otherwise dropped. The level of
 * the connection is the most verbose that the calls in progress want; each call gets what it asked for.
 * Source: MCP SEP-2260 (requests of servers are associated with one of a client).
 */
import { ProxyError } from '../errors.ts';
import { CANCELLED_CALL_MS, LOG_LEVEL_MS_MAX, PARKED_CALL_COUNT_MAX } from '../limits.ts';
import { isObject, isRpcId } from '../mcp/jsonrpc.ts';
import type { JsonRpcRequest, RpcErrorBody, RpcId } from '../mcp/jsonrpc.ts';
import { INPUT_METHODS, META, RPC_ERROR, findClientRequest, isRevision } from '../mcp/protocol.ts';
import { isQuestion } from '../mcp/questions.ts';
import type { JsonObject, LogLevel, McpCall, McpEvents, McpOutcome, McpRequest, ServerCard } from '../mcp/waist.ts';
import type { Timeouts } from '../model.ts';
import { mostVerbose } from './call-notes.ts';
import { askWithin, asProxyError } from './conversation.ts';
import type { Conversation, OnDiag } from './conversation.ts';
import { LegacyCall } from './legacy-call.ts';
import type { LegacyCallOptions, Round } from './legacy-call.ts';
import { refuseUnrelated } from './legacy-questions.ts';
import { createTaskTools } from './legacy-task-tools.ts';
import { failureOutcome } from './peer-outcome.ts';

export interface LegacyCallsOptions {
  readonly serverName: string;
  readonly timeouts: Timeouts;
  readonly onDiag: OnDiag;
  /** Resolves when the handshake is done. */
  ready(): Promise<{ readonly conversation: Conversation; readonly card: ServerCard }>;
}

interface Ready {
  readonly conversation: Conversation;
  readonly card: ServerCard;
}

interface CancelledCall {
  readonly method: string;
  readonly caller: string | undefined;
  readonly timer: NodeJS.Timeout;
}

export class LegacyCalls {
  readonly #options: LegacyCallsOptions;
  /** By the id at the server; bounded by PEER_CALL_COUNT_MAX. */
  readonly #open = new Map<RpcId, LegacyCall>();
  /** Cancelled a short while ago and not answered, by the id at the server; bounded by PEER_CALL_COUNT_MAX. */
  readonly #cancelled = new Map<RpcId, CancelledCall>();
  /** By the state that the client holds; bounded by PARKED_CALL_COUNT_MAX. */
  readonly #parked = new Map<string, LegacyCall>();
  readonly #taskTools = createTaskTools();
  #level: LogLevel | undefined;

  constructor(options: LegacyCallsOptions) {
    this.#options = options;
  }

  call(request: McpRequest, events: McpEvents): McpCall {
    let resolve!: (outcome: McpOutcome) => void;
    const outcome = new Promise<McpOutcome>((done) => {
      resolve = done;
    });
    const round: Round = { request, events, resolve };
    const started = { call: undefined as LegacyCall | undefined, cancelled: false };
    this.#begin(round, started).catch((error: unknown) =>
      resolve(failureOutcome(asProxyError(this.#options.serverName, error))),
    );
    return {
      outcome,
      cancel(reason) {
        started.cancelled = true;
        const gone = new ProxyError('CLIENT_GONE', 'the client cancelled the request');
        if (started.call?.belongsTo(round) === true) started.call.abandon(gone, reason);
        else resolve(failureOutcome(gone));
      },
    };
  }

  /** Answers a request of the server, or hands it to the call it belongs to. */
  onRequest(
    { id, method, params = {} }: JsonRpcRequest,
    relatedTo: RpcId | undefined,
    conversation: Conversation,
  ): void {
    if (method === 'ping') return conversation.answer(id, {});
    if (!isQuestion(method)) {
      return conversation.refuse(id, {
        code: RPC_ERROR.methodNotFound,
        message: 'mcproxy does not serve this method.',
      });
    }
    const call = this.#find(params, relatedTo, (asking) => INPUT_METHODS.has(asking));
    const refusal = call === undefined ? refuseUnrelated() : (this.#refuseParking() ?? call.ask(id, method, params));
    if (refusal === undefined) return;
    conversation.refuse(id, refusal);
    const data = { server: this.#options.serverName, method, reason: refusal.message };
    this.#options.onDiag('info', 'a question of a server was refused', data);
  }

  onProgress(params: JsonObject): void {
    const { progressToken } = params;
    if (isRpcId(progressToken)) this.#open.get(progressToken)?.onProgress(params);
  }

  onLog(params: JsonObject, relatedTo: RpcId | undefined): void {
    this.#find(params, relatedTo, () => true)?.onLog(params);
  }

  onCancelled({ requestId }: JsonObject): void {
    if (!isRpcId(requestId)) return;
    for (const call of this.#open.values()) call.withdraw(requestId);
  }

  /** The conversation is over: open requests have failed, nothing is left to come back to. */
  close(): void {
    const over = new ProxyError('UPSTREAM_CLOSED', `the connection to server ${this.#options.serverName} is over`);
    for (const call of [...this.#open.values(), ...this.#parked.values()]) call.abandon(over, undefined);
    for (const { timer } of this.#cancelled.values()) clearTimeout(timer);
    this.#cancelled.clear();
  }

  async #begin(round: Round, started: { call: LegacyCall | undefined; cancelled: boolean }): Promise<void> {
    const { method, params } = round.request;
    // Each question of a legacy server goes out with a state, so that answers without one belong to no call.
    const isRetry = params['requestState'] !== undefined;
    const ready = await this.#options.ready();
    if (started.cancelled) return;
    const { revision } = ready.card;
    if (isRevision(revision) && findClientRequest(method, revision) !== 'served') {
      return round.resolve(unknownMethod(method, revision));
    }
    await this.#want(ready, round.request.logLevel);
    if (started.cancelled) return;
    if (isRetry) return this.#resume(round, started);
    const { name } = round.request.params;
    const asTask = method === 'tools/call' && (await this.#taskTools.needsTask(name, ready.card, ready.conversation));
    if (started.cancelled) return;
    started.call = new LegacyCall(round, { ...this.#callOptions(ready), asTask });
    started.call.start();
  }

  #resume(round: Round, started: { call: LegacyCall | undefined }): void {
    const { method, params } = round.request;
    const state = params['requestState'];
    const call = typeof state === 'string' ? this.#parked.get(state) : undefined;
    if (call === undefined || call.method !== method) return round.resolve(unknownState(this.#options.serverName));
    started.call = call;
    call.resume(round, isObject(params['inputResponses']) ? params['inputResponses'] : {});
  }

  #callOptions({ conversation, card }: Ready): Omit<LegacyCallOptions, 'asTask'> {
    const { serverName, timeouts } = this.#options;
    return {
      serverName,
      timeouts,
      conversation,
      revision: card.revision,
      onTools: (page) => this.#taskTools.read(page),
      onOpen: (call, id) => void this.#open.set(id, call),
      onSettled: (id, how) => this.#settle(id, how, conversation),
      onParked: (call, state) => void this.#parked.set(state, call),
      onUnparked: (state) => void this.#parked.delete(state),
    };
  }

  #settle(id: number, how: 'answered' | 'cancelled', conversation: Conversation): void {
    const call = this.#open.get(id);
    this.#open.delete(id);
    clearTimeout(this.#cancelled.get(id)?.timer);
    this.#cancelled.delete(id);
    if (how === 'answered' || call === undefined) return;
    const timer = setTimeout(() => {
      this.#cancelled.delete(id);
      conversation.forget(id);
    }, CANCELLED_CALL_MS);
    this.#cancelled.set(id, { method: call.method, caller: call.caller, timer });
  }

  /** The call that a message belongs to, if that is certain. */
  #find(
    { _meta }: JsonObject,
    relatedTo: RpcId | undefined,
    counts: (method: string) => boolean,
  ): LegacyCall | undefined {
    const calls = new Set([...this.#open.values()].filter((call) => counts(call.method)));
    const task = isObject(_meta) ? _meta[META.relatedTask] : undefined;
    if (isObject(task)) return [...calls].find(({ taskId }) => taskId === task['taskId']);
    if (relatedTo !== undefined) {
      const call = this.#open.get(relatedTo);
      return call !== undefined && calls.has(call) ? call : undefined;
    }
    const running = [...calls].filter(({ round }) => round !== undefined);
    const [only, ...others] = running.length === 0 ? calls : running;
    if (only === undefined || others.length > 0) return undefined;
    const silent = [...calls].filter((call) => call !== only);
    const cancelled = [...this.#cancelled.values()].filter(({ method }) => counts(method));
    // Who waits for an answer or was told to stop hardly asks; if it does, nobody else hears of it.
    const isOwn = ({ caller }: { caller: string | undefined }): boolean =>
      caller !== undefined && caller === only.caller;
    return [...silent, ...cancelled].every(isOwn) ? only : undefined;
  }

  #refuseParking(): RpcErrorBody | undefined {
    if (this.#parked.size < PARKED_CALL_COUNT_MAX) return undefined;
    return { code: RPC_ERROR.internal, message: 'Too many requests wait for their clients.' };
  }

  /** Sets the level of the connection; waits only for one that lets more through, and not for ever. */
  async #want({ conversation, card }: Ready, wanted: LogLevel | undefined): Promise<void> {
    if (wanted === undefined || card.capabilities['logging'] === undefined) return;
    const levels = [...this.#open.values()].map(({ round }) => round?.request.logLevel);
    const level = mostVerbose([...levels, wanted]);
    if (level === undefined || level === this.#level) return;
    const isMore = this.#level === undefined || mostVerbose([level, this.#level]) === level;
    this.#level = level;
    const answered = askWithin(conversation, { method: 'logging/setLevel', params: { level } }, LOG_LEVEL_MS_MAX);
    if (isMore) await answered;
  }
}

function unknownMethod(method: string, revision: string): McpOutcome {
  const message = `The server speaks MCP ${revision}, which has no method ${method}.`;
  return { kind: 'error', code: RPC_ERROR.methodNotFound, message, data: undefined };
}

/** Never made again silently: the first round may have had effects. */
function unknownState(serverName: string): McpOutcome {
  const message = `The question of server ${serverName} has expired or was answered already. Make the request again without requestState.`;
  return { kind: 'error', code: RPC_ERROR.invalidParams, message, data: undefined };
}
