/**
 * The servers that the file of a client defines, brought to the fields of our own entries.
 *
 * Understood: `mcpServers` (Claude Desktop, Cursor, Windsurf, `.mcp.json`), the same per project (`~/.claude.json`),
 * `servers` as a map (VS Code) or a list with names, such a list alone, `mcp: {servers}`, `mcp_servers` (Codex, in TOML:
 * names of variables become references to them). What an entry says beyond our fields is named in
 * `leftOut`, not guessed: a timeout, for one, has a unit of its own in each client. Values are handed on unchanged
 * and are not judged. Sources: the setup pages of the clients named.
 */
import { parseToml } from '../text/toml.ts';
import { parseYaml, yamlToValue } from '../text/yaml.ts';
import type { NewServer, Plain } from './edit-servers.ts';
import { asLiteral, collectSecrets } from './reading.ts';
import { addArgumentSecrets, addUrlSecrets, isSecretName } from './secrecy.ts';
import { toServerName } from './server-name.ts';

export interface ForeignServer extends NewServer {
  /** The name in the client's file. */
  readonly original: string;
  /** Names of fields that have no meaning here. */
  readonly leftOut: readonly string[];
}

const MASK = '[hidden]';
/** Besides a telling name: user information in a URL, and the beginnings of well-known tokens. */
const SECRET_VALUE = /:\/\/[^/\s@]+@|^(?:Bearer |Basic |gh[opsu]_|github_pat_|glpat-|sk-|xox[a-z]-|AKIA|eyJ)/;
/** Fields that are no setting of a server, or that follow from the others. */
const SILENT = ['name', 'type', 'transport', 'serverUrl', 'httpUrl', 'disabled', 'enabled'];
/** What clients call the lists of tools that they use, or do not: Codex, Windsurf, Gemini. */
const SHOWN = {
  allow: ['enabled_tools', 'includeTools'],
  deny: ['disabled_tools', 'disabledTools', 'excludeTools'],
} as const;
/** Fields of Codex that are others here. */
const CODEX = ['http_headers', 'env_http_headers', 'env_vars', 'bearer_token_env_var'];

/** Why a file cannot be read, without a word of what is in it. */
export interface Unreadable {
  readonly position: { readonly line: number; readonly column: number } | undefined;
  readonly text: string;
}

/** The servers in `text`, or why it cannot be read. JSON may have comments and trailing commas. */
export function readForeignServers(text: string): ForeignServer[] | Unreadable {
  const parsed = parseAny(text);
  if ('text' in parsed) return parsed;
  const { root } = parsed;
  if (Array.isArray(root)) return entriesOf(root).flatMap(([name, entry]) => toServer(name, entry) ?? []);
  if (!isRecord(root)) return [];
  const projects = isRecord(root['projects']) ? Object.values(root['projects']) : [];
  const mcp = root['mcp'];
  const blocks = [
    root['mcpServers'],
    root['servers'],
    root['mcp_servers'],
    isRecord(mcp) ? mcp['servers'] : undefined,
    ...projects.map((project) => (isRecord(project) ? project['mcpServers'] : undefined)),
  ];
  return blocks.flatMap(entriesOf).flatMap(([name, entry]) => toServer(name, entry) ?? []);
}

/** What in the server looks like a secret in plain text: `env GITHUB_TOKEN`, `headers Authorization`, `args`. */
export function findPlainSecrets(server: NewServer): string[] {
  const found: string[] = [];
  for (const [field, value] of Object.entries(server.fields)) {
    if (isPairs(value)) {
      for (const [name, text] of Object.entries(value)) if (isPlainSecret(name, text)) found.push(`${field} ${name}`);
    } else if (secretsIn(field, value).length > 0) found.push(field);
  }
  return found;
}

/** The same server with everything that looks like a secret hidden, to be shown. */
export function maskServer(server: NewServer): NewServer {
  const fields: Record<string, Plain> = {};
  for (const [field, value] of Object.entries(server.fields)) {
    const secrets = secretsIn(field, value);
    const hide = (text: string): string =>
      SECRET_VALUE.test(text) ? MASK : secrets.reduce((rest, secret) => rest.replaceAll(secret, MASK), text);
    if (typeof value === 'string') fields[field] = hide(value);
    else if (isPairs(value)) {
      fields[field] = toRecord(
        Object.entries(value).map(([name, text]) => [name, isPlainSecret(name, text) ? MASK : text]),
      );
    } else fields[field] = typeof value === 'object' ? value.map(hide) : value;
  }
  return { name: server.name, fields };
}

function isPlainSecret(name: string, text: string | readonly string[]): boolean {
  return (
    typeof text === 'string' && text !== '' && !text.includes('${') && (isSecretName(name) || SECRET_VALUE.test(text))
  );
}

function secretsIn(field: string, value: Plain): string[] {
  const secrets = collectSecrets();
  if (field === 'url' && typeof value === 'string' && URL.canParse(value)) addUrlSecrets(secrets, value);
  if (field === 'args' && typeof value === 'object' && !isPairs(value)) addArgumentSecrets(secrets, value);
  const texts = typeof value === 'string' ? [value] : typeof value === 'object' && !isPairs(value) ? value : [];
  for (const text of texts) if (SECRET_VALUE.test(text)) secrets.add(text);
  return secrets
    .list()
    .map((secret) => secret.reveal())
    .filter((text) => !text.includes('${'));
}

function parseAny(text: string): { readonly root: unknown } | Unreadable {
  const bare = text.replace(/^\uFEFF/, '');
  // Much of TOML could be YAML as well, which would then say nothing.
  if (/^[ \t]*\[[ \t]*mcp_servers\b/m.test(bare)) {
    const root = parseToml(bare);
    return root === undefined ? { position: undefined, text: 'this TOML cannot be read' } : { root };
  }
  const plain = withoutComments(bare);
  for (const candidate of [bare, plain]) {
    try {
      return { root: JSON.parse(candidate) as unknown };
    } catch {
      // Not this one: some clients allow comments, and a file may be YAML.
    }
  }
  const { root, problems } = parseYaml(/^\s*[{[]/.test(plain) ? plain : bare);
  const [problem] = problems;
  return problem === undefined ? { root: yamlToValue(root) } : { position: problem, text: problem.text };
}

/** JSON as VS Code writes it: comments and trailing commas become blanks, strings and places stay. */
function withoutComments(text: string): string {
  return text
    .replaceAll(/"(?:[^"\\]|\\[^])*"|\/\/[^\n]*|\/\*[^]*?\*\//g, keepString)
    .replaceAll(/"(?:[^"\\]|\\[^])*"|,(?=\s*[}\]])/g, keepString);
}

function keepString(whole: string): string {
  return whole.startsWith('"') ? whole : whole.replaceAll(/[^\n]/g, ' ');
}

function entriesOf(block: unknown): [string, unknown][] {
  if (Array.isArray(block)) {
    return block.flatMap((item: unknown): [string, unknown][] =>
      isRecord(item) && typeof item['name'] === 'string' ? [[item['name'], item]] : [],
    );
  }
  return isRecord(block) ? Object.entries(block) : [];
}

function toServer(original: string, entry: unknown): ForeignServer | undefined {
  const name = toServerName(original) ?? '';
  if (typeof entry === 'string') return { name, original, fields: { url: entry }, leftOut: [] };
  if (!isRecord(entry)) return undefined;
  const url = entry['url'] ?? entry['serverUrl'] ?? entry['httpUrl'];
  const transport = entry['transport'] ?? entry['type'];
  const args = entry['args'];
  const tokenVariable = entry['bearer_token_env_var'];
  const fields: Record<string, Plain> = {
    ...textField('command', entry['command']),
    ...(Array.isArray(args) ? { args: args.map(asText) } : {}),
    ...mergedPairs('env', entry['env'], namesAsVariables(entry['env_vars'])),
    ...textField('cwd', entry['cwd']),
    ...textField('url', url),
    // The others are what is found out anyway.
    ...(transport === 'sse' ? { transport } : {}),
    ...mergedPairs('headers', entry['headers'] ?? entry['http_headers'], variables(entry['env_http_headers'])),
    ...(typeof tokenVariable === 'string' ? { token: `\${${tokenVariable}}` } : {}),
    ...(entry['disabled'] === true || entry['enabled'] === false ? { enabled: false } : {}),
    ...toolsField(entry),
  };
  const lists = [...SHOWN.allow, ...SHOWN.deny].filter((list) => Array.isArray(entry[list]));
  const known = new Set([...Object.keys(fields), ...SILENT, ...CODEX, ...lists]);
  const isEmpty = (value: unknown): boolean => isRecord(value) && Object.keys(value).length === 0;
  const leftOut = Object.keys(entry).filter((key) => !known.has(key) && !isEmpty(entry[key]));
  return { name, original, fields, leftOut };
}

function toolsField(entry: Readonly<Record<string, unknown>>): Record<string, Record<string, string[]>> {
  const lists = Object.entries(SHOWN).flatMap(([name, fields]): [string, string[]][] => {
    const said = fields.flatMap((field) => (Array.isArray(entry[field]) ? [entry[field] as unknown[]] : []));
    return said.length === 0 ? [] : [[name, said.flat().map(asText)]];
  });
  return lists.length === 0 ? {} : { tools: toRecord(lists) };
}

/** `String` would call what an object says. */
function asText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function textField(name: string, value: unknown): Record<string, string> {
  return typeof value === 'string' ? { [name]: value } : {};
}

type Pairs = Record<string, Record<string, string>>;

/** The values as they are written, and those that the environment has. */
function mergedPairs(name: string, written: unknown, fromVariables: Record<string, string>): Pairs {
  const own = pairsField(name, written)[name] ?? {};
  const all = { ...fromVariables, ...own };
  return Object.keys(all).length === 0 ? {} : { [name]: all };
}

/** `{X-Key: NAME}` as `{X-Key: ${NAME}}`. */
function variables(value: unknown): Record<string, string> {
  if (!isRecord(value)) return {};
  const names = Object.entries(value).filter((pair): pair is [string, string] => typeof pair[1] === 'string');
  return toRecord(names.map(([key, name]) => [key, `\${${name}}`]));
}

/** Variables that are handed on: `[NAME]`, or `[{name: NAME}]`. */
function namesAsVariables(value: unknown): Record<string, string> {
  const names = (Array.isArray(value) ? value : []).map((item: unknown) => (isRecord(item) ? item['name'] : item));
  return toRecord(names.filter((name) => typeof name === 'string').map((name) => [name, `\${${name}}`]));
}

function pairsField(name: string, value: unknown): Record<string, Record<string, string>> {
  if (!isRecord(value)) return {};
  const pairs = Object.entries(value).filter(([, text]) => ['string', 'number', 'boolean'].includes(typeof text));
  return pairs.length === 0 ? {} : { [name]: toRecord(pairs.map(([key, text]) => [key, asLiteral(String(text))])) };
}

/** Without the trap of an assignment to `__proto__`. */
function toRecord<T>(pairs: readonly (readonly [string, T])[]): Record<string, T> {
  return Object.fromEntries(pairs);
}

function isPairs(value: Plain): value is Readonly<Record<string, string | readonly string[]>> {
  return typeof value === 'object' && !Array.isArray(value);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
