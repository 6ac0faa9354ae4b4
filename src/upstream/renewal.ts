/**
 * Attempts with a credential that has to be got first and may be refused: the way out of both paths.
 *
 * The request waits until there is something to send. A 401 means that nothing was processed: a body that is held whole is
 * sent once more with another credential, and never a third time; one that is used up is not, but the next request finds
 * another. The deadline is that of the whole. Where a credential is what it is this costs nothing.
 */
import type { ProxyError } from '../errors.ts';
import type { Attempt, AttemptRenewal, Outbound } from './forward.ts';
import type { HttpUpstream } from './pool.ts';
import { forwardWithRetry, type RetryOptions } from './retry.ts';

/** As `forwardWithRetry`. Fails also with what `prepare` rejects with. */
export function forwardRenewed(upstream: HttpUpstream, outbound: Outbound, options: RetryOptions): Attempt {
  const { renewal } = outbound;
  return renewal === undefined
    ? forwardWithRetry(upstream, outbound, options)
    : forwardWith(renewal, { upstream, outbound, options });
}

interface Sending {
  readonly upstream: HttpUpstream;
  readonly outbound: Outbound;
  readonly options: RetryOptions;
}

function forwardWith(renewal: AttemptRenewal, { upstream, outbound, options }: Sending): Attempt {
  const { clock, timeouts } = options;
  const deadlineMs = clock.monotonicMs() + timeouts.firstByteMs;
  let attemptCount = 0;
  let isSecond = false;
  let isOver = false;
  let current: Attempt | undefined;

  const start = (): void => {
    const preparing = renewal.prepare();
    if (preparing === undefined) return send();
    preparing.then(
      () => isOver || send(),
      (error: ProxyError) => isOver || options.onFailure(error),
    );
  };
  const send = (): void => {
    const before = attemptCount;
    const firstByteMs = Math.max(deadlineMs - clock.monotonicMs(), 1);
    current = forwardWithRetry(upstream, outbound, {
      ...options,
      timeouts: { ...timeouts, firstByteMs },
      onAttempt(attempt) {
        attemptCount = before + attempt;
        options.onAttempt(attemptCount);
      },
      onHead(response) {
        const isAgain = response.statusCode === 401 && renew(response.headers['www-authenticate']);
        if (!isAgain) return options.onHead(response);
        response.on('error', () => undefined);
        current?.abort();
        start();
      },
    });
  };
  /** Whether the request is sent once more. */
  const renew = (challenge: string | undefined): boolean => {
    if (isSecond || !renewal.rejected(challenge)) return false;
    isSecond = outbound.body.kind === 'whole';
    // Nobody waits for it here; who comes next need not wait so long.
    if (!isSecond) renewal.prepare()?.catch(() => undefined);
    return isSecond;
  };
  start();
  return {
    abort() {
      isOver = true;
      current?.abort();
    },
  };
}
