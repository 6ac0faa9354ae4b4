/**
 * The cursor under the YAML parser: one text, one position, and the problems found so far.
 *
 * It knows characters and lines but no nodes. Between two block nodes the cursor stands on the first character of
 * the next line that has content, and `indent` is that line's indentation (-1 at the end of the text). Every step
 * moves forward, so reading is linear. A parse function that returns undefined has recorded a problem before.
 * Source: YAML 1.2.2 §5 (characters), §6 (indentation, comments, separation), §9.1 (document markers).
 */
import { CONFIG_DEPTH_MAX, PROBLEM_COUNT_MAX } from '../limits.ts';
import type { YamlProblem } from './yaml-node.ts';

export interface YamlReader {
  readonly text: string;
  /** Offset of the first character of each line. */
  readonly lineStarts: readonly number[];
  readonly problems: YamlProblem[];
  at: number;
  /** Offset at which the current line starts. */
  lineStart: number;
  /** Indentation of the current line; -1 at the end of the text. */
  indent: number;
  /** Collections open at the cursor. */
  depth: number;
  /** Whether the document has begun, with `---` or with content. */
  begun: boolean;
}

/** What is wrong and what to write instead. */
export interface YamlMessage {
  readonly text: string;
  readonly fix?: string;
}

/** A reader on the first content of `text`; a byte order mark at the start is skipped. */
export function openReader(text: string): YamlReader {
  const first = text.charCodeAt(0) === 0xfe_ff ? 1 : 0;
  const lineStarts = [first];
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) lineStarts.push(at + 1);
  return { text, lineStarts, problems: [], at: first, lineStart: first, indent: -1, depth: 0, begun: false };
}

/** The 1-based line and column of an offset. */
export function locate(reader: YamlReader, offset: number): { line: number; column: number } {
  let low = 0;
  let high = reader.lineStarts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if ((reader.lineStarts[middle] ?? 0) <= offset) low = middle;
    else high = middle - 1;
  }
  return { line: low + 1, column: offset - (reader.lineStarts[low] ?? 0) + 1 };
}

/** Records a problem and returns undefined, so that a parse function can end with it. */
export function fail(reader: YamlReader, offset: number, message: YamlMessage): undefined {
  if (reader.problems.length >= PROBLEM_COUNT_MAX) return undefined;
  reader.problems.push({ ...locate(reader, offset), text: message.text, fix: message.fix });
  return undefined;
}

/** Opens one more collection; false, with a problem, when it is one too many. */
export function enter(reader: YamlReader): boolean {
  if (reader.depth >= CONFIG_DEPTH_MAX) {
    const text = `maps and lists are nested deeper than ${CONFIG_DEPTH_MAX} levels`;
    fail(reader, reader.at, { text, fix: 'use fewer levels' });
    return false;
  }
  reader.depth += 1;
  return true;
}

export function isWhite(character: string): boolean {
  return character === ' ' || character === '\t';
}

/** End of line, or '' at the end of the text. A lone carriage return never gets this far. */
export function isBreak(character: string): boolean {
  return character === '' || character === '\n' || character === '\r';
}

export function isBlank(character: string): boolean {
  return isWhite(character) || isBreak(character);
}

/** The first offset from `at` that is neither space nor tab. */
export function skipWhite(text: string, from: number): number {
  let at = from;
  while (isWhite(text.charAt(at))) at += 1;
  return at;
}

/** The first offset from `at` that is not a space. */
export function skipSpaces(text: string, from: number): number {
  let at = from;
  while (text.charAt(at) === ' ') at += 1;
  return at;
}

/** The start of the line after the one that holds `at`, or the end of the text. */
export function nextLineStart(text: string, at: number): number {
  const end = text.indexOf('\n', at);
  return end === -1 ? text.length : end + 1;
}

/** Whether a document marker, `---` or `...`, stands at `at`, which must be the start of a line. */
export function isMarker(text: string, at: number): boolean {
  return (text.startsWith('---', at) || text.startsWith('...', at)) && isBlank(text.charAt(at + 3));
}

/** Whether a comment begins at `at`: `#` after white space or at the start of a line. */
export function isComment(text: string, at: number): boolean {
  return text.charAt(at) === '#' && (at === 0 || isBlank(text.charAt(at - 1)) || text.charCodeAt(at - 1) === 0xfe_ff);
}

/** What is wrong where `//` or a block comment stands, as JSON is often written by hand; asked only where something is. */
export function foreignComment(text: string, at: number): { text: string; fix: string } | undefined {
  if (!/^\/[/*]/.test(text.slice(at, at + 2))) return undefined;
  return { text: 'a comment is not written so here', fix: 'begin it with #, on each of its lines, or delete it' };
}

/** Moves to the content of the line at `start`, or of the first line after it that has content. */
export function openLine(reader: YamlReader, start: number): void {
  const { text } = reader;
  let line = start;
  while (line < text.length) {
    const content = skipSpaces(text, line);
    const first = skipWhite(text, content);
    const character = text.charAt(first);
    if (isBreak(character) || character === '#') {
      line = nextLineStart(text, first);
    } else if (first > content) {
      failTab(reader, content);
      line = nextLineStart(text, first);
    } else if (content === line && isMarker(text, line)) {
      if (!passMarker(reader, line)) break;
      line = nextLineStart(text, line);
    } else if (character === '%' && content === line && !reader.begun) {
      fail(reader, line, { text: 'directives (%) are not supported', fix: 'delete this line' });
      line = nextLineStart(text, line);
    } else {
      reader.begun = true;
      reader.at = content;
      reader.lineStart = line;
      reader.indent = content - line;
      return;
    }
  }
  reader.at = text.length;
  reader.lineStart = text.length;
  reader.indent = -1;
}

/** Ends a node: nothing but a comment may follow on its line; then moves to the next content. */
export function finishLine(reader: YamlReader): boolean {
  const end = skipWhite(reader.text, reader.at);
  if (!isBreak(reader.text.charAt(end)) && !isComment(reader.text, end)) {
    failTrailing(reader, end);
    return false;
  }
  openLine(reader, nextLineStart(reader.text, end));
  return true;
}

/** After a problem: moves to the next line that is not indented more than `indent`. */
export function recover(reader: YamlReader, indent: number): void {
  if (reader.problems.length >= PROBLEM_COUNT_MAX) {
    openLine(reader, reader.text.length);
    return;
  }
  do {
    openLine(reader, nextLineStart(reader.text, reader.at));
    // A closing bracket at the start of a line belongs to the flow collection that failed.
  } while (reader.indent > indent || ']}'.includes(reader.text.charAt(reader.at) || ' '));
}

export function failTab(reader: YamlReader, at: number): undefined {
  return fail(reader, at, { text: 'a tab is used as indentation', fix: 'indent with spaces' });
}

export function failMarker(reader: YamlReader, at: number): undefined {
  if (reader.text.charAt(at) === '.') {
    return fail(reader, at, { text: 'the document end marker `...` is not supported', fix: 'delete this line' });
  }
  const fix = 'keep one document in the file; `---` may stand once, before everything else';
  return fail(reader, at, { text: 'a second document begins here', fix });
}

/** The first `---` may pass; every other marker is a problem, after which nothing is read. */
function passMarker(reader: YamlReader, at: number): boolean {
  if (reader.begun || reader.text.charAt(at) === '.') {
    failMarker(reader, at);
    return false;
  }
  reader.begun = true;
  const rest = skipWhite(reader.text, at + 3);
  if (isBreak(reader.text.charAt(rest)) || isComment(reader.text, rest)) return true;
  fail(reader, rest, { text: 'nothing but a comment may follow `---`', fix: 'begin the document on the next line' });
  return false;
}

function failTrailing(reader: YamlReader, at: number): void {
  const character = reader.text.charAt(at);
  if (character === '#') {
    fail(reader, at, { text: 'a comment must be separated from the value', fix: 'put a space before the #' });
  } else if (character === ':' && isBlank(reader.text.charAt(at + 1))) {
    const fix = 'put a nested map on its own lines, indented more; quote a value that contains ": "';
    fail(reader, at, { text: 'a key cannot begin here', fix });
  } else {
    fail(reader, at, {
      text: 'unexpected text after a complete value',
      fix: 'quote the whole value or delete the rest',
    });
  }
}
