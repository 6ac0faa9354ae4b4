/**
 * Whether a server answers: since when not and why, and asking again while somebody waits for its return.
 *
 * A peer that restarts by itself tells its return; one that only connects when it is used would never be noticed, so
 * it is asked, with a delay that doubles and jitters. Nobody asks for servers that nobody listens to.
 */
import { CATALOG_RETRY_MS_BASE, CATALOG_RETRY_MS_MAX } from '../limits.ts';
import type { Clock } from '../model.ts';

export interface Down {
  /** Wall time. */
  readonly sinceMs: number;
  readonly reason: string;
}

export interface Health {
  readonly down: Down | undefined;
  failed(reason: string): void;
  answered(): void;
  /** Whether anybody waits for the return. */
  setWatched(watched: boolean): void;
  stop(): void;
}

export interface HealthOptions {
  readonly clock: Clock;
  /** Asks the server for anything; the answer arrives as `answered` or `failed`. */
  readonly ask: () => void;
  /** It answers again after it did not. */
  readonly onReturn: () => void;
}

export function createHealth({ clock, ask, onReturn }: HealthOptions): Health {
  let down: Down | undefined;
  let watched = false;
  let timer: NodeJS.Timeout | undefined;
  let delayMs = CATALOG_RETRY_MS_BASE;

  function schedule(): void {
    if (timer !== undefined || down === undefined || !watched) return;
    const jittered = delayMs * (0.5 + clock.random() / 2);
    delayMs = Math.min(delayMs * 2, CATALOG_RETRY_MS_MAX);
    timer = setTimeout(() => {
      timer = undefined;
      ask();
    }, jittered);
    timer.unref();
  }

  function stop(): void {
    clearTimeout(timer);
    timer = undefined;
    delayMs = CATALOG_RETRY_MS_BASE;
  }

  return {
    get down() {
      return down;
    },
    failed(reason) {
      down ??= { sinceMs: clock.wallMs(), reason };
      schedule();
    },
    answered() {
      const returned = down !== undefined;
      down = undefined;
      stop();
      if (returned) onReturn();
    },
    setWatched(now) {
      watched = now;
      if (watched) schedule();
      else stop();
    },
    stop() {
      watched = false;
      stop();
    },
  };
}
