/**
 * Things that end a fixed time after they were last put here; one timer for all of them.
 *
 * Since the time is the same for each, the oldest is always the next, and putting and taking cost the same however many
 * there are. The timer keeps no process alive; whoever puts things here bounds how many.
 */
import type { Clock } from '../model.ts';

export interface Expiry<T> {
  /** Ends it the whole time from now, whether it was here already or not. */
  put(item: T): void;
  take(item: T): void;
}

export interface ExpiryOptions<T> {
  readonly ms: number;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly onExpired: (item: T) => void;
}

export function createExpiry<T>({ ms, clock, onExpired }: ExpiryOptions<T>): Expiry<T> {
  // Oldest first, with the time of each one's end. Bounded by REPLAY_EVENT_COUNT_MAX and SESSION_COUNT_MAX.
  const ends = new Map<T, number>();
  let timer: NodeJS.Timeout | undefined;

  function schedule(): void {
    const [oldest] = ends.values();
    if (timer !== undefined || oldest === undefined) return;
    timer = setTimeout(sweep, Math.max(0, oldest - clock.monotonicMs()));
    timer.unref();
  }

  function sweep(): void {
    timer = undefined;
    const nowMs = clock.monotonicMs();
    for (const [item, endMs] of ends) {
      if (endMs > nowMs) break;
      ends.delete(item);
      onExpired(item);
    }
    schedule();
  }

  return {
    put(item) {
      ends.delete(item);
      ends.set(item, clock.monotonicMs() + ms);
      schedule();
    },
    take(item) {
      ends.delete(item);
      if (ends.size > 0 || timer === undefined) return;
      clearTimeout(timer);
      timer = undefined;
    },
  };
}
