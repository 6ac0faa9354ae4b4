/**
 * House checks about who may name whom: floors, rooms, circles, packages and purity.
 *
 * The table is the one of `src/README.md`. Each check is a pure function from sources to complaints, so that a
 * test can feed it a bad text. `import type` counts: a type that a room borrows is knowledge of that room.
 */
import { posix } from 'node:path';
import { findImports, lineAt, type Source } from './source.ts';

const FLOOR_OF_ROOM: Readonly<Record<string, number>> = {
  'errors.ts': 0,
  'limits.ts': 0,
  'limits-messages.ts': 0,
  'limits-access.ts': 0,
  'limits-auth.ts': 0,
  'model-access.ts': 0,
  'model-credentials.ts': 0,
  'model.ts': 0,
  text: 1,
  mcp: 2,
  config: 2,
  http: 3,
  upstream: 3,
  auth: 3,
  log: 3,
  relay: 4,
  gateway: 4,
  admin: 4,
  app: 5,
  'main.ts': 6,
};

/** Files outside src/ that one file may name, and why: the version when run from source. */
const OUTSIDE: Readonly<Record<string, string>> = { 'src/app/version.ts': 'package.json' };

/** At most two files may own a repeating timer; everybody else is told when. */
export const SET_INTERVAL_FILES: readonly string[] = [];

/** Room of a path under src/: its folder, or the file itself at the top; the files of floor 0 share one room. */
export function roomOf(path: string): string {
  const name = path.split('/')[1] ?? '';
  return FLOOR_OF_ROOM[name] === 0 ? 'ground' : name;
}

/** Floor of a path under src/; undefined when the room is not in the table. */
export function floorOf(path: string): number | undefined {
  return FLOOR_OF_ROOM[path.split('/')[1] ?? ''];
}

/** Imports that go up, sideways, out of src/ or to a package. */
export function checkFloors(sources: readonly Source[]): string[] {
  return sources.flatMap((source) => {
    const floor = floorOf(source.path);
    if (floor === undefined) return [`${source.path}: "${roomOf(source.path)}" is no room of the house`];
    return findImports(source).flatMap(({ specifier, line }) => {
      const complaint = complainAboutImport(source.path, floor, specifier);
      return complaint === undefined ? [] : [`${source.path}:${line}: ${complaint}`];
    });
  });
}

function complainAboutImport(path: string, floor: number, specifier: string): string | undefined {
  if (specifier.startsWith('node:')) {
    return floor < 3 ? `floor ${floor} is pure and may not import ${specifier}` : undefined;
  }
  if (!specifier.startsWith('.')) return `packages are not for src: ${specifier}`;
  const target = resolve(path, specifier);
  if (!target.startsWith('src/')) {
    return OUTSIDE[path] === target ? undefined : `${target} is outside src`;
  }
  if (roomOf(target) === roomOf(path)) return undefined;
  const targetFloor = floorOf(target);
  if (targetFloor !== undefined && targetFloor < floor) return undefined;
  return `floor ${floor} may not import ${target} on floor ${targetFloor ?? 'unknown'}`;
}

function resolve(path: string, specifier: string): string {
  return posix.normalize(posix.join(posix.dirname(path), specifier));
}

/** Circles of imports, each named once. */
export function checkCircles(sources: readonly Source[]): string[] {
  const edges = new Map(
    sources.map((source) => [
      source.path,
      findImports(source)
        .filter(({ specifier }) => specifier.startsWith('.'))
        .map(({ specifier }) => resolve(source.path, specifier)),
    ]),
  );
  const finished = new Set<string>();
  const complaints: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    if (finished.has(path)) return;
    if (trail.includes(path)) {
      complaints.push(`circle: ${[...trail.slice(trail.indexOf(path)), path].join(' → ')}`);
      return;
    }
    for (const next of edges.get(path) ?? []) visit(next, [...trail, path]);
    finished.add(path);
  };
  for (const path of edges.keys()) visit(path, []);
  return complaints;
}

interface Ban {
  readonly pattern: RegExp;
  readonly reason: string;
  readonly applies: (path: string, floor: number) => boolean;
}

const BANS: readonly Ban[] = [
  {
    pattern: /\bDate\s*\.\s*now\b|\bnew Date\s*\(\s*\)/g,
    reason: 'take the clock as an argument; only app reads it',
    applies: (_path, floor) => floor < 5,
  },
  {
    pattern: /\bMath\s*\.\s*random\b/g,
    reason: 'take the randomness as an argument; only app has it',
    applies: (_path, floor) => floor < 5,
  },
  {
    pattern: /\bprocess\s*\.\s*env\b/g,
    reason: 'only app reads the environment',
    applies: (_path, floor) => floor < 5,
  },
  {
    pattern: /\bprocess\s*\.\s*exit\b/g,
    reason: 'only main.ts ends the process',
    applies: (_path, floor) => floor < 6,
  },
  {
    pattern: /(?<![.\w$])process\s*\.|(?<![.\w$])(?:performance|crypto)\s*\.|\bset(?:Timeout|Interval|Immediate)\b/g,
    reason: 'floors 0 to 2 are pure: no process, clock, timer or randomness',
    applies: (_path, floor) => floor < 3,
  },
  {
    pattern: /\bsetInterval\b/g,
    reason: 'repeating timers live in the files that SET_INTERVAL_FILES names',
    applies: (path) => !SET_INTERVAL_FILES.includes(path),
  },
  {
    pattern: /(?<![.\w$])(?:globalThis\s*\.\s*)?fetch\s*\(|\bglobalThis\s*\.\s*fetch\b/g,
    reason: 'fetch costs memory and has timeouts that cannot be set; use upstream/',
    applies: () => true,
  },
  {
    pattern: /\blocaleCompare\b|\bIntl\s*\./g,
    reason: 'the tables of languages stay in memory; compareText of text/order.ts sorts names',
    applies: () => true,
  },
  { pattern: /(?<![.\w$])console\s*\./g, reason: 'write to the diagnostic log', applies: () => true },
  { pattern: /\bexport default\b/g, reason: 'exports have names', applies: () => true },
  { pattern: /\bimport\s*\.\s*meta\b/g, reason: 'the bundle is CommonJS', applies: () => true },
];

/** Calls that a floor may not make. */
export function checkBans(sources: readonly Source[]): string[] {
  return sources.flatMap((source) => {
    const floor = floorOf(source.path) ?? 0;
    return BANS.filter((ban) => ban.applies(source.path, floor)).flatMap((ban) =>
      [...source.code.matchAll(ban.pattern)].map(
        (match) => `${source.path}:${lineAt(source.code, match.index)}: ${match[0].trim()}: ${ban.reason}`,
      ),
    );
  });
}
