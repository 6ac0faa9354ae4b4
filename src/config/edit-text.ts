/**
 * Cutting and pasting in the text of a file by the positions of its parsed nodes, for the edits of this room.
 *
 * Everything that is not named stays as it is: comments, order, line ends. An offset points into the text that was
 * parsed. `checked` parses a result again, so that an edit that would mean something else is refused, never written.
 * What an edit is to do is decided in `edit.ts` and `edit-servers.ts`; writing the file belongs to `app`.
 */
import { ProxyError } from '../errors.ts';
import { parseYaml, type YamlMap, type YamlNode, type YamlPair } from '../text/yaml.ts';

/** A value without positions, for comparing; maps keep their order. */
export type Shape =
  | string
  | number
  | boolean
  | null
  | readonly Shape[]
  | { readonly map: readonly (readonly [string, Shape])[] };

/** One level of indentation in what is added. */
export const STEP = '  ';
const PLAIN = /^[A-Za-z_][\w.@-]*$/;
const NOT_TEXT = /^(?:null|true|false)$/i;

/** Adds whole lines after the line of `offset`. */
export function insertLines(text: string, offset: number, lines: readonly string[]): string {
  const at = nextLine(text, offset);
  const head = text.slice(0, at);
  const end = newline(text);
  return `${head}${head === '' || head.endsWith('\n') ? '' : end}${lines.map((line) => line + end).join('')}${text.slice(at)}`;
}

/** Adds an entry at the end of `{ }`, on a line of its own where the one before has one. */
export function insertInFlow(text: string, map: YamlMap, entry: string): string {
  const last = map.pairs.at(-1);
  if (last === undefined) return `${text.slice(0, map.start + 1)}${entry}${text.slice(map.start + 1)}`;
  const indent = text.slice(lineStart(text, last.key.start), last.key.start);
  const at = endOf(last.value, last.key.end);
  return `${text.slice(0, at)},${indent.trim() === '' ? newline(text) + indent : ' '}${entry}${text.slice(at)}`;
}

/** The text without an entry of a map: its lines, or in `{ }` the comma that belongs to it as well. */
export function cutPair(text: string, map: YamlMap, pair: YamlPair): string {
  const [from, to] = map.flow
    ? spanInFlow(text, map, pair)
    : [lineStart(text, pair.key.start), nextLine(text, endOf(pair.value, pair.key.end))];
  return text.slice(0, from) + text.slice(to);
}

/** What has to go with an entry of `{ }` so that no comma is left over, which JSON would not allow. */
function spanInFlow(text: string, map: YamlMap, pair: YamlPair): readonly [from: number, to: number] {
  const index = map.pairs.indexOf(pair);
  const before = map.pairs[index - 1];
  const after = map.pairs[index + 1];
  const end = endOf(pair.value, pair.key.end);
  if (before !== undefined) return [endOf(before.value, before.key.end), end];
  if (after !== undefined) return [pair.key.start, after.key.start];
  const comma = /^\s*,/.exec(text.slice(end))?.[0] ?? '';
  return [pair.key.start, end + comma.length];
}

/** `text` if it means what was intended. */
export function checked(text: string, intended: Shape): string {
  const { root, problems } = parseYaml(text);
  if (problems.length === 0 && root !== undefined && JSON.stringify(shapeOf(root)) === JSON.stringify(intended))
    return text;
  throw refusal('the file is written in a way that cannot be edited safely: change it by hand');
}

export function shapeOf(node: YamlNode): Shape {
  if (node.kind === 'scalar') return node.value;
  return node.kind === 'seq' ? node.items.map(shapeOf) : { map: pairsOf(node) };
}

export function pairsOf(map: YamlMap): (readonly [string, Shape])[] {
  return map.pairs.map(({ name, value }) => [name, shapeOf(value)] as const);
}

export function findPair(map: YamlMap, name: string): YamlPair | undefined {
  return map.pairs.find((pair) => pair.name === name);
}

/** Where the last visible character of a node ends; `least` for one that is not written. */
export function endOf(node: YamlNode, least: number): number {
  if (node.kind === 'scalar' || node.flow) return Math.max(node.end, least);
  const last = node.kind === 'map' ? node.pairs.at(-1)?.value : node.items.at(-1);
  const key = node.kind === 'map' ? node.pairs.at(-1)?.key.end : undefined;
  return last === undefined ? least : endOf(last, Math.max(least, key ?? least));
}

export function indentOf(map: YamlMap | undefined): string {
  return ' '.repeat((map?.pairs[0]?.key.column ?? 1) - 1);
}

export function lineStart(text: string, offset: number): number {
  return text.lastIndexOf('\n', offset - 1) + 1;
}

/** The start of the line after the one on which the text before `offset` ends. */
export function nextLine(text: string, offset: number): number {
  const visible = text.slice(0, offset).trimEnd().length;
  const end = text.indexOf('\n', offset === text.length ? offset : visible);
  return end === -1 ? text.length : end + 1;
}

export function newline(text: string): string {
  return text.includes('\r\n') ? '\r\n' : '\n';
}

export function quoteIfNeeded(word: string): string {
  return PLAIN.test(word) && !NOT_TEXT.test(word) ? word : JSON.stringify(word);
}

export function refusal(text: string): ProxyError {
  return new ProxyError('CONFIG_INVALID', text);
}
