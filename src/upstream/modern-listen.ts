/**
 * What changes at a modern server, over `subscriptions/listen`: one stream, for the lists and the watched resources.
 *
 * The filter of a stream is fixed for its life, so that another set of resources means a new stream; the old one is
 * cut when the new one is acknowledged, so that nothing falls between them. A stream that breaks is opened again
 * after a growing pause and `recovered` is told, because anything may have changed meanwhile; `lost` when it cannot
 * be opened at once. A server that refuses to be listened to is left alone. Source: MCP 2026-07-28
 * basic/patterns/subscriptions.
 */
import { WATCHED_RESOURCE_COUNT_MAX } from '../limits.ts';
import type { JsonRpcNotification, RpcErrorBody, RpcId } from '../mcp/jsonrpc.ts';
import { RPC_ERROR } from '../mcp/protocol.ts';
import type { ChangeEvent, JsonObject } from '../mcp/waist.ts';
import { countCrash, restartDelayMs } from './backoff.ts';
import type { RemoteOptions } from './mcp-http.ts';
import { OWN_META } from './modern-message.ts';
import { openListenStream } from './modern-listen-stream.ts';
import type { ModernExchange } from './modern-request.ts';
import { readChange } from './peer-changes.ts';

export interface Listening {
  /** Whether somebody wants to know of changes of the lists. */
  setListsWanted(isWanted: boolean): void;
  /** Resolves to whether the server watches the resource. */
  watch(uri: string): Promise<boolean>;
  unwatch(uri: string): void;
  close(): void;
}

/** Listens to nothing until something is wanted. `nextId` gives ids that no other request in progress has. */
export function createListening(
  remote: RemoteOptions,
  nextId: () => RpcId,
  emit: (event: ChangeEvent) => void,
): Listening {
  return new ListenStreams(remote, nextId, emit);
}

interface Stream {
  readonly exchange: ModernExchange;
  /** The resources that the server agreed to watch. */
  readonly uris: ReadonlySet<string>;
  /** Changes of the lists were asked for. */
  readonly hasLists: boolean;
  /** The server agreed to tell of something. */
  readonly isUseful: boolean;
  readonly sinceMs: number;
}

class ListenStreams implements Listening {
  readonly #remote: RemoteOptions;
  readonly #nextId: () => RpcId;
  readonly #emit: (event: ChangeEvent) => void;
  /** Bounded by WATCHED_RESOURCE_COUNT_MAX. */
  readonly #uris = new Set<string>();
  #listsWanted = false;
  #current: Stream | undefined;
  #opening: ModernExchange | undefined;
  /** One change of the stream after the other. */
  #turn: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  /** Streams in a row that broke without having told anything. */
  #breakCount = 0;
  #isBroken = false;
  /** The server does not know the method. */
  #isRefused = false;
  #isClosed = false;

  constructor(remote: RemoteOptions, nextId: () => RpcId, emit: (event: ChangeEvent) => void) {
    this.#remote = remote;
    this.#nextId = nextId;
    this.#emit = emit;
  }

  setListsWanted(isWanted: boolean): void {
    if (this.#listsWanted === isWanted) return;
    this.#listsWanted = isWanted;
    this.#refreshQuietly();
  }

  async watch(uri: string): Promise<boolean> {
    if (!this.#uris.has(uri) && this.#uris.size >= WATCHED_RESOURCE_COUNT_MAX) return false;
    const isNew = !this.#uris.has(uri);
    this.#uris.add(uri);
    try {
      // Several that come at once are asked for in one stream.
      await this.#refresh();
    } catch (error) {
      if (isNew) this.#uris.delete(uri);
      throw error;
    }
    const isWatched = this.#current?.uris.has(uri) ?? false;
    if (!isWatched) this.#uris.delete(uri);
    return isWatched;
  }

  unwatch(uri: string): void {
    if (this.#uris.delete(uri)) this.#refreshQuietly();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#opening?.abort();
    this.#current?.exchange.abort();
    this.#current = undefined;
  }

  #refreshQuietly(): void {
    this.#refresh().catch((error: unknown) => this.#onFailure(error));
  }

  /** Brings the stream in line with what is wanted when the changes before this one are done. */
  #refresh(): Promise<void> {
    const turn = this.#turn.then(() => this.#reopen());
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #reopen(): Promise<void> {
    if (this.#isClosed || this.#isRefused) return;
    if (!this.#listsWanted && this.#uris.size === 0) {
      clearTimeout(this.#timer);
      return this.#replace(undefined);
    }
    if (this.#isUpToDate()) return;
    const stream = await this.#open();
    if (stream === undefined) return;
    if (this.#isClosed) return stream.exchange.abort();
    this.#replace(stream);
    if (!this.#isBroken) return;
    this.#isBroken = false;
    this.#emit({ kind: 'recovered' });
  }

  #isUpToDate(): boolean {
    const current = this.#current;
    if (current === undefined || current.hasLists !== this.#listsWanted) return false;
    return current.uris.size === this.#uris.size && [...this.#uris].every((uri) => current.uris.has(uri));
  }

  #replace(stream: Stream | undefined): void {
    const old = this.#current;
    // A stream that brings nothing is not worth a connection.
    if (stream?.isUseful === false) stream.exchange.abort();
    this.#current = stream?.isUseful === false ? undefined : stream;
    old?.exchange.abort();
    const onEnd = (): void => {
      // Replaced, or closed by us.
      if (stream === undefined || this.#current !== stream || this.#isClosed) return;
      this.#current = undefined;
      this.#isBroken = true;
      this.#again(this.#remote.clock.monotonicMs() - stream.sinceMs);
    };
    stream?.exchange.response.then(onEnd, onEnd);
  }

  /** Resolves when the server has acknowledged; undefined when it refuses. */
  async #open(): Promise<Stream | undefined> {
    const lists = this.#listsWanted
      ? { toolsListChanged: true, promptsListChanged: true, resourcesListChanged: true }
      : {};
    const watched = this.#uris.size === 0 ? {} : { resourceSubscriptions: [...this.#uris] };
    const hasLists = this.#listsWanted;
    try {
      const opened = await openListenStream(this.#remote, {
        id: this.#nextId(),
        notifications: { ...lists, ...watched },
        meta: OWN_META,
        onBegun: (exchange) => {
          this.#opening = exchange;
        },
        onNotification: (notification, exchange) => this.#onNotification(notification, exchange),
      });
      if (opened.kind === 'refused') return this.#onRefusal(opened.error);
      const { exchange, honoured } = opened;
      return { exchange, hasLists, ...readAgreed(honoured), sinceMs: this.#remote.clock.monotonicMs() };
    } finally {
      this.#opening = undefined;
    }
  }

  #onRefusal({ code, message }: RpcErrorBody): undefined {
    this.#isRefused = code === RPC_ERROR.methodNotFound;
    this.#remote.onDiag('info', 'a server refuses to tell what changes', {
      server: this.#remote.server.name,
      error: message,
    });
  }

  #onNotification(notification: JsonRpcNotification, exchange: ModernExchange): void {
    // The stream before this one tells the same for a moment.
    if (this.#isClosed || (this.#current !== undefined && this.#current.exchange !== exchange)) return;
    const change = readChange(notification.method, notification.params ?? {});
    if (change === undefined) return;
    this.#breakCount = 0;
    this.#emit(change);
  }

  #onFailure(error: unknown): void {
    if (this.#isClosed) return;
    const reason = error instanceof Error ? error.message : 'unknown';
    if (!this.#isBroken || this.#breakCount === 1) this.#emit({ kind: 'lost', reason });
    this.#isBroken = true;
    this.#again(0);
  }

  #again(uptimeMs: number): void {
    this.#breakCount = countCrash(this.#breakCount, uptimeMs);
    clearTimeout(this.#timer);
    // Half of the pause by chance: the listeners of a server that restarts must not come back all at once.
    const delayMs = restartDelayMs(this.#breakCount) * (0.5 + this.#remote.clock.random() / 2);
    this.#timer = setTimeout(() => this.#refreshQuietly(), delayMs);
  }
}

/** What the server agreed to. */
function readAgreed(honoured: JsonObject): Pick<Stream, 'uris' | 'isUseful'> {
  const uris = honoured['resourceSubscriptions'];
  const watched = Array.isArray(uris) ? uris.filter((uri): uri is string => typeof uri === 'string') : [];
  return { uris: new Set(watched), isUseful: watched.length > 0 || Object.values(honoured).includes(true) };
}
