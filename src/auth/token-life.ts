/**
 * An access token in use: when it has to be replaced, and until when it can be sent.
 *
 * In one process time is monotonic, so that a clock that is set makes no token old or young; what is kept for the next
 * process has its end in wall time and its life, and is never believed for longer than that.
 */
import { OAUTH_RENEW_MS_BEFORE } from '../limits.ts';
import type { Clock } from '../model.ts';

export interface HeldToken {
  readonly accessToken: string;
  readonly lifeMs: number;
  /** Monotonic times. */
  readonly gotMs: number;
  readonly renewMs: number;
  readonly endMs: number;
  /** It was got because the server refused the one before. */
  readonly isSecondTry: boolean;
}

type Now = Pick<Clock, 'wallMs' | 'monotonicMs'>;

/** One that has just been got. */
export function holdToken(accessToken: string, lifeMs: number, how: { clock: Now; isSecondTry: boolean }): HeldToken {
  return hold({ accessToken, lifeMs, leftMs: lifeMs }, how);
}

/** One that was kept; undefined when it has to be replaced. @param kept `expiresMs` in wall time */
export function holdKept(
  kept: { readonly accessToken: string; readonly lifeMs: number; readonly expiresMs: number },
  how: { clock: Now; isSecondTry: boolean },
): HeldToken | undefined {
  const leftMs = Math.min(kept.expiresMs - how.clock.wallMs(), kept.lifeMs);
  const held = hold({ ...kept, leftMs }, how);
  return how.clock.monotonicMs() < held.renewMs ? held : undefined;
}

function hold(
  { accessToken, lifeMs, leftMs }: { accessToken: string; lifeMs: number; leftMs: number },
  { clock, isSecondTry }: { clock: Now; isSecondTry: boolean },
): HeldToken {
  const nowMs = clock.monotonicMs();
  const endMs = nowMs + leftMs;
  const margin = Math.min(OAUTH_RENEW_MS_BEFORE, lifeMs * 0.2);
  // It has to arrive before it ends.
  return { accessToken, lifeMs, gotMs: nowMs, renewMs: endMs - margin, endMs: endMs - margin / 10, isSecondTry };
}
