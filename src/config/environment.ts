/**
 * Settings from the environment, and the one table of the variables that are read.
 *
 * Every setting of the schema that is one value has a variable: `log.file` is MCPROXY_LOG_FILE, a list is written with
 * commas. Then the names that people's deployments already use. The order, weakest first: files, the MCP_ names,
 * MCPROXY_ names, command line. An empty variable counts as not set, as Compose files pass it.
 */
import type { ApiKey } from './api-keys.ts';
import type { Address } from './kinds.ts';
import { READERS } from './kinds.ts';
import { decodeText, expectation, type Values } from './decode.ts';
import { isPlainName, type FileProblems } from './problems.ts';
import type { SecretList } from './reading.ts';
import { SETTINGS, type Field } from './schema.ts';
import { isUserName } from './users.ts';

export type Settings = Values<typeof SETTINGS>;

export interface EnvironmentRow {
  readonly name: string;
  /** A sentence for the README. */
  readonly meaning: string;
}

export interface Overrides {
  readonly listen?: string;
  readonly port?: string;
  readonly log?: '-';
}

/** What settings from outside the files are read with. */
export interface Outside {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly problems: FileProblems;
  readonly secrets: SecretList;
  /** `path` as seen from the working directory. */
  readonly resolvePath: (path: string) => string;
}

const FILES: readonly EnvironmentRow[] = [
  {
    name: 'MCP_CONFIG_PATH',
    meaning: 'The configuration file, or a directory with mcproxy.yml and tokens.yml, as --config.',
  },
  { name: 'MCP_CREDENTIALS_PATH', meaning: 'The file of users and their credentials, as --tokens.' },
  {
    name: 'MCP_API_KEYS_PATH',
    meaning:
      'A JSON file of keys: {"KEY": {"client_id": "NAME", "scopes": ["*"]}}; a scope is *, SERVER or SERVER:TOOL.',
  },
  {
    name: 'MCP_UPSTREAM_URL',
    meaning:
      'Without a configuration file: the one server of a local proxy that signs requests with MCP_API_KEY and MCP_API_SECRET (`auth: {type: hmac}`), on 127.0.0.1:8080 or MCP_LISTEN_ADDR.',
  },
  { name: 'MCP_API_KEY', meaning: 'The `key_id` for MCP_UPSTREAM_URL.' },
  { name: 'MCP_API_SECRET', meaning: 'The `secret` for MCP_UPSTREAM_URL.' },
  {
    name: 'MCP_USERS_PATH',
    meaning: 'A further file of users, in the form of tokens.yml, or {"NAME": {"allowed_tools": ["SERVER_TOOL"]}}.',
  },
];

const NAMES_IN_USE: readonly EnvironmentRow[] = [
  { name: 'MCP_LISTEN_ADDR', meaning: 'As MCPROXY_LISTEN.' },
  { name: 'MCP_HOST', meaning: 'The host part of listen.' },
  { name: 'MCP_PORT', meaning: 'The port part of listen.' },
  { name: 'MCP_PATH_PREFIX', meaning: 'As MCPROXY_PATH_PREFIX.' },
  { name: 'MCP_API_KEYS', meaning: 'KEY:NAME,KEY:NAME: further users with a token each, who may use all servers.' },
  { name: 'MCP_DISABLE_AUTH', meaning: 'true, yes or 1: as MCPROXY_AUTH=none.' },
  { name: 'MCP_LOG_LEVEL', meaning: 'As MCPROXY_LOG_LEVEL.' },
];

const OURS = (Object.entries(SETTINGS) as [keyof Settings, Field][])
  .filter(([, field]) => field.kind !== 'node' && field.kind !== 'secret')
  .map(([setting, field]) => ({ name: `MCPROXY_${setting.toUpperCase().replaceAll('.', '_')}`, setting, field }));

/** Every variable that is read, besides those that files refer to. */
export const ENVIRONMENT: readonly EnvironmentRow[] = [
  ...OURS.map(({ name, setting, field }) => ({
    name,
    meaning: `Overrides \`${setting}\`${field.kind === 'list' ? '; items are separated by commas' : ''}.`,
  })),
  ...FILES,
  ...NAMES_IN_USE,
];

/** `settings` of the files with what environment and command line say instead. */
export function applyEnvironment(settings: Settings, outside: Outside, overrides: Overrides = {}): Settings {
  const listen: Address[] = settings.listen === undefined ? [] : [settings.listen];
  const addresses = [
    readVariable(outside, 'MCP_LISTEN_ADDR', SETTINGS.listen),
    readHost(outside),
    readPort(outside, 'MCP_PORT', outside.env['MCP_PORT']),
    readVariable(outside, 'MCPROXY_LISTEN', SETTINGS.listen),
    overrides.listen === undefined
      ? undefined
      : readText(outside, { name: '--listen', text: overrides.listen }, SETTINGS.listen),
    readPort(outside, '--port', overrides.port),
  ];
  // READERS.address made the values; decodeText cannot say so in its type.
  for (const address of addresses) if (address !== undefined) listen.push(address as Address);
  const changed: Record<string, unknown> = { ...settings };
  const put = (setting: keyof Settings, value: unknown): void => {
    if (value !== undefined) changed[setting] = value;
  };
  put('path_prefix', readVariable(outside, 'MCP_PATH_PREFIX', SETTINGS.path_prefix));
  put('log.level', readVariable(outside, 'MCP_LOG_LEVEL', SETTINGS['log.level']));
  if (readVariable(outside, 'MCP_DISABLE_AUTH', { kind: 'flag', default: 'false', when: '' }) === true)
    put('auth', 'none');
  for (const { name, setting, field } of OURS)
    if (setting !== 'listen') put(setting, readVariable(outside, name, field));
  if (listen.length > 0) changed['listen'] = listen.reduce(mergeAddress);
  if (overrides.log !== undefined) changed['log.file'] = overrides.log;
  // Each value was read by the field of its own setting.
  return changed;
}

/** The keys of MCP_API_KEYS, split at the first colon; what cannot be used is reported without being shown. */
export function readApiKeys(outside: Outside): ApiKey[] {
  const keys: ApiKey[] = [];
  for (const [index, entry] of (outside.env['MCP_API_KEYS'] ?? '').split(',').entries()) {
    if (entry.trim() === '') continue;
    const colon = entry.indexOf(':');
    const key = entry.slice(0, Math.max(0, colon)).trim();
    const client = entry.slice(colon + 1).trim();
    outside.secrets.add(colon === -1 ? client : key);
    if (colon === -1 || key === '') {
      outside.problems.warning(undefined, {
        text: `entry ${index + 1} of MCP_API_KEYS is not KEY:NAME and is ignored`,
        fix: 'write KEY:NAME,KEY:NAME',
      });
    } else if (isUserName(client)) keys.push({ key, client, scopes: undefined, reading: undefined });
    else {
      const text = `the name in entry ${index + 1} of MCP_API_KEYS${isPlainName(client) ? `, "${client}",` : ''} cannot be the name of a user`;
      outside.problems.error(undefined, { text, fix: 'use the characters A-Z a-z 0-9 . _ @ -' });
    }
  }
  return keys;
}

function readVariable(outside: Outside, name: string, field: Field): unknown {
  const text = outside.env[name];
  return text === undefined || text.trim() === '' ? undefined : readText(outside, { name, text }, field);
}

function readText(outside: Outside, said: { name: string; text: string }, field: Field): unknown {
  const value = decodeText(field, said.text);
  if (value === undefined) {
    outside.problems.error(undefined, { text: `${said.name} is not valid`, fix: `write ${expectation(field)}` });
    return undefined;
  }
  return field.kind === 'path' && typeof value === 'string' && value !== '-' ? outside.resolvePath(value) : value;
}

function readHost(outside: Outside): Address | undefined {
  const host = readVariable(outside, 'MCP_HOST', { kind: 'bind', default: '', when: '' });
  return typeof host === 'string' ? { host, port: undefined } : undefined;
}

function readPort(outside: Outside, name: string, text: string | undefined): Address | undefined {
  if (text === undefined || text.trim() === '') return undefined;
  const port = READERS.count.read(text);
  if (port !== undefined && port <= 65_535) return { host: undefined, port };
  outside.problems.error(undefined, { text: `${name} is not valid`, fix: 'write a port from 0 to 65535' });
  return undefined;
}

function mergeAddress(before: Address, after: Address): Address {
  return { host: after.host ?? before.host, port: after.port ?? before.port };
}
