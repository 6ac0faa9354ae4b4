/**
 * From samples to figures: medians over the rounds, ratios paired within a round, tables.
 *
 * A ratio compares two targets in the same round, seconds apart, and the median is taken of the ratios: a machine
 * that slows down halfway through hits both sides.
 */
export interface Sample {
  readonly target: string;
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

type Figure = 'requestsPerSecond' | 'p50Ms' | 'p99Ms' | 'cpuPer1000' | 'busy' | 'generatorBusy';

export interface Row extends Readonly<Record<Figure, number>> {
  readonly target: string;
  readonly connections: number;
}

/** Two targets to compare: what is looked at, and against what. */
export type Pair = readonly [target: string, against: string];

export interface Ratio {
  readonly connections: number;
  readonly pair: string;
  readonly requestsPerSecond: number;
  readonly cpu: number;
  readonly addedP50Ms: number;
  readonly addedP99Ms: number;
}

/** Figures by what they are of. */
export type Figures = Readonly<Record<string, number>>;

const FIGURES: readonly Figure[] = ['requestsPerSecond', 'p50Ms', 'p99Ms', 'cpuPer1000', 'busy', 'generatorBusy'];

export function rowsOf(samples: readonly Sample[]): Row[] {
  const keys = new Map(samples.map((sample) => [`${sample.connections} ${sample.target}`, sample]));
  const rows = [...keys.values()].map(({ target, connections }) => {
    const own = samples.filter((sample) => sample.target === target && sample.connections === connections);
    const figures = FIGURES.map((figure) => [figure, median(own.map((sample) => sample[figure]))]);
    return { target, connections, ...(Object.fromEntries(figures) as Record<Figure, number>) };
  });
  return rows.toSorted((one, other) => one.connections - other.connections);
}

export function ratiosOf(samples: readonly Sample[], pairs: readonly Pair[]): Ratio[] {
  const levels = [...new Set(samples.map(({ connections }) => connections))];
  const rounds = [...new Set(samples.map(({ round }) => round))];
  return levels.flatMap((connections) =>
    pairs.flatMap(([target, against]) => {
      const pick = (name: string, round: number): Sample | undefined =>
        samples.find((one) => one.target === name && one.round === round && one.connections === connections);
      const both = rounds.flatMap((round) => {
        const [one, other] = [pick(target, round), pick(against, round)];
        return one !== undefined && other !== undefined ? [{ one, other }] : [];
      });
      if (both.length === 0) return [];
      const paired = (combine: (of: { one: Sample; other: Sample }) => number): number => median(both.map(combine));
      return [
        {
          connections,
          pair: `${target} : ${against}`,
          requestsPerSecond: paired(({ one, other }) => one.requestsPerSecond / other.requestsPerSecond),
          cpu: paired(({ one, other }) => one.cpuPer1000 / other.cpuPer1000),
          addedP50Ms: paired(({ one, other }) => one.p50Ms - other.p50Ms),
          addedP99Ms: paired(({ one, other }) => one.p99Ms - other.p99Ms),
        },
      ];
    }),
  );
}

export function formatReport(samples: readonly Sample[], pairs: readonly Pair[]): string {
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
  const ratios = ratiosOf(samples, pairs).map((ratio) => [
    String(ratio.connections),
    ratio.pair,
    ratio.requestsPerSecond.toFixed(2),
    ratio.cpu.toFixed(2),
    ratio.addedP50Ms.toFixed(3),
    ratio.addedP99Ms.toFixed(3),
  ]);
  return [
    formatTable(['conns', 'target', 'req/s', 'p50 ms', 'p99 ms', 'CPU s/1000', 'busy', 'generator'], rows),
    formatTable(['conns', 'ratio', 'req/s', 'CPU', 'added p50 ms', 'added p99 ms'], ratios),
  ].join('\n\n');
}

export function formatFigures(groups: Readonly<Record<string, Figures>>): string {
  const rows = Object.entries(groups).flatMap(([group, figures]) =>
    Object.entries(figures).map(([name, value]) => [group, name, value.toFixed(1)]),
  );
  return formatTable(['', 'figure', 'value'], rows);
}

export function formatTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((name, column) => Math.max(name.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padStart(widths[column] ?? 0)).join(' | ')} |`;
  return [line(header), `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...rows.map(line)].join('\n');
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  const middle = sorted.length >> 1;
  const [low = Number.NaN, high = Number.NaN] = [sorted[sorted.length % 2 === 0 ? middle - 1 : middle], sorted[middle]];
  return (low + high) / 2;
}
