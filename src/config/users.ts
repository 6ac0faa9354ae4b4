/**
 * Who may come in: users as the files describe them, resolved to principals with their servers.
 *
 * Promises: a token belongs to one user; plain-text tokens leave here only as SHA-256; a server that a user names exists
 * somewhere. Where nothing is special for a user, their server is the very object that everybody has, and with `"*"`
 * alone the very map, so that ten thousand users cost ten thousand small objects. Credentials: `credential.ts`.
 */
import { TOKEN_BYTES_MAX, USER_NAME_CHARS_MAX } from '../limits.ts';
import type { Principal, ServerConfig } from '../model.ts';
import { findNearest } from '../text/nearest.ts';
import type { YamlNode, YamlPair } from '../text/yaml.ts';
import { decodeMap, type Decoded, type Values } from './decode.ts';
import { NOTHING_SAID } from './exposure.ts';
import { shownName, showName, type Place } from './problems.ts';
import { isNothing, isReference, readSecretText, readText, type Reading } from './reading.ts';
import { USER, type SETTINGS } from './schema.ts';
import { decodeServer, isServerName, reportServerName, resolveServer, type ServerDraft } from './servers.ts';

export interface UserDraft {
  readonly name: string;
  /** Undefined for one from the environment. */
  readonly at: Place | undefined;
  readonly reading: Reading;
  readonly role: 'user' | 'admin';
  readonly tokens: readonly { readonly digest: string; readonly at: Place | undefined }[];
  /** Every server of the configuration. */
  readonly all: boolean;
  readonly servers: readonly ServerDraft[];
}

/** What users are resolved against. */
export interface Known {
  readonly servers: ReadonlyMap<string, ServerConfig>;
  /** Defined, but wrong; already reported. */
  readonly broken: ReadonlySet<string>;
  readonly defaults: Values<typeof SETTINGS>;
}

/** Lower-case hex SHA-256. */
export type Sha256 = (text: string) => string;

const NAME = new RegExp(`^[A-Za-z0-9._@-]{1,${USER_NAME_CHARS_MAX}}$`);
/** RFC 6750 §2.1: what can stand after `Bearer`. */
const TOKEN = /^[A-Za-z0-9._~+/-]+=*$/;
const DIGEST = /^sha256:([\da-f]{64})$/i;

/** The principal that everybody is with `auth: none`. */
export const ANONYMOUS = 'anonymous';

/** Tells whether `name` can be the name of a user. */
export function isUserName(name: string): boolean {
  return NAME.test(name) && name !== ANONYMOUS;
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
  const tokens = fields.token === undefined ? [] : decodeTokens({ reading, name, node: fields.token.value }, sha256);
  if (fields.token === undefined && !isNamed(pair.value, 'token')) {
    reading.problems.error(key, {
      text: `the user ${showName(name)} has no token`,
      fix: '`mcproxy token rotate` makes one',
      shown: shownName(name),
    });
  }
  const access = decodeAccess(reading, fields);
  if (fields.servers === undefined && fields.role?.value !== 'admin' && !isNamed(pair.value, 'servers')) {
    reading.problems.warning(key, {
      text: `the user ${showName(name)} may use no server`,
      fix: 'write servers: "*" for all of them, or a list of names',
      shown: shownName(name),
    });
  }
  return { name, at: key, reading, role: fields.role?.value ?? 'user', tokens, ...access };
}

function decodeTokens(from: { reading: Reading; name: string; node: YamlNode }, sha256: Sha256): UserDraft['tokens'] {
  const { reading, node } = from;
  const nodes = node.kind === 'seq' ? node.items : [node];
  const tokens: { digest: string; at: Place }[] = [];
  for (const one of nodes) {
    const text = readSecretText(reading, one, 'open')?.trim();
    if (text === undefined) {
      if (one.kind !== 'scalar' || one.value === null)
        reading.problems.error(one, {
          text: '"token" is not valid',
          fix: 'write sha256:HEX as `mcproxy token add` stores it, or a list of them',
        });
      continue;
    }
    const digest = DIGEST.exec(text)?.[1]?.toLowerCase() ?? digestPlain(reading, { text, at: one }, sha256);
    if (digest === undefined) continue;
    if (!DIGEST.test(text) && !isReference(one)) {
      reading.problems.warning(one, {
        text: `a token of ${showName(from.name)} is stored in plain text`,
        fix: '`mcproxy token add` makes a token and stores only its SHA-256',
      });
    }
    tokens.push({ digest, at: one });
  }
  return tokens;
}

function digestPlain(reading: Reading, token: { text: string; at: YamlNode }, sha256: Sha256): string | undefined {
  const { text, at } = token;
  if (/^sha256:/i.test(text)) {
    reading.problems.error(at, {
      text: 'after "sha256:" there must be 64 hexadecimal digits',
      fix: '`mcproxy token add` makes a token and stores it in this form',
    });
    return undefined;
  }
  reading.secrets.add(text);
  if (text.length <= TOKEN_BYTES_MAX && TOKEN.test(text)) return sha256(text).toLowerCase();
  reading.problems.error(at, {
    text:
      text === ''
        ? 'the token is empty'
        : 'this token can never arrive: it is too long or has characters that a bearer token cannot have',
    fix: 'use letters, digits and - . _ ~ + / only, or let `mcproxy token add` make one',
  });
  return undefined;
}

function decodeAccess(reading: Reading, fields: Decoded<typeof USER>): { all: boolean; servers: ServerDraft[] } {
  const node = fields.servers?.value;
  if (node === undefined) return { all: false, servers: [] };
  if (node.kind === 'map') {
    const drafts = node.pairs.flatMap((pair) => decodePersonal(reading, pair) ?? []);
    return { all: node.pairs.some((pair) => pair.name === '*'), servers: drafts };
  }
  let all = false;
  const servers: ServerDraft[] = [];
  for (const item of node.kind === 'seq' ? node.items : [node]) {
    const name = readText(reading, item, 'variables')?.trim();
    if (name === '*') all = true;
    else if (name !== undefined && name !== '') servers.push(bareDraft(reading, name, item));
    else if (item.kind !== 'scalar' || item.value === null || name === '') {
      reading.problems.error(item, {
        text: '"servers" of a user is not valid',
        fix: 'write "*", a list of names, or a map from name to what is special for this user',
      });
    }
  }
  return { all, servers };
}

function decodePersonal(reading: Reading, pair: YamlPair): ServerDraft | undefined {
  if (pair.name !== '*')
    return decodeServer({ reading, name: pair.name, at: pair.key, node: pair.value }, { foreign: false });
  const isBare = isNothing(pair.value) || (pair.value.kind === 'map' && pair.value.pairs.length === 0);
  if (!isBare)
    reading.problems.error(pair.value, {
      text: '"*" stands for all servers and takes no options',
      fix: 'write the options under the name of a server',
    });
  return undefined;
}

function bareDraft(reading: Reading, name: string, at: Place): ServerDraft {
  return {
    name,
    at,
    reading,
    fields: {},
    exposure: NOTHING_SAID,
    said: { credential: undefined, headers: [], lacks: [], at: undefined },
    foreign: false,
    empty: true,
    broken: false,
  };
}

/** The principals of all drafts, in order; every problem is reported. */
export function resolveUsers(drafts: readonly UserDraft[], known: Known): Principal[] {
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
    const digests = new Set<string>();
    for (const { digest, at } of draft.tokens) {
      const owner = owners.get(digest);
      if (owner !== undefined && owner !== draft.name) {
        problems.error(at, {
          text: `${showName(draft.name)} has the same token as ${showName(owner)}`,
          fix: 'give each user a token of their own: `mcproxy token add`',
        });
      }
      owners.set(digest, draft.name);
      digests.add(digest);
    }
    principals.push({
      id: draft.name,
      role: draft.role,
      tokenDigests: [...digests],
      servers: resolveAccess(draft, known),
    });
  }
  return principals;
}

function resolveAccess(draft: UserDraft, known: Known): ReadonlyMap<string, ServerConfig> {
  if (draft.all && draft.servers.every((server) => server.empty && known.servers.has(server.name)))
    return known.servers;
  const servers = new Map(draft.all ? known.servers : []);
  for (const server of draft.servers) {
    const base = known.servers.get(server.name);
    if (server.broken || known.broken.has(server.name)) continue;
    const defines = server.fields.url !== undefined || server.fields.command !== undefined;
    if (base === undefined && !defines) reportUnknownServer(server, known);
    else if (base !== undefined && server.empty) servers.set(server.name, base);
    else if (isServerName(server.name)) {
      const resolved = resolveServer(server, { base, defaults: known.defaults, personal: true });
      if (resolved !== undefined) servers.set(server.name, resolved);
    } else reportServerName(server.reading.problems, server.at, server.name);
  }
  return servers;
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
