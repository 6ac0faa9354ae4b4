/**
 * The event streams of sessions that can be taken up again, and how much of them is kept.
 *
 * An event id names its stream and begins with text that only this session has, so that an id of another session, of
 * another user or from before a restart finds nothing. What is kept is bounded for each session and for all; what has
 * left already gives way first, then hints, then answers that nobody fetched, and beyond the bound of all those of the
 * user who has most. Source: MCP 2025-11-25 transports#resumability-and-redelivery.
 */
import { randomBytes } from 'node:crypto';
import {
  REPLAY_EVENT_COUNT_MAX,
  REPLAY_MS_MAX,
  REPLAY_SENT_COUNT_MAX,
  REPLAY_SESSION_BYTES_MAX,
  REPLAY_TOTAL_BYTES_MAX,
} from '../limits.ts';
import type { Clock } from '../model.ts';
import { createExpiry, type Expiry } from './expiry.ts';
import { ResumableStream, type StreamKeeper, type StreamLabel } from './resumable-stream.ts';
import { createShares, type Shares } from './shares.ts';

export type Found =
  /** Goes on after this event. */
  | { readonly kind: 'stream'; readonly stream: ResumableStream; readonly after: number }
  /** The stream of a request of which nothing is left to send. */
  | { readonly kind: 'over' }
  | { readonly kind: 'unknown' };

/** The streams of one session. */
export interface SessionReplay {
  /** Streams begin with an event that has an id and no data. */
  readonly primed: boolean;
  /** @param label of the request that the stream answers; undefined for a general stream */
  open(label?: StreamLabel): ResumableStream;
  find(lastEventId: string): Found;
  /** Gives up all streams. */
  close(): void;
}

export interface Replays {
  open(principalId: string, options: { readonly primed: boolean }): SessionReplay;
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
  return { open: (principalId, { primed }) => new Store(room, principalId, primed) };
}

/** Makes room for so many bytes of all; false when there is none. */
function makeRoom({ shares, stores }: Room, bytes: number, keep: ResumableStream): boolean {
  while (shares.total + bytes > REPLAY_TOTAL_BYTES_MAX) {
    const largest = shares.largest();
    if (![...stores].some((store) => store.principalId === largest && store.shrink(keep))) return false;
  }
  return true;
}

const EVENT_ID = /^([A-Za-z0-9_-]+)\.([gr])(\d{1,15})\.(\d{1,15})$/;

/** The streams of one session; a class because they are to be let go of. */
class Store implements SessionReplay, StreamKeeper {
  readonly principalId: string;
  readonly primed: boolean;
  readonly #room: Room;
  readonly #own = randomBytes(9).toString('base64url');
  /** By the middle of their event ids, oldest first. Bounded by SESSION_CALL_COUNT_MAX and REPLAY_EVENT_COUNT_MAX. */
  readonly #streams = new Map<string, ResumableStream>();
  /** Bounded by REPLAY_SENT_COUNT_MAX. */
  readonly #sent = new Set<ResumableStream>();
  #openedCount = 0;
  #bytes = 0;
  #eventCount = 0;

  constructor(room: Room, principalId: string, primed: boolean) {
    this.#room = room;
    this.principalId = principalId;
    this.primed = primed;
  }

  open(label?: StreamLabel): ResumableStream {
    this.#openedCount += 1;
    const name = `${label === undefined ? 'g' : 'r'}${this.#openedCount}`;
    const stream = new ResumableStream({ keeper: this, session: this.#own, name, primed: this.primed, label });
    this.#streams.set(name, stream);
    this.#room.stores.add(this);
    return stream;
  }

  find(lastEventId: string): Found {
    const [, session, kind = 'g', count = '', number = ''] = EVENT_ID.exec(lastEventId) ?? [];
    const stream = session === this.#own ? this.#streams.get(kind + count) : undefined;
    const after = Number(number);
    if (stream?.hasAfter(after) === true) return { kind: 'stream', stream, after };
    return { kind: kind === 'r' ? 'over' : 'unknown' };
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
