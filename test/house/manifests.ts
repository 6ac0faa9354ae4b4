/**
 * House checks about the files beside the code: package.json, the lock file, CHANGELOG.md, README.md and the list
 * of requirements. Pure functions from texts to complaints, like the checks of the sources.
 */
import type { Source } from './source.ts';

interface Manifest {
  readonly version?: string;
  readonly resolved?: string;
  readonly [field: string]: unknown;
}

const EXACT_VERSION = /^\d+\.\d+\.\d+(?:-[\w.]+)?$/;
const RUNTIME_FIELDS = ['dependencies', 'optionalDependencies', 'peerDependencies', 'bundledDependencies'];

/** Anything that would have to be installed with the product, and development versions that may drift. */
export function checkManifest(text: string): string[] {
  const manifest = JSON.parse(text) as Manifest;
  const runtime = RUNTIME_FIELDS.filter((field) => Object.keys(manifest[field] ?? {}).length > 0);
  const drifting = versionsOf(manifest).filter(([, version]) => !EXACT_VERSION.test(version));
  return [
    ...runtime.map((field) => `package.json: ${field} stays empty; the product needs Node and nothing else`),
    ...drifting.map(([name, version]) => `package.json: ${name} is ${version}, wanted one exact version`),
  ];
}

/**
 * A lock file that names the host it was made with, that does not belong to this package.json, or that lacks the
 * optional packages of other platforms: `npm ci` refuses that, although it would not install them.
 */
export function checkLock(lockText: string, manifestText: string): string[] {
  const lock = JSON.parse(lockText) as { version?: string; packages?: Record<string, Manifest> };
  const manifest = JSON.parse(manifestText) as Manifest;
  const packages = Object.entries(lock.packages ?? {});
  const hosts = packages.filter(([, entry]) => /^[a-z+]+:/.test(entry.resolved ?? ''));
  const locked = new Map(versionsOf(lock.packages?.[''] ?? {}));
  const stale = versionsOf(manifest).filter(([name, version]) => locked.get(name) !== version);
  const present = new Set(packages.map(([path]) => path.slice(path.lastIndexOf('node_modules/') + 13)));
  const optional = packages.flatMap(([, entry]) => Object.keys(entry['optionalDependencies'] ?? {}));
  const missing = [...new Set(optional)].filter((name) => !present.has(name));
  return [
    ...missing.map((name) => `package-lock.json: ${name} is missing; \`npm ci\` will fail`),
    ...hosts.map(([path]) => `package-lock.json: ${path} has "resolved"; set omit-lockfile-registry-resolved`),
    ...stale.map(([name]) => `package-lock.json: ${name} is not at the version of package.json`),
    ...(lock.version === manifest.version ? [] : ['package-lock.json: not the version of package.json']),
  ];
}

function versionsOf(manifest: Manifest): [name: string, version: string][] {
  return Object.entries((manifest['devDependencies'] ?? {}) as Record<string, string>);
}

/** A changelog whose newest released heading is not the version of package.json. */
export function checkChangelog(changelog: string, manifestText: string): string[] {
  const { version } = JSON.parse(manifestText) as Manifest;
  const top = /^## \[(\d[^\]]*)\]/m.exec(changelog)?.[1];
  return top === version ? [] : [`CHANGELOG.md: newest version is ${top ?? 'missing'}, package.json has ${version}`];
}

/** README tables that differ from the generated ones, are missing, or have a name nobody generates. */
export function checkTables(readme: string, tables: Readonly<Record<string, string>>): string[] {
  const found = new Map<string, string>();
  for (const match of readme.matchAll(/<!-- table:([a-z-]+) -->\n([\s\S]*?)<!-- \/table -->/g)) {
    found.set(match[1] ?? '', (match[2] ?? '').trim());
  }
  const names = new Set([...Object.keys(tables), ...found.keys()]);
  return [...names].flatMap((name) => {
    const wanted = tables[name];
    const table = found.get(name);
    if (wanted === undefined) return [`README.md: nobody generates the table "${name}"`];
    if (table === undefined) return [`README.md: the table "${name}" is missing`];
    return table === wanted.trim()
      ? []
      : [`README.md: "${name}" is out of date: npx tsx build/readme-tables.ts --write`];
  });
}

/** Requirements without a test, tests of requirements that do not exist, and ids that cannot be read off the text. */
export function checkRequirements(ids: readonly string[], tests: readonly Source[]): string[] {
  const known = new Set(ids);
  const uses = tests.flatMap((source) => findVerified(source, known));
  const verified = new Set(uses.map(({ id }) => id));
  return [
    ...uses.filter(({ id }) => id === '').map(({ path }) => `${path}: verifies() wants its ids written out`),
    ...uses.filter(({ id }) => id !== '' && !known.has(id)).map(({ path, id }) => `${path}: unknown requirement ${id}`),
    ...ids.filter((id) => !verified.has(id)).map((id) => `test/requirements.ts: no test verifies ${id}`),
  ];
}

/**
 * Ids named by `verifies('id', …)` and `verifies(['id', …], …)`. Where a table of cases holds them, those are the known
 * ids that stand in the file as literals; an empty id where there is none.
 */
function findVerified({ path, text, code }: Source, known: ReadonlySet<string>): { path: string; id: string }[] {
  return [...code.matchAll(/(?<!function )\bverifies\(\s*/g)].flatMap((match) => {
    const rest = text.slice(match.index + match[0].length);
    const argument = /^(?:'[^']*'|\[\s*(?:'[^']*'\s*,?\s*)*\])/.exec(rest)?.[0];
    const named = argument === undefined ? [...known].filter((id) => text.includes(`'${id}'`)) : literalsOf(argument);
    return (named.length === 0 ? [''] : named).map((id) => ({ path, id }));
  });
}

function literalsOf(text: string): string[] {
  return [...text.matchAll(/'([^'\n]*)'/g)].map((quoted) => quoted[1] ?? '');
}
