/**
 * The answer to one POST: JSON when nothing has to be said before the responses, else an event stream.
 *
 * Which of the two is open until the first notification, or until silence lasts so long that an intermediary might
 * cut the connection; from then on every response is an event and the last one ends the stream. The log entry is in
 * the file before the last response leaves. Whether a client that left wanted to cancel depends on the era, so that
 * is the caller's business. Source: MCP 2025-03-26 … 2026-07-28 streamable-http.
 */
import { ERRORS, ProxyError, type ErrorCode } from '../errors.ts';
import { EventStream } from '../http/event-stream.ts';
import { recordFailure, type Exchange } from '../http/exchange.ts';
import { sendJson } from '../http/reply.ts';
import { errorResponse, type JsonRpcResponse, type RpcId } from '../mcp/jsonrpc.ts';
import type { Entry } from '../model.ts';
import { accepts } from '../text/headers.ts';
import { noteCancelled, noteResponse } from './downstream-entry.ts';
import { ResumableStream } from './resumable-stream.ts';

export interface PostReplyOptions {
  /** Responses to wait for. */
  readonly count: number;
  /** The request was a batch, so that JSON is a list. */
  readonly batch: boolean;
  readonly heartbeatMs: number;
  /** The answer is JSON whatever happens. */
  readonly neverStream?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
  /** Opens a stream that the client can take up again, so that one that left may come back. */
  readonly resumable?: (() => ResumableStream) | undefined;
  /** The answer is a stream from the beginning, where the client takes one. */
  readonly eager?: boolean;
  /** The client left or was cut before the last response; nothing can be said any more. */
  onGone(): void;
  /** The process stops or the user was removed: each request that waits has to be answered now, with this. */
  onStop(error: ProxyError): void;
}

export class PostReply {
  readonly #exchange: Exchange;
  readonly #options: PostReplyOptions;
  readonly #accept: { readonly json: boolean; readonly stream: boolean };
  readonly #responses: JsonRpcResponse[] = [];
  #waiting: number;
  #stream: EventStream | ResumableStream | undefined;
  #respondedCount = 0;
  #over = false;
  #patience: NodeJS.Timeout | undefined;

  constructor(exchange: Exchange, options: PostReplyOptions) {
    this.#exchange = exchange;
    this.#options = options;
    this.#waiting = options.count;
    const { accept } = exchange.request.headers;
    const isJson = options.neverStream === true;
    this.#accept = {
      json: isJson || accepts(accept, 'application/json'),
      stream: !isJson && accepts(accept, 'text/event-stream'),
    };
    exchange.response.on('close', this.#onClose);
    exchange.stop = (reason) => {
      if (reason === 'abort') options.onStop(new ProxyError('SHUTTING_DOWN', 'mcproxy is stopping'));
    };
    if (!this.#accept.json || (options.eager === true && this.#accept.stream)) this.#openStream();
    else if (options.heartbeatMs > 0 && this.#accept.stream) {
      this.#patience = setTimeout(() => this.#openStream(), options.heartbeatMs);
    }
  }

  /** Sends a message that belongs to a request of this POST. False when it cannot reach the client. */
  tell(message: unknown): boolean {
    if (this.#over || !this.#accept.stream) return false;
    this.#openStream();
    return this.#stream?.offer(message) ?? false;
  }

  /** The end of one request; undefined when it gets no response. @param status of a lone JSON answer */
  respond(response: JsonRpcResponse | undefined, status = 200): void {
    if (this.#over) return;
    this.#waiting -= 1;
    if (response !== undefined) {
      this.#respondedCount += 1;
      if (this.#entry !== undefined) noteResponse(this.#entry, response);
    } else if (this.#waiting === 0 && this.#respondedCount === 0 && this.#entry !== undefined)
      noteCancelled(this.#entry);
    if (this.#waiting > 0) {
      if (response === undefined) return;
      if (this.#stream === undefined) this.#responses.push(response);
      else this.#stream.send(response);
      return;
    }
    this.#finish(response, status);
  }

  #finish(response: JsonRpcResponse | undefined, status: number): void {
    if (response !== undefined && this.#stream === undefined) this.#responses.push(response);
    // A request that was cancelled gets no response: a stream that ends without one says so.
    if (this.#stream === undefined && this.#responses.length === 0) this.#openStream();
    this.#settle();
    if (this.#stream !== undefined) return this.#stream.finish(response);
    const body = this.#options.batch ? this.#responses : this.#responses[0];
    this.#exchange.stop = undefined;
    sendJson(this.#exchange, status, { body, headers: this.#options.headers ?? {} });
  }

  /** Of the exchange that carries the answer; undefined while none does, when the next one will note it. */
  get #entry(): Entry | undefined {
    return this.#stream instanceof ResumableStream ? this.#stream.entry : this.#exchange.entry;
  }

  #openStream(): void {
    if (this.#stream !== undefined || this.#over) return;
    clearTimeout(this.#patience);
    const { resumable } = this.#options;
    const stream = resumable === undefined ? this.#openPlain() : this.#openResumable(resumable());
    // Responses of a batch that came before the first notification.
    for (const response of this.#responses.splice(0)) stream.send(response);
  }

  #openResumable(stream: ResumableStream): ResumableStream {
    this.#stream = stream;
    // A call that began with a valid token gets its answer; with the user their sessions end.
    stream.onStop((reason) => (reason === 'revoked' ? undefined : this.#options.onStop(stopError(reason))));
    stream.onOver(() => this.#gone());
    stream.carry(this.#exchange, { heartbeatMs: this.#options.heartbeatMs, after: 0 });
    return stream;
  }

  #openPlain(): EventStream {
    const { headers, heartbeatMs } = this.#options;
    const stream = new EventStream(this.#exchange, {
      heartbeatMs,
      openEnded: false,
      ...(headers === undefined ? {} : { headers }),
      onStop: (reason) => this.#options.onStop(stopError(reason)),
      onClosed: () => this.#gone(),
    });
    this.#stream = stream;
    return stream;
  }

  readonly #onClose = (): void => {
    if (this.#over || this.#stream !== undefined) return;
    const { entry } = this.#exchange;
    const gone = new ProxyError('CLIENT_GONE', 'the client closed the connection before it was answered');
    recordFailure(entry, gone);
    entry.httpStatus = gone.spec.http;
    this.#exchange.stop = undefined;
    this.#gone();
    this.#exchange.commit(() => undefined);
  };

  /** Hands the exchange back unanswered, to be answered otherwise; false when it is too late for that. */
  release(): boolean {
    if (this.#over || this.#stream !== undefined) return false;
    this.#settle();
    this.#exchange.stop = undefined;
    return true;
  }

  #gone(): void {
    if (this.#over) return;
    this.#settle();
    this.#options.onGone();
  }

  #settle(): void {
    this.#over = true;
    clearTimeout(this.#patience);
    this.#exchange.response.off('close', this.#onClose);
  }
}

export function stopError(reason: 'shutdown' | 'revoked'): ProxyError {
  if (reason === 'shutdown') return new ProxyError('SHUTTING_DOWN', 'mcproxy is stopping');
  return new ProxyError('ACCESS_DENIED', 'the token of this client was revoked');
}

/** 202 without a body: what came was accepted and has no answer. */
export function sendAccepted(exchange: Exchange): void {
  exchange.entry.httpStatus = 202;
  exchange.commit(() => writeEmpty(exchange, 202));
}

/** Writes an answer without a body; the entry is the caller's. */
export function writeEmpty(exchange: Exchange, status: number, headers: Readonly<Record<string, string>> = {}): void {
  const { response, entry } = exchange;
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, {
    'content-length': 0,
    'cache-control': 'no-store',
    'x-request-id': entry.requestId,
    ...headers,
  });
  response.end();
}

export interface Refusal {
  readonly code: ErrorCode;
  readonly message: string;
  /** Differs from the table for some. */
  readonly http?: number;
  readonly id?: RpcId | undefined;
  readonly data?: Readonly<Record<string, unknown>> | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Refuses a whole HTTP request with a JSON-RPC error that echoes the id, if one could be read. */
export function sendRefusal(exchange: Exchange, refusal: Refusal): void {
  const { code, message, id, data, headers } = refusal;
  const { entry } = exchange;
  const spec = ERRORS[code];
  recordFailure(entry, new ProxyError(code, message));
  entry.rpcError = spec.rpc;
  const body = errorResponse(id, {
    code: spec.rpc,
    message,
    data: { source: 'mcproxy', code, request_id: entry.requestId, ...data },
  });
  sendJson(exchange, refusal.http ?? spec.http, { body, ...(headers === undefined ? {} : { headers }) });
}
