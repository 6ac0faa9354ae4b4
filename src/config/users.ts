/**
 * Who may come in: users as the files describe them, resolved to principals with their servers and rules.
 *
 * Promises: a token belongs to one user; a server or role that a user names exists somewhere. Where nothing is special
 * for a user, their server is the very object that everybody has, and with `"*"` alone the very map, so that ten
 * thousand users cost ten thousand small objects. Tokens: `tokens.ts`; rules: `access.ts`; credentials: `credential.ts`.
 */
import { USER_NAME_CHARS_MAX } from '../limits.ts';
import type {
  AccessConfig,
  AccessFilter,
  LimitsSaid,
  Principal,
  RoleConfig,
  ServerConfig,
  TokenTerms,
} from '../model.ts';
import { prefixText } from '../text/name-prefix.ts';
import { mayBegin } from '../text/glob.ts';
import { findNearest } from '../text/nearest.ts';
import type { YamlNode, YamlPair } from '../text/yaml.ts';
import { decodeRules, decodeServersSaid, NO_SERVERS, type RuleSource, type ServersSaid } from './access.ts';
import { decodeMap, type Decoded, type Values } from './decode.ts';
import { decodeLimits, NO_LIMITS_SAID, resolveLimits } from './limits.ts';
import { shownName, showName, type Place } from './problems.ts';
import { hasIssuer } from './oauth.ts';
import { isNothing, type Reading } from './reading.ts';
import { ALLOWS_NOTHING, rightsOf } from './rights.ts';
import type { SETTINGS } from './schema.ts';
import { ROLE, USER } from './schema-users.ts';
import { resolveServer, type ServerDraft } from './servers.ts';
import { isServerName, reportServerName } from './server-name.ts';
import { decodeTokens, type Sha256, type TokenDraft } from './tokens.ts';

/** What a user or a role says may be used. */
export interface Bundle {
  readonly servers: ServersSaid;
  readonly tools: AccessFilter | undefined;
  readonly prompts: AccessFilter | undefined;
  readonly resources: AccessFilter | undefined;
  readonly limits: LimitsSaid;
}

export interface UserDraft extends Bundle {
  readonly name: string;
  /** Undefined for one from the environment. */
  readonly at: Place | undefined;
  readonly reading: Reading;
  readonly role: 'user' | 'admin';
  readonly roles: readonly { readonly name: string; readonly at: Place }[];
  readonly tokens: readonly TokenDraft[];
  /** None is written: only an authorization server can let this user in. */
  readonly tokenless: boolean;
}

export interface RoleDraft extends Bundle {
  readonly name: string;
  readonly at: Place;
  readonly reading: Reading;
}

/** What users are resolved against. */
export interface Known {
  readonly servers: ReadonlyMap<string, ServerConfig>;
  /** Defined, but wrong; already reported. */
  readonly broken: ReadonlySet<string>;
  readonly defaults: Values<typeof SETTINGS>;
  readonly roles: ReadonlyMap<string, RoleDraft>;
  /** Limits of a user who says nothing else. */
  readonly limits: LimitsSaid;
  /** Lists of tools from files of another program, by user. */
  readonly whitelists: ReadonlyMap<string, AccessFilter>;
}

const NAME = new RegExp(`^[A-Za-z0-9._@-]{1,${USER_NAME_CHARS_MAX}}$`);

/** The principal that everybody is with `auth: none`. */
export const ANONYMOUS = 'anonymous';

const EMPTY_BUNDLE: Bundle = {
  servers: NO_SERVERS,
  tools: undefined,
  prompts: undefined,
  resources: undefined,
  limits: NO_LIMITS_SAID,
};

/** A user of whom nothing is known but a name and what they may use. */
export function plainUser(name: string, reading: Reading, servers: AccessFilter): UserDraft {
  return {
    ...EMPTY_BUNDLE,
    name,
    at: undefined,
    reading,
    role: 'user',
    roles: [],
    tokens: [],
    tokenless: false,
    servers: { filter: servers, drafts: [] },
  };
}

/** Tells whether `name` can be the name of a user. */
export function isUserName(name: string): boolean {
  return NAME.test(name) && name !== ANONYMOUS;
}

/** Tells whether `name` can be the name of a role of tokens.yml. */
export function mayBeRole(name: string): boolean {
  return NAME.test(name);
}

/** Decodes the map under `users`. */
export function decodeUsers(reading: Reading, node: YamlNode, sha256: Sha256): UserDraft[] {
  if (node.kind !== 'map') {
    if (!isNothing(node))
      reading.problems.error(node, {
        text: '"users" must be a map',
        fix: 'write each user as NAME: with "token" and "servers" under it',
      });
    return [];
  }
  return node.pairs.flatMap((pair) => decodeUser(reading, pair, sha256) ?? []);
}

/** Decodes the map under `roles`. */
export function decodeRoles(reading: Reading, node: YamlNode): RoleDraft[] {
  if (node.kind !== 'map') {
    if (!isNothing(node))
      reading.problems.error(node, {
        text: '"roles" must be a map',
        fix: 'write each role as NAME: with "servers" and "tools" under it',
      });
    return [];
  }
  return node.pairs.flatMap(({ name, key, value }) => {
    if (NAME.test(name) && name !== 'user' && name !== 'admin') {
      const source = { reading, from: `role ${name}` };
      return [{ name, at: key, reading, ...decodeBundle(source, decodeMap({ reading, node: value }, ROLE)) }];
    }
    const taken = name === 'user' || name === 'admin';
    reading.problems.error(key, {
      text: `${showName(name)} cannot be the name of a role`,
      fix: taken
        ? 'choose another name; this one has a meaning already'
        : `use 1 to ${USER_NAME_CHARS_MAX} of the characters A-Z a-z 0-9 . _ @ -`,
      shown: shownName(name),
    });
    return [];
  });
}

function decodeBundle(source: RuleSource, fields: Decoded<typeof ROLE>): Bundle {
  const { servers, tools, prompts, resources } = fields;
  return {
    servers: servers === undefined ? NO_SERVERS : decodeServersSaid(source, servers.value),
    tools: tools && decodeRules(source, tools.value, 'tools'),
    prompts: prompts && decodeRules(source, prompts.value, 'prompts'),
    resources: resources && decodeRules(source, resources.value, 'resources'),
    limits: decodeLimits(source.reading, fields),
  };
}

function decodeUser(reading: Reading, pair: YamlPair, sha256: Sha256): UserDraft | undefined {
  const { name, key } = pair;
  if (!isUserName(name)) {
    const fix =
      name === ANONYMOUS
        ? 'choose another name; this one stands for everybody with "auth: none"'
        : `use 1 to ${USER_NAME_CHARS_MAX} of the characters A-Z a-z 0-9 . _ @ -`;
    reading.problems.error(key, {
      text: `${showName(name)} cannot be the name of a user`,
      fix,
      shown: shownName(name),
    });
    return undefined;
  }
  const fields = decodeMap({ reading, node: pair.value }, USER);
  const tokens = fields.token === undefined ? [] : decodeTokens({ reading, name, sha256 }, fields.token.value);
  const tokenless = fields.token === undefined && !isNamed(pair.value, 'token');
  const words = [
    ...(fields.role === undefined ? [] : [{ name: fields.role.value.trim(), at: fields.role.at }]),
    ...(fields.roles?.value ?? []).map((word) => ({ name: word.trim(), at: fields.roles?.at ?? key })),
  ];
  const roles = words.filter((word) => word.name !== 'user' && word.name !== 'admin');
  const role = words.some((word) => word.name === 'admin') ? 'admin' : 'user';
  const silent = fields.servers === undefined && !isNamed(pair.value, 'servers');
  if (silent && role !== 'admin' && roles.length === 0) {
    reading.problems.warning(key, {
      text: `the user ${showName(name)} may use no server`,
      fix: 'write servers: "*" for all of them, or a list of names',
      shown: shownName(name),
    });
  }
  const bundle = decodeBundle({ reading, from: `user ${name}` }, fields);
  return { name, at: key, reading, role, roles, tokens, tokenless, ...bundle };
}

/** The principals of all drafts, in order; every problem is reported, also of roles that nobody has. */
export function resolveUsers(drafts: readonly UserDraft[], known: Known): Principal[] {
  for (const { servers } of known.roles.values()) for (const draft of servers.drafts) resolveDraft(draft, known);
  const names = new Set<string>();
  const owners = new Map<string, string>();
  const principals: Principal[] = [];
  for (const draft of drafts) {
    const { problems } = draft.reading;
    if (names.has(draft.name)) {
      problems.error(draft.at, { text: `the user ${showName(draft.name)} is defined twice`, fix: 'merge the two' });
      continue;
    }
    names.add(draft.name);
    if (draft.tokenless && draft.tokens.length === 0 && !hasIssuer(known.defaults)) {
      problems.error(draft.at, {
        text: `the user ${showName(draft.name)} has no token`,
        fix: '`mcproxy token rotate` makes one',
        shown: shownName(draft.name),
      });
    }
    const terms = new Map<string, TokenTerms | undefined>();
    for (const { digest, at, terms: own } of draft.tokens) {
      const owner = owners.get(digest);
      if (owner !== undefined && owner !== draft.name) {
        problems.error(at, {
          text: `${showName(draft.name)} has the same token as ${showName(owner)}`,
          fix: 'give each user a token of their own: `mcproxy token add`',
        });
      }
      owners.set(digest, draft.name);
      terms.set(digest, own);
    }
    const tokenTerms = new Map([...terms].flatMap(([digest, own]) => (own === undefined ? [] : [[digest, own]])));
    principals.push({
      id: draft.name,
      role: draft.role,
      tokenDigests: [...terms.keys()],
      ...(tokenTerms.size === 0 ? {} : { tokenTerms }),
      ...resolveRules(draft, known),
    });
  }
  return principals;
}

function resolveRules(
  draft: UserDraft,
  known: Known,
): Pick<Principal, 'servers'> & Partial<Pick<Principal, 'roles' | 'access' | 'limits'>> {
  const roles = draft.roles.flatMap((named) => findRole(draft, named, known) ?? []);
  const whitelist = { ...ALLOWS_NOTHING, tools: known.whitelists.get(draft.name) };
  const sources = [...[draft, ...roles].map((bundle) => resolveBundle(bundle, known)), whitelist];
  const { servers, access } = rightsOf(sources, known.servers);
  judgeReach(draft, { access, servers, known });
  const limits = limitsOf(draft.limits, roles, known);
  return {
    servers,
    access,
    ...(roles.length === 0 ? {} : { roles: roles.map(({ name }) => name) }),
    ...(limits === undefined ? {} : { limits }),
  };
}

/** Every role, for those who get it by a claim. */
export function resolveRoles(known: Known): ReadonlyMap<string, RoleConfig> {
  return new Map([...known.roles].map(([name, role]) => [name, resolveBundle(role, known)]));
}

function resolveBundle({ servers, tools, prompts, resources, limits }: Bundle, known: Known): RoleConfig {
  const own = new Map<string, ServerConfig>();
  for (const draft of servers.drafts) {
    const server = resolveDraft(draft, known);
    if (!draft.empty && server !== undefined) own.set(server.name, server);
  }
  return { servers: servers.filter, tools, prompts, resources, own, limits };
}

/** Those who say nothing of their own share one object. */
function limitsOf(own: LimitsSaid, roles: readonly RoleDraft[], known: Known): Principal['limits'] {
  const silent =
    own === NO_LIMITS_SAID || Object.values(own).every((value) => value === undefined || value === own.tools);
  if (silent && own.tools.length === 0 && roles.length === 0) return defaultLimits(known);
  return resolveLimits(
    own,
    roles.map(({ limits }) => limits),
    known.limits,
  );
}

const resolvedDefaults = new WeakMap<Known, { readonly limits: Principal['limits'] }>();

/** Of a user of whom nothing is said. */
export function defaultLimits(known: Known): Principal['limits'] {
  const made = resolvedDefaults.get(known) ?? { limits: resolveLimits(NO_LIMITS_SAID, [], known.limits) };
  resolvedDefaults.set(known, made);
  return made.limits;
}

function findRole(draft: UserDraft, named: { name: string; at: Place }, known: Known): RoleDraft | undefined {
  const role = known.roles.get(named.name);
  if (role !== undefined) return role;
  const nearest = findNearest(named.name, ['user', 'admin', ...known.roles.keys()]);
  draft.reading.problems.error(named.at, {
    text: `the role ${showName(named.name)} is defined nowhere`,
    fix: nearest === undefined ? 'define it under "roles", or write user or admin' : `did you mean "${nearest}"?`,
    shown: shownName(named.name),
  });
  return undefined;
}

/** Rules that leave nothing are no mistake of form, but hardly what somebody wanted. */
function judgeReach(
  draft: UserDraft,
  made: { access: AccessConfig; servers: ReadonlyMap<string, ServerConfig>; known: Known },
): void {
  const { access, servers, known } = made;
  const warn = (text: string, fix: string): void =>
    draft.reading.problems.warning(draft.at, { text, fix, shown: shownName(draft.name) });
  const who = `the user ${showName(draft.name)}`;
  const { allow, deny } = access.servers;
  const says = allow === undefined || allow.length > 0 || deny.length > 0;
  if (servers.size === 0 && says && known.broken.size === 0 && known.servers.size > 0)
    warn(`the rules for ${who} leave no server`, 'correct the patterns under "servers"; names of servers are meant');
  for (const kind of ['tools', 'prompts'] as const) {
    const patterns = access[kind]?.allow;
    // An empty list is clear enough.
    if (patterns === undefined || patterns.length === 0 || servers.size === 0) continue;
    const prefixes = [...servers.values()].map(({ exposure }) => prefixText(exposure.prefix));
    if (patterns.some(({ pattern }) => prefixes.some((prefix) => mayBegin(pattern, prefix)))) continue;
    warn(
      `the rules for ${who} under "${kind}" match no server they may use`,
      `write names as they are in /mcp, such as "${prefixes[0] ?? ''}*"`,
    );
  }
}

const resolvedDrafts = new WeakMap<ServerDraft, { readonly server: ServerConfig | undefined }>();

/** Once for all who have it, if it is a role's; every problem is reported then. */
function resolveDraft(draft: ServerDraft, known: Known): ServerConfig | undefined {
  const made = resolvedDrafts.get(draft) ?? { server: resolveNew(draft, known) };
  resolvedDrafts.set(draft, made);
  return made.server;
}

function resolveNew(draft: ServerDraft, known: Known): ServerConfig | undefined {
  if (draft.broken || known.broken.has(draft.name)) return undefined;
  const base = known.servers.get(draft.name);
  const defines = draft.fields.url !== undefined || draft.fields.command !== undefined;
  if (base === undefined && !defines) reportUnknownServer(draft, known);
  else if (draft.empty) return base;
  else if (isServerName(draft.name)) return resolveServer(draft, { base, defaults: known.defaults, personal: true });
  else reportServerName(draft.reading.problems, draft.at, draft.name);
  return undefined;
}

function reportUnknownServer(server: ServerDraft, known: Known): void {
  const nearest = findNearest(server.name, [...known.servers.keys(), ...known.broken]);
  server.reading.problems.error(server.at, {
    text: `the server ${showName(server.name)} is defined nowhere`,
    fix:
      nearest === undefined
        ? 'define it under "servers" of mcproxy.yml, or give it a "url" or "command" here'
        : `did you mean "${nearest}"?`,
    shown: shownName(server.name),
  });
}

function isNamed(node: YamlNode, name: string): boolean {
  return node.kind === 'map' && node.pairs.some((pair) => pair.name === name && !isNothing(pair.value));
}
