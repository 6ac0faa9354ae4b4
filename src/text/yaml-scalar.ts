/**
 * YAML scalars that are not blocks: plain, 'single' and "double" quoted, and what a plain one means.
 *
 * The cursor enters on the first character and leaves right after the last one; a scalar may span lines, which are
 * folded as YAML says. Whoever calls decides what may follow. Where implementations of YAML disagree the text is
 * refused. `parent` is the indentation of the collection that holds the node: further lines must be indented more.
 * Source: YAML 1.2.2 §5.7 (escapes), §6.5 (folding), §7.3 (styles), §10.3.2 (core schema).
 */
import type { YamlScalar } from './yaml-node.ts';
import {
  fail,
  failMarker,
  failTab,
  foreignComment,
  isBlank,
  isBreak,
  isComment,
  isMarker,
  isWhite,
  locate,
} from './yaml-reader.ts';
import { nextLineStart, skipSpaces, skipWhite } from './yaml-reader.ts';
import type { YamlMessage, YamlReader } from './yaml-reader.ts';

export interface ScalarPlace {
  /** Indentation of the collection around the scalar. */
  readonly parent: number;
  /** Inside `{ }` or `[ ]`. */
  readonly flow: boolean;
}

/** Digits beyond this cannot be an exact double; it bounds the exact comparison below. */
const INTEGER_DIGITS_MAX = 310;

const ESCAPES: Readonly<Record<string, string>> = {
  '0': '\0',
  a: '\u0007',
  b: '\b',
  t: '\t',
  '\t': '\t',
  n: '\n',
  v: '\v',
  f: '\f',
  r: '\r',
  e: '\u001B',
  ' ': ' ',
  '"': '"',
  '/': '/',
  '\\': '\\',
  N: '\u0085',
  _: '\u00A0',
  L: '\u2028',
  P: '\u2029',
};
const HEX_ESCAPES: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 };

const FORBIDDEN: Readonly<Record<string, YamlMessage>> = {
  '&': {
    text: 'anchors (&) are not supported',
    fix: 'write the value out where it is used, or quote a text that begins with &',
  },
  '*': {
    text: 'aliases (*) are not supported',
    fix: 'write the value out, or quote a text that begins with *, as in "*"',
  },
  '!': { text: 'tags (!) are not supported', fix: 'delete the tag, or quote a text that begins with !' },
  '@': { text: 'a plain text cannot begin with @, which YAML reserves', fix: 'quote it' },
  '`': { text: 'a plain text cannot begin with a backtick, which YAML reserves', fix: 'quote it' },
  '%': { text: 'a plain text cannot begin with %; directives are not supported', fix: 'quote it' },
  '#': {
    text: 'a comment must be separated from what is before it',
    fix: 'put a space before the #, or quote the text',
  },
  ',': { text: 'a value is missing before this comma', fix: 'delete the comma, or quote a text that begins with one' },
  ']': { text: 'a closing bracket without its opening one', fix: 'delete it, or quote a text that begins with it' },
  '}': { text: 'a closing brace without its opening one', fix: 'delete it, or quote a text that begins with it' },
  '|': { text: 'a block text cannot stand inside { } or [ ]', fix: 'use a quoted text' },
  '>': { text: 'a block text cannot stand inside { } or [ ]', fix: 'use a quoted text' },
};

/** Makes a scalar that reaches from `start` to `end`. */
export function scalar(
  reader: YamlReader,
  span: { start: number; end: number },
  content: Pick<YamlScalar, 'value' | 'style'>,
): YamlScalar {
  return { kind: 'scalar', ...locate(reader, span.start), start: span.start, end: span.end, ...content };
}

/** The null that stands where nothing is written. */
export function absent(reader: YamlReader, at: number): YamlScalar {
  return scalar(reader, { start: at, end: at }, { value: null, style: 'plain' });
}

/** The plain or quoted scalar at the cursor. */
export function parseScalar(reader: YamlReader, place: ScalarPlace): YamlScalar | undefined {
  const character = reader.text.charAt(reader.at);
  if (character === '"') return parseDouble(reader, place);
  if (character === "'") return parseSingle(reader, place);
  return beginsPlain(reader, place.flow) ? parsePlain(reader, place) : undefined;
}

/** False, with a problem, when what stands at the cursor cannot begin a plain scalar. */
export function beginsPlain(reader: YamlReader, flow: boolean): boolean {
  const { text, at } = reader;
  const forbidden = FORBIDDEN[text.charAt(at)];
  if (forbidden !== undefined) return fail(reader, at, forbidden) ?? false;
  const next = text.charAt(at + 1);
  if (!'-?:'.includes(text.charAt(at)) || !(isBlank(next) || (flow && ',[]{}'.includes(next)))) return true;
  if (text.charAt(at) === '-') {
    fail(reader, at, {
      text: 'a list item cannot begin here',
      fix: 'begin the list on its own line, or quote the text',
    });
  } else if (text.charAt(at) === '?') {
    fail(reader, at, { text: 'complex keys (?) are not supported', fix: 'use a plain or quoted key' });
  } else {
    fail(reader, at, { text: 'a key is missing before this colon', fix: 'write the key, or quote the text' });
  }
  return false;
}

/** Where the plain text at `from` ends on its line, without trailing white space, and what stopped it. */
export function scanPlain(text: string, from: number, flow: boolean): { end: number; stop: number } {
  let end = from;
  for (let at = from; ; at += 1) {
    const character = text.charAt(at);
    if (isBreak(character)) return { end, stop: at };
    if (isWhite(character)) continue;
    if (character === '#' && at > from && isWhite(text.charAt(at - 1))) return { end, stop: at };
    if (flow && ',[]{}'.includes(character)) return { end, stop: at };
    if (character === ':') {
      const next = text.charAt(at + 1);
      if (isBlank(next) || (flow && ',[]{}'.includes(next))) return { end, stop: at };
    }
    end = at + 1;
  }
}

/** The meaning of a plain scalar in the core schema; undefined when it is a whole number that a double cannot hold. */
export function resolvePlain(text: string): string | number | boolean | null | undefined {
  if (/^(?:~|null|Null|NULL|)$/.test(text)) return null;
  if (/^(?:true|True|TRUE)$/.test(text)) return true;
  if (/^(?:false|False|FALSE)$/.test(text)) return false;
  if (/^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$/.test(text)) return exactInteger(text);
  if (/^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/.test(text)) return Number(text);
  if (/^[-+]?\.(?:inf|Inf|INF)$/.test(text)) return text.startsWith('-') ? -Infinity : Infinity;
  if (/^\.(?:nan|NaN|NAN)$/.test(text)) return NaN;
  return text;
}

function exactInteger(text: string): number | undefined {
  const value = Number(text);
  if (Number.isSafeInteger(value)) return value;
  if (text.length > INTEGER_DIGITS_MAX || !Number.isFinite(value)) return undefined;
  return BigInt(text) === BigInt(value) ? value : undefined;
}

function parsePlain(reader: YamlReader, place: ScalarPlace): YamlScalar | undefined {
  const { text, at: start } = reader;
  let { end, stop } = scanPlain(text, start, place.flow);
  let folded = text.slice(start, end);
  while (text.charAt(stop) !== '' && isBreak(text.charAt(stop))) {
    const next = continuePlain(text, stop, place);
    if (next === undefined) break;
    reader.at = next.at;
    const character = text.charAt(next.at);
    if (!place.flow && '-?'.includes(character) && isBlank(text.charAt(next.at + 1))) {
      const fix = 'put a list on its own lines below a key that has no other value, or quote the whole text';
      return fail(reader, next.at, { text: 'a list item or complex key continues a text', fix });
    }
    ({ end, stop } = scanPlain(text, next.at, place.flow));
    if (text.charAt(stop) === ':') {
      const comment = foreignComment(text, start);
      if (comment !== undefined) return fail(reader, start, comment);
      const fix = place.flow
        ? 'put a comma before the key, or quote the whole text'
        : 'indent this key like those above it, or quote the whole text';
      return fail(reader, next.at, { text: 'a key stands where the text of the line above continues', fix });
    }
    folded += (next.blankCount === 0 ? ' ' : '\n'.repeat(next.blankCount)) + text.slice(next.at, end);
  }
  reader.at = end;
  // YAML 1.2.2 §5.1 keeps these out of everything but quoted text.
  if (/[\u007F-\u0084\u0086-\u009F\uFEFF\uFFFE\uFFFF]/.test(folded)) {
    return fail(reader, start, {
      text: 'this text contains a character that cannot be seen',
      fix: 'delete it, or quote the text',
    });
  }
  const value = resolvePlain(folded);
  if (value !== undefined) return scalar(reader, { start, end }, { value, style: 'plain' });
  fail(reader, start, { text: 'this whole number is too large to be kept exactly', fix: 'quote it' });
  return absent(reader, start);
}

/** The next line of a plain scalar whose line ends at `stop`; undefined when it ends there. */
function continuePlain(text: string, stop: number, place: ScalarPlace): { at: number; blankCount: number } | undefined {
  let blankCount = -1;
  for (let line = nextLineStart(text, stop); line < text.length; line = nextLineStart(text, line)) {
    blankCount += 1;
    const content = skipSpaces(text, line);
    const at = skipWhite(text, content);
    const character = text.charAt(at);
    // Parsers in use differ about a blank line that begins with a tab.
    if (character === '' || (isBreak(character) && at > content && !place.flow)) return undefined;
    if (isBreak(character)) continue;
    if (content - line <= place.parent || character === '#' || (at === line && isMarker(text, at))) return undefined;
    if (at > content && !place.flow) return undefined;
    return place.flow && (',[]{}'.includes(character) || scanPlain(text, at, true).end === at)
      ? undefined
      : { at, blankCount };
  }
  return undefined;
}

function parseSingle(reader: YamlReader, place: ScalarPlace): YamlScalar | undefined {
  const { text, at: start } = reader;
  let value = '';
  let kept = start + 1;
  for (let at = kept; ; at += 1) {
    const character = text.charAt(at);
    if (character === "'" && text.charAt(at + 1) === "'") {
      value += text.slice(kept, at + 1);
      at += 1;
      kept = at + 1;
    } else if (character === "'") {
      reader.at = at + 1;
      return scalar(reader, { start, end: at + 1 }, { value: value + text.slice(kept, at), style: 'single' });
    } else if (isBreak(character)) {
      const next = continueQuoted(reader, at, { start, parent: place.parent });
      if (next === undefined) return undefined;
      value += trimEnd(text.slice(kept, at)) + (next.blankCount === 0 ? ' ' : '\n'.repeat(next.blankCount));
      kept = next.at;
      at = next.at - 1;
    }
  }
}

function parseDouble(reader: YamlReader, place: ScalarPlace): YamlScalar | undefined {
  const { text, at: start } = reader;
  let value = '';
  let kept = start + 1;
  for (let at = kept; ; at += 1) {
    const character = text.charAt(at);
    if (character === '"') {
      reader.at = at + 1;
      return scalar(reader, { start, end: at + 1 }, { value: value + text.slice(kept, at), style: 'double' });
    }
    if (character !== '\\' && !isBreak(character)) continue;
    value += character === '\\' ? text.slice(kept, at) : trimEnd(text.slice(kept, at));
    const next =
      character === '\\'
        ? parseEscape(reader, at, { start, parent: place.parent })
        : continueQuoted(reader, at, { start, parent: place.parent });
    if (next === undefined) return undefined;
    if ('content' in next) value += next.content;
    else value += next.blankCount === 0 ? ' ' : '\n'.repeat(next.blankCount);
    kept = next.at;
    at = next.at - 1;
  }
}

interface QuoteContext {
  /** Offset of the opening quote. */
  readonly start: number;
  readonly parent: number;
}

/** The escape at `at`: what it stands for, and where the text goes on. */
function parseEscape(
  reader: YamlReader,
  at: number,
  context: QuoteContext,
): { content: string; at: number } | undefined {
  const { text } = reader;
  const letter = text.charAt(at + 1);
  const plain = ESCAPES[letter];
  if (plain !== undefined) return { content: plain, at: at + 2 };
  const width = HEX_ESCAPES[letter];
  if (width !== undefined) {
    const digits = text.slice(at + 2, at + 2 + width);
    const point = digits.length === width && /^[0-9a-fA-F]+$/.test(digits) ? Number.parseInt(digits, 16) : Infinity;
    if (point <= 0x10_ff_ff) return { content: String.fromCodePoint(point), at: at + 2 + width };
    return fail(reader, at, {
      text: `an escape \\${letter} needs ${width} hexadecimal digits of a character`,
      fix: 'correct the digits',
    });
  }
  if (!isBreak(letter) || letter === '') {
    const fix = String.raw`write \\ for a backslash, or use 'single quotes'`;
    return fail(reader, at, { text: 'an unknown escape in a double-quoted text', fix });
  }
  const next = continueQuoted(reader, at + 1, context);
  // YAML 1.2.2 §7.3.1 keeps the blank lines here, parsers in use differ.
  if (next !== undefined && next.blankCount > 0) {
    return fail(reader, at, {
      text: 'a blank line follows an escaped line break',
      fix: String.raw`write \n for a line break`,
    });
  }
  return next === undefined ? undefined : { content: '', at: next.at };
}

/** Where a quoted scalar goes on after the break at `at`, and how many blank lines lie between. */
function continueQuoted(
  reader: YamlReader,
  from: number,
  context: QuoteContext,
): { at: number; blankCount: number } | undefined {
  const { text } = reader;
  let blankCount = -1;
  for (let line = nextLineStart(text, from); line < text.length; line = nextLineStart(text, line)) {
    blankCount += 1;
    const content = skipSpaces(text, line);
    const at = skipWhite(text, content);
    reader.at = at;
    if (at > content) return failTab(reader, content);
    if (text.charAt(at) !== '' && isBreak(text.charAt(at))) continue;
    if (at === line && isMarker(text, at)) return failMarker(reader, at);
    if (content - line > context.parent && text.charAt(at) !== '') return { at, blankCount };
    break;
  }
  // The cursor goes back, so that reading can resume on the line that is not indented enough.
  const fix = 'add the missing quote; the further lines of a quoted text must be indented more than its key';
  reader.at = context.start;
  return fail(reader, context.start, { text: 'a quoted text begins here and does not end', fix });
}

/** Without trailing white space; a loop, since a regular expression would be quadratic on long runs of it. */
function trimEnd(text: string): string {
  let end = text.length;
  while (end > 0 && isWhite(text.charAt(end - 1))) end -= 1;
  return text.slice(0, end);
}

/** The offset of the colon when an implicit key, all on one line, begins at the cursor. @see YAML 1.2.2 §7.4.2 */
export function findColon(reader: YamlReader): number | undefined {
  const { text, at } = reader;
  const quote = text.charAt(at);
  if ('{[|>'.includes(quote)) return undefined;
  let colon: number;
  if (quote === '"' || quote === "'") {
    const end = quotedEnd(text, at, quote);
    if (end === undefined) return undefined;
    colon = skipWhite(text, end);
  } else {
    colon = scanPlain(text, at, false).stop;
  }
  return text.charAt(colon) === ':' && isBlank(text.charAt(colon + 1)) ? colon : undefined;
}

/** The offset after the closing quote, if it is on the same line. */
function quotedEnd(text: string, start: number, quote: string): number | undefined {
  for (let at = start + 1; ; at += 1) {
    const character = text.charAt(at);
    if (isBreak(character)) return undefined;
    if (character === '\\' && quote === '"') {
      if (isBreak(text.charAt(at + 1))) return undefined;
      at += 1;
    } else if (character === quote && quote === "'" && text.charAt(at + 1) === "'") at += 1;
    else if (character === quote) return at + 1;
  }
}

/** Whether nothing but a comment follows `at` on its line. */
export function isLineEnd(text: string, at: number): boolean {
  return isBreak(text.charAt(at)) || isComment(text, at);
}
