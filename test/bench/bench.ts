/**
 * `npm run bench`: what mcproxy costs on the path of bytes (the relay) and on the path of messages (the gateway).
 *
 *   npm run bench -- [--relay] [--gateway] [--rounds N] [--seconds S] [--without-mcproxy]
 *   npm run bench -- --against ../other-checkout    two versions of mcproxy in the same run
 *   npm run bench -- --gateway --load               without memory and start
 *   npm run bench -- --profile [--gateway [--target mcproxy-pipe|mcproxy-http]] [--connections N]
 *                                  mcproxy alone under 16 connections with --cpu-prof, and where its time went
 *
 * Prints tables and writes test/bench/results/latest.json. It asserts nothing about time; it stops when an answer
 * is wrong or the access log does not have one line per request. README.md says how to read the figures.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { measureMemory, measureStart } from './gateway-figures.ts';
import { gatewayTargets, startGateway } from './gateway-targets.ts';
import { compareInTurns, measure } from './measure.ts';
import { residentMegabytesOf } from './proc.ts';
import { startLoadGenerator } from './processes.ts';
import { formatProfile } from './profile.ts';
import { formatFigures, formatReport, ratiosOf, rowsOf, type Figures, type Pair, type Sample } from './report.ts';
import { bundleParts, startBareProxy, startRelay, startUpstream, type Target } from './targets.ts';

const RESULTS = fileURLToPath(new URL('results', import.meta.url));
const RELAY_PAIRS: readonly Pair[] = [
  ['mcproxy', 'bare'],
  ['mcproxy', 'direct'],
  ['bare', 'direct'],
  ['mcproxy', 'other'],
];
const GATEWAY_PAIRS: readonly Pair[] = [
  ['mcproxy-pipe', 'pipe'],
  ['mcproxy-http', 'http'],
  ['mcproxy-pipe', 'other-pipe'],
  ['mcproxy-http', 'other-http'],
];

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '2' },
    relay: { type: 'boolean', default: false },
    gateway: { type: 'boolean', default: false },
    profile: { type: 'boolean', default: false },
    target: { type: 'string', default: 'mcproxy-pipe' },
    connections: { type: 'string', default: '16' },
    'without-mcproxy': { type: 'boolean', default: false },
    against: { type: 'string' },
    load: { type: 'boolean', default: false },
  },
});
const rounds = Number(options.rounds);
const measureMs = Number(options.seconds) * 1000;
const directory = mkdtempSync(path.join(os.tmpdir(), 'mcproxy-bench-'));
const open: { stop(): Promise<void> }[] = [];
try {
  await main();
} finally {
  for (const one of open.toReversed()) await one.stop();
  rmSync(directory, { recursive: true });
}

interface Part {
  readonly samples: readonly Sample[];
  readonly pairs: readonly Pair[];
  readonly figures: Readonly<Record<string, Figures>>;
}

async function main(): Promise<void> {
  if (options.profile) return profile();
  const both = options.relay === options.gateway;
  const parts: Record<string, Part> = {};
  if (both || options.relay) parts['relay'] = print(await compareRelay());
  if (both || options.gateway) parts['gateway'] = print(await compareGateway());
  writeResults(parts);
}

async function compareRelay(): Promise<Part> {
  const part = bundleParts(directory);
  const upstream = await opened(startUpstream(part('upstream')));
  const upstreamPort = portOf(upstream);
  const targets = [upstream, await opened(startBareProxy(part('bare-proxy'), upstreamPort))];
  if (!options['without-mcproxy']) targets.push(await opened(startRelay({ directory, upstreamPort })));
  if (options.against !== undefined) {
    const other = await opened(startRelay({ directory, upstreamPort, root: path.resolve(options.against) }));
    targets.push({ ...other, name: 'other' });
  }
  const generator = await opened(startLoadGenerator(part('load')));
  const resident = (): Figures =>
    Object.fromEntries(targets.map(({ name, pid = 0 }) => [name, residentMegabytesOf(pid)]));

  const idle = resident();
  const samples = await compareInTurns(targets, { generator, rounds, measureMs });
  const figures = { 'resident idle MB': idle, 'after load MB': resident() };
  await closeAll();
  return { samples, pairs: RELAY_PAIRS, figures };
}

async function compareGateway(): Promise<Part> {
  const part = bundleParts(directory);
  const server = part('mcp-server');
  const figures: Record<string, Figures> = options.load
    ? {}
    : { memory: await measureMemory(server, { directory }), start: await measureStart({ directory }, rounds) };
  const gateway = await startGateway(server, { directory });
  open.push(gateway.mcproxy, gateway.remote);
  const targets = await gatewayTargets(server, gateway);
  if (options.against !== undefined) {
    const other = await startGateway(server, { directory, root: path.resolve(options.against) });
    open.push(other.mcproxy, other.remote);
    const ofOther = (await gatewayTargets(server, other)).filter(({ pid }) => pid === other.mcproxy.pid);
    targets.push(...ofOther.map((target) => ({ ...target, name: target.name.replace('mcproxy', 'other') })));
  }
  const generator = await opened(startLoadGenerator(part('load')));
  const samples = await compareInTurns(targets, { generator, rounds, measureMs });
  figures['load'] = { 'resident afterwards MB': residentMegabytesOf(gateway.mcproxy.pid) };
  await closeAll();
  return { samples, pairs: GATEWAY_PAIRS, figures };
}

async function profile(): Promise<void> {
  const part = bundleParts(directory);
  const profiles = path.join(RESULTS, 'profile');
  rmSync(profiles, { recursive: true, force: true });
  const nodeArgs = ['--cpu-prof', `--cpu-prof-dir=${profiles}`];
  const target = await startProfiled(part, nodeArgs);
  const generator = await opened(startLoadGenerator(part('load')));
  try {
    await measure(target, { generator, measureMs, connections: Number(options.connections), round: 0 });
  } finally {
    // V8 writes the profile when the process ends by itself, which SIGTERM asks for.
    await target.stop();
  }
  const file = readdirSync(profiles).find((name) => name.endsWith('.cpuprofile'));
  if (file === undefined) throw new Error('no profile was written: mcproxy did not end by itself on SIGTERM');
  console.log(formatProfile(path.join(profiles, file)));
  console.log(`\n${path.join(profiles, file)} (open it in Chrome's Performance panel)`);
}

async function startProfiled(part: ReturnType<typeof bundleParts>, nodeArgs: readonly string[]): Promise<Target> {
  if (!options.gateway) {
    const upstream = await opened(startUpstream(part('upstream')));
    return startRelay({ directory, upstreamPort: portOf(upstream), nodeArgs });
  }
  const gateway = await startGateway(part('mcp-server'), { directory, nodeArgs });
  open.push(gateway.remote);
  const targets = await gatewayTargets(part('mcp-server'), gateway);
  const target = targets.find(({ name }) => name === options.target);
  if (target === undefined) throw new Error(`--target: one of ${targets.map(({ name }) => name).join(', ')}`);
  return { ...target, stop: () => gateway.mcproxy.stop() };
}

function print(part: Part): Part {
  console.log(`${formatReport(part.samples, part.pairs)}\n\n${formatFigures(part.figures)}\n`);
  return part;
}

function writeResults(parts: Readonly<Record<string, Part>>): void {
  mkdirSync(RESULTS, { recursive: true });
  const file = path.join(RESULTS, 'latest.json');
  const machine = { node: process.version, cores: os.availableParallelism(), cpu: os.cpus()[0]?.model ?? '' };
  const results = Object.entries(parts).map(([name, { samples, pairs, figures }]) => {
    return [name, { rows: rowsOf(samples), ratios: ratiosOf(samples, pairs), figures, samples }] as const;
  });
  const report = { date: new Date().toISOString(), machine, ...Object.fromEntries(results) };
  writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`);
  console.error(`written to ${path.relative(process.cwd(), file)}`);
}

async function opened<T extends { stop(): Promise<void> }>(starting: T | Promise<T>): Promise<T> {
  const one = await starting;
  open.push(one);
  return one;
}

/** One part ends before the next begins, so that nobody's processes disturb. */
async function closeAll(): Promise<void> {
  // oxlint-disable-next-line no-await-in-loop -- the last first
  for (const one of open.splice(0).toReversed()) await one.stop();
}

function portOf({ via }: Target): number {
  return 'port' in via ? via.port : 0;
}
