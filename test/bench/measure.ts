/**
 * Measuring targets in turns: each round takes all of them at each number of connections, in an order that rotates.
 *
 * After each measurement the access log of a target that writes one must have grown by exactly the requests sent.
 */
import { cpuSecondsOf } from './proc.ts';
import type { LoadGenerator } from './processes.ts';
import type { Sample } from './report.ts';
import type { Target } from './targets.ts';

const CONNECTIONS = [1, 16, 128] as const;
const WARM_UP_MS = 700;

export interface Rounds {
  readonly generator: LoadGenerator;
  readonly rounds: number;
  readonly measureMs: number;
}

export async function compareInTurns(targets: readonly Target[], how: Rounds): Promise<Sample[]> {
  const samples: Sample[] = [];
  for (let round = 0; round < how.rounds; round += 1) {
    for (const connections of CONNECTIONS) {
      // Every round begins with another target, so that none always runs on a rested or a tired machine.
      for (const target of rotate(targets, round)) {
        // oxlint-disable-next-line no-await-in-loop -- one at a time is the purpose
        samples.push(await measure(target, { ...how, connections, round }));
      }
    }
    console.error(`round ${round + 1} of ${how.rounds} done`);
  }
  return samples;
}

export interface Measuring {
  readonly generator: LoadGenerator;
  readonly measureMs: number;
  readonly connections: number;
  readonly round: number;
}

export async function measure(target: Target, how: Measuring): Promise<Sample> {
  const { generator, measureMs, connections, round } = how;
  const { pid, requests } = target;
  const entriesBefore = target.countEntries?.();
  const warmUp = { ...target.via, requests, connections, warmUpMs: WARM_UP_MS, measureMs: 0 };
  const warmedUp = await generator.run(warmUp);
  // The process's CPU time is read around the whole job, and divided by all of its requests.
  const cpuBefore = pid === undefined ? 0 : cpuSecondsOf(pid);
  const result = await generator.run({ ...warmUp, warmUpMs: 0, measureMs });
  const cpuSeconds = pid === undefined ? (result.commandCpuSeconds ?? Number.NaN) : cpuSecondsOf(pid) - cpuBefore;
  const sent = warmedUp.sent + result.sent;
  if (entriesBefore !== undefined && target.countEntries?.() !== entriesBefore + sent) {
    throw new Error(`the access log has ${target.countEntries?.()} lines, not ${entriesBefore + sent}`);
  }
  return {
    target: target.name,
    connections,
    round,
    requestsPerSecond: result.requests / result.seconds,
    p50Ms: result.p50Ms,
    p99Ms: result.p99Ms,
    cpuPer1000: (cpuSeconds / result.sent) * 1000,
    busy: cpuSeconds / result.seconds,
    generatorBusy: result.cpuSeconds / result.seconds,
  };
}

export function rotate<T>(items: readonly T[], by: number): T[] {
  const start = by % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}
