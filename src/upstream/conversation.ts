/**
 * Requests and answers over a MessageChannel: ids of ours, who waits for which, and what happens when it ends.
 *
 * Ids are integers from a counter that never returns to a number, starting at 1 (some servers take 0 for none), and
 * serve as progress tokens as well. Every request ends exactly once: answered, failed or forgotten; the end of the
 * channel fails all of them at once. What the server sends on its own is handed on; an answer that nobody waits for
 * is late and is dropped. What the messages mean belongs to the peers. Source: JSON-RPC 2.0; MCP base protocol.
 */
import { ProxyError } from '../errors.ts';
import { PEER_CALL_COUNT_MAX } from '../limits.ts';
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
  open(events: ChannelEvents): Promise<PeerChannel>;
  onRequest(request: JsonRpcRequest, relatedTo: RpcId | undefined): void;
  onNotification(notification: JsonRpcNotification, relatedTo: RpcId | undefined): void;
}

export interface Conversation {
  /** Sends a request. `params` is given the id, which it may use as progress token. `onAnswer` is called once. */
  ask(method: string, params: (id: number) => JsonObject, onAnswer: (answer: Answer) => void): number;
  /** Nobody waits for that request any more; its answer will be dropped. */
  forget(id: number): void;
  /** One-way; a failure to send ends up as the end of the channel or does not matter. */
  notify(method: string, params: JsonObject): void;
  /** Answers a request of the server. */
  answer(id: RpcId, result: JsonObject): void;
  refuse(id: RpcId, error: RpcErrorBody): void;
  setRevision(revision: string): void;
  /** The reason of the end. Resolves once, also after `close` and when the channel could not be opened. */
  readonly ended: Promise<ProxyError>;
  close(): Promise<void>;
}

/** Opens the channel and keeps the books of it until it ends. */
export function openConversation(options: ConversationOptions): Conversation {
  const { serverName, onDiag } = options;
  const pending = new Map<RpcId, (answer: Answer) => void>(); // bounded by PEER_CALL_COUNT_MAX
  const sending = new Set<RpcId>(); // of those pending
  let lastId = 0;
  let droppedCount = 0;
  let end: ProxyError | undefined;
  let resolveEnded: (error: ProxyError) => void;
  const ended = new Promise<ProxyError>((resolve) => {
    resolveEnded = resolve;
  });

  const events: ChannelEvents = {
    onMessage: (message, relatedTo) => read(message, relatedTo),
    onClose: (error) => finish(asProxyError(serverName, error)),
    onLost: (requestId, error) => settle(requestId, { kind: 'failed', error: asProxyError(serverName, error) }),
  };
  const opening = options.open(events);
  opening.catch((error: unknown) => finish(asProxyError(serverName, error)));

  function read(value: JsonObject, relatedTo: RpcId | undefined): void {
    const decoded = decodeMessage(value);
    switch (decoded.kind) {
      case 'request':
        return options.onRequest(decoded.message, relatedTo);
      case 'notification':
        return options.onNotification(decoded.message, relatedTo);
      case 'result':
        return settle(decoded.message.id, { kind: 'result', result: decoded.message.result });
      case 'error': {
        const { code, message, data } = decoded.message.error;
        // Without an id it answers nothing in particular (2025-11-25 allows that); it is worth a line.
        if (decoded.message.id === undefined || decoded.message.id === null) return drop(message);
        return settle(decoded.message.id, { kind: 'error', code, message, data });
      }
      case 'batch':
        return drop('a batch inside a batch');
      case 'problem': {
        const error = new ProxyError('UPSTREAM_PROTOCOL', `server ${serverName} sent a bad answer: ${decoded.text}`);
        if (decoded.id === undefined || !pending.has(decoded.id)) return drop(decoded.text);
        return settle(decoded.id, { kind: 'failed', error });
      }
    }
  }

  function drop(text: string): void {
    droppedCount += 1;
    if (droppedCount > 1) return;
    onDiag('warn', 'a server sent a message that belongs to nothing; it is dropped', { server: serverName, text });
  }

  function settle(id: RpcId, answer: Answer): void {
    const onAnswer = pending.get(id);
    pending.delete(id);
    onAnswer?.(answer);
  }

  function finish(error: ProxyError): void {
    if (end !== undefined) return;
    end = error;
    const isRefusal = error.data?.['notProcessed'] === true;
    for (const id of [...pending.keys()]) {
      // That a message was refused is true of that message only, and its own sending, still on its way, will say so.
      if (!(isRefusal && sending.has(id))) settle(id, { kind: 'failed', error: withoutNotProcessed(error) });
    }
    resolveEnded(error);
  }

  async function send(message: JsonObject): Promise<void> {
    const channel = await opening;
    if (end !== undefined) throw notSent(serverName, end);
    await channel.send(message);
  }

  async function dispatch(id: number, message: JsonObject): Promise<void> {
    sending.add(id);
    try {
      await send(message);
      if (end !== undefined) settle(id, { kind: 'failed', error: withoutNotProcessed(end) });
    } catch (error) {
      settle(id, { kind: 'failed', error: asProxyError(serverName, error) });
    } finally {
      sending.delete(id);
    }
  }

  function sendQuietly(message: JsonObject): void {
    send(message).catch(() => undefined);
  }

  return {
    ask(method, params, onAnswer) {
      lastId += 1;
      const id = lastId;
      const refusal = end === undefined ? overload(serverName, pending.size) : notSent(serverName, end);
      if (refusal !== undefined) {
        queueMicrotask(() => onAnswer({ kind: 'failed', error: refusal }));
        return id;
      }
      pending.set(id, onAnswer);
      void dispatch(id, { jsonrpc: '2.0', id, method, params: params(id) });
      return id;
    },
    forget: (id) => void pending.delete(id),
    notify: (method, params) => sendQuietly({ jsonrpc: '2.0', method, params }),
    answer: (id, result) => sendQuietly({ ...resultResponse(id, result) }),
    refuse: (id, error) => sendQuietly({ ...errorResponse(id, error) }),
    setRevision(revision) {
      opening.then((channel) => channel.setRevision?.(revision)).catch(() => undefined);
    },
    ended,
    async close() {
      finish(new ProxyError('UPSTREAM_CLOSED', `the connection to server ${serverName} was closed`));
      await opening.then(
        (channel) => channel.close(),
        () => undefined,
      );
    },
  };
}

/** The answer to a request as a promise. */
export function askOnce(conversation: Conversation, method: string, params: JsonObject): Promise<Answer> {
  return new Promise((resolve) => {
    conversation.ask(method, () => params, resolve);
  });
}

function overload(serverName: string, count: number): ProxyError | undefined {
  if (count < PEER_CALL_COUNT_MAX) return undefined;
  return new ProxyError('OVERLOADED', `server ${serverName} has ${count} requests in progress; try again shortly`);
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
