/**
 * A remote server of the 2026-07-28 era as a peer of the waist: no session, each request for itself.
 *
 * Which arguments are mirrored in headers is learnt from the `tools/list` answers that pass; a server that refuses a
 * call for its headers (-32020, so it did not run) is asked for its tools once and the call is made again. Tools whose
 * annotations are against the rules are left out of lists, as clients over HTTP must. Requests that merely read are
 * repeated with a new id when their answer was cut. What the server says about itself is kept for its `ttlMs`, within
 * bounds. Source: MCP 2026-07-28 basic/transports/streamable-http.
 */
import { setTimeout as delay } from 'node:timers/promises';

import { ProxyError } from '../errors.ts';
import { CARD_MS_MAX, CARD_MS_MIN } from '../limits.ts';
import type { JsonRpcNotification, JsonRpcResponse } from '../mcp/jsonrpc.ts';
import { isReadOnlyMethod, META, RPC_ERROR } from '../mcp/protocol.ts';
import type { ChangeEvent, JsonObject, McpCall, McpEvents, McpOutcome, McpPeer } from '../mcp/waist.ts';
import type { McpRequest, ServerCard, TaskListen, TaskListenRequest } from '../mcp/waist.ts';
import { createProgressFilter, isLogWanted } from './call-notes.ts';
import { asProxyError } from './conversation.ts';
import { CLIENT_INFO } from './legacy-handshake.ts';
import type { RemoteOptions } from './mcp-http.ts';
import { createListening, type Listening } from './modern-listen.ts';
import { modernParams, readDiscovery, readModernResult } from './modern-message.ts';
import { createMirror, type Mirror } from './modern-mirror.ts';
import { askModern } from './modern-request.ts';
import { createPeerChanges, type PeerChanges } from './peer-changes.ts';
import { failureOutcome } from './peer-outcome.ts';
import { retryDelayMs } from './retry.ts';
import { listenTasksOverHttp } from './task-listen.ts';

/** A peer that connects when it is used. `card` is what the server has just said about itself, if it was asked. */
export function openModernHttp(options: RemoteOptions, card?: ServerCard): ModernPeer {
  return new ModernHttpPeer(options, card);
}

/** `ended` resolves when the server shows that it is not of this era any more, so that it has to be detected anew. */
export type ModernPeer = McpPeer & { readonly ended: Promise<Error> };

interface KeptCard {
  readonly card: Promise<ServerCard>;
  /** Monotonic time until which it is believed. */
  untilMs: number;
}

/** A call in progress. */
interface Running {
  readonly request: McpRequest;
  readonly events: McpEvents;
  /** Of the request that is on its way, if one is. */
  abort: () => void;
  /** Ends a pause between two attempts. */
  readonly cancelled: AbortController;
  readonly filterProgress: (params: JsonObject) => JsonObject | undefined;
}

class ModernHttpPeer implements ModernPeer {
  readonly ended: Promise<Error>;
  readonly #remote: RemoteOptions;
  readonly #changes: PeerChanges = createPeerChanges();
  readonly #mirror: Mirror;
  readonly #listening: Listening;
  /** Bounded by EXCHANGE_COUNT_MAX: each belongs to one exchange in progress. */
  readonly #running = new Set<Running>();
  /** Bounded by EXCHANGE_COUNT_MAX: each belongs to one client that listens. */
  readonly #taskListens = new Set<TaskListen>();
  #kept: KeptCard | undefined;
  #listenerCount = 0;
  #lastId = 0;
  #isClosed = false;
  #end: (error: Error) => void = () => undefined;

  constructor(remote: RemoteOptions, card: ServerCard | undefined) {
    this.#remote = remote;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.#mirror = createMirror(remote);
    this.#listening = createListening(
      remote,
      () => this.#nextId(),
      (event) => this.#changes.emit(event),
    );
    if (card !== undefined) void this.#keep(Promise.resolve(card), CARD_MS_MIN);
  }

  describe(): Promise<ServerCard> {
    if (this.#kept !== undefined && this.#remote.clock.monotonicMs() < this.#kept.untilMs) return this.#kept.card;
    return this.#keep(this.#discover(), CARD_MS_MIN);
  }

  call(request: McpRequest, events: McpEvents): McpCall {
    const running = start(request, events);
    const outcome = this.#tracked(running, () => this.#run(running)).catch((error: unknown) =>
      failureOutcome(asProxyError(this.#remote.server.name, error)),
    );
    return {
      outcome,
      cancel: () => {
        if (this.#running.has(running)) cancel(running);
      },
    };
  }

  onChange(listener: (event: ChangeEvent) => void): () => void {
    const stop = this.#changes.onChange(listener);
    let isOn = true;
    this.#countListeners(1);
    return () => {
      if (isOn) this.#countListeners(-1);
      isOn = false;
      stop();
    };
  }

  subscribe(uri: string): Promise<boolean> {
    return this.#listening.watch(uri);
  }

  unsubscribe(uri: string): Promise<void> {
    this.#listening.unwatch(uri);
    return Promise.resolve();
  }

  async listenTasks(request: TaskListenRequest, onTask: (task: JsonObject) => void): Promise<TaskListen> {
    const listen = await listenTasksOverHttp(this.#remote, { ...request, id: this.#nextId() }, onTask);
    if (this.#isClosed) listen.stop();
    this.#taskListens.add(listen);
    void listen.ended.then(() => this.#taskListens.delete(listen));
    return listen;
  }

  close(): Promise<void> {
    this.#isClosed = true;
    this.#listening.close();
    for (const listen of this.#taskListens) listen.stop();
    for (const running of this.#running) cancel(running);
    return Promise.resolve();
  }

  async #tracked<T>(running: Running, work: () => Promise<T>): Promise<T> {
    this.#running.add(running);
    try {
      return await work();
    } finally {
      this.#running.delete(running);
    }
  }

  #countListeners(change: 1 | -1): void {
    this.#listenerCount += change;
    if (!this.#isClosed) this.#listening.setListsWanted(this.#listenerCount > 0);
  }

  async #run(running: Running): Promise<McpOutcome> {
    const { request } = running;
    let response = await this.#askSafely(running);
    if (isHeaderRefusal(response) && request.method === 'tools/call') {
      await this.#learnHeaders(running);
      response = await this.#askSafely(running);
    }
    return this.#read(running, response);
  }

  /** Repeats what merely reads; everything else is sent once. */
  async #askSafely(running: Running): Promise<JsonRpcResponse> {
    const { server, clock } = this.#remote;
    const deadlineMs = clock.monotonicMs() + server.timeouts.firstByteMs;
    for (let attempt = 1; ; attempt += 1) {
      try {
        // oxlint-disable-next-line no-await-in-loop -- the next attempt only after this one failed
        return await this.#ask(running);
      } catch (error) {
        const failure = asProxyError(server.name, error);
        const mayRepeat = failure.spec.retry === 'read-only' && isReadOnlyMethod(running.request.method);
        const left = { ms: deadlineMs - clock.monotonicMs(), random: clock.random() };
        const delayMs = retryDelayMs(attempt, undefined, left);
        if (!mayRepeat || attempt > server.retries || delayMs === undefined) throw failure;
        // oxlint-disable-next-line no-await-in-loop
        await delay(delayMs, undefined, { signal: running.cancelled.signal }).catch(() => undefined);
      }
    }
  }

  #ask(running: Running): Promise<JsonRpcResponse> {
    const { request } = running;
    const { name: serverName } = this.#remote.server;
    if (this.#isClosed || running.cancelled.signal.aborted) {
      throw new ProxyError('CLIENT_GONE', `the request to server ${serverName} was given up`);
    }
    const id = this.#nextId();
    const exchange = askModern(this.#remote, {
      id,
      method: request.method,
      params: modernParams(request, id),
      paramFields: request.method === 'tools/call' ? this.#mirror.fields(request.params) : [],
      onNotification: (notification) => tell(running, notification, id),
      onAttempt: () => running.events.onAttempt?.(),
    });
    running.abort = () => exchange.abort();
    return exchange.response;
  }

  /** Reads the server's tools for their headers until the called one has been seen. */
  async #learnHeaders(running: Running): Promise<void> {
    const { request } = running;
    const list = async (cursor: string | undefined): Promise<JsonObject> => {
      const params = cursor === undefined ? {} : { cursor };
      const asking: Running = { ...running, request: { ...request, ...QUIET, method: 'tools/list', params } };
      running.abort = () => asking.abort();
      const answer = await this.#askSafely(asking);
      return 'error' in answer ? {} : answer.result;
    };
    await this.#mirror.learn(request.params['name'], list);
  }

  #read({ request }: Running, response: JsonRpcResponse): McpOutcome {
    const { name } = this.#remote.server;
    if ('error' in response) {
      const { code, message, data } = response.error;
      // These two are about this hop and say nothing to the client.
      const text = `server ${name} refuses how it is asked (${code})`;
      if (code === RPC_ERROR.versionUnsupported) throw this.#eraChanged(text);
      if (code === RPC_ERROR.headerMismatch) {
        throw new ProxyError('UPSTREAM_PROTOCOL', text, { cause: message, data: { notProcessed: true } });
      }
      return { kind: 'error', code, message, data };
    }
    const outcome = readModernResult(name, request, response.result);
    if (outcome.kind !== 'complete' || request.method !== 'tools/list') return outcome;
    return { kind: 'complete', result: this.#mirror.readTools(outcome.result) };
  }

  #keep(card: Promise<ServerCard>, ms: number): Promise<ServerCard> {
    const kept: KeptCard = { card, untilMs: this.#remote.clock.monotonicMs() + ms };
    this.#kept = kept;
    card.catch(() => {
      if (this.#kept === kept) this.#kept = undefined;
    });
    return card;
  }

  async #discover(): Promise<ServerCard> {
    const { server, clock } = this.#remote;
    const running = start({ ...QUIET, method: 'server/discover', params: {}, clientInfo: CLIENT_INFO }, SILENT);
    const response = await this.#tracked(running, () => this.#askSafely(running));
    const card = 'result' in response ? readDiscovery(response.result) : undefined;
    if (card === undefined) {
      throw this.#eraChanged(`server ${server.name} does not say that it speaks MCP 2026-07-28`);
    }
    const kept = this.#kept;
    const ttlMs = 'result' in response ? Number(response.result['ttlMs']) : 0;
    if (kept !== undefined && ttlMs > 0)
      kept.untilMs = clock.monotonicMs() + Math.min(Math.max(ttlMs, CARD_MS_MIN), CARD_MS_MAX);
    return card;
  }

  #eraChanged(text: string): ProxyError {
    const error = new ProxyError('UPSTREAM_PROTOCOL', text, { data: { notProcessed: true } });
    this.#kept = undefined;
    this.#end(error);
    return error;
  }

  #nextId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }
}

const SILENT: McpEvents = { onProgress: () => undefined, onLog: () => undefined };
/** What a request of our own asks of the server besides its answer: nothing. */
const QUIET = { clientCapabilities: {}, logLevel: undefined, wantsProgress: false } as const;

function start(request: McpRequest, events: McpEvents): Running {
  const filterProgress = createProgressFilter();
  return { request, events, abort: () => undefined, cancelled: new AbortController(), filterProgress };
}

function cancel(running: Running): void {
  running.cancelled.abort();
  running.abort();
}

function isHeaderRefusal(response: JsonRpcResponse): boolean {
  return 'error' in response && response.error.code === RPC_ERROR.headerMismatch;
}

/** Passes on what may stand on the stream of a request, and only if it was asked for. */
function tell(running: Running, { method, params = {} }: JsonRpcNotification, token: number): void {
  const { request, events } = running;
  if (method === 'notifications/progress') {
    if (!request.wantsProgress || params[META.progressToken] !== token) return;
    const progress = running.filterProgress(params);
    if (progress !== undefined) events.onProgress(progress);
  } else if (method === 'notifications/message' && isLogWanted(params['level'], request.logLevel)) {
    events.onLog(params);
  }
}
