/**
 * From samples to figures: medians over the rounds, ratios paired within a round, one table, one JSON file.
 *
 * A ratio compares two targets in the same round, seconds apart, and the median is taken of the ratios: a machine
 * that slows down halfway through hits both sides.
 */
import type { Target } from './targets.ts';

export interface Sample {
  readonly target: Target['name'];
  readonly connections: number;
  readonly round: number;
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** CPU seconds of the target's process per 1,000 requests. */
  readonly cpuPer1000: number;
  /** Share of one core, 0…1: a target near 1 was the bottleneck, a generator near 1 makes the row worthless. */
  readonly busy: number;
  readonly generatorBusy: number;
}

export interface Memory {
  readonly target: Target['name'];
  readonly idleMegabytes: number;
  readonly loadedMegabytes: number;
}

type Figure = 'requestsPerSecond' | 'p50Ms' | 'p99Ms' | 'cpuPer1000' | 'busy' | 'generatorBusy';

export interface Row extends Readonly<Record<Figure, number>> {
  readonly target: Target['name'];
  readonly connections: number;
}

export interface Ratio {
  readonly connections: number;
  readonly requestsPerSecond: number;
  readonly cpu: number;
  readonly addedP50Ms: number;
  readonly addedP99Ms: number;
  readonly bareAddedP50Ms: number;
  readonly bareAddedP99Ms: number;
}

const FIGURES: readonly Figure[] = ['requestsPerSecond', 'p50Ms', 'p99Ms', 'cpuPer1000', 'busy', 'generatorBusy'];

export function rowsOf(samples: readonly Sample[]): Row[] {
  const keys = new Map(samples.map((sample) => [`${sample.connections} ${sample.target}`, sample]));
  return [...keys.values()].map(({ target, connections }) => {
    const own = samples.filter((sample) => sample.target === target && sample.connections === connections);
    const figures = FIGURES.map((figure) => [figure, median(own.map((sample) => sample[figure]))]);
    return { target, connections, ...(Object.fromEntries(figures) as Record<Figure, number>) };
  });
}

/** mcproxy against the bare proxy (ratios) and both against the upstream itself (added latency). */
export function ratiosOf(samples: readonly Sample[]): Ratio[] {
  const levels = [...new Set(samples.flatMap((one) => (one.target === 'mcproxy' ? [one.connections] : [])))];
  return levels.map((connections) => {
    const rounds = [...new Set(samples.map(({ round }) => round))];
    const pick = (target: Target['name'], round: number): Sample | undefined =>
      samples.find((one) => one.target === target && one.round === round && one.connections === connections);
    const paired = (combine: (of: Record<Target['name'], Sample>) => number): number =>
      median(
        rounds.flatMap((round) => {
          const [direct, bare, mcproxy] = [pick('direct', round), pick('bare', round), pick('mcproxy', round)];
          return direct && bare && mcproxy ? [combine({ direct, bare, mcproxy })] : [];
        }),
      );
    return {
      connections,
      requestsPerSecond: paired(({ mcproxy, bare }) => mcproxy.requestsPerSecond / bare.requestsPerSecond),
      cpu: paired(({ mcproxy, bare }) => mcproxy.cpuPer1000 / bare.cpuPer1000),
      addedP50Ms: paired(({ mcproxy, direct }) => mcproxy.p50Ms - direct.p50Ms),
      addedP99Ms: paired(({ mcproxy, direct }) => mcproxy.p99Ms - direct.p99Ms),
      bareAddedP50Ms: paired(({ bare, direct }) => bare.p50Ms - direct.p50Ms),
      bareAddedP99Ms: paired(({ bare, direct }) => bare.p99Ms - direct.p99Ms),
    };
  });
}

export function formatReport(samples: readonly Sample[], memory: readonly Memory[]): string {
  const rows = rowsOf(samples).map((row) => [
    String(row.connections),
    row.target,
    row.requestsPerSecond.toFixed(0),
    row.p50Ms.toFixed(3),
    row.p99Ms.toFixed(3),
    row.cpuPer1000.toFixed(3),
    `${(row.busy * 100).toFixed(0)}%`,
    `${(row.generatorBusy * 100).toFixed(0)}%`,
  ]);
  const ratios = ratiosOf(samples).map((ratio) => [
    String(ratio.connections),
    `${ratio.requestsPerSecond.toFixed(2)} ×`,
    `${ratio.cpu.toFixed(2)} ×`,
    `${ratio.addedP50Ms.toFixed(3)} (${ratio.bareAddedP50Ms.toFixed(3)})`,
    `${ratio.addedP99Ms.toFixed(3)} (${ratio.bareAddedP99Ms.toFixed(3)})`,
  ]);
  const sizes = memory.map((one) => [one.target, one.idleMegabytes.toFixed(1), one.loadedMegabytes.toFixed(1)]);
  return [
    formatTable(['conns', 'target', 'req/s', 'p50 ms', 'p99 ms', 'CPU s/1000', 'busy', 'generator'], rows),
    ratios.length === 0
      ? '(no ratios: mcproxy did not run)'
      : formatTable(['conns', 'req/s vs bare', 'CPU vs bare', 'added p50 ms (bare)', 'added p99 ms (bare)'], ratios),
    formatTable(['target', 'RSS idle MB', 'RSS after load MB'], sizes),
  ].join('\n\n');
}

export function formatTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((name, column) => Math.max(name.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padStart(widths[column] ?? 0)).join(' | ')} |`;
  return [line(header), `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...rows.map(line)].join('\n');
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  const middle = sorted.length >> 1;
  const [low = Number.NaN, high = Number.NaN] = [sorted[sorted.length % 2 === 0 ? middle - 1 : middle], sorted[middle]];
  return (low + high) / 2;
}
