/**
 * A server of 2026-07-28 as a peer of the waist, over a message channel (stdio).
 *
 * The era is the waist's own, so that little is translated: the envelope goes on, ids and progress tokens are made
 * anew, a cancelled request is cancelled by notification. The channel has no link from a log message to its request,
 * so one is passed on only while exactly one request in progress wants any. One life long, like the legacy peer. What
 * the server says about itself was learnt by the question for its era. Source: MCP 2026-07-28
 * basic/transports/stdio, basic/patterns/cancellation.
 */
import { ProxyError } from '../errors.ts';
import { isObject, isRpcId } from '../mcp/jsonrpc.ts';
import type { JsonRpcNotification } from '../mcp/jsonrpc.ts';
import { RPC_ERROR } from '../mcp/protocol.ts';
import type {
  ChangeEvent,
  ChannelEvents,
  JsonObject,
  McpCall,
  McpEvents,
  McpOutcome,
  McpRequest,
  ServerCard,
  TaskListen,
  TaskListenRequest,
} from '../mcp/waist.ts';
import type { Timeouts } from '../model.ts';
import { createProgressFilter, isLogWanted } from './call-notes.ts';
import { ChannelListening } from './channel-listen.ts';
import { Conversation } from './conversation.ts';
import type { Answer, OnDiag, PeerChannel } from './conversation.ts';
import type { MortalPeer } from './legacy-peer.ts';
import { modernParams, readModernResult } from './modern-message.ts';
import { createPeerChanges } from './peer-changes.ts';
import { failureOutcome } from './peer-outcome.ts';
import { ChannelTaskListens } from './task-listen.ts';

export interface ModernChannelPeerOptions {
  readonly serverName: string;
  /** The answer to `server/discover`. */
  readonly card: ServerCard;
  /** Silence allowed to a call: `firstByteMs` before its first sign of life, `idleMs` between signs. */
  readonly timeouts: Timeouts;
  readonly onDiag: OnDiag;
  readonly open: (events: ChannelEvents) => Promise<PeerChannel>;
}

interface OpenCall {
  readonly request: McpRequest;
  readonly events: McpEvents;
  readonly filterProgress: (params: JsonObject) => JsonObject | undefined;
  timer: NodeJS.Timeout | undefined;
  end(outcome: McpOutcome): void;
}

/** Uses the channel from now on. */
export function openModernChannelPeer(options: ModernChannelPeerOptions): MortalPeer {
  return new ModernChannelPeer(options);
}

class ModernChannelPeer implements MortalPeer {
  readonly ended: Promise<Error>;
  readonly #options: ModernChannelPeerOptions;
  readonly #conversation: Conversation;
  readonly #listening: ChannelListening;
  readonly #taskListens: ChannelTaskListens;
  readonly #changes = createPeerChanges();
  /** By the id, which is the progress token too; bounded by PEER_CALL_COUNT_MAX. */
  readonly #calls = new Map<unknown, OpenCall>();

  constructor(options: ModernChannelPeerOptions) {
    this.#options = options;
    this.#conversation = new Conversation({
      serverName: options.serverName,
      onDiag: options.onDiag,
      open: options.open,
      // A server of this era may not ask by itself.
      onRequest: ({ id }) => {
        const message = 'A server of this revision asks in its results (input_required).';
        this.#conversation.refuse(id, { code: RPC_ERROR.methodNotFound, message });
      },
      onNotification: (notification) => this.#onNotification(notification),
    });
    this.#listening = new ChannelListening(this.#conversation, (event) => this.#changes.emit(event));
    this.#taskListens = new ChannelTaskListens(this.#conversation);
    this.ended = this.#conversation.ended;
    void this.ended.then(() => this.#listening.close());
    if (hasChangingLists(options.card.capabilities)) this.#listening.watchLists();
  }

  async describe(): Promise<ServerCard> {
    return this.#options.card;
  }

  call(request: McpRequest, events: McpEvents): McpCall {
    let resolve!: (outcome: McpOutcome) => void;
    const outcome = new Promise<McpOutcome>((done) => {
      resolve = done;
    });
    const id: number = this.#conversation.ask(
      request.method,
      (token) => modernParams(request, token),
      (answer) => call.end(this.#outcomeOf(request, answer)),
    );
    const call: OpenCall = {
      request,
      events,
      filterProgress: createProgressFilter(),
      timer: undefined,
      end: (end) => {
        clearTimeout(call.timer);
        this.#calls.delete(id);
        resolve(end);
      },
    };
    this.#calls.set(id, call);
    events.onAttempt?.();
    this.#awaitServer(id, call, this.#options.timeouts.firstByteMs);
    return {
      outcome,
      cancel: (reason) => {
        this.#cancel(id, call, { error: new ProxyError('CLIENT_GONE', 'the client cancelled the request'), reason });
      },
    };
  }

  onChange(listener: (event: ChangeEvent) => void): () => void {
    return this.#changes.onChange(listener);
  }

  subscribe(uri: string): Promise<boolean> {
    const { resources } = this.#options.card.capabilities;
    if (!isObject(resources) || resources['subscribe'] !== true) return Promise.resolve(false);
    return this.#listening.watch(uri);
  }

  async unsubscribe(uri: string): Promise<void> {
    this.#listening.unwatch(uri);
  }

  listenTasks(request: TaskListenRequest, onTask: (task: JsonObject) => void): Promise<TaskListen> {
    return this.#taskListens.listen(request, onTask);
  }

  async close(): Promise<void> {
    this.#listening.close();
    await this.#conversation.close();
  }

  #outcomeOf(request: McpRequest, answer: Answer): McpOutcome {
    if (answer.kind === 'failed') return failureOutcome(answer.error);
    if (answer.kind === 'result') return readModernResult(this.#options.serverName, request, answer.result);
    return answer;
  }

  #onNotification({ method, params = {} }: JsonRpcNotification): void {
    if (method === 'notifications/progress') return this.#onProgress(params);
    if (method === 'notifications/message') return this.#onLog(params);
    if (!this.#taskListens.onNotification(method, params)) this.#listening.onNotification(method, params);
  }

  #onProgress(params: JsonObject): void {
    const { progressToken } = params;
    const call = isRpcId(progressToken) ? this.#calls.get(progressToken) : undefined;
    if (call === undefined) return;
    this.#awaitServer(progressToken as number, call, this.#options.timeouts.idleMs);
    const passed = call.filterProgress(params);
    if (passed !== undefined && call.request.wantsProgress) call.events.onProgress(passed);
  }

  #onLog({ _meta, ...params }: JsonObject): void {
    const [only, ...others] = [...this.#calls.values()].filter(({ request }) => request.logLevel !== undefined);
    if (only === undefined || others.length > 0) return;
    if (isLogWanted(params['level'], only.request.logLevel)) only.events.onLog(params);
  }

  #awaitServer(id: number, call: OpenCall, ms: number): void {
    clearTimeout(call.timer);
    call.timer = setTimeout(() => {
      const text = `server ${this.#options.serverName} was silent about the request for ${ms} ms; see \`timeouts\` in mcproxy.yml`;
      this.#cancel(id, call, { error: new ProxyError('UPSTREAM_TIMEOUT', text), reason: 'no answer in time' });
    }, ms);
  }

  #cancel(id: number, call: OpenCall, { error, reason }: { error: ProxyError; reason: string | undefined }): void {
    if (this.#calls.get(id) !== call) return;
    this.#conversation.forget(id);
    const why = reason === undefined ? {} : { reason };
    void this.#conversation.notify('notifications/cancelled', { requestId: id, ...why });
    call.end(failureOutcome(error));
  }
}

function hasChangingLists(capabilities: JsonObject): boolean {
  return ['tools', 'prompts', 'resources'].some((kind) => {
    const capability = capabilities[kind];
    return isObject(capability) && capability['listChanged'] === true;
  });
}
