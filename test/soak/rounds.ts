/**
 * Rounds of the soak test, and whether everything came back to where it was.
 *
 * The baseline is taken after the first rounds, with every server and every pool in use once; so is the end. In
 * between nothing is reset but the configuration, which the end leaves as it was.
 */
import { waitFor } from '../support/wait.ts';
import { ACTIVITIES } from './activities.ts';
import type { Held, World } from './world.ts';

/** Longer than the longest pause before a server that crashes is started again. */
const SETTLE_MS_MAX = 45_000;

/** All activities of one round, side by side. @throws {AggregateError} when an activity had no answer */
export async function runRound(world: World, round: number): Promise<void> {
  const activities = Object.entries(ACTIVITIES);
  const settled = await Promise.allSettled(activities.map(([, run]) => run(world, round)));
  const failed = settled.flatMap((each, at) => {
    const what = `${activities[at]?.[0]} in round ${round}`;
    return each.status === 'rejected' ? [new Error(what, { cause: each.reason })] : [];
  });
  if (failed.length > 0) throw new AggregateError(failed, failed.map(({ message }) => message).join(', '));
}

/** Nothing in progress, every server up, and the configuration that all began with. What is held then. */
export async function settle(world: World, baseline?: Held): Promise<Held> {
  world.save(false);
  let held: Held | undefined;
  try {
    await waitFor(
      async () => {
        held = await world.look();
        return (
          held.exchanges === 0 &&
          held.calls === 0 &&
          held.unsettled === 0 &&
          (baseline === undefined || leftOver(baseline, held).length === 0)
        );
      },
      { deadlineMs: SETTLE_MS_MAX, what: 'everything to end' },
    );
  } catch (error) {
    if (held === undefined) throw error;
  }
  return held as Held;
}

/** What is held now and was not at the baseline; empty when nothing is. Memory is judged by who knows the rounds. */
export function leftOver(baseline: Held, now: Held): string[] {
  const counts = ['descriptors', 'children', 'timers', 'exchanges', 'peers', 'calls'] as const;
  const kinds = Object.keys({ ...baseline.handles, ...now.handles });
  return [
    ...counts.filter((name) => now[name] > baseline[name]).map((name) => `${name}: ${baseline[name]} → ${now[name]}`),
    ...kinds
      .filter((kind) => (now.handles[kind] ?? 0) > (baseline.handles[kind] ?? 0))
      .map((kind) => `${kind}: ${baseline.handles[kind] ?? 0} → ${now.handles[kind] ?? 0}`),
  ];
}
