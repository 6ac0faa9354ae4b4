/**
 * Waiting for what happens, never for time to pass: a condition with a deadline.
 */
import { setTimeout as delay } from 'node:timers/promises';

export interface WaitOptions {
  /** Gives up after this long. */
  readonly deadlineMs?: number;
  /** What is waited for, for the message on failure. */
  readonly what?: string;
}

const DEADLINE_MS = 5_000;
const INTERVAL_MS = 10;

/**
 * The first truthy value of `condition`, which is asked again and again. An error it throws counts as "not yet".
 *
 * @throws {Error} when the deadline passes; `cause` is the last error of the condition
 */
export async function waitFor<T>(condition: () => T | Promise<T>, options: WaitOptions = {}): Promise<T> {
  const { deadlineMs = DEADLINE_MS, what = 'the condition' } = options;
  const end = performance.now() + deadlineMs;
  let cause: unknown;
  do {
    try {
      // oxlint-disable-next-line no-await-in-loop -- asking again is the purpose
      const value = await condition();
      if (value) return value;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    // oxlint-disable-next-line no-await-in-loop
    await delay(INTERVAL_MS);
  } while (performance.now() < end);
  throw new Error(`waited ${deadlineMs} ms in vain for ${what}`, { cause });
}

/** The value of a promise, or an error that says what did not come in time. */
export async function within<T>(promise: Promise<T>, options: WaitOptions = {}): Promise<T> {
  const { deadlineMs = DEADLINE_MS, what = 'the promise' } = options;
  const controller = new AbortController();
  const late = async (): Promise<never> => {
    await delay(deadlineMs, undefined, { signal: controller.signal });
    throw new Error(`waited ${deadlineMs} ms in vain for ${what}`);
  };
  try {
    return await Promise.race([promise, late()]);
  } finally {
    controller.abort();
  }
}
