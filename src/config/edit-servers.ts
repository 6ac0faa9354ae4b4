/**
 * Adding a shared server to the text of mcproxy.yml and removing one; comments, order and spelling of everything else stay.
 *
 * The entry goes after those that are there, in block style, in `{ }` style and in JSON alike; a name that any spelling
 * of the file defines already is never touched. The result is parsed again and compared with what was meant, as for
 * the users (`edit.ts`). Whether the server can be used is decided by `parse.ts`; writing the file belongs to `app`.
 */
import { findNearest } from '../text/nearest.ts';
import { parseYaml, type YamlMap, type YamlNode, type YamlPair } from '../text/yaml.ts';
import {
  checked,
  cutPair,
  findPair,
  endOf,
  indentOf,
  insertInFlow,
  insertLines,
  pairsOf,
  quoteIfNeeded,
  refusal,
  STEP,
  type Shape,
} from './edit-text.ts';
import { showName } from './problems.ts';
import { isNothing } from './reading.ts';
import { isServerName, toServerName } from './server-name.ts';

/** A value of an entry as it is written: no positions, no comments. */
export type Plain =
  | string
  | number
  | boolean
  | readonly string[]
  | Readonly<Record<string, string | readonly string[]>>;

export interface NewServer {
  readonly name: string;
  /** In the order in which they are written. */
  readonly fields: Readonly<Record<string, Plain>>;
}

/**
 * Adds a server after those that are there.
 *
 * @throws {ProxyError} CONFIG_INVALID when the name is none or taken, or the text cannot be edited safely
 */
export function addServer(text: string, server: NewServer): string {
  if (!isServerName(server.name)) throw refusal(`${showName(server.name)} cannot be the name of a server`);
  if (listServerNames(text).includes(server.name)) {
    throw refusal(`the server ${showName(server.name)} is defined in the file already`);
  }
  const root = openRoot(text);
  const servers = root === undefined ? undefined : findPair(root, 'servers');
  const before = root === undefined ? [] : pairsOf(root);
  const others = servers?.value.kind === 'map' ? pairsOf(servers.value) : [];
  const block: Shape = { map: [...others, [server.name, shapeOfFields(server)]] };
  const after = before.map(([name, value]) => [name, name === 'servers' ? block : value] as const);
  if (servers === undefined) after.push(['servers', block]);
  return checked(insert(text, { root, servers }, server), { map: after });
}

/**
 * Removes a server from the map `servers`.
 *
 * @throws {ProxyError} CONFIG_INVALID when it is not there, or the text cannot be edited safely
 */
export function removeServer(text: string, name: string): string {
  const root = openRoot(text);
  const servers = root === undefined ? undefined : findPair(root, 'servers')?.value;
  const pair = servers?.kind === 'map' ? findPair(servers, name) : undefined;
  if (root === undefined || servers?.kind !== 'map' || pair === undefined) {
    const isElsewhere = listServerNames(text).includes(name);
    const nearest = findNearest(name, listServerNames(text));
    const hint = isElsewhere
      ? 'it is defined in another way than under "servers:", so remove it by hand'
      : nearest === undefined
        ? '`mcproxy status` shows those that are'
        : `did you mean ${showName(nearest)}?`;
    throw refusal(`there is no server ${showName(name)} under "servers:" of the file: ${hint}`);
  }
  const rest = pairsOf(servers).filter(([other]) => other !== name);
  const left: Shape = rest.length === 0 && !servers.flow ? null : { map: rest };
  return checked(cutPair(text, servers, pair), {
    map: pairsOf(root).map(([key, value]) => [key, key === 'servers' ? left : value]),
  });
}

/**
 * The names of the servers that the text defines, in any spelling.
 *
 * @throws {ProxyError} CONFIG_INVALID when the text has problems
 */
export function listServerNames(text: string): string[] {
  const root = openRoot(text);
  if (root === undefined) return [];
  const mcp = findPair(root, 'mcp')?.value;
  const blocks = [
    ...['servers', 'mcpServers', 'destinations'].map((name) => findPair(root, name)?.value),
    mcp?.kind === 'map' ? findPair(mcp, 'servers')?.value : undefined,
  ];
  return blocks.flatMap(namesIn).map((name) => toServerName(name) ?? name);
}

/** The entry as it would stand in a file that has no other. */
export function printServer(server: NewServer): string {
  return blockServer(server, '')
    .map((line) => `${line}\n`)
    .join('');
}

function openRoot(text: string): YamlMap | undefined {
  const { root, problems } = parseYaml(text);
  const [problem] = problems;
  if (problem !== undefined) {
    throw refusal(
      `the file cannot be edited before it is correct: line ${problem.line}, column ${problem.column}: ${problem.text}`,
    );
  }
  if (root === undefined || isNothing(root)) return undefined;
  if (root.kind !== 'map') throw refusal('the file does not hold a map with settings');
  return root;
}

function namesIn(block: YamlNode | undefined): string[] {
  if (block?.kind === 'map') return block.pairs.map((pair) => pair.name);
  const items = block?.kind === 'seq' ? block.items : [];
  return items.flatMap((item) => {
    const name = item.kind === 'map' ? findPair(item, 'name')?.value : undefined;
    return name?.kind === 'scalar' ? [String(name.value).trim()] : [];
  });
}

function insert(
  text: string,
  place: { root: YamlMap | undefined; servers: YamlPair | undefined },
  server: NewServer,
): string {
  const { root, servers } = place;
  if (servers === undefined) {
    if (root?.flow === true) return insertInFlow(text, root, `"servers": {${flowServer(server)}}`);
    const indent = indentOf(root);
    return insertLines(text, text.length, [`${indent}servers:`, ...blockServer(server, indent + STEP)]);
  }
  const { value, key } = servers;
  if (value.kind === 'map') {
    if (value.flow) return insertInFlow(text, value, flowServer(server));
    return insertLines(text, endOf(value, key.end), blockServer(server, indentOf(value)));
  }
  if (!isNothing(value) || root?.flow === true) {
    throw refusal('"servers" is not a map, so no server can be added: write it as a map from name to server');
  }
  // `servers: null` and `servers: ~` must lose their value, or the lines below would not belong to them.
  const bare = text.slice(0, value.start) + text.slice(value.end);
  return insertLines(bare, key.end, blockServer(server, indentOf(root) + STEP));
}

function blockServer(server: NewServer, indent: string): string[] {
  const inner = indent + STEP;
  const lines = Object.entries(server.fields).flatMap(([name, value]) => {
    const key = `${inner}${quoteIfNeeded(name)}:`;
    if (typeof value !== 'object') return [`${key} ${inlineOf(value)}`];
    if (isList(value)) return [`${key} ${inlineOf(value)}`];
    const pairs = Object.entries(value);
    if (pairs.length === 0) return [`${key} {}`];
    return [key, ...pairs.map(([one, item]) => `${inner}${STEP}${quoteIfNeeded(one)}: ${inlineOf(item)}`)];
  });
  return [`${indent}${quoteIfNeeded(server.name)}:`, ...lines];
}

function inlineOf(value: string | number | boolean | readonly string[]): string {
  if (typeof value === 'string') return quoteIfNeeded(value);
  return typeof value === 'object' ? `[${value.map(quoteIfNeeded).join(', ')}]` : String(value);
}

function flowServer(server: NewServer): string {
  return `${JSON.stringify(server.name)}: ${JSON.stringify(server.fields)}`;
}

function shapeOfFields(server: NewServer): Shape {
  return { map: Object.entries(server.fields).map(([name, value]) => [name, shapeOfPlain(value)] as const) };
}

function shapeOfPlain(value: Plain): Shape {
  return typeof value === 'object' && !isList(value) ? { map: Object.entries(value) } : value;
}

function isList(value: Plain): value is readonly string[] {
  return Array.isArray(value);
}
