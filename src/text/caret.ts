/**
 * A caret under the place a problem is about, for terminals and logs.
 *
 * Cuts a long line to its surroundings. It shows the line as it is given: whoever calls decides whether that line
 * may be shown and hides secrets before.
 */

const EXCERPT_CHARS_MAX = 100;
const ELLIPSIS = '…';

/**
 * Two lines: `excerpt`, cut to about 100 characters around the column, and `^` below that column.
 *
 * @param column 1-based, in UTF-16 units; one beyond the end of the line is allowed
 */
export function caretPicture(excerpt: string, column: number): string {
  const line = excerpt.split(/[\r\n]/, 1)[0] ?? '';
  const index = Math.min(Math.max(column - 1, 0), line.length);
  const from = line.length <= EXCERPT_CHARS_MAX ? 0 : windowStart(line.length, index);
  const to = Math.min(line.length, from + EXCERPT_CHARS_MAX);
  const head = from > 0 ? ELLIPSIS : '';
  const tail = to < line.length ? ELLIPSIS : '';
  // Tabs and other control characters would move or break the picture.
  const shown = `${head}${line.slice(from, to)}${tail}`.replaceAll(/\p{Cc}/gu, ' ');
  return `${shown}\n${' '.repeat(head.length + index - from)}^`;
}

function windowStart(length: number, index: number): number {
  const middle = index - Math.floor(EXCERPT_CHARS_MAX / 2);
  return Math.min(Math.max(middle, 0), length - EXCERPT_CHARS_MAX);
}
