/**
 * The README's generated tables: limits from src/limits*.ts, errors from src/errors.ts, and the environment variables
 * from src/config/environment.ts.
 *
 * `npx tsx build/readme-tables.ts` prints them, with `--write` they replace what stands between
 * `<!-- table:NAME -->` and `<!-- /table -->` in README.md. The house test compares. A limit's meaning is the
 * comment above it, an error's is its `help`: whoever changes a bound changes its manual in the same line.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { ENVIRONMENT } from '../src/config/environment.ts';
import { ERRORS } from '../src/errors.ts';
import * as limits from '../src/limits.ts';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

const LIMIT_FILES = ['limits.ts', 'limits-messages.ts', 'limits-access.ts', 'limits-auth.ts'];

/** Each table by its name in the README's markers. */
export function generateTables(): Record<string, string> {
  return {
    environment: table(
      ['Variable', 'Meaning'],
      ENVIRONMENT.map(({ name, meaning }) => [`\`${name}\``, meaning]),
    ),
    errors: errorsTable(),
    limits: limitsTable(LIMIT_FILES.map((file) => readFileSync(join(ROOT, 'src', file), 'utf8')).join('\n'), limits),
  };
}

function errorsTable(): string {
  const rows = Object.entries(ERRORS).map(([code, { http, rpc, retry, help }]) => [
    `\`${code}\``,
    String(http),
    String(rpc),
    retry,
    help,
  ]);
  return table(['Code', 'HTTP', 'JSON-RPC', 'Retried', 'When, and what to do'], rows);
}

/**
 * Name, value and meaning of every exported number of a limits file.
 *
 * @throws {Error} when an exported bound has no comment right above it
 */
export function limitsTable(text: string, values: Readonly<Record<string, number>>): string {
  const comments = new Map<string, string>();
  for (const match of text.matchAll(/\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*export const ([A-Z0-9_]+)/g)) {
    comments.set(match[2] ?? '', (match[1] ?? '').replace(/\s*\n\s*\*\s?/g, ' ').trim());
  }
  const rows = [...text.matchAll(/^export const ([A-Z0-9_]+)/gm)].map((match) => {
    const name = match[1] ?? '';
    const comment = comments.get(name);
    const value = values[name];
    if (comment === undefined || value === undefined) throw new Error(`src/limits.ts: ${name} has no comment`);
    return [`\`${name}\``, formatBound(name, value), comment];
  });
  return table(['Name', 'Bound', 'What it bounds'], rows);
}

/** A bound in the largest unit that divides it; the name says what it counts. */
export function formatBound(name: string, value: number): string {
  if (/(?:^|_)BYTES(?:_|$)/.test(name))
    return inUnits(value, ['B', 1], ['KiB', 1024], ['MiB', 1024 ** 2], ['GiB', 1024 ** 3]);
  if (/(?:^|_)MS(?:_|$)/.test(name)) return inUnits(value, ['ms', 1], ['s', 1_000], ['min', 60_000], ['h', 3_600_000]);
  return String(value);
}

function inUnits(value: number, ...units: [unit: string, size: number][]): string {
  const [unit, size] = units.findLast((each) => value >= each[1] && value % each[1] === 0) ?? ['', 1];
  return `${value / size} ${unit}`.trim();
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const rule = head.map(() => '---');
  return [head, rule, ...rows].map((cells) => row(cells)).join('');
}

function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |\n`;
}

/** The README with every known table replaced; markers with an unknown name stay as they are. */
export function replaceTables(readme: string, tables: Readonly<Record<string, string>>): string {
  return readme.replace(
    /(?<=<!-- table:([a-z-]+) -->\n)[\s\S]*?(?=<!-- \/table -->)/g,
    (old, name: string) => tables[name] ?? old,
  );
}

function main(): void {
  const tables = generateTables();
  if (!process.argv.includes('--write')) {
    process.stdout.write(Object.values(tables).join('\n'));
    return;
  }
  const path = join(ROOT, 'README.md');
  writeFileSync(path, replaceTables(readFileSync(path, 'utf8'), tables));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) main();
