/**
 * The gateway's side of a pipe to one client: lines in, lines out, both eras at once.
 *
 * Each message says by itself which era it is of: one with an envelope is modern, any other belongs to the session
 * that `initialize` began (MCP 2026-07-28 basic/versioning; 2025-11-25 lifecycle). What is no message is answered with
 * an error that guesses no id. Each request has one log entry, which is in the file before its response is written; a
 * request that its client cancelled gets none. Lines and their bounds, the process and its end are the caller's; what
 * a request means, `stdio-request`'s.
 */
import { ERRORS, ProxyError, type ErrorCode } from '../errors.ts';
import { recordFailure } from '../http/exchange.ts';
import { PIPED_REQUEST_BYTES_MAX, SESSION_CALL_COUNT_MAX, STREAM_QUEUE_BYTES_MAX } from '../limits.ts';
import { classifyUnmirrored, hasEnvelope } from '../mcp/classify.ts';
import { errorResponse, isRpcId, parseMessage, result as resultMessage } from '../mcp/jsonrpc.ts';
import type { JsonRpcNotification, JsonRpcRequest, JsonRpcResponse, RpcId, SingleMessage } from '../mcp/jsonrpc.ts';
import { BATCH_REVISION, negotiateLegacy } from '../mcp/protocol.ts';
import type { JsonObject } from '../mcp/waist.ts';
import type { Entry } from '../model.ts';
import { changeMessage } from './downstream-changes.ts';
import type { ServingContext } from './downstream-context.ts';
import { noteMessage, noteResponse } from './downstream-entry.ts';
import { acceptLegacy } from './downstream-legacy.ts';
import { claimsOf } from './downstream-request.ts';
import { closeSession, createSession, type Session, type SessionOwner } from './session.ts';
import { serveInitialize, serveInSession, serveModernCall, serveSubscription, type Service } from './stdio-request.ts';
import type { GatewayView } from './view.ts';

/** The way to the client. */
export interface StdioOutput {
  /** Sends one line, given without its end. False when nothing can be sent any more. */
  write(line: string): boolean;
  readonly waitingBytes: number;
}

/** One request with its log entry. */
export interface StdioExchange {
  readonly entry: Entry;
  readonly traceparent: string;
  /** Writes the entry, once; `done` follows when it is in the file or could not be put there. */
  commit(done: () => void): void;
}

export interface StdioOptions {
  readonly view: GatewayView;
  readonly owner: SessionOwner;
  readonly serverInfo: JsonObject;
  readonly keepParams: ((params: unknown) => unknown) | undefined;
  readonly output: StdioOutput;
  begin(): StdioExchange;
  /** Why no request is served now; undefined when they are. */
  refusal(): ProxyError | undefined;
  onInternal(error: unknown): void;
}

export interface StdioConversation {
  /** Takes one line of the client. Never throws. */
  receive(line: string): void;
  /** Nothing new is begun, and subscriptions end with their closing results; calls may finish. */
  drain(): void;
  /** Resolves when no request waits for its response. */
  idle(): Promise<void>;
  /** Answers what is still in progress with the error, and lets go of everything. */
  close(error: ProxyError): void;
}

interface Running {
  readonly service: Service;
  readonly finish: (response: JsonRpcResponse | undefined) => void;
}

/** Takes the response of one request as text, undefined when it gets none; its entry is in the file. */
type Respond = (line: string | undefined) => void;

export function openStdio(options: StdioOptions): StdioConversation {
  return new Conversation(options);
}

/** A class because it holds requests, a session and a watch on the view. */
class Conversation implements StdioConversation {
  readonly #options: StdioOptions;
  readonly #running = new Map<RpcId, Running>(); // Bounded by SESSION_CALL_COUNT_MAX.
  #runningBytes = 0;
  #session: Session | undefined;
  #unwatch: (() => void) | undefined;
  #refusal: ProxyError | undefined;
  /** Requests whose responses have not been written. */
  #waitingCount = 0;
  #onIdle: (() => void)[] = [];

  constructor(options: StdioOptions) {
    this.#options = options;
  }

  receive(line: string): void {
    try {
      this.#receive(line);
    } catch (thrown) {
      // Called from a stream's event, where nobody above catches.
      this.#options.onInternal(thrown);
    }
  }

  drain(): void {
    this.#refusal ??= new ProxyError('SHUTTING_DOWN', 'mcproxy is stopping');
    this.#unwatch?.();
    for (const { service } of this.#running.values()) service.close?.();
  }

  idle(): Promise<void> {
    if (this.#waitingCount === 0) return Promise.resolve();
    return new Promise((resolve) => void this.#onIdle.push(resolve));
  }

  close(error: ProxyError): void {
    this.drain();
    for (const { service, finish } of this.#running.values()) {
      if (service.close !== undefined) continue;
      service.cancel(error.message);
      finish(service.failure(error));
    }
    if (this.#session !== undefined) closeSession(this.#session, error.message);
  }

  #receive(line: string): void {
    const parsed = parseMessage(line);
    const bytesIn = Buffer.byteLength(line) + 1;
    switch (parsed.kind) {
      case 'problem':
        return this.#refuse(parsed.code, parsed.text, { bytesIn, id: parsed.id });
      case 'batch':
        return this.#receiveBatch(parsed.messages, bytesIn);
      default:
        return this.#take(parsed, bytesIn, (answer) => this.#write(answer));
    }
  }

  #take(content: SingleMessage, bytesIn: number, respond: Respond): void {
    if (content.kind === 'request') return this.#serve(content.message, bytesIn, respond);
    if (content.kind === 'notification') return this.#notice(content.message);
    if (this.#session !== undefined) acceptLegacy(this.#session, content);
  }

  /** Its responses leave together, when all are there; the bytes are counted with its first request. */
  #receiveBatch(contents: readonly SingleMessage[], bytesIn: number): void {
    const messages = contents.flatMap(({ message }) => ('method' in message ? [message] : []));
    const isMisplaced = messages.some((message) => hasEnvelope(message) || message.method === 'initialize');
    if (this.#session?.claims.revision !== BATCH_REVISION || isMisplaced) {
      const text = `A batch is allowed only within a session of ${BATCH_REVISION}. Send each message by itself.`;
      return this.#refuse('RPC_INVALID', text, { bytesIn, id: undefined });
    }
    const lines: string[] = [];
    let waitingCount = contents.filter(({ kind }) => kind === 'request').length;
    let bytes = bytesIn;
    for (const content of contents) {
      this.#take(content, bytes, (line) => {
        waitingCount -= 1;
        if (line !== undefined) lines.push(line);
        if (waitingCount === 0 && lines.length > 0) this.#write(`[${lines.join(',')}]`);
      });
      if (content.kind === 'request') bytes = 0;
    }
  }

  #serve(message: JsonRpcRequest, bytesIn: number, respond: Respond): void {
    const exchange = this.#begin(bytesIn);
    const { view, keepParams } = this.#options;
    noteMessage(exchange.entry, message, { view, keepParams });
    if (!hasEnvelope(message)) this.#watch();
    const refused = this.#refuseRequest(message, bytesIn);
    if (refused !== undefined) {
      const response = this.#refusalOf(exchange, refused, message.id);
      noteResponse(exchange.entry, response);
      return this.#end(exchange, response, respond);
    }
    const service = this.#serviceOf(message, exchange);
    const finish = (response: JsonRpcResponse | undefined): void => {
      if (!this.#running.delete(message.id)) return;
      this.#runningBytes -= bytesIn;
      if (response !== undefined) noteResponse(exchange.entry, response);
      // A subscription has no answer to wait for, so that its end is no loss.
      else if (service.close === undefined) recordFailure(exchange.entry, cancelled());
      this.#end(exchange, response, respond);
    };
    this.#running.set(message.id, { service, finish });
    this.#runningBytes += bytesIn;
    void service.response.then(finish);
  }

  /** Why the request is not served; undefined when it is. */
  #refuseRequest({ id }: JsonRpcRequest, bytesIn: number): ProxyError | undefined {
    const refusal = this.#refusal ?? this.#options.refusal();
    if (refusal !== undefined) return refusal;
    if (this.#running.has(id)) return new ProxyError('RPC_INVALID', 'a request with this id is in progress');
    const mayBegin =
      this.#running.size < SESSION_CALL_COUNT_MAX && this.#runningBytes + bytesIn <= PIPED_REQUEST_BYTES_MAX;
    if (mayBegin) return undefined;
    return new ProxyError('OVERLOADED', 'too many requests are in progress');
  }

  #serviceOf(message: JsonRpcRequest, exchange: StdioExchange): Service {
    const context = this.#contextOf(exchange);
    if (hasEnvelope(message)) {
      const modern = classifyUnmirrored(message);
      if (modern.kind === 'reject') {
        const { code, data = {} } = modern;
        return answered(this.#refusalOf(exchange, { code, message: modern.message, data }, message.id));
      }
      if (modern.method !== 'subscriptions/listen') return serveModernCall(modern, context);
      return serveSubscription(modern, context, {
        send: (told) => this.#tell(exchange, told),
        offer: (told) => this.#offer(exchange, told),
      });
    }
    if (message.method === 'initialize') {
      const revision = negotiateLegacy(message.params?.['protocolVersion']);
      this.#claim(revision, message.params ?? {});
      return serveInitialize(message, revision, context);
    }
    if (this.#session !== undefined) return serveInSession(this.#session, message, context);
    if (message.method === 'ping') return answered(resultMessage(message.id, {}));
    const text = 'Send `initialize` first; a request of 2026-07-28 says its version in `params._meta`.';
    return answered(this.#refusalOf(exchange, { code: 'SESSION_MISSING', message: text }, message.id));
  }

  /** At once, because a client may send more before it has read the answer. */
  #claim(revision: Session['claims']['revision'], params: JsonObject): void {
    const claims = { revision, ...claimsOf(params, revision) };
    if (this.#session === undefined) this.#session = createSession(this.#options.owner, claims);
    else this.#session.claims = claims;
  }

  #notice(message: JsonRpcNotification): void {
    if (message.method !== 'notifications/cancelled') {
      if (!hasEnvelope(message)) this.#watch();
      return;
    }
    const { requestId, reason } = message.params ?? {};
    if (!isRpcId(requestId)) return;
    this.#running.get(requestId)?.service.cancel(typeof reason === 'string' ? reason : undefined);
  }

  /** Tells a client of an older revision what changes, from its first message after `initialize` on. */
  #watch(): void {
    const session = this.#session;
    if (session === undefined || this.#refusal !== undefined) return;
    this.#unwatch ??= this.#options.view.onChange((change) => {
      const message = changeMessage(session, change);
      if (message !== undefined) this.#offer(undefined, message);
    });
  }

  #contextOf(exchange: StdioExchange): ServingContext {
    const { view, serverInfo } = this.#options;
    return {
      view,
      serverInfo,
      tell: (message) => this.#offer(exchange, message),
      requestId: exchange.entry.requestId,
      traceparent: exchange.traceparent,
      onAttempt: () => {
        exchange.entry.attempts += 1;
      },
      onInternal: (error) => this.#options.onInternal(error),
    };
  }

  #begin(bytesIn: number): StdioExchange {
    const exchange = this.#options.begin();
    exchange.entry.bytesIn = bytesIn;
    this.#waitingCount += 1;
    return exchange;
  }

  /** Answers what is no message, or may not be one here. */
  #refuse(code: ErrorCode, message: string, what: { bytesIn: number; id: RpcId | undefined }): void {
    const exchange = this.#begin(what.bytesIn);
    const response = this.#refusalOf(exchange, { code, message }, what.id);
    noteResponse(exchange.entry, response);
    this.#end(exchange, response, (line) => this.#write(line));
  }

  #refusalOf({ entry }: StdioExchange, refusal: Refusal, id: RpcId | undefined): JsonRpcResponse {
    const { code, message, data } = refusal;
    const details = { source: 'mcproxy', code, request_id: entry.requestId, ...data };
    return errorResponse(id, { code: ERRORS[code].rpc, message, data: details });
  }

  #end(exchange: StdioExchange, response: JsonRpcResponse | undefined, respond: Respond): void {
    const line = response === undefined ? undefined : JSON.stringify(response);
    if (line !== undefined) exchange.entry.bytesOut += Buffer.byteLength(line) + 1;
    exchange.commit(() => {
      respond(line);
      this.#waitingCount -= 1;
      if (this.#waitingCount > 0) return;
      for (const resolve of this.#onIdle.splice(0)) resolve();
    });
  }

  /** Sends what can be done without: it is dropped when too much waits already. */
  #offer(exchange: StdioExchange | undefined, message: unknown): boolean {
    return this.#options.output.waitingBytes <= STREAM_QUEUE_BYTES_MAX && this.#tell(exchange, message);
  }

  #tell(exchange: StdioExchange | undefined, message: unknown): boolean {
    const line = JSON.stringify(message);
    if (exchange !== undefined) exchange.entry.bytesOut += Buffer.byteLength(line) + 1;
    return this.#options.output.write(line);
  }

  #write(line: string | undefined): void {
    if (line !== undefined) this.#options.output.write(line);
  }
}

type Refusal = Pick<ProxyError, 'code' | 'message'> & { readonly data?: Readonly<Record<string, unknown>> | undefined };

function answered(response: JsonRpcResponse): Service {
  return { response: Promise.resolve(response), cancel: () => undefined, failure: () => response };
}

function cancelled(): ProxyError {
  return new ProxyError('CLIENT_GONE', 'the client cancelled the request');
}
