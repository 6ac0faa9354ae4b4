/**
 * Reads a V8 CPU profile and lists where the time went: per function its own time and that of all it called.
 *
 * Idle time is left out, so 100 % is the time the main thread was busy. Two tables: what is dearest by itself (mostly
 * the runtime and the kernel), and which of mcproxy's own functions lead there.
 */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { formatTable } from './report.ts';

interface Profile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
    readonly children?: readonly number[];
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

interface Cost {
  readonly name: string;
  readonly own: boolean;
  selfUs: number;
  totalUs: number;
}

const ROW_COUNT_MAX = 30;
const PROGRAM = 'mcproxy.js';

export function formatProfile(file: string): string {
  const profile = JSON.parse(readFileSync(file, 'utf8')) as Profile;
  const parents = new Map(profile.nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id])));
  const costs = new Map<string, Cost>();
  const costOf = new Map(profile.nodes.map(({ id, callFrame }) => [id, findCost(costs, callFrame)]));
  let busyUs = 0;
  for (const [index, id] of profile.samples.entries()) {
    const self = costOf.get(id);
    if (self === undefined || /^\((?:idle|program)\)/.test(self.name)) continue;
    const deltaUs = profile.timeDeltas[index] ?? 0;
    busyUs += deltaUs;
    self.selfUs += deltaUs;
    // A function that is on the stack twice counts once.
    for (const cost of new Set(ancestorsOf(id, parents).map((each) => costOf.get(each)))) {
      if (cost !== undefined) cost.totalUs += deltaUs;
    }
  }
  const all = [...costs.values()];
  const bySelf = all.toSorted((one, other) => other.selfUs - one.selfUs);
  const ownByTotal = all.filter(({ own }) => own).toSorted((one, other) => other.totalUs - one.totalUs);
  const ownSelfUs = ownByTotal.reduce((sum, { selfUs }) => sum + selfUs, 0);
  return [
    `busy ${(busyUs / 1000).toFixed(0)} ms, ${share(ownSelfUs, busyUs)} of it in mcproxy's own functions`,
    formatCosts(bySelf, busyUs),
    formatCosts(ownByTotal, busyUs),
  ].join('\n\n');
}

function formatCosts(costs: readonly Cost[], busyUs: number): string {
  const rows = costs
    .slice(0, ROW_COUNT_MAX)
    .map(({ name, selfUs, totalUs }) => [share(selfUs, busyUs), share(totalUs, busyUs), name]);
  return formatTable(['self', 'with callees', 'function'], rows);
}

function findCost(costs: Map<string, Cost>, frame: Profile['nodes'][number]['callFrame']): Cost {
  const file = basename(frame.url);
  const place = file === '' ? '' : ` ${file}:${frame.lineNumber + 1}`;
  const name = `${frame.functionName || '(anonymous)'}${place}`;
  const known = costs.get(name);
  if (known !== undefined) return known;
  const cost = { name, own: file === PROGRAM, selfUs: 0, totalUs: 0 };
  costs.set(name, cost);
  return cost;
}

/** The node itself and everything above it. */
function ancestorsOf(id: number, parents: ReadonlyMap<number, number>): number[] {
  const ancestors: number[] = [];
  for (let each: number | undefined = id; each !== undefined; each = parents.get(each)) ancestors.push(each);
  return ancestors;
}

function share(us: number, busyUs: number): string {
  return `${((us / busyUs) * 100).toFixed(1)}%`;
}
