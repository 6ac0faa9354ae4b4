/**
 * The spellings of the field: files of other programs, brought to the one form that the rest of the room reads.
 *
 * Understood besides our own: `mcpServers` (Claude Desktop, Cursor and many others), `mcp: {servers}`, `destinations`,
 * `servers` as a list with names, `{proxy, servers, features}`; in the place of tokens.yml a map from variable to value
 * and a map from key to `{client_id}`, or from client to `{allowed_tools}`. What such a file says beyond that is ignored with a warning, never with an error,
 * because it is right where it comes from; and a server name that we cannot use is changed there, not refused.
 */
import type { YamlMap, YamlNode } from '../text/yaml.ts';
import { decodeMap, type Values } from './decode.ts';
import type { Address } from './kinds.ts';
import { shownName, showName, type Place } from './problems.ts';
import { isNothing, readText, type Reading } from './reading.ts';
import { AUTH, SERVER, SETTINGS, type Table } from './schema.ts';
import { TOOL_LIMIT } from './schema-limits.ts';
import { TOKEN, USER } from './schema-users.ts';
import { isServerName, reportServerName, toServerName } from './server-name.ts';

export interface ServerEntry {
  readonly reading: Reading;
  readonly name: string;
  readonly at: Place;
  readonly node: YamlNode;
  readonly foreign: boolean;
}

export interface ConfigFile {
  readonly settings: Values<typeof SETTINGS>;
  readonly servers: readonly ServerEntry[];
  readonly users: YamlNode | undefined;
}

/** What a file in the place of tokens.yml holds. */
export type TokensForm = 'users' | 'variables' | 'api-keys' | 'whitelist';

const BLOCK = { kind: 'node', default: 'none', when: '' } as const;
const FOREIGN = { mcpServers: BLOCK, destinations: BLOCK, mcp: BLOCK, proxy: BLOCK, features: BLOCK } as const;
const FEATURES = {
  authentication: 'users come in with their tokens; "auth: none" lets everybody in',
  rate_limiting: 'write "limits: { rate: 60/min }", which counts for each user',
  monitoring: '`mcproxy status` and the access log are always there',
} as const;
const PROXY = {
  host: { kind: 'bind', default: 'none', when: '' },
  port: { kind: 'count', max: 65_535, default: 'none', when: '' },
  log_level: SETTINGS['log.level'],
} as const satisfies Table;

/** Every key that has a meaning somewhere; safe to show. */
export const KNOWN_KEYS: ReadonlySet<string> = new Set(
  [SETTINGS, SERVER, AUTH, USER, TOKEN, TOOL_LIMIT, FOREIGN, PROXY].flatMap((table: Table) =>
    Object.entries(table).flatMap(([name, field]) => [...name.split('.'), ...(field.also ?? [])]),
  ),
);

/** Reads a configuration file in any spelling. */
export function readConfigFile(reading: Reading, root: YamlNode): ConfigFile {
  const fields = decodeMap({ reading, node: root }, { ...SETTINGS, ...FOREIGN }, { foreign: isForeign(root) });
  const { servers, users, mcpServers, destinations, mcp, proxy, features, ...rest } = fields;
  const inner =
    mcp === undefined
      ? undefined
      : decodeMap({ reading, node: mcp.value }, { servers: BLOCK }, { foreign: true }).servers;
  if (features !== undefined) decodeMap({ reading, node: features.value }, {}, { foreign: true, instead: FEATURES });
  const entries = [
    ...readEntries(reading, servers?.value, false),
    ...[mcpServers, destinations, inner].flatMap((block) => readEntries(reading, block?.value, true)),
  ];
  const said: Record<string, unknown> = {};
  for (const [name, found] of Object.entries(rest)) said[name] = found.value;
  // `rest` holds exactly the settings that are values.
  const settings = {
    ...(proxy === undefined ? {} : readProxy(reading, proxy.value)),
    ...(said as Values<typeof SETTINGS>),
  };
  return { settings, servers: entries, users: users?.value };
}

/** Tells what the root of a file in the place of tokens.yml holds. */
export function classifyTokens(root: YamlNode): TokensForm {
  if (root.kind !== 'map' || root.pairs.length === 0) return 'users';
  const isVariable = root.pairs.every(({ name, value }) => value.kind === 'scalar' && /^[A-Z][A-Z0-9_]*$/.test(name));
  if (isVariable) return 'variables';
  const allHave = (name: string): boolean =>
    root.pairs.every(({ value }) => value.kind === 'map' && value.pairs.some((pair) => pair.name === name));
  if (allHave('client_id')) return 'api-keys';
  return allHave('allowed_tools') ? 'whitelist' : 'users';
}

/** The `users` and `roles` of a tokens file of our own form. */
export function readTokensFile(
  reading: Reading,
  root: YamlNode,
): { readonly users: YamlNode | undefined; readonly roles: YamlNode | undefined } {
  if (root.kind !== 'map') {
    if (!isNothing(root))
      reading.problems.error(root, { text: 'a map is expected here', fix: 'write users: and under it each user' });
    return { users: undefined, roles: undefined };
  }
  for (const pair of root.pairs) {
    if (pair.name === 'users' || pair.name === 'roles') continue;
    const isSetting = KNOWN_KEYS.has(pair.name);
    const fix = isSetting
      ? 'write it in mcproxy.yml'
      : 'write users: in the first line and the users under it, indented';
    reading.problems.error(pair.key, {
      text: `${showName(pair.name)} does not belong in this file, which holds "users" and "roles"`,
      fix,
    });
  }
  const find = (name: string): YamlNode | undefined => root.pairs.find((pair) => pair.name === name)?.value;
  return { users: find('users'), roles: find('roles') };
}

function isForeign(root: YamlNode): boolean {
  if (root.kind !== 'map') return false;
  return root.pairs.some(
    ({ name, value }) => Object.hasOwn(FOREIGN, name) || (name === 'servers' && value.kind === 'seq'),
  );
}

function readProxy(reading: Reading, node: YamlNode): Values<typeof SETTINGS> {
  const { host, port, log_level: level } = decodeMap({ reading, node }, PROXY, { foreign: true });
  const listen: Address = { host: host?.value, port: port?.value };
  return {
    ...(host === undefined && port === undefined ? {} : { listen }),
    ...(level === undefined ? {} : { 'log.level': level.value }),
  };
}

function readEntries(reading: Reading, node: YamlNode | undefined, foreign: boolean): ServerEntry[] {
  if (node === undefined || isNothing(node)) return [];
  if (node.kind === 'seq') return node.items.flatMap((item) => readListed(reading, item) ?? []);
  if (node.kind === 'scalar') {
    reading.problems.error(node, {
      text: 'servers must be a map',
      fix: 'write each server as NAME: with "url" or "command" under it',
    });
    return [];
  }
  return node.pairs.flatMap(
    ({ name, key, value }) => nameEntry({ reading, name, at: key, node: value, foreign }) ?? [],
  );
}

/** An item of a list names its server itself. */
function readListed(reading: Reading, item: YamlNode): ServerEntry | undefined {
  const pair = item.kind === 'map' ? item.pairs.find(({ name }) => name === 'name') : undefined;
  const name = pair === undefined ? undefined : readText(reading, pair.value, 'open');
  if (item.kind !== 'map' || pair === undefined || name === undefined) {
    reading.problems.error(item, {
      text: 'a server in a list must be a map with a "name"',
      fix: 'write - name: NAME and its options below',
    });
    return undefined;
  }
  const node: YamlMap = { ...item, pairs: item.pairs.filter((one) => one !== pair) };
  return nameEntry({ reading, name: name.trim(), at: pair.value, node, foreign: true });
}

function nameEntry(entry: ServerEntry): ServerEntry | undefined {
  if (isServerName(entry.name)) return entry;
  const usable = entry.foreign ? toServerName(entry.name) : undefined;
  if (usable === undefined) {
    reportServerName(entry.reading.problems, entry.at, entry.name);
    return undefined;
  }
  entry.reading.problems.warning(entry.at, {
    text: `${showName(entry.name)} cannot be part of a URL; the server is called "${usable}" here`,
    fix: 'rename it to get rid of this warning',
    shown: shownName(entry.name),
  });
  return { ...entry, name: usable };
}
