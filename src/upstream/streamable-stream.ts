/**
 * One event stream of a legacy Streamable HTTP session, followed through every connection that it takes.
 *
 * A server may end the connection without ending the stream (2025-11-25 transports, polling): it is taken up again
 * with GET and `Last-Event-ID` after the time that `retry` asks for. The answer stream of a request can be taken up
 * only when it has named an event, and is given up after `SSE_RESUME_COUNT_MAX` failures in a row or a silence of
 * `timeouts.idle`; the stream without a request (GET) is opened again for ever, with growing pauses while it brings
 * nothing. Who the messages belong to and what else ends a session is the channel's business.
 */
import type { ProxyError } from '../errors.ts';
import {
  REFUSAL_BYTES_MAX,
  SSE_LINGER_MS_MAX,
  SSE_RECONNECT_MS_MAX,
  SSE_RECONNECT_MS_MIN,
  SSE_RESUME_COUNT_MAX,
} from '../limits.ts';
import type { SingleMessage } from '../mcp/jsonrpc.ts';
import type { SseEvent } from '../text/sse.ts';
import { restartDelayMs } from './backoff.ts';
import { asProxyError } from './conversation.ts';
import { askHttp, statusError, type HttpAnswer, type RemoteOptions } from './mcp-http.ts';
import { cutError, drain, messagesOfEvent, readEventStream } from './mcp-reply.ts';

export interface FollowOptions {
  readonly remote: RemoteOptions;
  /** `answer`: the stream of a POST, ends with its response; `open`: the GET stream, belongs to no request. */
  readonly kind: 'answer' | 'open';
  /** Fields of the session as they are now. */
  fields(): readonly string[];
  onMessage(message: SingleMessage): void;
  /** The server does not know the session any more (404 to a GET that it had served before). */
  onSessionLost(): void;
  /** The stream is over for good; undefined after `finish`, and for a GET stream that the server does not offer. */
  onOver(error: ProxyError | undefined): void;
}

export interface Follower {
  /** The response has come: nothing needs to follow, and the stream is not taken up again. */
  finish(): void;
  /** Cuts the stream at once. Nothing is reported afterwards. */
  stop(): void;
}

/** Follows a stream from its first answer; without one it is opened by GET. */
export function followStream(options: FollowOptions, first: HttpAnswer | undefined): Follower {
  return new StreamFollower(options, first);
}

class StreamFollower implements Follower {
  readonly #options: FollowOptions;
  /** The connection of now, or the attempt to make one. */
  #connection: { abort(): void } | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;
  #isFinished = false;
  /** The server has served this stream. */
  #wasOpen = false;
  #lastEventId = '';
  #retryMs: number | undefined;
  /** Connections in a row that failed, or brought nothing. */
  #fruitlessCount = 0;
  #newsMs: number;

  constructor(options: FollowOptions, first: HttpAnswer | undefined) {
    this.#options = options;
    this.#newsMs = options.remote.clock.monotonicMs();
    if (first === undefined) void this.#open();
    else this.#read(first);
  }

  finish(): void {
    this.#isFinished = true;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#end(undefined), SSE_LINGER_MS_MAX);
  }

  stop(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#connection?.abort();
  }

  #end(error: ProxyError | undefined): void {
    if (this.#isOver) return;
    this.stop();
    this.#options.onOver(this.#isFinished ? undefined : error);
  }

  async #open(): Promise<void> {
    const { remote, kind } = this.#options;
    const resume = this.#lastEventId === '' ? [] : ['Last-Event-ID', this.#lastEventId];
    const fields = [...this.#options.fields(), ...resume];
    const asked = askHttp(remote, { method: 'GET', fields, endless: kind === 'open' });
    this.#connection = asked;
    try {
      const answer = await asked.answer;
      if (this.#isOver) return answer.abort();
      if (answer.status === 200 && answer.mediaType === 'text/event-stream') return this.#read(answer);
      drain(answer, REFUSAL_BYTES_MAX);
      this.#onRefusal(answer);
    } catch (error) {
      if (this.#isOver) return;
      this.#fruitlessCount += 1;
      const failure = asProxyError(remote.server.name, error);
      // A credential that is refused is refused again.
      if (failure.code === 'UPSTREAM_CREDENTIAL') this.#end(failure);
      else this.#reconnect(failure);
    }
  }

  #read(answer: HttpAnswer): void {
    const { remote } = this.#options;
    this.#wasOpen = true;
    this.#connection = answer;
    // Fruitless until an event comes: a server that opens and closes at once must not be asked without pause.
    this.#fruitlessCount += 1;
    readEventStream(remote, answer, {
      onEvent: (event) => this.#onEvent(event),
      onEnd: (error) => this.#reconnect(error ?? cutError(remote.server.name)),
    });
  }

  #onEvent(event: SseEvent): void {
    if (this.#isOver) return;
    const { remote } = this.#options;
    if (event.id !== undefined) this.#lastEventId = event.id;
    if (event.retryMs !== undefined) this.#retryMs = event.retryMs;
    this.#fruitlessCount = 0;
    this.#newsMs = remote.clock.monotonicMs();
    for (const message of messagesOfEvent(remote, event)) if (!this.#isOver) this.#options.onMessage(message);
  }

  #onRefusal(answer: HttpAnswer): void {
    const { remote, kind } = this.#options;
    const { status } = answer;
    // Some servers have no route for GET and say 404: that speaks of the session only where GET was served before.
    if (status === 404 && this.#wasOpen) {
      this.stop();
      return this.#options.onSessionLost();
    }
    const isPassing = status >= 500 || status === 429 || status === 409;
    if (!isPassing) return this.#end(kind === 'open' ? undefined : statusError(remote.server.name, answer));
    this.#fruitlessCount += 1;
    this.#reconnect(cutError(remote.server.name));
  }

  #reconnect(error: ProxyError): void {
    if (this.#isOver) return;
    if (this.#isFinished) return this.#end(undefined);
    if (this.#options.kind === 'answer' && this.#isHopeless(error)) return this.#end(error);
    this.#timer = setTimeout(() => void this.#open(), pauseMs(this.#retryMs, this.#fruitlessCount));
  }

  /** Whether the answer of a request will not come any more. */
  #isHopeless(error: ProxyError): boolean {
    const { clock, server } = this.#options.remote;
    const isSilent = clock.monotonicMs() - this.#newsMs > server.timeouts.idleMs;
    const isNameless = this.#lastEventId === '' || error.code === 'UPSTREAM_PROTOCOL';
    return isNameless || isSilent || this.#fruitlessCount > SSE_RESUME_COUNT_MAX;
  }
}

/** What the server asks for, or longer while nothing comes of it. */
function pauseMs(retryMs: number | undefined, fruitlessCount: number): number {
  const backoffMs = fruitlessCount === 0 ? 0 : restartDelayMs(fruitlessCount);
  const wantedMs = Math.max(retryMs ?? restartDelayMs(1), backoffMs, SSE_RECONNECT_MS_MIN);
  return Math.min(wantedMs, SSE_RECONNECT_MS_MAX);
}
