/**
 * Answers: mcproxy's own as JSON, and an upstream's streamed through as it comes.
 *
 * Both write the log entry before the last byte leaves. `streamThrough` passes every chunk on at once, with
 * backpressure, and holds back only the chunk that completes the answer until the entry is in the file; a
 * vanished client and a broken upstream each end the other side (RFC 9112 §8: an incomplete message must be
 * seen as such, so a broken one is cut, never ended). Which bytes those are is the business of the caller.
 */
import type { IncomingMessage } from 'node:http';

import { ProxyError } from '../errors.ts';
import { CLIENT_LINGER_MS_MAX, CLIENT_WRITE_IDLE_MS_MAX } from '../limits.ts';
import { recordFailure, type Exchange } from './exchange.ts';
import { countPassed } from './passed-bytes.ts';

export interface JsonReply {
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Time allowed to a client that does not read; the default is the bound. */
  readonly unreadMs?: number;
}

/** Sends a JSON body of our own and commits the entry first. */
export function sendJson(exchange: Exchange, status: number, reply: JsonReply): void {
  const { body, headers, unreadMs } = reply;
  sendText(exchange, status, {
    text: JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...headers },
    ...(unreadMs === undefined ? {} : { unreadMs }),
  });
}

export interface TextReply {
  readonly text: string;
  readonly headers: Readonly<Record<string, string>>;
  /** As of a JsonReply. */
  readonly unreadMs?: number;
}

/** Sends any text of our own and commits the entry first. */
export function sendText(exchange: Exchange, status: number, reply: TextReply): void {
  const { request, response, entry } = exchange;
  if (response.headersSent || response.destroyed) return exchange.commit(() => response.destroy());
  const { text } = reply;
  const length = Buffer.byteLength(text);
  entry.httpStatus = status;
  entry.bytesOut = length;
  exchange.commit(() => {
    const headers: Record<string, string | number> = {
      'content-length': length,
      'cache-control': 'no-store',
      'x-request-id': entry.requestId,
      ...reply.headers,
    };
    const body = request.method === 'HEAD' ? '' : text;
    // A client that does not read must not hold its exchange for ever. A slow one may: bytes that leave begin it anew.
    response.setTimeout(reply.unreadMs ?? CLIENT_WRITE_IDLE_MS_MAX, () => response.destroy());
    if (request.complete) return void response.writeHead(status, headers).end(body);
    // Unread body bytes would be taken for the next request.
    response.writeHead(status, { ...headers, connection: 'close' }).write(body);
    discardRest(request, () => response.end());
  });
}

/**
 * Reads what is left of a request and throws it away, for a while. A connection that is closed with bytes unread is
 * reset, and the reset may overtake the answer (RFC 9112 §9.6).
 */
function discardRest(request: IncomingMessage, then: () => void): void {
  const finish = (): void => {
    clearTimeout(timer);
    request.off('end', finish).off('close', finish);
    then();
  };
  const timer = setTimeout(finish, CLIENT_LINGER_MS_MAX);
  request.on('end', finish).on('close', finish).resume();
}

/**
 * Sends a failure of our own as a JSON-RPC error object, so that an MCP client can show its text.
 * The HTTP status speaks, because no message with an id has been accepted (style: which layer speaks).
 */
export function sendFailure(exchange: Exchange, error: ProxyError): void {
  const { entry } = exchange;
  recordFailure(entry, error);
  entry.rpcError = error.spec.rpc;
  if (error.code === 'CLIENT_GONE') {
    entry.httpStatus = error.spec.http;
    return exchange.commit(() => exchange.response.destroy());
  }
  const data = { source: 'mcproxy', code: error.code, request_id: entry.requestId, ...error.data };
  sendJson(exchange, error.spec.http, {
    body: { jsonrpc: '2.0', id: null, error: { code: error.spec.rpc, message: error.message, data } },
    ...(error.headers === undefined ? {} : { headers: error.headers }),
  });
}

export interface StreamOptions {
  readonly status: number;
  /** Flat name-value list, end-to-end fields only. */
  readonly headers: readonly string[];
  /** Silence after which `onSilent` may add bytes; 0 for none. */
  readonly heartbeatMs: number;
  /** Reads along and says what to send: the chunks to pass on, and whether they complete the answer. */
  onChunk(chunk: Buffer): { readonly chunks: readonly Buffer[]; readonly complete: boolean };
  /** Bytes to send after a silence, or undefined when none may be inserted here. */
  onSilent(): string | undefined;
  /** The last bytes held back by `onChunk`, when the upstream has ended. */
  onEnd(): readonly Buffer[];
  /** Cuts the upstream. */
  abortUpstream(): void;
}

/** Streams an upstream's answer to the client. Installs `exchange.stop`. */
export function streamThrough(exchange: Exchange, upstream: IncomingMessage, options: StreamOptions): void {
  new Stream(exchange, upstream, options).start();
}

/**
 * `completing`: the last chunk waits for the log; `completed`: it has been sent. Commits call back in order, so that
 * whatever else happens while a chunk waits is put behind it by another commit.
 */
type StreamState = 'open' | 'completing' | 'completed' | 'ended';

/** One answer on its way; a class because it has sources to let go of. */
class Stream {
  readonly #exchange: Exchange;
  readonly #upstream: IncomingMessage;
  readonly #options: StreamOptions;
  readonly #lengthDeclared: number | undefined;
  /** Bytes of the upstream's body so far; what leaves may be more or less. */
  #receivedBytes = 0;
  #state: StreamState = 'open';
  #heartbeat: NodeJS.Timeout | undefined;
  #writeIdle: NodeJS.Timeout | undefined;

  constructor(exchange: Exchange, upstream: IncomingMessage, options: StreamOptions) {
    this.#exchange = exchange;
    this.#upstream = upstream;
    this.#options = options;
    const length = upstream.headers['content-length'];
    this.#lengthDeclared = length === undefined ? undefined : Number(length);
  }

  start(): void {
    const { response, entry } = this.#exchange;
    const upstream = this.#upstream;
    entry.httpStatus = this.#options.status;
    response.writeHead(this.#options.status, this.#options.headers as string[]);
    // The head of a stream tells the client that it is connected: never wait for the first event to send it.
    if (this.#exchange.streaming) response.flushHeaders();
    upstream.on('data', (chunk: Buffer) => this.#onData(chunk));
    upstream.on('end', () => this.#onEnd());
    upstream.on('error', (error) => this.#onBroken(error));
    upstream.on('close', () => this.#onBroken(undefined));
    response.on('drain', () => this.#onDrain());
    response.on('close', () => this.#onClientClose());
    this.#exchange.stop = (reason) => this.#stop(reason);
    if (this.#options.heartbeatMs > 0) {
      this.#heartbeat = setTimeout(() => this.#onSilent(), this.#options.heartbeatMs);
    }
  }

  #onData(chunk: Buffer): void {
    if (this.#state === 'ended') return;
    const { response, entry, streaming } = this.#exchange;
    let step;
    try {
      step = this.#options.onChunk(chunk);
    } catch (thrown) {
      return this.#fail(thrown);
    }
    for (const part of step.chunks) entry.bytesOut += part.length;
    this.#receivedBytes += chunk.length;
    countPassed(chunk.length);
    this.#heartbeat?.refresh();
    const length = streaming ? undefined : this.#lengthDeclared;
    const complete = length === undefined ? step.complete : this.#receivedBytes >= length;
    if (complete && this.#state === 'open') {
      // This chunk completes the answer: its line goes to the file first.
      this.#state = 'completing';
      this.#upstream.pause();
      return this.#exchange.commit(() => {
        if (this.#state !== 'completing' || response.destroyed) return;
        this.#state = 'completed';
        this.#write(step.chunks);
        if (this.#writeIdle === undefined) this.#upstream.resume();
      });
    }
    this.#write(step.chunks);
  }

  #write(chunks: readonly Buffer[]): void {
    const { response } = this.#exchange;
    for (const part of chunks) {
      if (response.write(part) || this.#writeIdle !== undefined) continue;
      this.#upstream.pause();
      this.#writeIdle = setTimeout(() => this.#onUnread(), CLIENT_WRITE_IDLE_MS_MAX);
    }
  }

  #onDrain(): void {
    clearTimeout(this.#writeIdle);
    this.#writeIdle = undefined;
    if (this.#state !== 'completing') this.#upstream.resume();
  }

  #onEnd(): void {
    if (this.#state === 'ended') return;
    if (!this.#upstream.complete) return this.#onBroken(undefined);
    try {
      const rest = this.#options.onEnd();
      for (const part of rest) this.#exchange.entry.bytesOut += part.length;
      this.#write(rest);
    } catch (thrown) {
      return this.#fail(thrown);
    }
    this.#endAfterCommit();
  }

  #endAfterCommit(): void {
    this.#exchange.commit(() => {
      if (this.#state === 'ended') return;
      this.#release();
      this.#end();
    });
  }

  #end(): void {
    const { request, response } = this.#exchange;
    const unread = setTimeout(() => response.destroy(), CLIENT_WRITE_IDLE_MS_MAX);
    response.on('close', () => clearTimeout(unread));
    response.end();
    if (request.complete) return;
    // The answer came before the request was complete: its rest interests nobody.
    this.#options.abortUpstream();
    discardRest(request, () => {
      if (!request.complete) request.socket.destroySoon();
    });
  }

  #onSilent(): void {
    this.#heartbeat?.refresh();
    // What waits for the log may begin in the middle of an event.
    if (this.#writeIdle !== undefined || this.#state === 'completing') return;
    const text = this.#options.onSilent();
    if (text === undefined) return;
    const bytes = Buffer.from(text);
    this.#exchange.entry.bytesOut += bytes.length;
    this.#write([bytes]);
  }

  /** The upstream broke off: the client must see an incomplete answer, not a short one. */
  #onBroken(error: Error | undefined): void {
    if (this.#state === 'ended' || this.#upstream.readableEnded) return;
    if (error instanceof ProxyError) return this.#fail(error);
    this.#fail(new ProxyError('UPSTREAM_CLOSED', 'the server closed the connection in the middle of its answer'));
  }

  #fail(thrown: unknown): void {
    const error =
      thrown instanceof ProxyError
        ? thrown
        : new ProxyError('INTERNAL', 'the answer could not be read', { cause: thrown });
    this.#cut(error);
  }

  /** The client has not taken a byte for too long. */
  #onUnread(): void {
    this.#cut(new ProxyError('CLIENT_GONE', 'the connection was cut: the client did not read its answer'));
  }

  #cut(error: ProxyError): void {
    if (this.#state === 'ended') return;
    if (this.#state === 'completing') return this.#exchange.commit(() => this.#cut(error));
    recordFailure(this.#exchange.entry, error);
    this.#release();
    this.#options.abortUpstream();
    // Node holds a written chunk back until the end of the tick; what came before the cut shall still leave.
    this.#exchange.commit(() => setImmediate(() => this.#exchange.response.destroy()));
  }

  #onClientClose(): void {
    if (this.#state === 'ended') return;
    const { entry } = this.#exchange;
    // A client that hangs up on an open-ended stream, or after its answer, has simply finished.
    if (!this.#exchange.streaming || this.#exchange.request.method !== 'GET') {
      recordFailure(
        entry,
        new ProxyError('CLIENT_GONE', 'the client closed the connection before the answer was complete'),
      );
    }
    this.#release();
    this.#options.abortUpstream();
    this.#exchange.commit(() => undefined);
  }

  #stop(reason: 'shutdown' | 'revoked' | 'abort'): void {
    if (this.#state === 'ended') return;
    if (reason === 'abort') return this.#cut(new ProxyError('SHUTTING_DOWN', 'mcproxy is stopping'));
    if (this.#state === 'completing') return this.#exchange.commit(() => this.#stop(reason));
    this.#release();
    this.#options.abortUpstream();
    this.#exchange.commit(() => this.#end());
  }

  #release(): void {
    this.#state = 'ended';
    clearTimeout(this.#heartbeat);
    clearTimeout(this.#writeIdle);
    this.#exchange.stop = undefined;
  }
}
