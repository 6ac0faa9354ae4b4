/**
 * Waiting for an authorization server that may be away: not for long, and not everybody anew.
 *
 * A wait has an end, whatever becomes of what is waited for. After a failure nobody asks for a while, twice as long after
 * each further one; what the failure was is told instead. One that answers again is as before.
 */
import { ProxyError } from '../errors.ts';
import { ISSUER_PAUSE_MS_BASE, ISSUER_PAUSE_MS_MAX, ISSUER_WAIT_MS_MAX } from '../limits.ts';

/**
 * What a promise resolves to, if that is soon enough. What is waited for goes on when the time is up.
 *
 * @throws what the promise rejects with; what `late` makes when it takes longer than `ms`
 */
export async function withinTime<T>(promise: Promise<T>, ms: number, late: () => ProxyError): Promise<T> {
  if (ms <= 0) throw late();
  let timer: NodeJS.Timeout | undefined;
  const end = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late()), ms);
  });
  try {
    return await Promise.race([promise, end]);
  } finally {
    clearTimeout(timer);
  }
}

/** The same for what an authorization server is asked. @throws {ProxyError} ISSUER_UNREACHABLE when it is late */
export function waitForIssuer<T>(promise: Promise<T>, ms: number, url: string): Promise<T> {
  return withinTime(
    promise,
    ms,
    () =>
      new ProxyError(
        'ISSUER_UNREACHABLE',
        `${new URL(url).origin} has not answered within ${ISSUER_WAIT_MS_MAX / 1_000} s`,
      ),
  );
}

export interface Pauses {
  /** Nobody is to ask now. */
  isOn(): boolean;
  /** How long it is on; 0 when it is not. */
  leftMs(): number;
  /** @throws what failed last, while it is on */
  check(): void;
  /** @returns whether it is the first after it answered */
  failed(error: unknown): boolean;
  /** @returns whether it had failed before */
  answered(): boolean;
}

export function createPauses(nowMs: () => number): Pauses {
  let failure: { readonly error: unknown; readonly count: number; readonly untilMs: number } | undefined;
  const isOn = (): boolean => failure !== undefined && nowMs() < failure.untilMs;
  return {
    isOn,
    leftMs: () => Math.max((failure?.untilMs ?? 0) - nowMs(), 0),
    check() {
      if (isOn()) throw failure?.error;
    },
    failed(error) {
      // Several that were asked at once fail at once.
      if (isOn()) return false;
      const count = failure?.count ?? 0;
      const pauseMs = Math.min(ISSUER_PAUSE_MS_BASE * 2 ** count, ISSUER_PAUSE_MS_MAX);
      failure = { error, count: count + 1, untilMs: nowMs() + pauseMs };
      return count === 0;
    },
    answered() {
      const had = failure !== undefined;
      failure = undefined;
      return had;
    },
  };
}

/** The origin is enough to find it in the configuration: the rest may hold a tenant or a secret. */
export function unusable(url: string, reason: string): ProxyError {
  return new ProxyError('ISSUER_UNREACHABLE', `${new URL(url).origin} is of no use: ${reason}`);
}
