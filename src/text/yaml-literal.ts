/**
 * YAML block scalars: `|` keeps line breaks, `>` folds them.
 *
 * The cursor enters on the indicator and leaves on the next content after the scalar, as block nodes do. Refused where
 * parsers in use differ: tabs on blank lines, blank lines wider than the text at its end (where nothing else shows the
 * indentation), an indentation indicator at the top level, and a text that ends with the file and without a line
 * break although its last line break counts.
 * Source: YAML 1.2.2 §8.1 (headers, chomping, folding).
 */
import type { YamlScalar } from './yaml-node.ts';
import {
  fail,
  failTab,
  isBlank,
  isBreak,
  isMarker,
  nextLineStart,
  openLine,
  skipSpaces,
  skipWhite,
} from './yaml-reader.ts';
import type { YamlReader } from './yaml-reader.ts';
import { isLineEnd, scalar } from './yaml-scalar.ts';

interface Header {
  readonly folded: boolean;
  /** `-` strips the last line breaks, `+` keeps them, '' keeps one. */
  readonly chomp: string;
  /** Indentation of the content; undefined when its first line shows it. */
  readonly indent: number | undefined;
}

interface Body {
  /** Without indentation; '' for a blank line. */
  readonly lines: string[];
  /** Offset after the last line. */
  readonly end: number;
}

/** The block scalar at the cursor; `parent` is the indentation of the collection around it, or -1. */
export function parseLiteral(reader: YamlReader, parent: number): YamlScalar | undefined {
  const start = reader.at;
  const header = parseHeader(reader, parent);
  const body = header === undefined ? undefined : readBody(reader, parent, header.indent);
  if (header === undefined || body === undefined) return undefined;
  let count = body.lines.length;
  while (count > 0 && body.lines[count - 1] === '') count -= 1;
  const lines = body.lines.slice(0, count);
  const known = header.indent !== undefined;
  if (isWhiteLine(lines.at(-1)) && (known || lines.every(isWhiteLine))) {
    const fix = 'delete the white space on its last lines, or use a quoted text';
    return fail(reader, start, { text: 'this block text ends with white space that parsers read differently', fix });
  }
  const breaksMatter = header.chomp === '+' ? body.lines.length > 0 : header.chomp === '' && count > 0;
  if (breaksMatter && reader.text.charAt(body.end - 1) !== '\n') {
    return fail(reader, start, {
      text: 'the file ends inside this text without a line break',
      fix: 'end the last line, or use |- or >-',
    });
  }
  let value = header.folded ? fold(lines) : lines.join('\n');
  if (header.chomp === '+') value += '\n'.repeat(body.lines.length - count + (count > 0 ? 1 : 0));
  else if (header.chomp === '' && count > 0) value += '\n';
  if (/[\u007F-\u0084\u0086-\u009F\uFEFF\uFFFE\uFFFF]/.test(value)) {
    return fail(reader, start, {
      text: 'this text contains a character that cannot be seen',
      fix: 'delete it, or quote the text',
    });
  }
  const node = scalar(reader, { start, end: body.end }, { value, style: header.folded ? 'folded' : 'literal' });
  openLine(reader, body.end);
  return node;
}

function isWhiteLine(line: string | undefined): boolean {
  return line !== undefined && skipWhite(line, 0) === line.length;
}

/** Leaves the cursor at the end of the header's line. */
function parseHeader(reader: YamlReader, parent: number): Header | undefined {
  const { text, at: start } = reader;
  const match = /^(?:([-+]?)([1-9]?)|([1-9])([-+]))$/.exec(headerWord(text, start + 1));
  const end = skipWhite(text, start + 1 + headerWord(text, start + 1).length);
  if (match === null || !isLineEnd(text, end)) {
    const fix = 'write | or >, then at most one of + and - and one digit 1 to 9, and the text on the next lines';
    return fail(reader, start, { text: 'the header of a block text is wrong', fix });
  }
  const digit = match[2] || match[3];
  if (digit && parent < 0) {
    return fail(reader, start, {
      text: 'an indentation indicator cannot stand at the top level',
      fix: 'use a quoted text',
    });
  }
  reader.at = end;
  return {
    folded: text.charAt(start) === '>',
    chomp: match[1] || match[4] || '',
    indent: digit ? parent + Number(digit) : undefined,
  };
}

/** The characters up to the next blank, three at most. */
function headerWord(text: string, from: number): string {
  let end = from;
  while (end < from + 3 && !isBlank(text.charAt(end))) end += 1;
  return text.slice(from, end);
}

function readBody(reader: YamlReader, parent: number, known: number | undefined): Body | undefined {
  const { text } = reader;
  const lines: string[] = [];
  let indent = known;
  let widest = 0;
  let line = nextLineStart(text, reader.at);
  while (line < text.length) {
    const content = skipSpaces(text, line);
    const first = skipWhite(text, content);
    const blank = isBreak(text.charAt(first));
    if (blank && first > content && (indent === undefined || content - line < indent)) {
      return failTab(reader, content);
    }
    if (!blank && first > content && content - line < (indent ?? parent + 1)) return failTab(reader, content);
    if (!blank && indent === undefined) {
      if (content - line <= parent) break;
      indent = content - line;
      if (widest > indent)
        return fail(reader, line, {
          text: 'a blank line above is indented more than this text',
          fix: 'delete its spaces',
        });
    }
    if (!blank && (content - line < (indent ?? 0) || (content === line && isMarker(text, line)))) break;
    if (blank && indent === undefined) widest = Math.max(widest, content - line);
    const end = lineEnd(text, content);
    // A blank line that is wider than the indentation is content: the spaces beyond it.
    lines.push(indent === undefined || content - line < indent ? '' : text.slice(line + indent, end));
    line = nextLineStart(text, end);
  }
  return { lines, end: line };
}

function lineEnd(text: string, from: number): number {
  const end = text.indexOf('\n', from);
  if (end === -1) return text.length;
  return text.charAt(end - 1) === '\r' ? end - 1 : end;
}

/** Folds lines: a break between two plain lines is a space, all others stay. @see YAML 1.2.2 §8.1.3 */
function fold(lines: readonly string[]): string {
  let value = '';
  let blankCount = 0;
  let previous: 'none' | 'text' | 'spaced' = 'none';
  for (const line of lines) {
    if (line === '') {
      blankCount += 1;
      continue;
    }
    const kind = line.startsWith(' ') || line.startsWith('\t') ? 'spaced' : 'text';
    if (previous === 'none') value += '\n'.repeat(blankCount);
    else if (previous === 'text' && kind === 'text') value += blankCount === 0 ? ' ' : '\n'.repeat(blankCount);
    else value += '\n'.repeat(blankCount + 1);
    value += line;
    previous = kind;
    blankCount = 0;
  }
  return value;
}
