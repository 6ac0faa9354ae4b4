/**
 * The event streams of sessions that can be taken up again, and how much of them is kept.
 *
 * An event id names its stream and begins with text that only this session has, so that an id of another session, of
 * another user or from before a restart finds nothing. Until the answer has come it also names the requests, in a form
 * that other instances and the process after a restart can read: they can tell the client that its answer is lost. What is kept is bounded for each session and for all; what has
 * left already gives way first, then hints, then answers that nobody fetched, and beyond the bound of all those of the
 * user who has most. Source: MCP 2025-11-25 transports#resumability-and-redelivery.
 */
import { createHash, randomBytes } from 'node:crypto';
import {
  REPLAY_EVENT_COUNT_MAX,
  REPLAY_MS_MAX,
  REPLAY_SENT_COUNT_MAX,
  REPLAY_SESSION_BYTES_MAX,
  REPLAY_TOTAL_BYTES_MAX,
} from '../limits.ts';
import { isRpcId, type RpcId } from '../mcp/jsonrpc.ts';
import type { Clock } from '../model.ts';
import { createExpiry, type Expiry } from './expiry.ts';
import { ResumableStream, type StreamKeeper, type StreamLabel } from './resumable-stream.ts';
import { createShares, type Shares } from './shares.ts';

export type Found =
  /** Goes on after this event. */
  | { readonly kind: 'stream'; readonly stream: ResumableStream; readonly after: number }
  /** The stream of a request of which nothing is left to send. */
  | { readonly kind: 'over' }
  /** The stream of requests of this session that another process had. @member endId is `over` for who comes with it */
  | { readonly kind: 'lost'; readonly requestIds: readonly RpcId[]; readonly endId: string }
  | { readonly kind: 'unknown' };

/** The streams of one session. */
export interface SessionReplay {
  /** Streams begin with an event that has an id and no data. */
  readonly primed: boolean;
  /** @param label of the request that the stream answers; undefined for a general stream */
  open(label?: StreamLabel, requestIds?: readonly RpcId[]): ResumableStream;
  find(lastEventId: string): Found;
  /** Gives up all streams. */
  close(): void;
}

export interface Replays {
  open(principalId: string, options: ReplayOptions): SessionReplay;
}

export interface ReplayOptions {
  readonly primed: boolean;
  /** What all processes know the session by. */
  readonly sessionId: string;
}

interface Room {
  readonly shares: Shares;
  /** Those that keep something. */
  readonly stores: Set<Store>;
  readonly expiry: Expiry<ResumableStream>;
}

export function createReplays(clock: Pick<Clock, 'monotonicMs'>): Replays {
  const room: Room = {
    shares: createShares(),
    stores: new Set(), // Bounded by SESSION_COUNT_MAX.
    expiry: createExpiry({ ms: REPLAY_MS_MAX, clock, onExpired: (stream) => stream.forget() }),
  };
  return { open: (principalId, options) => new Store(room, principalId, options) };
}

/** Makes room for so many bytes of all; false when there is none. */
function makeRoom({ shares, stores }: Room, bytes: number, keep: ResumableStream): boolean {
  while (shares.total + bytes > REPLAY_TOTAL_BYTES_MAX) {
    const largest = shares.largest();
    if (![...stores].some((store) => store.principalId === largest && store.shrink(keep))) return false;
  }
  return true;
}

const EVENT_ID = /^([A-Za-z0-9_-]+)\.([gr])(\d{1,15})(?:~([A-Za-z0-9_-]{1,400}))?\.(\d{1,15})$/;
/** Longer ids of requests are not named: an id of an event goes into a header. */
const IDS_CHARS_MAX = 400;
const MARK_CHARS = 12;

/** The streams of one session; a class because they are to be let go of. */
class Store implements SessionReplay, StreamKeeper {
  readonly principalId: string;
  readonly primed: boolean;
  readonly #room: Room;
  /** Begins with what says which session it is. */
  readonly #own: string;
  readonly #mark: string;
  /** By the middle of their event ids, oldest first. Bounded by SESSION_CALL_COUNT_MAX and REPLAY_EVENT_COUNT_MAX. */
  readonly #streams = new Map<string, ResumableStream>();
  /** Bounded by REPLAY_SENT_COUNT_MAX. */
  readonly #sent = new Set<ResumableStream>();
  #openedCount = 0;
  #bytes = 0;
  #eventCount = 0;

  constructor(room: Room, principalId: string, { primed, sessionId }: ReplayOptions) {
    this.#room = room;
    this.principalId = principalId;
    this.primed = primed;
    this.#mark = createHash('sha256').update(sessionId).digest('base64url').slice(0, MARK_CHARS);
    this.#own = this.#mark + randomBytes(9).toString('base64url');
  }

  open(label?: StreamLabel, requestIds: readonly RpcId[] = []): ResumableStream {
    this.#openedCount += 1;
    const name = `${label === undefined ? 'g' : 'r'}${this.#openedCount}`;
    const { primed } = this;
    const asks = encodeIds(requestIds);
    const stream = new ResumableStream({ keeper: this, session: this.#own, name, asks, primed, label });
    this.#streams.set(name, stream);
    this.#room.stores.add(this);
    return stream;
  }

  find(lastEventId: string): Found {
    const [, session = '', kind = 'g', count = '', asks, number = ''] = EVENT_ID.exec(lastEventId) ?? [];
    const stream = session === this.#own ? this.#streams.get(kind + count) : undefined;
    const after = Number(number);
    if (stream?.hasAfter(after) === true) return { kind: 'stream', stream, after };
    if (kind !== 'r') return { kind: 'unknown' };
    const isElsewhere = session !== this.#own && session.startsWith(this.#mark);
    const requestIds = isElsewhere && asks !== undefined ? decodeIds(asks) : [];
    return requestIds.length === 0 ? { kind: 'over' } : { kind: 'lost', requestIds, endId: `${this.#own}.r0.0` };
  }

  close(): void {
    for (const stream of this.#streams.values()) stream.close();
  }

  reserve(stream: ResumableStream, bytes: number): boolean {
    if (bytes > REPLAY_SESSION_BYTES_MAX) return false;
    while (this.#isOver(bytes)) if (!this.shrink(stream)) return false;
    if (!makeRoom(this.#room, bytes, stream)) return false;
    this.#count(bytes, 1);
    return true;
  }

  release(bytes: number): void {
    this.#count(-bytes, -1);
  }

  expire(stream: ResumableStream): void {
    this.#room.expiry.put(stream);
  }

  retain(stream: ResumableStream): void {
    this.#room.expiry.take(stream);
  }

  onSent(stream: ResumableStream): void {
    this.#sent.delete(stream);
    this.#sent.add(stream);
    for (const oldest of this.#sent) {
      if (this.#sent.size <= REPLAY_SENT_COUNT_MAX) return;
      oldest.forget();
    }
  }

  onForgotten(stream: ResumableStream): void {
    this.#sent.delete(stream);
    this.#streams.delete(stream.name);
    if (this.#streams.size === 0) this.#room.stores.delete(this);
  }

  /** Gives up what is needed least; false when nothing can go. */
  shrink(keep: ResumableStream): boolean {
    const [oldest] = this.#sent;
    if (oldest !== undefined) oldest.forget();
    else if (![...this.#streams.values()].some((stream) => stream.dropHint())) {
      const unfetched = [...this.#streams.values()].find((stream) => stream.finished && stream !== keep);
      unfetched?.forget();
      return unfetched !== undefined;
    }
    return true;
  }

  #isOver(bytes: number): boolean {
    return this.#bytes + bytes > REPLAY_SESSION_BYTES_MAX || this.#eventCount >= REPLAY_EVENT_COUNT_MAX;
  }

  #count(bytes: number, events: number): void {
    this.#bytes += bytes;
    this.#eventCount += events;
    this.#room.shares.add(this.principalId, bytes);
  }
}

/** Empty when they are too long. */
function encodeIds(ids: readonly RpcId[]): string {
  const text = Buffer.from(JSON.stringify(ids)).toString('base64url');
  return text.length <= IDS_CHARS_MAX && ids.length > 0 ? `~${text}` : '';
}

/** Nothing of it is trusted: a client that made it up only answers itself. */
function decodeIds(text: string): readonly RpcId[] {
  try {
    const ids: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
    return Array.isArray(ids) ? ids.filter(isRpcId) : [];
  } catch {
    return [];
  }
}
