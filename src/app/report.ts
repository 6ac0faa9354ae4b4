/**
 * How problems of the operator's files are printed: `file:line:column: error: text`, the line, a caret, the fix.
 *
 * The shape is the one that editors and terminals turn into links (GNU Coding Standards, Errors). Control
 * characters from a file never reach the terminal. Secrets were masked where the problem was made.
 */
import type { Problem } from '../model.ts';
import { caretPicture } from '../text/caret.ts';

/** All problems as text with a final newline, the count last; empty when there is none. */
export function problemsText(problems: readonly Problem[]): string {
  if (problems.length === 0) return '';
  return `${[...problems.map(problemText), countText(problems)].join('\n')}\n`;
}

/** One problem, without a final newline. */
export function problemText(problem: Problem): string {
  const { file, position, severity, excerpt, text, fix } = problem;
  const place = position === undefined ? file : `${file}:${position.line}:${position.column}`;
  const lines = [`${place}: ${severity}: ${text}`];
  if (excerpt !== undefined && position !== undefined) {
    for (const line of caretPicture(excerpt, position.column).split('\n')) lines.push(`    ${line}`);
  }
  if (fix !== undefined) lines.push(`  fix: ${fix}`);
  return lines.map(printable).join('\n');
}

/** `2 errors, 1 warning`. */
function countText(problems: readonly Problem[]): string {
  const errorCount = problems.filter((problem) => problem.severity === 'error').length;
  const warningCount = problems.length - errorCount;
  const parts = [];
  if (errorCount > 0) parts.push(errorCount === 1 ? '1 error' : `${errorCount} errors`);
  if (warningCount > 0) parts.push(warningCount === 1 ? '1 warning' : `${warningCount} warnings`);
  return parts.join(', ');
}

/** The problem as the JSON of `--json` and of the admin socket: the same members, null where there is nothing. */
export function problemJson(problem: Problem): Record<string, unknown> {
  return {
    severity: problem.severity,
    file: problem.file,
    line: problem.position?.line ?? null,
    column: problem.position?.column ?? null,
    text: problem.text,
    fix: problem.fix ?? null,
  };
}

/**
 * The lines in which two texts differ, as `-` and `+` between three of those around: one change in one place.
 *
 * @param hide makes a line fit to be shown
 */
export function lineChanges(before: string, after: string, hide: (line: string) => string): string {
  const [old, now] = [before.split('\n'), after.split('\n')];
  let head = 0;
  while (isSame(old[head], now[head])) head += 1;
  let tail = 0;
  const most = Math.min(old.length, now.length) - head;
  while (tail < most && isSame(old[old.length - 1 - tail], now[now.length - 1 - tail])) tail += 1;
  const lines = [
    ...now.slice(Math.max(0, head - 3), head).map((line) => `  ${line}`),
    ...old.slice(head, old.length - tail).map((line) => `- ${line}`),
    ...now.slice(head, now.length - tail).map((line) => `+ ${line}`),
    ...now.slice(now.length - tail, now.length - tail + 3).map((line) => `  ${line}`),
  ];
  return lines.map((line) => `${printable(hide(line)).trimEnd()}\n`).join('');
}

/** Two lines that are there. */
function isSame(a: string | undefined, b: string | undefined): boolean {
  return a === b && a !== undefined;
}

function printable(line: string): string {
  return line.replaceAll(/\p{Cc}/gu, '·');
}
