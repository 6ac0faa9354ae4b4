/**
 * The YAML subset of the configuration files, JSON included: text in, nodes with positions or problems out.
 *
 * What it accepts means exactly what YAML 1.2 with the core schema says; what it does not support, or where parsers in
 * use differ, is a problem with line, column and a fix, never a guess. It never throws, reads in linear time within
 * `CONFIG_BYTES_MAX` and `CONFIG_DEPTH_MAX`, and no problem repeats a value, which may be a secret. Supported: block
 * and flow maps and lists, plain and quoted scalars, `|` and `>` texts, comments, `---` once. What a configuration
 * may contain is decided elsewhere. Source: YAML 1.2.2, RFC 8259.
 */
import { CONFIG_BYTES_MAX, PROBLEM_COUNT_MAX } from '../limits.ts';
import { parseBlock } from './yaml-block.ts';
import type { YamlDocument, YamlNode } from './yaml-node.ts';
import { fail, openLine, openReader } from './yaml-reader.ts';
import type { YamlReader } from './yaml-reader.ts';

export type { YamlDocument, YamlMap, YamlNode, YamlPair, YamlProblem, YamlScalar, YamlSeq } from './yaml-node.ts';

/** The document in `text`, or the problems that keep it from being one. */
export function parseYaml(text: string): YamlDocument {
  if (Buffer.byteLength(text) > CONFIG_BYTES_MAX) {
    const message = `the file is larger than ${CONFIG_BYTES_MAX} bytes`;
    return { root: undefined, problems: [{ line: 1, column: 1, text: message, fix: 'make it smaller' }] };
  }
  const reader = openReader(text);
  checkCharacters(reader);
  if (reader.problems.length > 0) return { root: undefined, problems: reader.problems };
  openLine(reader, reader.at);
  let root: YamlNode | undefined;
  if (reader.indent >= 0) {
    root = parseBlock(reader, -1);
    if (root !== undefined && reader.indent >= 0) {
      const fix = 'indent it like the first line, or delete it';
      fail(reader, reader.at, { text: 'this line does not belong to the document above it', fix });
    }
  }
  // A repeated key is found after the problems of its value.
  const problems = reader.problems.toSorted((a, b) => a.line - b.line || a.column - b.column);
  return { root: problems.length === 0 ? root : undefined, problems };
}

/** The plain value of a node: objects, arrays, scalars; null for an empty document. */
export function yamlToValue(node: YamlNode | undefined): unknown {
  if (node === undefined) return null;
  if (node.kind === 'scalar') return node.value;
  if (node.kind === 'seq') return node.items.map(yamlToValue);
  const value: Record<string, unknown> = {};
  for (const pair of node.pairs) {
    // An assignment to `__proto__` would set the prototype instead of a property.
    const descriptor = { value: yamlToValue(pair.value), configurable: true, enumerable: true, writable: true };
    Object.defineProperty(value, pair.name, descriptor);
  }
  return value;
}

/** YAML 1.2.2 §5.1: no control characters; a carriage return only as part of a line break. */
function checkCharacters(reader: YamlReader): void {
  // oxlint-disable-next-line no-control-regex -- control characters are what it looks for
  const forbidden = /[\u0000-\u0008\u000B\u000C\u000E-\u001F]|\r(?!\n)/g;
  for (const match of reader.text.matchAll(forbidden)) {
    if (reader.problems.length >= PROBLEM_COUNT_MAX) return;
    const fix = String.raw`delete it, or write it as an escape such as \u0000 in double quotes`;
    if (match[0] === '\r') {
      fail(reader, match.index, { text: 'a carriage return stands alone', fix: 'end lines with a line feed' });
    } else {
      fail(reader, match.index, { text: 'a control character cannot stand in a file', fix });
    }
  }
}
