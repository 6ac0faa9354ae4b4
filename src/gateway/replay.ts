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
  REPLAY_SENT_COUNT_MAX,
  REPLAY_SESSION_BYTES_MAX,
  REPLAY_TOTAL_BYTES_MAX,
} from '../limits.ts';
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

interface Store extends SessionReplay {
  readonly principalId: string;
  /** Gives up what is needed least; false when nothing can go. */
  shrink(keep: ResumableStream): boolean;
}

export function createReplays(): Replays {
  const shares = createShares();
  // Those that keep something. Bounded by SESSION_COUNT_MAX.
  const stores = new Set<Store>();

  function makeRoom(bytes: number, keep: ResumableStream): boolean {
    while (shares.total + bytes > REPLAY_TOTAL_BYTES_MAX) {
      const largest = shares.largest();
      const isShrunk = [...stores].some((store) => store.principalId === largest && store.shrink(keep));
      if (!isShrunk) return false;
    }
    return true;
  }

  return { open: (principalId, { primed }) => createStore({ principalId, primed, shares, stores, makeRoom }) };
}

interface StoreOptions {
  readonly principalId: string;
  readonly primed: boolean;
  readonly shares: Shares;
  readonly stores: Set<Store>;
  makeRoom(bytes: number, keep: ResumableStream): boolean;
}

const EVENT_ID = /^([A-Za-z0-9_-]+)\.([gr])(\d{1,15})\.(\d{1,15})$/;

function createStore({ principalId, primed, shares, stores, makeRoom }: StoreOptions): Store {
  const own = randomBytes(9).toString('base64url');
  // By the middle of their event ids, oldest first. Bounded by SESSION_CALL_COUNT_MAX and REPLAY_EVENT_COUNT_MAX.
  const streams = new Map<string, ResumableStream>();
  const names = new Map<ResumableStream, string>(); // Bounded as streams are.
  const sent = new Set<ResumableStream>(); // Bounded by REPLAY_SENT_COUNT_MAX.
  let openedCount = 0;
  let heldBytes = 0;
  let eventCount = 0;

  const keeper: StreamKeeper = {
    reserve(stream, bytes) {
      if (bytes > REPLAY_SESSION_BYTES_MAX) return false;
      while (heldBytes + bytes > REPLAY_SESSION_BYTES_MAX || eventCount >= REPLAY_EVENT_COUNT_MAX) {
        if (!store.shrink(stream)) return false;
      }
      if (!makeRoom(bytes, stream)) return false;
      heldBytes += bytes;
      eventCount += 1;
      shares.add(principalId, bytes);
      return true;
    },
    release(bytes) {
      heldBytes -= bytes;
      eventCount -= 1;
      shares.add(principalId, -bytes);
    },
    onSent(stream) {
      sent.delete(stream);
      sent.add(stream);
      for (const oldest of sent) {
        if (sent.size <= REPLAY_SENT_COUNT_MAX) return;
        oldest.forget();
      }
    },
    onForgotten(stream) {
      sent.delete(stream);
      streams.delete(names.get(stream) ?? '');
      names.delete(stream);
      if (streams.size === 0) stores.delete(store);
    },
  };

  const store: Store = {
    principalId,
    primed,
    open(label) {
      openedCount += 1;
      const name = `${label === undefined ? 'g' : 'r'}${openedCount}`;
      const stream = new ResumableStream({ keeper, idPrefix: `${own}.${name}`, primed, label });
      streams.set(name, stream);
      names.set(stream, name);
      stores.add(store);
      return stream;
    },
    find(lastEventId) {
      const [, session, kind = 'g', count = '', number = ''] = EVENT_ID.exec(lastEventId) ?? [];
      const stream = session === own ? streams.get(kind + count) : undefined;
      const after = Number(number);
      if (stream?.hasAfter(after) === true) return { kind: 'stream', stream, after };
      return { kind: kind === 'r' ? 'over' : 'unknown' };
    },
    shrink(keep) {
      const [oldest] = sent;
      if (oldest !== undefined) oldest.forget();
      else if (![...streams.values()].some((stream) => stream.dropHint())) {
        const unfetched = [...streams.values()].find((stream) => stream.finished && stream !== keep);
        unfetched?.forget();
        return unfetched !== undefined;
      }
      return true;
    },
    close() {
      for (const stream of streams.values()) stream.close();
    },
  };
  return store;
}
