/**
 * An event stream that mcproxy writes itself: the head, events as they come, and an end.
 *
 * Promises that the log entry is in the file before the last byte leaves, that a quiet stream carries a comment now
 * and then, and that a client that does not read costs bounded memory and time. Installs `exchange.stop`. Leaves the
 * meaning of the events, and what to say at the end, to its owner. `relay` passes an upstream's stream on with
 * `reply.ts` instead. Source: WHATWG HTML §9.2.6; MCP streamable-http (`X-Accel-Buffering`).
 */
import { ProxyError } from '../errors.ts';
import { CLIENT_WRITE_IDLE_MS_MAX, STREAM_QUEUE_BYTES_MAX } from '../limits.ts';
import { encodeSseComment, encodeSseEvent } from '../text/sse.ts';
import { recordFailure, type Exchange } from './exchange.ts';

export interface EventStreamOptions {
  /** Silence after which a comment is sent; 0 for none. */
  readonly heartbeatMs: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Events that leave together with the head. */
  readonly first?: string;
  /** The stream has no answer to wait for, so that a client that leaves has simply finished. */
  readonly openEnded: boolean;
  /** The owner says its last words with `finish`. */
  onStop(reason: 'shutdown' | 'revoked'): void;
  /** The stream is over without `finish`: the client left or was cut. The entry is committed. */
  onClosed(): void;
}

/** `finishing`: the last event waits for the log. */
type StreamState = 'open' | 'finishing' | 'ended';

/** One stream on its way to a client; a class because it has timers and a connection to let go of. */
export class EventStream {
  readonly #exchange: Exchange;
  readonly #options: EventStreamOptions;
  #state: StreamState = 'open';
  #heartbeat: NodeJS.Timeout | undefined;
  #writeIdle: NodeJS.Timeout | undefined;
  #onOver: (() => void) | undefined;

  /** Sends the head at once: it tells the client that it is connected. */
  constructor(exchange: Exchange, options: EventStreamOptions) {
    this.#exchange = exchange;
    this.#options = options;
    const { response, entry } = exchange;
    exchange.streaming = true;
    entry.httpStatus = 200;
    response.on('drain', () => this.#onDrain());
    response.on('close', () => this.#onClientClose());
    exchange.stop = (reason) => this.#stop(reason);
    const { first = '' } = options;
    response.cork();
    response.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
      'x-request-id': entry.requestId,
      ...options.headers,
    });
    response.flushHeaders();
    if (first !== '') this.#write(first);
    response.uncork();
    if (options.heartbeatMs > 0) this.#heartbeat = setTimeout(() => this.#onSilent(), options.heartbeatMs);
  }

  get open(): boolean {
    return this.#state === 'open' && !this.#exchange.response.destroyed;
  }

  /** Whether so much waits for the client that a hint is not worth sending. */
  get crowded(): boolean {
    return this.#exchange.response.writableLength > STREAM_QUEUE_BYTES_MAX;
  }

  /** Calls back once when no more can be sent, whoever ended it; at once when that is so already. */
  onOver(listener: () => void): void {
    if (this.#state === 'open') this.#onOver = listener;
    else listener();
  }

  /** Sends one message that must not be lost: a client that reads too slowly for it is cut. False when it is over. */
  send(message: unknown): boolean {
    return this.sendText(encodeMessage(message));
  }

  /** Sends a message, or drops it when too much waits already. False when it was not sent. */
  offer(message: unknown): boolean {
    return !this.crowded && this.send(message);
  }

  /** As `send`, for events that are no messages. */
  sendText(text: string): boolean {
    if (!this.open) return false;
    if (this.crowded) {
      this.#cut(unread());
      return false;
    }
    this.#write(text);
    return true;
  }

  /** Ends the stream, with one more message if there is one, after the entry is in the file. */
  finish(message?: unknown): void {
    this.finishText(message === undefined ? '' : encodeMessage(message));
  }

  /** As `finish`, with the text of the last event. */
  finishText(text: string): void {
    if (this.#state !== 'open') return;
    this.#state = 'finishing';
    clearTimeout(this.#heartbeat);
    this.#over();
    const { response, entry } = this.#exchange;
    entry.bytesOut += Buffer.byteLength(text);
    this.#exchange.commit(() => {
      if (this.#state === 'ended') return;
      this.#release();
      const late = setTimeout(() => response.destroy(), CLIENT_WRITE_IDLE_MS_MAX);
      response.on('close', () => clearTimeout(late));
      response.end(text);
    });
  }

  #write(text: string): void {
    const { response, entry } = this.#exchange;
    this.#heartbeat?.refresh();
    entry.bytesOut += Buffer.byteLength(text);
    if (response.write(text) || this.#writeIdle !== undefined) return;
    this.#writeIdle = setTimeout(() => this.#cut(unread()), CLIENT_WRITE_IDLE_MS_MAX);
  }

  #onDrain(): void {
    clearTimeout(this.#writeIdle);
    this.#writeIdle = undefined;
  }

  #onSilent(): void {
    this.#heartbeat?.refresh();
    if (this.#state === 'open' && this.#writeIdle === undefined) this.#write(encodeSseComment('keep-alive'));
  }

  #stop(reason: 'shutdown' | 'revoked' | 'abort'): void {
    if (this.#state !== 'open') return;
    if (reason === 'abort') return this.#cut(new ProxyError('SHUTTING_DOWN', 'mcproxy is stopping'));
    this.#options.onStop(reason);
  }

  #cut(error: ProxyError): void {
    if (this.#state === 'ended') return;
    recordFailure(this.#exchange.entry, error);
    this.#leave();
    this.#exchange.commit(() => this.#exchange.response.destroy());
  }

  #onClientClose(): void {
    if (this.#state === 'ended') return;
    if (!this.#options.openEnded && this.#state === 'open') {
      const text = 'the client closed the connection before the answer was complete';
      recordFailure(this.#exchange.entry, new ProxyError('CLIENT_GONE', text));
    }
    this.#leave();
    this.#exchange.commit(() => undefined);
  }

  #leave(): void {
    const wasOpen = this.#state === 'open';
    this.#release();
    if (!wasOpen) return;
    this.#over();
    this.#options.onClosed();
  }

  #over(): void {
    this.#onOver?.();
    this.#onOver = undefined;
  }

  #release(): void {
    this.#state = 'ended';
    clearTimeout(this.#heartbeat);
    clearTimeout(this.#writeIdle);
    this.#exchange.stop = undefined;
  }
}

function encodeMessage(message: unknown): string {
  return encodeSseEvent({ event: 'message', data: JSON.stringify(message) });
}

function unread(): ProxyError {
  return new ProxyError('CLIENT_GONE', 'the connection was cut: the client did not read its stream');
}
