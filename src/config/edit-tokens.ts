/**
 * Edits of the tokens of one user who may have several: one is added, replaced, or taken away by its label.
 *
 * As in `edit.ts`, everything else stays as it is written, and what cannot be edited safely is refused: a list stays a
 * list of lines or of one line, and one token becomes a list. Which text a token has is in `token-entry.ts`.
 */
import type { YamlMap, YamlNode, YamlPair } from '../text/yaml.ts';
import { findUser, replaceToken, userShape } from './edit.ts';
import {
  checked,
  endOf,
  findPair,
  insertLines,
  lineStart,
  nextLine,
  refusal,
  shapeOf,
  type Shape,
} from './edit-text.ts';
import { READERS } from './kinds.ts';
import { showName } from './problems.ts';
import { isNothing } from './reading.ts';
import { renderShape, renderToken, tokenShape, type TokenEntry } from './token-entry.ts';

/**
 * Gives a user one more token.
 *
 * @throws {ProxyError} CONFIG_INVALID when there is no such user, the label is taken, or the text cannot be edited safely
 */
export function addToken(text: string, name: string, entry: TokenEntry): string {
  const { pair } = findUser(text, name);
  const node = tokenOf(pair);
  if (node === undefined) return replaceToken(text, name, entry);
  const known = itemsOf(node);
  if (entry.label !== undefined && known.some((item) => labelOf(item) === entry.label)) {
    throw refusal(
      `${showName(name)} has a token with this label already: \`mcproxy token revoke ${name} --label LABEL\` removes it`,
    );
  }
  const shape = userShape(text, name, [...known.map(shapeOf), tokenShape(entry)]);
  return checked(insertToken(text, { node, user: pair }, entry), shape);
}

/**
 * Takes away the token with a label.
 *
 * @throws {ProxyError} CONFIG_INVALID when there is no such token, it is the only one, or the text cannot be edited safely
 */
export function removeToken(text: string, name: string, label: string): string {
  const { pair } = findUser(text, name);
  const node = tokenOf(pair);
  const items = node === undefined ? [] : itemsOf(node);
  const index = items.findIndex((item) => labelOf(item) === label);
  const item = items[index];
  if (node === undefined || item === undefined)
    throw refusal(`${showName(name)} has no token with this label: \`mcproxy token list\` shows those that are`);
  if (node.kind !== 'seq' || items.length === 1)
    throw refusal(`this is the only token of ${showName(name)}: \`mcproxy token revoke ${name}\` removes the user`);
  const rest = items.filter((other) => other !== item).map(shapeOf);
  const [from, to] = node.flow
    ? spanInList(items, index)
    : [lineStart(text, item.start), nextLine(text, endOf(item, item.end))];
  return checked(text.slice(0, from) + text.slice(to), userShape(text, name, rest));
}

/**
 * Puts a new digest in the place of one token, which keeps its label and terms.
 *
 * @param label which of several
 * @throws {ProxyError} CONFIG_INVALID when there is no such token or user, when it is not clear which, when it has
 *   expired, or when the text cannot be edited safely
 */
export function rotateToken(
  text: string,
  name: string,
  how: { digest: string; label?: string; nowMs: number },
): string {
  const { digest, label, nowMs } = how;
  const { pair } = findUser(text, name);
  const node = tokenOf(pair);
  const items = node === undefined ? [] : itemsOf(node);
  const item = label === undefined ? items[0] : items.find((one) => labelOf(one) === label);
  if (label === undefined && items.length > 1) {
    const labels = items.map((one) => labelOf(one) ?? 'one without a label').join(', ');
    throw refusal(
      `${showName(name)} has several tokens (${labels}): say which with --label, or --all to put one in the place of all`,
    );
  }
  if (item === undefined && label === undefined) return replaceToken(text, name, { digest });
  if (node === undefined || item === undefined)
    throw refusal(`${showName(name)} has no token with this label: \`mcproxy token list\` shows those that are`);
  const expires = fieldOf(item, 'expires');
  if (expires !== undefined && (READERS.end.read(expires) ?? Infinity) <= nowMs)
    throw refusal(`this token has expired (${expires}), so a new one would be of no use: change "expires" in the file`);
  const shape = item.kind === 'map' ? withDigest(item, digest) : digest;
  const all = node.kind === 'seq' ? items.map((one) => (one === item ? shape : shapeOf(one))) : shape;
  const plain = renderShape(digest, (pair.value as YamlMap).flow ? 'json' : 'yaml');
  return checked(putDigest(text, item, { digest, plain }), userShape(text, name, all));
}

/** A token in the file is written as what it is, or as its digest. */
function isDigestField(name: string): boolean {
  return name === 'sha256' || name === 'token';
}

function withDigest({ pairs }: YamlMap, digest: string): Shape {
  const own: readonly [string, Shape] = ['sha256', hexOf(digest)];
  return { map: pairs.map(({ name, value }) => (isDigestField(name) ? own : [name, shapeOf(value)])) };
}

function putDigest(text: string, item: YamlNode, { digest, plain }: { digest: string; plain: string }): string {
  if (item.kind !== 'map') return text.slice(0, item.start) + plain + text.slice(endOf(item, item.end));
  const pair = item.pairs.find(({ name }) => isDigestField(name));
  if (pair === undefined) throw refusal('the token has no "sha256": change it by hand');
  const key = item.flow ? '"sha256"' : 'sha256';
  return `${text.slice(0, pair.key.start)}${key}: "${hexOf(digest)}"${text.slice(endOf(pair.value, pair.key.end))}`;
}

function hexOf(digest: string): string {
  return digest.replace(/^sha256:/, '');
}

function tokenOf({ value }: YamlPair): YamlNode | undefined {
  const node = value.kind === 'map' ? findPair(value, 'token')?.value : undefined;
  return node === undefined || isNothing(node) ? undefined : node;
}

function itemsOf(node: YamlNode): readonly YamlNode[] {
  return node.kind === 'seq' ? node.items : [node];
}

function labelOf(node: YamlNode): string | undefined {
  return fieldOf(node, 'label');
}

function fieldOf(node: YamlNode, name: string): string | undefined {
  const value = node.kind === 'map' ? findPair(node, name)?.value : undefined;
  return value?.kind === 'scalar' && value.value !== null ? String(value.value) : undefined;
}

function insertToken(text: string, { node, user }: { node: YamlNode; user: YamlPair }, entry: TokenEntry): string {
  const style = (user.value as YamlMap).flow ? 'json' : 'yaml';
  const added = renderToken(entry, style);
  if (node.kind === 'seq' && !node.flow) {
    const first = node.items[0];
    const line = first === undefined ? '' : text.slice(lineStart(text, first.start), first.start);
    const indent = /^(\s*)- /.exec(line)?.[1];
    if (indent === undefined) throw refusal('the list of tokens is written in an unusual way: change it by hand');
    return insertLines(text, endOf(node, node.start), [`${indent}- ${added}`]);
  }
  if (node.kind === 'seq') {
    const last = node.items.at(-1);
    const at = last === undefined ? node.start + 1 : endOf(last, last.end);
    return `${text.slice(0, at)}${last === undefined ? '' : ', '}${added}${text.slice(at)}`;
  }
  const end = endOf(node, node.end);
  const written = text.slice(node.start, end);
  const isBlock = node.kind === 'map' && !node.flow;
  if (isBlock && written.includes('#')) throw refusal('there are comments in the token: change it by hand');
  const before = isBlock ? renderShape(shapeOf(node), style) : written;
  const from = isBlock ? text.lastIndexOf(':', lineStart(text, node.start)) + 1 : node.start;
  return `${text.slice(0, from)}${isBlock ? ' ' : ''}[${before}, ${added}]${text.slice(end)}`;
}

function spanInList(items: readonly YamlNode[], index: number): readonly [number, number] {
  const [before, item, after] = [items[index - 1], items[index], items[index + 1]];
  if (item === undefined) return [0, 0];
  if (before !== undefined) return [endOf(before, before.end), endOf(item, item.end)];
  return [item.start, after?.start ?? endOf(item, item.end)];
}
