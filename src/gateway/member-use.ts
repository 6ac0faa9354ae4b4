/**
 * Who is using a member right now, so that it is not closed under a call.
 *
 * Counts promises that have not settled and remembers when the last one did, on the monotonic clock. What to do with
 * an idle member is for `members` to decide.
 */
import type { Clock } from '../model.ts';

export interface Use {
  readonly count: number;
  /** Since when there is no use; undefined while there is. */
  readonly idleSinceMs: number | undefined;
  during<T>(promise: Promise<T>): Promise<T>;
  touch(): void;
  /** Resolves when nothing is in progress any more. */
  ended(): Promise<void>;
}

export function createUse(clock: Clock): Use {
  let count = 0;
  let lastMs = clock.monotonicMs();
  let onEnd: (() => void) | undefined;
  return {
    get count() {
      return count;
    },
    get idleSinceMs() {
      return count > 0 ? undefined : lastMs;
    },
    async during(promise) {
      count += 1;
      try {
        return await promise;
      } finally {
        count -= 1;
        lastMs = clock.monotonicMs();
        if (count === 0) onEnd?.();
      }
    },
    touch() {
      lastMs = clock.monotonicMs();
    },
    async ended() {
      if (count > 0) await new Promise<void>((resolve) => (onEnd = resolve));
    },
  };
}
