/**
 * YAML flow collections, `{ }` and `[ ]`, and with them all of JSON.
 *
 * The cursor enters on the opening bracket and leaves right after the closing one. Every key in `{ }` needs a colon,
 * a pair in `[ ]` needs braces: what YAML would make of them otherwise is seldom what was meant. Lines inside must be
 * indented more than the key the collection belongs to, but the closing bracket may stand below that key.
 * Source: YAML 1.2.2 §7.4 (flow collections), RFC 8259 (JSON).
 */
import { addPair } from './yaml-key.ts';
import type { YamlMap, YamlNode, YamlPair, YamlScalar, YamlSeq } from './yaml-node.ts';
import { enter, fail, failMarker, failTab, foreignComment, isBlank, isBreak } from './yaml-reader.ts';
import { isComment, isMarker, locate } from './yaml-reader.ts';
import { nextLineStart, skipSpaces, skipWhite } from './yaml-reader.ts';
import type { YamlReader } from './yaml-reader.ts';
import { absent, parseScalar } from './yaml-scalar.ts';

/** The flow collection at the cursor; `parent` is the indentation of the block collection around it, or -1. */
export function parseFlow(reader: YamlReader, parent: number): YamlMap | YamlSeq | undefined {
  if (!enter(reader)) return undefined;
  const node = reader.text.charAt(reader.at) === '{' ? parseFlowMap(reader, parent) : parseFlowSeq(reader, parent);
  reader.depth -= 1;
  return node;
}

function parseFlowMap(reader: YamlReader, parent: number): YamlMap | undefined {
  const start = reader.at;
  const pairs: YamlPair[] = [];
  const lines = new Map<string, number>();
  reader.at += 1;
  for (;;) {
    if (!skipFlow(reader, { start, parent })) return undefined;
    if (reader.text.charAt(reader.at) === '}') break;
    const key = parseFlowKey(reader, parent);
    if (key === undefined) return undefined;
    const colon = reader.at - 1;
    if (!skipFlow(reader, { start, parent })) return undefined;
    const value = ',}'.includes(reader.text.charAt(reader.at))
      ? absent(reader, colon + 1)
      : parseFlowNode(reader, parent);
    if (value === undefined) return undefined;
    addPair(reader, { pairs, lines }, { key, value });
    if (!skipFlow(reader, { start, parent }) || !passComma(reader, '}')) return undefined;
  }
  reader.at += 1;
  return { kind: 'map', ...locate(reader, start), start, end: reader.at, pairs, flow: true };
}

function parseFlowSeq(reader: YamlReader, parent: number): YamlSeq | undefined {
  const start = reader.at;
  const items: YamlNode[] = [];
  reader.at += 1;
  for (;;) {
    if (!skipFlow(reader, { start, parent })) return undefined;
    if (reader.text.charAt(reader.at) === ']') break;
    const item = parseFlowNode(reader, parent);
    if (item === undefined) return undefined;
    items.push(item);
    if (!skipFlow(reader, { start, parent }) || !passComma(reader, ']')) return undefined;
  }
  reader.at += 1;
  return { kind: 'seq', ...locate(reader, start), start, end: reader.at, items, flow: true };
}

function parseFlowNode(reader: YamlReader, parent: number): YamlNode | undefined {
  const character = reader.text.charAt(reader.at);
  return character === '{' || character === '['
    ? parseFlow(reader, parent)
    : parseScalar(reader, { parent, flow: true });
}

/** The key at the cursor, which leaves after the colon. */
function parseFlowKey(reader: YamlReader, parent: number): YamlScalar | undefined {
  const { text, at: start } = reader;
  if (text.charAt(start) === '{' || text.charAt(start) === '[') {
    return fail(reader, start, { text: 'a map or list cannot be a key', fix: 'use a plain or quoted key' });
  }
  const key = parseScalar(reader, { parent, flow: true });
  if (key === undefined) return undefined;
  if (locate(reader, key.end).line !== key.line) {
    return fail(reader, start, {
      text: 'a key must stand on one line',
      fix: 'join its lines, or add the missing colon or comma',
    });
  }
  // JSON allows a line break before the colon; in YAML that holds for quoted keys only.
  if (key.style === 'plain') reader.at = skipWhite(text, reader.at);
  else if (!skipFlow(reader, { start, parent })) return undefined;
  if (text.charAt(reader.at) !== ':') {
    return fail(reader, reader.at, {
      text: 'a colon is expected after the key',
      fix: 'write `key: value`, with a space after the colon',
    });
  }
  reader.at += 1;
  const next = text.charAt(reader.at);
  if (key.style !== 'plain' || isBlank(next) || next === ',' || next === '}') return key;
  return fail(reader, reader.at, { text: 'a space is missing after the colon', fix: 'write `key: value`' });
}

/** After an item: passes a comma, or stays on the closing bracket. */
function passComma(reader: YamlReader, close: string): boolean {
  const character = reader.text.charAt(reader.at);
  if (character === ',') reader.at += 1;
  else if (character === ':') {
    fail(reader, reader.at, {
      text: 'a key cannot stand here',
      fix:
        close === '}'
          ? 'put a comma between two pairs; quote a text that contains ": "'
          : 'write a pair in [ ] as { key: value }; quote a text that contains ": "',
    });
    return false;
  } else if (character !== close) {
    const remark = foreignComment(reader.text, reader.at) ?? {
      text: `a comma or ${close} is expected here`,
      fix: 'add it, or quote the whole value before it',
    };
    fail(reader, reader.at, remark);
    return false;
  }
  return true;
}

/** Moves over white space, line breaks and comments inside a collection that began at `start`. */
function skipFlow(reader: YamlReader, context: { start: number; parent: number }): boolean {
  const { text } = reader;
  let at = skipWhite(text, reader.at);
  while (isBreak(text.charAt(at)) || isComment(text, at)) {
    const line = nextLineStart(text, at);
    if (line >= text.length) return failOpen(reader, context.start);
    const content = skipSpaces(text, line);
    at = skipWhite(text, content);
    const character = text.charAt(at);
    if (isBreak(character) || character === '#') continue;
    reader.at = at;
    if (at === line && isMarker(text, at)) return failMarker(reader, at) ?? false;
    const indent = content - line;
    if (
      indent > context.parent ||
      (indent === context.parent && at === content && (character === '}' || character === ']'))
    )
      continue;
    if (at > content) return failTab(reader, content) ?? false;
    const fix = 'indent it more than the key it belongs to, or add the missing closing bracket';
    reader.at = context.start;
    return fail(reader, at, { text: 'a line inside { } or [ ] is not indented enough', fix }) ?? false;
  }
  reader.at = at;
  return true;
}

function failOpen(reader: YamlReader, start: number): boolean {
  reader.at = start;
  const bracket = reader.text.charAt(start) === '{' ? '}' : ']';
  return fail(reader, start, { text: 'this bracket is not closed', fix: `add the missing ${bracket}` }) ?? false;
}
