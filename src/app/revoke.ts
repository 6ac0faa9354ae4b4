/**
 * Ending what somebody holds open who may no longer come in: after a reload, and when a token expires.
 *
 * A token that expires changes no file, so somebody has to look: at the instant of the next expiry, or after
 * `TOKEN_CHECK_MS` at the latest, because the wall clock may be stepped. Without tokens that expire nothing is done.
 */
import { TOKEN_CHECK_MS } from '../limits.ts';
import type { Clock, Config } from '../model.ts';
import { isOpenEnded, isStream, type OpenExchanges } from './begin.ts';
import { hasServer, isRevoked, nextExpiryMs, type Snapshot } from './snapshot.ts';

export interface RevocationOptions {
  readonly clock: Clock;
  readonly open: OpenExchanges;
  snapshot(): Snapshot;
  /** Ends the sessions of somebody who was removed. */
  endPrincipal(principalId: string): void;
}

export interface Revocations {
  /** Ends what the configuration of now does not allow any more. @param before the one that was in force */
  apply(before: Config): void;
  close(): void;
}

/** Looks for expired tokens from now on. */
export function watchRevocations(options: RevocationOptions): Revocations {
  let timer: NodeJS.Timeout | undefined;

  function watchExpiry(): void {
    clearTimeout(timer);
    const nowMs = options.clock.wallMs();
    const nextMs = nextExpiryMs(options.snapshot().config, nowMs);
    timer = nextMs === undefined ? undefined : setTimeout(look, Math.min(nextMs - nowMs + 1, TOKEN_CHECK_MS)).unref();
  }

  function look(): void {
    endRevoked(options.open, options.snapshot());
    watchExpiry();
  }

  watchExpiry();
  return {
    apply(before) {
      const stay = new Set(options.snapshot().config.principals.map(({ id }) => id)); // Bounded by configuration.
      for (const { id } of before.principals) if (!stay.has(id)) options.endPrincipal(id);
      look();
    },
    close: () => clearTimeout(timer),
  };
}

/** Streams of tokens that are no longer valid, or of servers no longer theirs, end now. */
function endRevoked(open: OpenExchanges, snapshot: Snapshot): void {
  for (const exchange of open) {
    const isLost = isOpenEnded(exchange) && !hasServer(exchange, snapshot);
    if ((isLost || isRevoked(exchange, snapshot)) && isStream(exchange)) exchange.stop?.('revoked');
  }
}
