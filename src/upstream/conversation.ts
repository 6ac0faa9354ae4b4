/**
 * Requests and answers over a MessageChannel: ids of ours, who waits for which, and what happens when it ends.
 *
 * Ids are integers from a counter that never returns to a number, starting at 1 (some servers take 0 for none), and
 * serve as progress tokens as well. Every request ends exactly once: answered, failed or forgotten; the end of the
 * channel fails all of them at once. What the server sends on its own is handed on; an answer that nobody waits for
 * is late and is dropped. What the messages mean belongs to the peers. Source: JSON-RPC 2.0; MCP base protocol.
 */
import { ProxyError } from '../errors.ts';
import { CHILD_TEXT_BYTES_MAX, PEER_CALL_COUNT_MAX } from '../limits.ts';
import { decodeMessage, errorResponse, result as resultResponse } from '../mcp/jsonrpc.ts';
import type { JsonRpcNotification, JsonRpcRequest, RpcErrorBody, RpcId } from '../mcp/jsonrpc.ts';
import type { ChannelEvents, JsonObject, MessageChannel } from '../mcp/waist.ts';

export type OnDiag = (level: 'warn' | 'info', message: string, data?: Readonly<Record<string, unknown>>) => void;

/** How a request ended: answered by the server in one of two ways, or not answered. */
export type Answer =
  | { readonly kind: 'result'; readonly result: JsonObject }
  | { readonly kind: 'error'; readonly code: number; readonly message: string; readonly data: unknown }
  | { readonly kind: 'failed'; readonly error: ProxyError };

export type PeerChannel = MessageChannel & { setRevision?(revision: string): void };

export interface ConversationOptions {
  readonly serverName: string;
  readonly onDiag: OnDiag;
  /** Opens the channel; called at once. */
  readonly open: (events: ChannelEvents) => Promise<PeerChannel>;
  readonly onRequest: (request: JsonRpcRequest, relatedTo: RpcId | undefined) => void;
  readonly onNotification: (notification: JsonRpcNotification, relatedTo: RpcId | undefined) => void;
}

export class Conversation {
  readonly serverName: string;
  /** The reason of the end. Resolves once, also after `close` and when the channel could not be opened. */
  readonly ended: Promise<ProxyError>;
  readonly #options: ConversationOptions;
  readonly #opening: Promise<PeerChannel>;
  /** Bounded by PEER_CALL_COUNT_MAX. */
  readonly #pending = new Map<RpcId, (answer: Answer) => void>();
  /** Those of the pending that have not left yet; bounded by PEER_CALL_COUNT_MAX. */
  readonly #sending = new Set<RpcId>();
  #lastId = 0;
  #droppedCount = 0;
  #end: ProxyError | undefined;
  #resolveEnded: (error: ProxyError) => void = () => undefined;

  /** Opens the channel. */
  constructor(options: ConversationOptions) {
    const { serverName } = options;
    this.serverName = serverName;
    this.#options = options;
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
    this.#opening = options.open({
      onMessage: (message, relatedTo) => this.#read(message, relatedTo),
      onClose: (error) => this.#finish(asProxyError(serverName, error)),
      onLost: (id, error) => this.#settle(id, { kind: 'failed', error: asProxyError(serverName, error) }),
    });
    this.#opening.catch((error: unknown) => this.#finish(asProxyError(serverName, error)));
  }

  /**
   * Sends a request. `params` is given the id, which it may use as progress token. `onAnswer` is called once, never
   * before this returns.
   */
  ask(method: string, params: (id: number) => JsonObject, onAnswer: (answer: Answer) => void): number {
    this.#lastId += 1;
    const id = this.#lastId;
    const refusal = this.#end === undefined ? this.#refuseOverload() : notSent(this.serverName, this.#end);
    if (refusal !== undefined) {
      queueMicrotask(() => onAnswer({ kind: 'failed', error: refusal }));
      return id;
    }
    this.#pending.set(id, onAnswer);
    void this.#dispatch(id, { jsonrpc: '2.0', id, method, params: params(id) });
    return id;
  }

  /** Nobody waits for that request any more; its answer will be dropped. */
  forget(id: number): void {
    this.#pending.delete(id);
  }

  /** Resolves when it has left or cannot leave; never rejects, because the end of the channel tells the latter. */
  notify(method: string, params: JsonObject): Promise<void> {
    return this.#sendQuietly({ jsonrpc: '2.0', method, params });
  }

  /** Answers a request of the server. */
  answer(id: RpcId, result: JsonObject): void {
    void this.#sendQuietly({ ...resultResponse(id, result) });
  }

  /** Answers a request of the server with an error. */
  refuse(id: RpcId, error: RpcErrorBody): void {
    void this.#sendQuietly({ ...errorResponse(id, error) });
  }

  setRevision(revision: string): void {
    this.#opening.then((channel) => channel.setRevision?.(revision)).catch(() => undefined);
  }

  async close(): Promise<void> {
    this.#finish(new ProxyError('UPSTREAM_CLOSED', `the connection to server ${this.serverName} was closed`));
    await this.#opening.then(
      (channel) => channel.close(),
      () => undefined,
    );
  }

  #read(value: JsonObject, relatedTo: RpcId | undefined): void {
    const decoded = decodeMessage(value);
    switch (decoded.kind) {
      case 'request':
        return this.#options.onRequest(decoded.message, relatedTo);
      case 'notification':
        return this.#options.onNotification(decoded.message, relatedTo);
      case 'result':
        return this.#settle(decoded.message.id, { kind: 'result', result: decoded.message.result });
      case 'error': {
        const { id, error } = decoded.message;
        // Without an id it answers nothing in particular (2025-11-25 allows that); it is worth a line.
        if (id === undefined || id === null) return this.#drop(error.message);
        return this.#settle(id, { kind: 'error', code: error.code, message: error.message, data: error.data });
      }
      case 'batch':
        return this.#drop('a batch inside a batch');
      case 'problem': {
        // The id of a request is the server's own, whatever it has in common with one of ours.
        const isRequest = Object.hasOwn(value, 'method') && !Object.hasOwn(value, 'result');
        if (isRequest || decoded.id === undefined || !this.#pending.has(decoded.id)) return this.#drop(decoded.text);
        const text = `server ${this.serverName} sent a bad answer: ${decoded.text}`;
        return this.#settle(decoded.id, { kind: 'failed', error: new ProxyError('UPSTREAM_PROTOCOL', text) });
      }
    }
  }

  #drop(text: string): void {
    this.#droppedCount += 1;
    if (this.#droppedCount > 1) return;
    const message = 'a server sent a message that belongs to nothing; it is dropped';
    this.#options.onDiag('warn', message, { server: this.serverName, text: text.slice(0, CHILD_TEXT_BYTES_MAX) });
  }

  #settle(id: RpcId, answer: Answer): void {
    const onAnswer = this.#pending.get(id);
    this.#pending.delete(id);
    onAnswer?.(answer);
  }

  #finish(error: ProxyError): void {
    if (this.#end !== undefined) return;
    this.#end = error;
    const isRefusal = error.data?.['notProcessed'] === true;
    for (const id of this.#pending.keys()) {
      // That a message was refused is true of that message only, and its own sending, still on its way, will say so.
      if (isRefusal && this.#sending.has(id)) continue;
      this.#settle(id, { kind: 'failed', error: withoutNotProcessed(error) });
    }
    this.#resolveEnded(error);
  }

  async #dispatch(id: number, message: JsonObject): Promise<void> {
    this.#sending.add(id);
    try {
      await this.#send(message);
      if (this.#end !== undefined) this.#settle(id, { kind: 'failed', error: withoutNotProcessed(this.#end) });
    } catch (error) {
      // What was on its way when the channel ended was cut off, and may have been acted on whatever the end says.
      const isCut = error === this.#end;
      const failure = asProxyError(this.serverName, error);
      this.#settle(id, { kind: 'failed', error: isCut ? withoutNotProcessed(failure) : failure });
    } finally {
      this.#sending.delete(id);
    }
  }

  async #send(message: JsonObject): Promise<void> {
    const channel = await this.#opening;
    if (this.#end !== undefined) throw notSent(this.serverName, this.#end);
    await channel.send(message);
  }

  #sendQuietly(message: JsonObject): Promise<void> {
    return this.#send(message).catch(() => undefined);
  }

  #refuseOverload(): ProxyError | undefined {
    const count = this.#pending.size;
    if (count < PEER_CALL_COUNT_MAX) return undefined;
    const text = `server ${this.serverName} has ${count} requests in progress; try again shortly`;
    return new ProxyError('OVERLOADED', text);
  }
}

/** The answer to a request as a promise. */
export function askOnce(conversation: Conversation, method: string, params: JsonObject): Promise<Answer> {
  return new Promise((resolve) => {
    conversation.ask(method, () => params, resolve);
  });
}

/** As `askOnce`; without an answer in the time given it has failed with UPSTREAM_TIMEOUT, and a late one is dropped. */
export function askWithin(
  conversation: Conversation,
  { method, params }: { readonly method: string; readonly params: JsonObject },
  withinMs: number,
): Promise<Answer> {
  return new Promise((resolve) => {
    const id = conversation.ask(
      method,
      () => params,
      (answer) => {
        clearTimeout(timer);
        resolve(answer);
      },
    );
    const timer = setTimeout(() => {
      conversation.forget(id);
      const text = `server ${conversation.serverName} did not answer ${method} within ${withinMs} ms`;
      resolve({ kind: 'failed', error: new ProxyError('UPSTREAM_TIMEOUT', text) });
    }, withinMs);
  });
}

function notSent(serverName: string, end: ProxyError): ProxyError {
  const text = `the connection to server ${serverName} is over, nothing was sent: ${end.message}`;
  return new ProxyError('UPSTREAM_UNREACHABLE', text, { cause: end, data: { notProcessed: true } });
}

function withoutNotProcessed(error: ProxyError): ProxyError {
  if (error.data?.['notProcessed'] !== true) return error;
  const { notProcessed: _, ...data } = error.data;
  return new ProxyError(error.code, error.message, { cause: error.cause, data });
}

export function asProxyError(serverName: string, error: unknown): ProxyError {
  if (error instanceof ProxyError) return error;
  return new ProxyError('INTERNAL', `an exchange with server ${serverName} failed inside mcproxy`, { cause: error });
}
