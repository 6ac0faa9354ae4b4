/**
 * The clocks of this machine and its chance, the only ones in production.
 *
 * Everything below `app` gets them passed in, so that a test can hold them still. The monotonic one begins anywhere: only
 * differences mean something.
 */
import type { Clock } from '../model.ts';

export const CLOCK: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  random: () => Math.random(),
};
