/**
 * Reads a V8 CPU profile and lists where the time went: self time per function and per file, idle left out.
 */
import { readFileSync } from 'node:fs';
import { formatTable } from './report.ts';

interface Profile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

const ROW_COUNT_MAX = 40;

export function formatProfile(file: string): string {
  const profile = JSON.parse(readFileSync(file, 'utf8')) as Profile;
  const names = new Map(profile.nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]));
  const selfUs = new Map<string, number>();
  let totalUs = 0;
  for (const [index, id] of profile.samples.entries()) {
    const name = names.get(id) ?? '';
    if (name.startsWith('(idle)') || name.startsWith('(program)')) continue;
    const deltaUs = profile.timeDeltas[index] ?? 0;
    selfUs.set(name, (selfUs.get(name) ?? 0) + deltaUs);
    totalUs += deltaUs;
  }
  const ranked = [...selfUs].toSorted(([, one], [, other]) => other - one).slice(0, ROW_COUNT_MAX);
  const rows = ranked.map(([name, us]) => [`${((us / totalUs) * 100).toFixed(1)}%`, (us / 1000).toFixed(0), name]);
  return formatTable(['self', 'ms', 'function'], rows);
}

function nameOf(frame: Profile['nodes'][number]['callFrame']): string {
  const file = frame.url.split('/').at(-1) ?? '';
  return `${frame.functionName || '(anonymous)'} ${file}:${frame.lineNumber + 1}`;
}
