/**
 * Attempts after the first, only where repeating is safe (design: Retries).
 *
 * Safe means: nothing was sent (DNS, connect, TLS); the upstream said that it did not process (429, 503); or the
 * method only reads. A body that is not held whole is sent at most once. Delays: full jitter over 250 ms doubling,
 * capped, inside the deadline; `Retry-After` wins over the schedule. The caller sees one head or one failure.
 */
import type { IncomingMessage } from 'node:http';

import type { ProxyError } from '../errors.ts';
import { RETRY_DELAY_MS_BASE, RETRY_DELAY_MS_MAX } from '../limits.ts';
import type { Clock, Timeouts } from '../model.ts';
import { parseRetryAfter } from '../text/headers.ts';
import { forward, type Attempt, type Outbound } from './forward.ts';
import type { HttpUpstream } from './pool.ts';

export interface RetryOptions {
  readonly clock: Clock;
  readonly timeouts: Timeouts;
  /** Attempts after the first. */
  readonly retries: number;
  /** The method merely reads, so that it may be repeated though it may have been processed. */
  readonly readOnly: boolean;
  onAttempt(attempt: number): void;
  onHead(response: IncomingMessage): void;
  onFailure(error: ProxyError): void;
}

/**
 * Delay before attempt `attempt + 1` (1-based): full jitter over 250 ms · 2ⁿ⁻¹, at most `RETRY_DELAY_MS_MAX`.
 *
 * @param after what `Retry-After` asks for in ms, or undefined. @see RFC 9110 §10.2.3
 * @returns milliseconds, or undefined when the time left has no room for another attempt
 */
export function retryDelayMs(
  attempt: number,
  after: number | undefined,
  left: { ms: number; random: number },
): number | undefined {
  const ceiling = Math.min(RETRY_DELAY_MS_BASE * 2 ** (attempt - 1), RETRY_DELAY_MS_MAX);
  const delay = after ?? left.random * ceiling;
  return delay < left.ms ? delay : undefined;
}

/** Sends until there is an answer to pass on, a failure that must not be repeated, or no attempt left. */
export function forwardWithRetry(upstream: HttpUpstream, outbound: Outbound, options: RetryOptions): Attempt {
  const { clock, timeouts } = options;
  const deadlineMs = clock.monotonicMs() + timeouts.firstByteMs;
  const leftMs = (): number => deadlineMs - clock.monotonicMs();
  let attempt = 0;
  let current: Attempt | undefined;
  let timer: NodeJS.Timeout | undefined;

  /** Schedules another attempt if there is room for one. */
  const again = (after: number | undefined): boolean => {
    if (attempt > options.retries) return false;
    const delay = retryDelayMs(attempt, after, { ms: leftMs(), random: clock.random() });
    if (delay === undefined) return false;
    timer = setTimeout(start, delay);
    return true;
  };
  const start = (): void => {
    attempt += 1;
    options.onAttempt(attempt);
    current = forward(upstream, outbound, {
      connectMs: Math.min(timeouts.connectMs, Math.max(leftMs(), 1)),
      headMs: Math.max(leftMs(), 1),
      idleMs: timeouts.idleMs,
      onHead(response) {
        const refused = response.statusCode === 429 || response.statusCode === 503;
        if (refused && outbound.body.kind === 'whole') {
          const after = response.headers['retry-after'];
          if (again(after === undefined ? undefined : parseRetryAfter(after, clock.wallMs()))) {
            response.on('error', () => undefined);
            return current?.abort();
          }
        }
        options.onHead(response);
      },
      onFailure(error, sent) {
        if (
          mayRepeat(error, sent, { readOnly: options.readOnly, whole: outbound.body.kind === 'whole' }) &&
          again(undefined)
        )
          return;
        options.onFailure(error);
      },
    });
  };
  start();
  return {
    abort() {
      clearTimeout(timer);
      current?.abort();
    },
  };
}

function mayRepeat(error: ProxyError, sent: boolean, request: { readOnly: boolean; whole: boolean }): boolean {
  // A streamed body is pumped only once a connection stands, so that before it nothing has been used up.
  if (error.spec.retry === 'always') return !sent;
  return error.spec.retry === 'read-only' && request.readOnly && request.whole;
}
