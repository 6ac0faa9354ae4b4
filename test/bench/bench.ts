/**
 * `npm run bench`: the upstream alone, a bare proxy and mcproxy in one run, interleaved.
 *
 *   npm run bench -- [--rounds N] [--seconds S] [--without-mcproxy]
 *   npm run bench -- --profile [--connections N]
 *                                  mcproxy alone under 16 connections with --cpu-prof, and where its time went
 *
 * Prints a table and writes test/bench/results/latest.json. It asserts nothing about time; it stops when an answer
 * is wrong or the access log does not have one line per request. README.md says how to read the figures.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { cpuSecondsOf, residentMegabytesOf, startLoadGenerator, type LoadGenerator } from './processes.ts';
import { formatProfile } from './profile.ts';
import { formatReport, ratiosOf, rowsOf, type Memory, type Sample } from './report.ts';
import { bundleParts, startBareProxy, startMcproxy, startUpstream, type Target } from './targets.ts';

const CONNECTIONS = [1, 16, 128] as const;
const WARM_UP_MS = 700;
const RESULTS = fileURLToPath(new URL('results', import.meta.url));

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '2' },
    profile: { type: 'boolean', default: false },
    connections: { type: 'string', default: '16' },
    'without-mcproxy': { type: 'boolean', default: false },
  },
});
const measureMs = Number(options.seconds) * 1000;
const directory = mkdtempSync(path.join(os.tmpdir(), 'mcproxy-bench-'));
const open: { stop(): Promise<void> }[] = [];
try {
  await (options.profile ? profile() : compare());
} finally {
  for (const one of open.toReversed()) await one.stop();
  rmSync(directory, { recursive: true });
}

async function compare(): Promise<void> {
  const part = bundleParts(directory);
  const upstream = await opened(startUpstream(part('upstream')));
  const targets = [upstream, await opened(startBareProxy(part('bare-proxy'), upstream.listener))];
  if (!options['without-mcproxy']) targets.push(await opened(startMcproxy({ directory, upstream: upstream.listener })));
  const generator = startLoadGenerator(part('load'));
  open.push(generator);

  const idle = targets.map(({ listener }) => residentMegabytesOf(listener.pid));
  const samples: Sample[] = [];
  for (let round = 0; round < Number(options.rounds); round += 1) {
    for (const connections of CONNECTIONS) {
      // Every round begins with another target, so that none always runs on a rested or a tired machine.
      for (const target of rotate(targets, round)) {
        samples.push(await measure(generator, target, { connections, round }));
      }
    }
    console.error(`round ${round + 1} of ${options.rounds} done`);
  }
  const memory = targets.map(({ name, listener }, index) => ({
    target: name,
    idleMegabytes: idle[index] ?? Number.NaN,
    loadedMegabytes: residentMegabytesOf(listener.pid),
  }));
  console.log(formatReport(samples, memory));
  writeResults(samples, memory);
}

async function profile(): Promise<void> {
  const part = bundleParts(directory);
  const upstream = await opened(startUpstream(part('upstream')));
  const profiles = path.join(RESULTS, 'profile');
  rmSync(profiles, { recursive: true, force: true });
  const nodeArgs = ['--cpu-prof', `--cpu-prof-dir=${profiles}`];
  const mcproxy = await startMcproxy({ directory, upstream: upstream.listener, nodeArgs });
  const generator = startLoadGenerator(part('load'));
  open.push(generator);
  try {
    await measure(generator, mcproxy, { connections: Number(options.connections), round: 0 });
  } finally {
    // V8 writes the profile when the process ends by itself, which SIGTERM asks for.
    await mcproxy.listener.stop();
  }
  const file = readdirSync(profiles).find((name) => name.endsWith('.cpuprofile'));
  if (file === undefined) throw new Error('no profile was written: mcproxy did not end by itself on SIGTERM');
  console.log(formatProfile(path.join(profiles, file)));
  console.log(`\n${path.join(profiles, file)} (open it in Chrome's Performance panel)`);
}

async function measure(
  generator: LoadGenerator,
  target: Target,
  { connections, round }: { connections: number; round: number },
): Promise<Sample> {
  const { pid, port } = target.listener;
  const entriesBefore = target.countEntries?.();
  const warmUp = { port, request: target.request, connections, warmUpMs: WARM_UP_MS, measureMs: 0 };
  const warmedUp = await generator.run(warmUp);
  // The process's CPU time is read around the whole job, and divided by all of its requests.
  const cpuBefore = cpuSecondsOf(pid);
  const result = await generator.run({ ...warmUp, warmUpMs: 0, measureMs });
  const cpuSeconds = cpuSecondsOf(pid) - cpuBefore;
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

function writeResults(samples: readonly Sample[], memory: readonly Memory[]): void {
  mkdirSync(RESULTS, { recursive: true });
  const file = path.join(RESULTS, 'latest.json');
  const machine = { node: process.version, cores: os.availableParallelism(), cpu: os.cpus()[0]?.model ?? '' };
  const report = {
    date: new Date().toISOString(),
    machine,
    rows: rowsOf(samples),
    ratios: ratiosOf(samples),
    memory,
    samples,
  };
  writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`);
  console.error(`written to ${path.relative(process.cwd(), file)}`);
}

async function opened(starting: Promise<Target>): Promise<Target> {
  const target = await starting;
  open.push(target.listener);
  return target;
}

function rotate<T>(items: readonly T[], by: number): T[] {
  const start = by % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}
