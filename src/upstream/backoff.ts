/**
 * When a crashed child is started again: after 1 s, doubling with each crash, at most 30 s.
 *
 * A child that ran for a healthy minute has shown that it works, so its next crash counts as the first. No jitter:
 * the children of one machine share no server that a simultaneous start could overrun. MCP 2026-07-28
 * basic/transports/stdio asks clients to restart. Pure: whoever owns the child holds the count and the clock.
 */
import { RESTART_DELAY_MS_BASE, RESTART_DELAY_MS_MAX, RESTART_HEALTHY_MS } from '../limits.ts';

/** The number of the crash that just happened (1-based), counted from the last healthy minute. */
export function countCrash(earlierCount: number, uptimeMs: number): number {
  return uptimeMs >= RESTART_HEALTHY_MS ? 1 : earlierCount + 1;
}

/** Milliseconds to wait after crash `n` (1-based). */
export function restartDelayMs(n: number): number {
  return Math.min(RESTART_DELAY_MS_MAX, RESTART_DELAY_MS_BASE * 2 ** (n - 1));
}
