/**
 * YAML block collections: maps of `key: value` lines, lists of `- item` lines, and which node begins where.
 *
 * Indentation is the structure. Every function enters with the cursor on the first character of its node and leaves
 * with it on the first content of a later line. A problem inside an entry ends that entry only: reading goes on with
 * the next line that is not indented more than the collection, so that one run reports most problems.
 * Source: YAML 1.2.2 §8.2 (block collections), §7.4.2 (implicit keys).
 */
import { parseFlow } from './yaml-flow.ts';
import { addPair } from './yaml-key.ts';
import type { OpenMap } from './yaml-key.ts';
import { parseLiteral } from './yaml-literal.ts';
import type { YamlMap, YamlNode, YamlPair, YamlSeq } from './yaml-node.ts';
import {
  enter,
  fail,
  failTab,
  finishLine,
  foreignComment,
  isBlank,
  locate,
  recover,
  skipSpaces,
  skipWhite,
} from './yaml-reader.ts';
import type { YamlReader } from './yaml-reader.ts';
import { absent, beginsPlain, findColon, isLineEnd, parseScalar } from './yaml-scalar.ts';

/** Longest implicit key, quotes included. @see YAML 1.2.2 §7.4.2 */
const KEY_CHARS_MAX = 1024;

/** The node at the cursor, which may be a block collection; `parent` is the indentation of the one around it, or -1. */
export function parseBlock(reader: YamlReader, parent: number): YamlNode | undefined {
  const column = reader.at - reader.lineStart;
  if (isItem(reader)) return parseBlockSeq(reader, column);
  if (findColon(reader) !== undefined) return parseBlockMap(reader, column);
  return parseInline(reader, parent);
}

/** The node at the cursor, which is not a block collection. */
function parseInline(reader: YamlReader, parent: number): YamlNode | undefined {
  const character = reader.text.charAt(reader.at);
  if (character === '|' || character === '>') return parseLiteral(reader, parent);
  const isFlow = character === '{' || character === '[';
  const node = isFlow ? parseFlow(reader, parent) : parseScalar(reader, { parent, flow: false });
  if (node === undefined) return undefined;
  if (isFlow && reader.text.charAt(skipWhite(reader.text, reader.at)) === ':') {
    return fail(reader, node.start, { text: 'a map or list cannot be a key', fix: 'use a plain or quoted key' });
  }
  return finishLine(reader) ? node : undefined;
}

function parseBlockMap(reader: YamlReader, column: number): YamlMap | undefined {
  if (!enter(reader)) return undefined;
  const start = reader.at;
  const pairs: YamlPair[] = [];
  const map = { pairs, lines: new Map<string, number>() };
  do {
    if (!parsePair(reader, column, map)) recover(reader, column);
    expectNotDeeper(reader, column);
  } while (reader.indent === column);
  reader.depth -= 1;
  return { kind: 'map', ...locate(reader, start), start, end: pairs.at(-1)?.value.end ?? start, pairs, flow: false };
}

function parsePair(reader: YamlReader, column: number, map: OpenMap): boolean {
  const start = reader.at;
  const colon = findColon(reader);
  if (colon === undefined || !'\'"'.includes(reader.text.charAt(start))) {
    if (!beginsKey(reader)) return false;
  }
  if (colon === undefined) {
    const fix = 'write `key: value`, with a space after the colon, or indent the line to continue the value above';
    fail(reader, start, foreignComment(reader.text, start) ?? { text: 'a key with a colon is expected here', fix });
    return false;
  }
  if (colon - start > KEY_CHARS_MAX) {
    fail(reader, start, {
      text: `a key is longer than ${KEY_CHARS_MAX} characters`,
      fix: 'shorten it, or quote the text',
    });
    return false;
  }
  const key = parseScalar(reader, { parent: column, flow: false });
  if (key === undefined) return false;
  reader.at = colon + 1;
  const value = parseValue(reader, column);
  if (value !== undefined) addPair(reader, map, { key, value });
  return value !== undefined;
}

/** False, with a problem, when the line at the cursor cannot begin with a key. */
function beginsKey(reader: YamlReader): boolean {
  const character = reader.text.charAt(reader.at);
  if (character === '{' || character === '[') {
    fail(reader, reader.at, { text: 'a map or list cannot be a key', fix: 'use a plain or quoted key' });
    return false;
  }
  if (!isItem(reader)) return '\'"|>'.includes(character) || beginsPlain(reader, false);
  const fix = 'indent the list below the key it belongs to';
  fail(reader, reader.at, { text: 'a list item stands between the keys of a map', fix });
  return false;
}

/** The value after a colon: on the same line, on the lines below, or absent. */
function parseValue(reader: YamlReader, column: number): YamlNode | undefined {
  const after = reader.at;
  reader.at = skipWhite(reader.text, after);
  if (!isLineEnd(reader.text, reader.at)) return parseInline(reader, column);
  finishLine(reader);
  if (reader.indent > column) return parseBlock(reader, column);
  // A list may stand as far left as the key it belongs to.
  if (reader.indent === column && isItem(reader)) return parseBlockSeq(reader, column);
  return absent(reader, after);
}

function parseBlockSeq(reader: YamlReader, column: number): YamlSeq | undefined {
  if (!enter(reader)) return undefined;
  const start = reader.at;
  const items: YamlNode[] = [];
  do {
    const item = parseItem(reader, column);
    if (item === undefined) recover(reader, column);
    else items.push(item);
    expectNotDeeper(reader, column);
  } while (reader.indent === column && isItem(reader));
  reader.depth -= 1;
  return { kind: 'seq', ...locate(reader, start), start, end: items.at(-1)?.end ?? start, items, flow: false };
}

function parseItem(reader: YamlReader, column: number): YamlNode | undefined {
  const after = reader.at + 1;
  const first = skipWhite(reader.text, after);
  if (isLineEnd(reader.text, first)) {
    reader.at = first;
    finishLine(reader);
    return reader.indent > column ? parseBlock(reader, column) : absent(reader, after);
  }
  reader.at = skipSpaces(reader.text, after);
  return first > reader.at ? failTab(reader, reader.at) : parseBlock(reader, column);
}

/** After an entry: the next line is one more entry or belongs further out. */
function expectNotDeeper(reader: YamlReader, column: number): void {
  if (reader.indent <= column) return;
  const fix = 'indent it like the line it belongs to; a value is either on the line of its key or below it';
  fail(reader, reader.at, { text: 'this line is indented unlike anything above it', fix });
  recover(reader, column);
}

function isItem(reader: YamlReader): boolean {
  return reader.text.charAt(reader.at) === '-' && isBlank(reader.text.charAt(reader.at + 1));
}
