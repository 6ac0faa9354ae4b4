/**
 * Findings about the operator's files, collected while reading goes on.
 *
 * Promises: every finding of all files in one list, sorted by place; at most `PROBLEM_COUNT_MAX`, the rest counted;
 * and no secret in it. An excerpt is therefore rebuilt, never copied: indentation, a key that the schema knows, the
 * words the caller says are safe (`shown`), and `…` for everything else, with columns kept. Texts are the caller's
 * and never repeat a value; `showName` tells which names may be repeated.
 */
import { EXCERPT_CHARS_MAX, PROBLEM_COUNT_MAX } from '../limits.ts';
import type { FilePlace, Problem } from '../model.ts';

export interface Place {
  readonly line: number;
  readonly column: number;
}

export interface Remark {
  /** What is wrong. */
  readonly text: string;
  /** What to write instead. */
  readonly fix?: string | undefined;
  /** What stands at the place, when it is no secret: a key or a reference. */
  readonly shown?: string | undefined;
}

export interface FileProblems {
  error(place: Place | undefined, remark: Remark): void;
  warning(place: Place | undefined, remark: Remark): void;
  /** Errors of this file so far. */
  readonly errorCount: () => number;
}

export interface ProblemList {
  /** `file` is what a person knows it by; `text` is for the excerpts. `knownKeys` may be shown. */
  forFile(file: string, text: string, knownKeys: ReadonlySet<string>): FileProblems;
  readonly errorCount: () => number;
  list(): Problem[];
}

/** An empty list. */
export function collectProblems(): ProblemList {
  const kept = {
    error: [] as { order: number; problem: Problem }[],
    warning: [] as { order: number; problem: Problem }[],
  };
  const counts = { error: 0, warning: 0 };
  let fileCount = 0;
  return {
    forFile(file, text, knownKeys) {
      const order = fileCount++;
      let lines: string[] | undefined;
      let errorCount = 0;
      const add = (severity: 'error' | 'warning', place: Place | undefined, remark: Remark): void => {
        counts[severity] += 1;
        if (severity === 'error') errorCount += 1;
        if (kept[severity].length >= PROBLEM_COUNT_MAX) return;
        lines ??= text.split(/\r\n|\r|\n/);
        const line = place === undefined ? undefined : lines[place.line - 1];
        const excerpt =
          place === undefined || line === undefined ? undefined : maskLine(line, place, { ...remark, knownKeys });
        const position = place === undefined ? undefined : { line: place.line, column: place.column };
        kept[severity].push({
          order,
          problem: { severity, file, position, excerpt, text: remark.text, fix: remark.fix },
        });
      };
      return {
        error: (place, remark) => add('error', place, remark),
        warning: (place, remark) => add('warning', place, remark),
        errorCount: () => errorCount,
      };
    },
    errorCount: () => counts.error,
    list() {
      const sorted = [...kept.error, ...kept.warning].toSorted(byPlace).map((entry) => entry.problem);
      const total = counts.error + counts.warning;
      if (total <= PROBLEM_COUNT_MAX) return sorted;
      return cut(sorted, counts.error, total);
    },
  };
}

/** The place as other files may know it. */
export function placeOf(file: string, at: Place | undefined): FilePlace | undefined {
  return at === undefined ? undefined : { file, line: at.line, column: at.column };
}

/** A name in quotes for a message, or `…` in place of one that may be a misplaced secret. */
export function showName(name: string): string {
  return isPlainName(name) ? `"${name}"` : '"…"';
}

/** What an excerpt may show of a name; undefined for one that may be a misplaced secret. */
export function shownName(name: string): string | undefined {
  return isPlainName(name) ? name : undefined;
}

/** Tells whether `name` looks like something a person chose as a name, rather than like a key or token. */
export function isPlainName(name: string): boolean {
  if (!/^[\w.@$/ -]{1,40}$/.test(name)) return false;
  const digits = /\d/.test(name);
  const letters = /[A-Za-z]/.test(name);
  return !digits || (letters ? name.length < 16 : name.length < 8);
}

/** Errors are worth more than warnings, so warnings are left out first. */
function cut(sorted: readonly Problem[], errorCount: number, total: number): Problem[] {
  const errors = sorted.filter((problem) => problem.severity === 'error').slice(0, PROBLEM_COUNT_MAX - 1);
  const room = PROBLEM_COUNT_MAX - 1 - errors.length;
  const warnings = new Set(sorted.filter((problem) => problem.severity === 'warning').slice(0, room));
  const chosen = new Set<Problem>([...errors, ...warnings]);
  const shown = sorted.filter((problem) => chosen.has(problem));
  const severity = errors.length < errorCount ? 'error' : 'warning';
  const file = sorted.at(-1)?.file ?? '';
  const text = `${total - shown.length} more problems are not shown`;
  return [
    ...shown,
    { severity, file, position: undefined, excerpt: undefined, text, fix: 'correct those above first' },
  ];
}

function byPlace(a: { order: number; problem: Problem }, b: { order: number; problem: Problem }): number {
  if (a.order !== b.order) return a.order - b.order;
  const [one, other] = [a.problem.position, b.problem.position];
  if (one === undefined || other === undefined) return Number(one !== undefined) - Number(other !== undefined);
  return one.line - other.line || one.column - other.column;
}

function maskLine(
  line: string,
  place: Place,
  what: { shown?: string | undefined; knownKeys: ReadonlySet<string> },
): string | undefined {
  const before = place.column - 1;
  if (before > EXCERPT_CHARS_MAX) return undefined;
  const shown = what.shown !== undefined && line.startsWith(what.shown, before) ? what.shown : undefined;
  const rest = line.slice(before + (shown?.length ?? 0));
  const separator = /^["']?\s*:?\s*/.exec(rest)?.[0] ?? '';
  const tail = shown === undefined ? '' : separator;
  const more = rest.length > tail.length ? '…' : '';
  return `${maskStart(line, before, what.knownKeys)}${shown ?? ''}${tail}${more}`.slice(0, EXCERPT_CHARS_MAX).trimEnd();
}

/** The first `width` characters of a line: indentation and a known key stay, the rest becomes `…` and blanks. */
function maskStart(line: string, width: number, knownKeys: ReadonlySet<string>): string {
  const indentation = /^[\s-]*/.exec(line)?.[0] ?? '';
  const key = /^(["']?)([A-Za-z_]\w{0,31})\1\s*:\s*[[{]?\s*/.exec(line.slice(indentation.length));
  const known = key?.[2] !== undefined && knownKeys.has(key[2]) ? key[0] : '';
  const lead = (indentation + known).slice(0, width);
  if (lead.length === width) return lead;
  return `${lead}…`.padEnd(width);
}
