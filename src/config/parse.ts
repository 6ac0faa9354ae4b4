/**
 * From the operator's files, environment and command line to one frozen Config, or to everything that is wrong.
 *
 * The order: read all files (`spellings.ts`), put environment and command line over the settings (`environment.ts`),
 * resolve the shared servers (`servers.ts`), then the users on top of them (`users.ts`). Never throws; all problems come
 * at once. Promises of the result: every reference resolved, every default filled in, no token in plain text, every
 * secret wrapped and listed. Pure: files, variables, path rules and the hash are handed in.
 */
import { BODY_BYTES_MAX, CONFIG_BYTES_MAX, HEARTBEAT_MS_DEFAULT, PRINCIPAL_COUNT_MAX } from '../limits.ts';
import { SERVER_COUNT_MAX, SHUTDOWN_GRACE_MS_DEFAULT } from '../limits.ts';
import type { Config, Principal, Problem, ServerConfig, ToolLimit } from '../model.ts';
import { parseYaml, type YamlNode } from '../text/yaml.ts';
import { addGrants, grantsOf, readKeyFile, type ApiKey } from './api-keys.ts';
import { own } from './decode.ts';
import { applyEnvironment, readApiKeys, type Overrides, type Settings } from './environment.ts';
import { decodeToolLimits } from './limits.ts';
import { digestsOf, readLockFile } from './lock-file.ts';
import { isLoopbackHost } from './loopback.ts';
import { admitsUnlisted, decodeOAuth, type OAuthSaid } from './oauth.ts';
import { collectProblems, shownName, showName, type FileProblems, type ProblemList } from './problems.ts';
import {
  collectSecrets,
  readText,
  type Reading,
  type SecretList,
  type SecretRead,
  type SecretReference,
} from './reading.ts';
import { decodeServer, resolveServer } from './servers.ts';
import { singleUpstreamAuth } from './single-upstream.ts';
import { classifyTokens, KNOWN_KEYS, readConfigFile, readTokensFile, type ServerEntry } from './spellings.ts';
import { ANONYMOUS, decodeRoles, decodeUsers, defaultLimits, plainUser, resolveRoles, resolveUsers } from './users.ts';
import type { Known, RoleDraft, UserDraft } from './users.ts';
import { readWhitelist, resolveWhitelists, type Whitelist } from './whitelist.ts';

export interface SourceFile {
  readonly path: string;
  readonly text: string;
  readonly role: 'config' | 'tokens' | 'lock';
}

export interface ParseInput {
  readonly files: readonly SourceFile[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Stands in for the variable HOSTNAME where the environment has none. */
  readonly hostname: string;
  readonly overrides?: Overrides;
  /** Nobody comes in over HTTP, so that neither users nor the address matter. */
  readonly piped?: boolean;
  /** The files are `singleUpstreamText` and none of users, and `listen` is where clients connect. */
  readonly single?: boolean;
  /** `path` as seen from the file `base`; an empty `base` is the working directory. */
  readonly resolvePath: (base: string, path: string) => string;
  /** What a reference stands for; a path is complete. */
  readonly readSecret: (reference: SecretReference) => SecretRead;
  /** Lower-case hex. */
  readonly sha256: (text: string) => string;
}

export interface ParseResult {
  /** Undefined exactly when one of the problems is an error. */
  readonly config: Config | undefined;
  readonly problems: readonly Problem[];
  /** Also of a file with errors elsewhere: the service that runs is asked over it what it runs with. */
  readonly adminSocket: string | undefined;
}

/** All that is gathered while files are read. */
interface Desk {
  readonly input: ParseInput;
  readonly problems: ProblemList;
  readonly secrets: SecretList;
  /** From files of variables. */
  readonly variables: Map<string, string>;
  readonly servers: ServerEntry[];
  readonly users: UserDraft[];
  readonly roles: Map<string, RoleDraft>;
  readonly keys: ApiKey[];
  readonly whitelists: Whitelist[];
  readonly toolLimits: ToolLimit[];
  toolLock: Config['toolLock'];
}

interface Document {
  readonly file: SourceFile;
  readonly reading: Reading;
  readonly root: YamlNode;
}

/** Decodes and resolves everything; never throws. */
export function parseConfig(input: ParseInput): ParseResult {
  const desk: Desk = {
    input,
    problems: collectProblems(),
    secrets: collectSecrets(),
    variables: new Map(),
    servers: [],
    users: [],
    roles: new Map(),
    keys: [],
    whitelists: [],
    toolLimits: [],
    toolLock: new Map(),
  };
  const outsideProblems = desk.problems.forFile('environment and command line', '', KNOWN_KEYS);
  const documents = input.files.flatMap((file) => openFile(desk, file) ?? []);
  for (const document of documents) if (isTokens(document, 'variables')) readVariables(desk, document);
  let fromFiles: Settings = {};
  for (const document of documents) fromFiles = { ...fromFiles, ...readDocument(desk, document) };
  const outside = {
    env: input.env,
    problems: outsideProblems,
    secrets: desk.secrets,
    resolvePath: (path: string): string => input.resolvePath('', path),
  };
  const settings = applyEnvironment(fromFiles, outside, input.overrides);
  desk.keys.push(...readApiKeys(outside));
  const known = resolveKnown(desk, settings);
  const users = withApiKeys(desk, known, makeReading(desk, { path: 'environment', text: '' }, outsideProblems));
  const principals = resolveUsers(users, known);
  const problemsOfAll = documents[0]?.reading.problems ?? outsideProblems;
  const said = decodeOAuth(settings, { servers: known.servers, roles: resolveRoles(known) }, problemsOfAll);
  const config = assemble(desk, { settings, known, principals, said });
  for (const entry of desk.servers) reportLacking(entry, config);
  const sound = documents.length > 0 && desk.problems.errorCount() === 0;
  judgeSize(config, problemsOfAll);
  judgeLog(config, problemsOfAll);
  if (input.piped !== true) judgeDoor(config, problemsOfAll, sound);
  const problems = desk.problems.list();
  const { adminSocket } = config;
  return { config: desk.problems.errorCount() > 0 ? undefined : freeze(config), problems, adminSocket };
}

function openFile(desk: Desk, file: SourceFile): Document | undefined {
  const problems = desk.problems.forFile(file.path, file.text, KNOWN_KEYS);
  if (file.text.length > CONFIG_BYTES_MAX) {
    problems.error(undefined, {
      text: 'the file is too long for a configuration',
      fix: `keep it below ${CONFIG_BYTES_MAX / 1024 ** 2} MiB`,
    });
    return undefined;
  }
  const document = parseYaml(file.text);
  for (const problem of document.problems) problems.error(problem, { text: maskNames(problem.text), fix: problem.fix });
  if (document.root === undefined || document.problems.length > 0) return undefined;
  return { file, root: document.root, reading: makeReading(desk, file, problems) };
}

/** The parser quotes a repeated key; in a file of keys that is a secret. */
function maskNames(text: string): string {
  return text.replaceAll(/"((?:[^"\\]|\\.)*)"/g, (_, name: string) => showName(name));
}

function makeReading(desk: Desk, file: { path: string; text: string }, problems: FileProblems): Reading {
  const { env, hostname } = desk.input;
  return {
    path: file.path,
    text: file.text,
    problems,
    secrets: desk.secrets,
    lookup: (name) => own(env, name) ?? desk.variables.get(name) ?? (name === 'HOSTNAME' ? hostname : undefined),
    resolvePath: (path) => desk.input.resolvePath(file.path, path),
    readSecret: (reference) => desk.input.readSecret(reference),
  };
}

function isTokens(document: Document, form: ReturnType<typeof classifyTokens>): boolean {
  return document.file.role === 'tokens' && classifyTokens(document.root) === form;
}

function readDocument(desk: Desk, document: Document): Settings {
  const { reading, root } = document;
  const { sha256 } = desk.input;
  if (document.file.role === 'config') {
    const { settings, servers, users } = readConfigFile(reading, root);
    desk.servers.push(...servers);
    if (users !== undefined) desk.users.push(...decodeUsers(reading, users, sha256));
    if (settings.roles !== undefined) addRoles(desk, decodeRoles(reading, settings.roles));
    const tools = settings['limits.tools'];
    if (tools !== undefined) desk.toolLimits.push(...decodeToolLimits(reading, tools));
    return settings;
  }
  if (document.file.role === 'lock') desk.toolLock = readLock(reading, root);
  if (isTokens(document, 'api-keys')) desk.keys.push(...readKeyFile(reading, root));
  if (isTokens(document, 'whitelist')) desk.whitelists.push(...readWhitelist(reading, root));
  if (isTokens(document, 'users')) {
    const { users, roles } = readTokensFile(reading, root);
    if (roles !== undefined) addRoles(desk, decodeRoles(reading, roles));
    if (users !== undefined) desk.users.push(...decodeUsers(reading, users, sha256));
  }
  return {};
}

function addRoles({ roles }: Desk, drafts: readonly RoleDraft[]): void {
  for (const draft of drafts) {
    if (roles.has(draft.name))
      draft.reading.problems.error(draft.at, {
        text: `the role ${showName(draft.name)} is defined twice`,
        fix: 'merge the two',
      });
    roles.set(draft.name, draft);
  }
}

function readLock(reading: Reading, root: YamlNode): Config['toolLock'] {
  return new Map([...readLockFile(root, reading.problems)].map(([server, tools]) => [server, digestsOf(tools)]));
}

function readVariables(desk: Desk, { reading, root }: Document): void {
  for (const { name, value } of root.kind === 'map' ? root.pairs : []) {
    const text = readText(reading, value, 'secret');
    if (text !== undefined) desk.variables.set(name, text);
  }
}

/** The shared servers; those that are wrong stay known by name, so that no user is told that they do not exist. */
function resolveKnown(desk: Desk, defaults: Settings): Known {
  const servers = new Map<string, ServerConfig>();
  const broken = new Set<string>();
  for (const entry of desk.servers) {
    const { name, at, reading } = entry;
    const draft = decodeServer(entry, { foreign: entry.foreign, shared: true });
    if (servers.has(name) || broken.has(name)) {
      reading.problems.error(at, {
        text: `the server ${showName(name)} is defined twice`,
        fix: 'rename or delete one',
      });
      continue;
    }
    const server = draft.broken ? undefined : resolveServer(draft, { base: undefined, defaults, personal: false });
    if (server === undefined) broken.add(name);
    else servers.set(name, server);
  }
  const limits = {
    rate: defaults['limits.rate'],
    burst: defaults['limits.burst'],
    concurrent: defaults['limits.concurrent'],
    tools: desk.toolLimits,
  };
  const whitelists = resolveWhitelists(desk.whitelists, servers);
  return { servers, broken, defaults, roles: desk.roles, limits, whitelists };
}

/** Adds the keys: to the user of that name, or as a new one who may use what the scopes of the key say. */
function withApiKeys(desk: Desk, known: Known, reading: Reading): UserDraft[] {
  const users = [...desk.users];
  const places = new Map(users.map((user, index) => [user.name, index]));
  const fromKeys = new Set<string>();
  for (const one of desk.keys) {
    const { key, client } = one;
    const index = places.get(client) ?? users.length;
    const granted = grantsOf(one, known.servers);
    const user = users[index] ?? plainUser(client, one.reading ?? reading, { allow: [], deny: [] });
    if (index === users.length) fromKeys.add(client);
    places.set(client, index);
    const token = { digest: desk.input.sha256(key).toLowerCase(), at: undefined, terms: undefined };
    users[index] = {
      ...user,
      // What tokens.yml says of a user is not widened by a key.
      ...(fromKeys.has(client) ? addGrants(user, granted) : {}),
      tokens: [...user.tokens, token],
    };
  }
  for (const { client, at, reading: from } of desk.whitelists) {
    if (!places.has(client))
      from.problems.warning(at, {
        text: `${showName(client)} has no token or key, so this list restricts nobody`,
        fix: 'give a key or a user of tokens.yml this name',
      });
  }
  return users;
}

interface Made {
  readonly settings: Settings;
  readonly known: Known;
  readonly principals: readonly Principal[];
  readonly said: OAuthSaid;
}

function assemble(desk: Desk, made: Made): Config {
  const { settings, known, principals, said } = made;
  const { servers } = known;
  const listen = { host: settings.listen?.host ?? '127.0.0.1', port: settings.listen?.port ?? 3000 };
  const fallback = desk.input.single === true ? singleUpstreamAuth(listen.host, principals.length) : 'tokens';
  const auth = settings.auth ?? fallback;
  const clusterKey = settings['cluster.key'];
  const limits = defaultLimits(known);
  const anonymous: Principal = {
    id: ANONYMOUS,
    role: 'user',
    tokenDigests: [],
    servers,
    ...(limits === undefined ? {} : { limits }),
  };
  return {
    listen,
    pathPrefix: settings.path_prefix ?? '',
    auth,
    ...said,
    servers,
    principals: auth === 'none' ? [anonymous, ...principals] : principals,
    ...(limits === undefined ? {} : { userLimits: limits }),
    log: {
      file: settings['log.file'] ?? '-',
      params: settings['log.params'] ?? 'none',
      onFailure: settings['log.on_failure'] ?? 'continue',
      level: settings['log.level'] ?? 'info',
      chain: settings['log.chain'] ?? false,
    },
    bodyBytesMax: settings['limits.body'] ?? BODY_BYTES_MAX,
    heartbeatMs: settings.heartbeat ?? HEARTBEAT_MS_DEFAULT,
    shutdownGraceMs: settings.shutdown_grace ?? SHUTDOWN_GRACE_MS_DEFAULT,
    allowedHosts: settings.allowed_hosts ?? [],
    allowedOrigins: settings.allowed_origins ?? [],
    trustedProxies: settings.trusted_proxies ?? [],
    drainMs: settings.drain ?? 0,
    adminSocket: settings['admin.socket'],
    ...(clusterKey === undefined ? {} : { clusterKey }),
    toolLock: desk.toolLock,
    secrets: desk.secrets.list(),
  };
}

/** Users who do not have what a server says that each of them brings: they alone cannot use it. */
function reportLacking({ name, at, reading }: ServerEntry, { servers, principals }: Config): void {
  const server = servers.get(name);
  if (server === undefined || !server.enabled || server.lacks.length === 0) return;
  const who = principals.filter((principal) => (principal.servers.get(name)?.lacks.length ?? 0) > 0);
  if (who.length === 0) return;
  const names = who.slice(0, LACKING_COUNT_SHOWN).map(({ id }) => id);
  const more = who.length > names.length ? ` and ${who.length - names.length} more` : '';
  reading.problems.warning(at, {
    text: `each user brings ${server.lacks.join(' and ')} for the server ${showName(name)}, and these have not: ${names.join(', ')}${more}`,
    fix: `write it in tokens.yml under users.NAME.servers.${name}`,
    shown: shownName(name),
  });
}

/** A line is to stay readable. */
const LACKING_COUNT_SHOWN = 5;

/** What only the whole shows. */
function judgeSize({ servers, principals }: Config, problems: FileProblems): void {
  if (servers.size > SERVER_COUNT_MAX) {
    problems.error(undefined, {
      text: `there are ${servers.size} servers, more than ${SERVER_COUNT_MAX}`,
      fix: 'run a second mcproxy for some of them',
    });
  }
  if (principals.length > PRINCIPAL_COUNT_MAX) {
    problems.error(undefined, {
      text: `there are ${principals.length} users, more than ${PRINCIPAL_COUNT_MAX}`,
      fix: 'run a second mcproxy for some of them',
    });
  }
}

/** Other programs write so what is `-` here. */
function judgeLog({ log }: Config, problems: FileProblems): void {
  const [, name] = /^(?!\/(?:dev|proc)\/)(?:.*\/)?(std(?:out|err))$/.exec(log.file) ?? [];
  if (name === undefined) return;
  const fix = 'write "-" for standard output, or a path that ends otherwise';
  problems.warning(undefined, { text: `log.file is a file that is called ${name}`, fix });
}

/** Who may come in; that there is no user is worth a word only where the files are `sound`. */
function judgeDoor(config: Config, problems: FileProblems, sound: boolean): void {
  const { servers, principals, auth, oauth, listen } = config;
  if (auth === 'none' && config.allowedOrigins.includes('*'))
    problems.warning(undefined, {
      text: 'with "auth: none" and allowed_origins "*" every web page that is open in a browser here may use all servers',
      fix: 'name the origins that are to be allowed',
    });
  if (auth === 'none' && !isLoopbackHost(listen.host)) {
    problems.warning(undefined, {
      text: `with "auth: none" everybody who can reach ${listen.host}:${listen.port} may use all servers`,
      fix: 'listen on 127.0.0.1, or delete "auth: none" and add users',
    });
  }
  const needsUsers = [...servers.values()].some(
    (server) => server.kind === 'stdio' || server.credential.type !== 'passthrough',
  );
  const isEmpty = principals.length === 0 && (oauth === undefined || !admitsUnlisted(oauth));
  if (auth === 'tokens' && isEmpty && sound && (needsUsers || servers.size === 0)) {
    problems.warning(undefined, {
      text: 'there is no user yet, so nobody can come in',
      fix: 'run `mcproxy token add NAME`',
    });
  }
}

/** Freezes plain objects and arrays all the way down; a Map is protected by its read-only type alone. */
function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  const members: unknown[] = value instanceof Map ? [...value.values()] : Object.values(value);
  for (const member of members) freeze(member);
  return value;
}
