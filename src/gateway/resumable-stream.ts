/**
 * One event stream of a session, whatever connection carries it: events with ids, kept so that a client whose
 * connection broke can take the stream up again where it was.
 *
 * While no connection carries it, what is said is kept, as far as its keeper has room: a hint gives way first, and an
 * answer that is too long to be kept is replaced by an error that says so. What has left is kept for a while too, since
 * it may not have arrived. A stream without an owner's request is a general one; its answer is its end. Source: MCP
 * 2025-03-26 … 2025-11-25 transports#resumability-and-redelivery; SEP-1699 (priming event, `retry`).
 */
import { ERRORS, ProxyError } from '../errors.ts';
import { EventStream } from '../http/event-stream.ts';
import { recordFailure, type Exchange } from '../http/exchange.ts';
import { REPLAY_RETRY_MS, REPLAY_SENT_HINT_COUNT_MAX } from '../limits.ts';
import { errorResponse, isObject, isRpcId, type JsonRpcResponse } from '../mcp/jsonrpc.ts';
import type { Entry } from '../model.ts';
import { encodeSseEvent } from '../text/sse.ts';
import { noteResponse } from './downstream-entry.ts';

/** The request that a stream answers, as the entry of every exchange names it that carries the stream. */
export type StreamLabel = Pick<Entry, 'requestId' | 'rpcMethod' | 'rpcName' | 'upstream'>;

export interface StreamKeeper {
  /** Takes room for one more event; false when there is none. */
  reserve(stream: ResumableStream, bytes: number): boolean;
  release(bytes: number): void;
  /** Forgets the stream after a while without a connection; again from the beginning when it was told before. */
  expire(stream: ResumableStream): void;
  /** A connection carries the stream. */
  retain(stream: ResumableStream): void;
  /** All events of the stream have left. */
  onSent(stream: ResumableStream): void;
  onForgotten(stream: ResumableStream): void;
}

export interface ResumableOptions {
  readonly keeper: StreamKeeper;
  /** An event id is the session, the name of the stream and the number of the event. */
  readonly session: string;
  readonly name: string;
  /** Stands in the ids of events before the answer: whoever has one still waits. */
  readonly asks: string;
  /** The stream begins with an id, for clients that know an event without data. */
  readonly primed: boolean;
  /** Undefined for a general stream. */
  readonly label: StreamLabel | undefined;
}

export interface Carrying {
  readonly heartbeatMs: number;
  /** The number of the last event that the client has; 0 at the beginning. */
  readonly after: number;
}

interface KeptEvent {
  readonly number: number;
  readonly data: string;
  readonly kind: MessageKind;
  readonly bytes: number;
}

/** A hint may be lost: a notification. */
type MessageKind = 'hint' | 'question' | 'response';

const NOTHING = (): void => undefined;

/** What an event takes besides its text. */
const EVENT_BYTES = 200;

/** One stream; a class because it has a connection to let go of. */
export class ResumableStream {
  readonly #options: ResumableOptions;
  /** Oldest first. Bounded by REPLAY_EVENT_COUNT_MAX. */
  #events: KeptEvent[] = [];
  #lastNumber = 0;
  /** The last event that a connection carried, as far as we know. */
  #leftNumber = 0;
  #carrier: { readonly stream: EventStream; readonly entry: Entry } | undefined;
  #state: 'open' | 'finished' | 'forgotten' = 'open';
  #isKept = true;
  #onStop: (reason: 'shutdown' | 'revoked') => void = () => this.finish();
  #onOver: (() => void) | undefined;

  constructor(options: ResumableOptions) {
    this.#options = options;
  }

  get name(): string {
    return this.#options.name;
  }

  /** Whether a connection carries the stream now. */
  get open(): boolean {
    return this.#carrier?.stream.open ?? false;
  }

  get finished(): boolean {
    return this.#state === 'finished';
  }

  /** The entry of the exchange that carries the stream; undefined between two of them. */
  get entry(): Entry | undefined {
    return this.#carrier?.entry;
  }

  /** Installs what happens when a carrying exchange is stopped; without it the stream ends. */
  onStop(listener: (reason: 'shutdown' | 'revoked') => void): void {
    this.#onStop = listener;
  }

  /** Calls back once when the stream has ended or is kept no longer. */
  onOver(listener: () => void): void {
    if (this.#state === 'open') this.#onOver = listener;
    else listener();
  }

  /** Whether the event is one of this stream, and something is to come after it. */
  hasAfter(number: number): boolean {
    if (number > this.#lastNumber) return false;
    return this.#state === 'open' || this.#events.some((event) => event.number > number);
  }

  /** Lets an exchange carry the stream from now on, with what its client missed. */
  carry(exchange: Exchange, { heartbeatMs, after }: Carrying): void {
    this.#leaveCarrier();
    this.#options.keeper.retain(this);
    const { entry } = exchange;
    const { label } = this.#options;
    const missed = this.#events.filter(({ number }) => number > after);
    const last = this.finished ? missed.pop() : undefined;
    if (label !== undefined) {
      const { rpcMethod, rpcName, upstream } = label;
      Object.assign(entry, { rpcMethod, rpcName, upstream });
    }
    for (const event of [...missed, ...(last === undefined ? [] : [last])]) note(entry, event);
    const stream = new EventStream(exchange, {
      heartbeatMs,
      openEnded: label === undefined,
      first: this.#priming(after) + missed.map((event) => this.#textOf(event)).join(''),
      onStop: (reason) => this.#onStop(reason),
      onClosed: () => this.#onClosed(stream),
    });
    if (!this.finished) {
      this.#carrier = { stream, entry };
      return;
    }
    stream.finishText(last === undefined ? '' : this.#textOf(last));
    this.#options.keeper.expire(this);
    this.#options.keeper.onSent(this);
  }

  /** Says something, now or when the client comes back. False when it cannot reach the client or is not worth it. */
  offer(message: unknown): boolean {
    const kind = kindOf(message);
    const isCrowded = this.#carrier?.stream.crowded ?? false;
    if (this.#state !== 'open' || (kind === 'hint' && isCrowded)) return false;
    const data = JSON.stringify(message);
    if (this.#isPending(data)) return true;
    this.#lastNumber += 1;
    const event = { number: this.#lastNumber, data, kind };
    const isKept = this.#keep(event, message);
    if (this.#carrier !== undefined && this.#events.length > REPLAY_SENT_HINT_COUNT_MAX) this.dropHint();
    // A connection that is cut here leaves the event to the next one.
    return (this.#carrier?.stream.sendText(this.#textOf(event)) ?? false) || isKept;
  }

  /** As `offer`, for a response among others. */
  send(response: JsonRpcResponse): void {
    this.offer(response);
  }

  /** Ends the stream, with one more response if there is one. */
  finish(response?: JsonRpcResponse): void {
    if (this.#state !== 'open') return;
    this.#state = 'finished';
    let text = '';
    if (response !== undefined) {
      this.#lastNumber += 1;
      const event = { number: this.#lastNumber, data: JSON.stringify(response), kind: 'response' } as const;
      this.#keep(event, response);
      text = this.#textOf(event);
    }
    const carrier = this.#carrier;
    this.#carrier = undefined;
    carrier?.stream.finishText(text);
    this.#over();
    if (this.#options.label === undefined || this.#events.length === 0) return this.forget();
    this.#options.keeper.expire(this);
    if (carrier !== undefined) this.#options.keeper.onSent(this);
  }

  /** Gives up the oldest hint. False when there is none. */
  dropHint(): boolean {
    const index = this.#events.findIndex(({ kind }) => kind === 'hint');
    const [event] = index === -1 ? [] : this.#events.splice(index, 1);
    if (event !== undefined) this.#options.keeper.release(event.bytes);
    return event !== undefined;
  }

  /** The session is over: a request that is being answered ends by itself, and nothing is kept any more. */
  close(): void {
    if (this.#options.label === undefined || !this.open) return this.forget();
    this.#isKept = false;
    this.#release();
  }

  /** Gives up everything that is kept; what is said later is lost unless a connection carries it. */
  forget(): void {
    this.#options.keeper.retain(this);
    if (this.#state === 'forgotten') return;
    this.#state = 'forgotten';
    this.#release();
    const carrier = this.#carrier;
    this.#carrier = undefined;
    carrier?.stream.finish();
    this.#options.keeper.onForgotten(this);
    this.#over();
  }

  #release(): void {
    for (const { bytes } of this.#events.splice(0)) this.#options.keeper.release(bytes);
  }

  /** Whether the same hint waits for the client already. */
  #isPending(data: string): boolean {
    if (this.#options.label !== undefined || this.#carrier !== undefined) return false;
    return this.#events.some((event) => event.number > this.#leftNumber && event.data === data);
  }

  #keep(event: Omit<KeptEvent, 'bytes'>, message: unknown): boolean {
    if (!this.#isKept) return false;
    const { keeper } = this.#options;
    const bytes = Buffer.byteLength(event.data) + EVENT_BYTES;
    if (keeper.reserve(this, bytes)) {
      this.#events.push({ ...event, bytes });
      return true;
    }
    const substitute = event.kind === 'response' ? notKept(message, this.#options.label) : undefined;
    if (substitute === undefined || substitute.length >= event.data.length) return false;
    return this.#keep({ ...event, data: substitute }, message);
  }

  #textOf({ number, data, kind }: Pick<KeptEvent, 'number' | 'data' | 'kind'>): string {
    return encodeSseEvent({ event: 'message', id: this.#idOf(number, kind), data });
  }

  #idOf(number: number, kind: MessageKind): string {
    const { session, asks } = this.#options;
    return `${session}.${this.name}${kind === 'response' ? '' : asks}.${number}`;
  }

  #priming(after: number): string {
    if (!this.#options.primed) return '';
    return encodeSseEvent({ id: this.#idOf(after, 'hint'), retryMs: REPLAY_RETRY_MS, data: '' });
  }

  /** The client went on at another connection, so that this one is dead for it. */
  #leaveCarrier(): void {
    const carrier = this.#carrier;
    if (carrier === undefined) return;
    this.#carrier = undefined;
    if (this.#options.label !== undefined)
      recordFailure(carrier.entry, new ProxyError('CLIENT_GONE', 'the client went on at another connection'));
    carrier.stream.finish();
  }

  #onClosed(stream: EventStream): void {
    if (this.#carrier?.stream !== stream) return;
    this.#carrier = undefined;
    this.#leftNumber = this.#lastNumber;
    // Without an id the client cannot name the stream.
    if (!this.#options.primed && this.#lastNumber === 0) return this.forget();
    // While its request is in progress the stream waits as long as that does.
    if (this.#options.label === undefined) this.#options.keeper.expire(this);
  }

  #over(): void {
    this.#onOver?.();
    // What is kept for minutes must not keep the exchange that it was made for.
    this.#onOver = undefined;
    this.#onStop = NOTHING;
  }
}

function kindOf(message: unknown): MessageKind {
  if (!isObject(message) || message['method'] === undefined) return 'response';
  return message['id'] === undefined ? 'hint' : 'question';
}

function note(entry: Entry, { kind, data }: KeptEvent): void {
  if (kind === 'response') noteResponse(entry, JSON.parse(data) as JsonRpcResponse);
}

/** What a client finds instead of an answer that was too long to be kept. */
function notKept(response: unknown, label: StreamLabel | undefined): string | undefined {
  if (!isObject(response) || !isRpcId(response['id'])) return undefined;
  const message = 'The answer was complete, but too long to be kept while the connection was broken.';
  const data = { source: 'mcproxy', code: 'OVERLOADED', request_id: label?.requestId };
  return JSON.stringify(errorResponse(response['id'], { code: ERRORS.OVERLOADED.rpc, message, data }));
}
