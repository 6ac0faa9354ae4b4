/**
 * Steps of the wall clock, told once each: a Pi has no clock battery, so that its clock jumps when the network comes up.
 *
 * Looked at with each entry, because only then does it matter. The order of entries does not depend on it, for each
 * has a sequence number.
 */
import type { Diag } from '../log/diag.ts';
import type { Clock } from '../model.ts';

/** @returns to be called with the wall time of an entry */
export function noticeClockSteps({ clock, diag }: { clock: Clock; diag: Diag }): (wallMs: number) => void {
  let lastMs = clock.wallMs() - clock.monotonicMs();
  return (wallMs) => {
    const offsetMs = clock.wallMs() - clock.monotonicMs();
    const stepMs = offsetMs - lastMs;
    if (Math.abs(stepMs) < 1_000) return;
    lastMs = offsetMs;
    diag.warn('the wall clock was stepped', { step_ms: Math.round(stepMs), ts_ms: wallMs });
  };
}
