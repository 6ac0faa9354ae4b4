/**
 * What failed while an access token was got: told to those who come in the pause after it, and to the operator.
 *
 * After a failure nobody asks for a while (`issuer-wait`); who comes then gets the same error with `Retry-After`. Times
 * of the state are wall time, worked out when it is looked at, so that a clock that is set moves no pause.
 */
import { ProxyError } from '../errors.ts';
import type { Clock, TokenFailure } from '../model.ts';
import { createPauses } from './issuer-wait.ts';

export interface GrantFailures {
  /** The last one, while nobody is to ask. */
  current(): ProxyError | undefined;
  /** @param reason without whom it is about. @returns whether it is the first after a success */
  failed(error: ProxyError, reason: string): boolean;
  /** @returns whether it had failed before */
  answered(): boolean;
  state(): TokenFailure | null;
}

export function createGrantFailures(clock: Pick<Clock, 'wallMs' | 'monotonicMs'>): GrantFailures {
  const pauses = createPauses(() => clock.monotonicMs());
  let last: { readonly error: ProxyError; readonly reason: string; readonly sinceMs: number } | undefined;
  return {
    current() {
      const leftMs = pauses.leftMs();
      return last === undefined || leftMs === 0 ? undefined : withRetryAfter(last.error, leftMs);
    },
    failed(error, reason) {
      last = { error, reason, sinceMs: last?.sinceMs ?? clock.monotonicMs() };
      return pauses.failed(error);
    },
    answered() {
      last = undefined;
      return pauses.answered();
    },
    state() {
      if (last === undefined) return null;
      const { error, reason, sinceMs } = last;
      const leftMs = pauses.leftMs();
      const oauthError = error.data?.['oauth_error'];
      return {
        since: wallTime(clock, sinceMs),
        code: error.code,
        oauth_error: typeof oauthError === 'string' ? oauthError : null,
        reason,
        next_try: leftMs === 0 ? null : wallTime(clock, clock.monotonicMs() + leftMs),
      };
    },
  };
}

/** A monotonic time as ISO 8601. */
export function wallTime(clock: Pick<Clock, 'wallMs' | 'monotonicMs'>, ms: number): string {
  return new Date(clock.wallMs() + ms - clock.monotonicMs()).toISOString();
}

function withRetryAfter({ code, message, data, cause }: ProxyError, leftMs: number): ProxyError {
  const headers = { 'retry-after': String(Math.ceil(leftMs / 1_000)) };
  return new ProxyError(code, message, { cause, headers, ...(data === undefined ? {} : { data }) });
}
