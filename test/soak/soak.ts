/**
 * `npm run soak -- [--minutes N]`: hours of clients in minutes, through a real mcproxy process.
 *
 * Prints what the process holds now and then, and fails when at the end something is left that was not there after the
 * first rounds: descriptors, children, handles, exchanges, calls, or memory. The first rounds go on until the
 * table of sessions is full, because until then it grows by design. README.md says what a round is.
 */
import process from 'node:process';
import { performance } from 'node:perf_hooks';
import { inspect, parseArgs } from 'node:util';
import { REPLAY_TOTAL_BYTES_MAX, SESSION_COUNT_MAX } from '../../src/limits.ts';
import { formatTable } from '../bench/report.ts';
import { openSession } from '../support/message-app.ts';
import { leftOver, runRound, settle } from './rounds.ts';
import { startWorld, type Held, type World } from './world.ts';

const WARM_UP_ROUNDS = 10;
const LOOKS = 20;
/**
 * What the collector and the allocator of the runtime leave open, measured over runs of an hour, and what is kept for
 * clients that never come back to a broken stream, up to its bound.
 */
const HEAP_GROWTH_MB_MAX = 3 + REPLAY_TOTAL_BYTES_MAX / 1024 ** 2;
const RSS_GROWTH_SHARE_MAX = 0.25;

const COLUMNS = ['s', 'rounds', 'RSS MB', 'heap MB', 'fds', 'children', 'timers', 'exchanges', 'sessions', 'entries'];

const { values: options } = parseArgs({ options: { minutes: { type: 'string', default: '5' } } });
const soakMs = Number(options.minutes) * 60_000;
const hooks: (() => void | Promise<void>)[] = [];
try {
  const world = await startWorld({ after: (hook) => void hooks.unshift(hook) }, { program: 'bundle' });
  const left = await soak(world).catch((error: unknown) => {
    console.error(inspect(error, { depth: 5 }));
    return ['rounds that did not end'];
  });
  await world.app.stop();
  if (left.length > 0) {
    console.error(`left over:\n${left.join('\n')}\nmcproxy said:\n${world.app.stderr().slice(-4_000)}`);
    process.exitCode = 1;
  }
} finally {
  // oxlint-disable-next-line no-await-in-loop -- one after the other
  for (const hook of hooks) await hook();
}

async function soak(world: World): Promise<string[]> {
  const rows: string[][] = [];
  const startMs = performance.now();
  let round = 0;
  const note = (held: Held): void => {
    rows.push(rowOf((performance.now() - startMs) / 1000, round, held));
    console.error(rows.at(-1)?.join('  '));
  };
  console.error(COLUMNS.join('  '));
  // oxlint-disable no-await-in-loop -- rounds come one after the other
  for (; round < WARM_UP_ROUNDS; round += 1) await runRound(world, round);
  for (let count = 0; count < SESSION_COUNT_MAX; count += 16) {
    await Promise.all(Array.from({ length: 16 }, () => openSession(world.url, 'alice')));
  }
  const baseline = await settle(world);
  note(baseline);
  const endMs = performance.now() + soakMs;
  let nextLookMs = performance.now() + soakMs / LOOKS;
  for (; performance.now() < endMs; round += 1) {
    await runRound(world, round);
    if (performance.now() < nextLookMs) continue;
    nextLookMs += soakMs / LOOKS;
    note(await world.look());
  }
  // oxlint-enable no-await-in-loop
  const last = await settle(world, baseline);
  note(last);
  console.log(formatTable(COLUMNS, rows));
  return [...leftOver(baseline, last), ...grown(baseline, last)];
}

function grown(baseline: Held, last: Held): string[] {
  const heap = last.heapMegabytes - baseline.heapMegabytes;
  const rss = last.rssMegabytes / baseline.rssMegabytes - 1;
  return [
    ...(heap > HEAP_GROWTH_MB_MAX ? [`heap: ${heap.toFixed(1)} MB more`] : []),
    ...(rss > RSS_GROWTH_SHARE_MAX ? [`resident: ${(rss * 100).toFixed(0)} % more`] : []),
  ];
}

function rowOf(seconds: number, rounds: number, held: Held): string[] {
  const { rssMegabytes, heapMegabytes, descriptors, children, timers, exchanges, sessions, entries } = held;
  return [
    seconds.toFixed(0),
    String(rounds),
    rssMegabytes.toFixed(1),
    heapMegabytes.toFixed(1),
    ...[descriptors, children, timers, exchanges, sessions, entries].map(String),
  ];
}
