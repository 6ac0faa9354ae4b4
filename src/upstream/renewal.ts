/**
 * Attempts with a credential that has to be got first and may be refused: the way out of both paths.
 *
 * The request waits until there is something to send. A 401, and a 403 that names a missing scope, mean that nothing was
 * processed: a body that is held whole is sent once more with another credential, and never a third time; one that is used
 * up is not, but the next request finds another. The deadline is that of the whole. Where a credential is what it is this
 * costs nothing.
 */
import type { IncomingMessage } from 'node:http';
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
        const again = renew(response);
        if (again === false) return options.onHead(response);
        response.on('error', () => undefined);
        current?.abort();
        if (again === true) start();
        else void again.then(() => isOver || start());
      },
    });
  };
  /** Whether the request is sent once more, and after what. */
  const renew = ({ statusCode: status, headers }: IncomingMessage): boolean | Promise<void> => {
    // What a second answer says of scopes may help the next request.
    if (status !== 403 && (status !== 401 || isSecond)) return false;
    const again = renewal.rejected({ status, challenge: headers['www-authenticate'] });
    if (again === false || isSecond) return false;
    isSecond = outbound.body.kind === 'whole';
    // Nobody waits for it here; who comes next need not wait so long.
    if (!isSecond && again === true) renewal.prepare()?.catch(() => undefined);
    return isSecond && again;
  };
  start();
  return {
    abort() {
      isOver = true;
      current?.abort();
    },
  };
}
