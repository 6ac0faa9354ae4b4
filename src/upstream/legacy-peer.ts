/**
 * A server of a legacy revision (2024-11-05 … 2025-11-25) as a peer of the waist, over any message channel.
 *
 * One life long: it connects on the first use, and when its connection has ended (`ended`), for whatever reason,
 * every request fails; making a new one is left to the supervisor. The server is told one set of client
 * capabilities for all clients and each question is checked against the client it is for. What is in progress is
 * kept by `legacy-calls`. Source: MCP 2025-11-25; translation as in 2026-07-28 basic/versioning.
 */
import { ProxyError } from '../errors.ts';
import { SUBSCRIBE_MS_MAX } from '../limits.ts';
import { isObject } from '../mcp/jsonrpc.ts';
import type { JsonRpcNotification, RpcId } from '../mcp/jsonrpc.ts';
import type { ChangeEvent, ChannelEvents, McpCall, McpEvents, McpPeer, McpRequest, ServerCard } from '../mcp/waist.ts';
import type { TaskListen } from '../mcp/waist.ts';
import type { Timeouts } from '../model.ts';
import { settlesWithin } from './settles-within.ts';
import { Conversation, askWithin } from './conversation.ts';
import type { OnDiag, PeerChannel } from './conversation.ts';
import { LegacyCalls } from './legacy-calls.ts';
import { shakeHands } from './legacy-handshake.ts';
import { createPeerChanges, readChange } from './peer-changes.ts';
import { NO_TASK_LISTEN } from './task-listen.ts';

export interface LegacyPeerOptions {
  readonly serverName: string;
  /** Silence allowed to a call: `firstByteMs` before its first sign of life, `idleMs` between signs. */
  readonly timeouts: Timeouts;
  /** Time for opening the channel and the handshake. */
  readonly startMs: number;
  /** The server may ask for the client's roots. */
  readonly roots: boolean;
  readonly onDiag: OnDiag;
  readonly open: (events: ChannelEvents) => Promise<PeerChannel>;
}

/** A peer that ends with its connection. */
export type MortalPeer = McpPeer & { readonly ended: Promise<Error> };

export function openLegacyPeer(options: LegacyPeerOptions): MortalPeer {
  return new LegacyPeer(options);
}

interface Ready {
  readonly conversation: Conversation;
  readonly card: ServerCard;
}

class LegacyPeer implements MortalPeer {
  readonly ended: Promise<Error>;
  readonly #options: LegacyPeerOptions;
  readonly #changes = createPeerChanges();
  readonly #calls: LegacyCalls;
  #end: (error: Error) => void = () => undefined;
  #conversation: Conversation | undefined;
  #ready: Promise<Ready> | undefined;

  constructor(options: LegacyPeerOptions) {
    this.#options = options;
    this.#calls = new LegacyCalls({ ...options, ready: () => this.#connect() });
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  async describe(): Promise<ServerCard> {
    return (await this.#connect()).card;
  }

  call(request: McpRequest, events: McpEvents): McpCall {
    return this.#calls.call(request, events);
  }

  onChange(listener: (event: ChangeEvent) => void): () => void {
    return this.#changes.onChange(listener);
  }

  async subscribe(uri: string): Promise<boolean> {
    const { conversation, card } = await this.#connect();
    const { resources } = card.capabilities;
    if (!isObject(resources) || resources['subscribe'] !== true) return false;
    const answer = await askWithin(conversation, { method: 'resources/subscribe', params: { uri } }, SUBSCRIBE_MS_MAX);
    if (answer.kind === 'failed') throw answer.error;
    return answer.kind === 'result';
  }

  async unsubscribe(uri: string): Promise<void> {
    if (this.#conversation === undefined) return;
    // What it answers changes nothing: updates that still come are for nobody.
    await askWithin(this.#conversation, { method: 'resources/unsubscribe', params: { uri } }, SUBSCRIBE_MS_MAX);
  }

  async listenTasks(): Promise<TaskListen> {
    return NO_TASK_LISTEN;
  }

  async close(): Promise<void> {
    const text = `the connection to server ${this.#options.serverName} was closed`;
    const closed = new ProxyError('UPSTREAM_CLOSED', text);
    if (this.#ready === undefined) {
      this.#ready = Promise.reject(closed);
      this.#ready.catch(() => undefined);
    }
    await this.#conversation?.close();
    this.#end(closed);
  }

  #connect(): Promise<Ready> {
    this.#ready ??= this.#open();
    return this.#ready;
  }

  async #open(): Promise<Ready> {
    const { serverName, startMs, roots, onDiag, open } = this.#options;
    const conversation: Conversation = new Conversation({
      serverName,
      onDiag,
      open,
      onRequest: (request, relatedTo) => this.#calls.onRequest(request, relatedTo, conversation),
      onNotification: (notification, relatedTo) => this.#onNotification(notification, relatedTo),
    });
    this.#conversation = conversation;
    void conversation.ended.then((error) => {
      this.#calls.close();
      this.#end(error);
    });
    const shaking = shakeHands(conversation, { serverName, roots });
    const settled = shaking.catch(() => undefined);
    try {
      if (!(await settlesWithin(settled, startMs))) throw lateError(serverName, startMs);
      return { conversation, card: await shaking };
    } catch (error) {
      await conversation.close();
      throw error;
    }
  }

  #onNotification({ method, params = {} }: JsonRpcNotification, relatedTo: RpcId | undefined): void {
    if (method === 'notifications/progress') return this.#calls.onProgress(params);
    if (method === 'notifications/message') return this.#calls.onLog(params, relatedTo);
    if (method === 'notifications/cancelled') return this.#calls.onCancelled(params);
    const change = readChange(method, params);
    if (change !== undefined) this.#changes.emit(change);
  }
}

function lateError(serverName: string, startMs: number): ProxyError {
  const text = `server ${serverName} did not finish the MCP handshake within ${startMs} ms; see \`timeout\` in mcproxy.yml`;
  return new ProxyError('UPSTREAM_TIMEOUT', text);
}
