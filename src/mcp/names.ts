/**
 * Names of tools and prompts in a merged catalog: `prefix__name`, and the way back.
 *
 * An exposed name depends on the server, the name and the prefixes of the other servers, never on whether they are up,
 * so it is the same after a restart and while somebody is down. Only servers that share a prefix depend on what the
 * others offer: in the configured order the first keeps a name that several have, unless another holds it already. An exposed name has the alphabet of
 * MCP 2025-11-25 server/tools (Tool Names) and at most `EXPOSED_NAME_CHARS_MAX` characters; a name that had to be
 * changed ends in a hash of server and name. Going back is a look-up among the names that the servers really have,
 * never parsing. Pure.
 */
import { EXPOSED_NAME_CHARS_MAX } from '../limits.ts';
import { prefixText } from '../text/name-prefix.ts';

const NOT_ALLOWED = /[^A-Za-z0-9_.-]/g;
const HASH_CHARS = 7; // 32 bits in base 36
const SUFFIX_CHARS = HASH_CHARS + 1;
const SUFFIXED = new RegExp(`_[0-9a-z]{${HASH_CHARS}}$`);

/** A server by what its names begin with. */
export interface NameOwner {
  readonly server: string;
  /** Without the separator; empty: its names stand alone. */
  readonly prefix: string;
}

/** What a name is looked at with: its server, and the prefixes of all servers of the view. */
export interface NameScope extends NameOwner {
  readonly prefixes: readonly string[];
}

/** A name that had to give way to a name, or to all names, of another server. */
export interface NameConflict {
  readonly server: string;
  readonly name: string;
  readonly exposed: string;
  /** The server that has the name it would have, or the prefix (with `__`) that it would begin with. */
  readonly gaveWayTo: string;
}

/** The names of one server, both ways. */
export interface NameTable {
  readonly exposed: ReadonlyMap<string, string>;
  readonly original: ReadonlyMap<string, string>;
  readonly conflicts: readonly NameConflict[];
}

/** The exposed name, were it the only one. */
export function exposeName(name: string, scope: NameScope): string {
  return plainName(name, scope) ?? suffixedName(name, scope, 0);
}

/**
 * Both directions for the names of all servers of a view, in its order; a repeated name counts once. What would be
 * exposed like an earlier name gets a hash, and another hash where that is taken too.
 *
 * @param holder the server that keeps an exposed name, wherever it stands; undefined: the first that has it
 */
export function makeNameTables(
  servers: readonly (NameOwner & { readonly names: Iterable<string> })[],
  holder: (exposed: string) => string | undefined = () => undefined,
): ReadonlyMap<string, NameTable> {
  const present = new Set(servers.map(({ server }) => server));
  const heldFrom = (exposed: string, server: string): string | undefined => {
    const by = holder(exposed);
    return by !== undefined && by !== server && present.has(by) ? by : undefined;
  };
  const prefixes = [...new Set(servers.map(({ prefix }) => prefix))];
  const takenBy = new Map<string, string>(); // Bounded by CATALOG_ITEM_COUNT_MAX for each server.
  return new Map(
    servers.map(({ names, ...owner }) => [
      owner.server,
      makeNameTable(names, { ...owner, prefixes }, { takenBy, heldFrom }),
    ]),
  );
}

interface Taken {
  readonly takenBy: Map<string, string>;
  /** Who keeps a name from this server. */
  readonly heldFrom: (exposed: string, server: string) => string | undefined;
}

function makeNameTable(names: Iterable<string>, scope: NameScope, { takenBy, heldFrom }: Taken): NameTable {
  const exposed = new Map<string, string>();
  const original = new Map<string, string>();
  const conflicts: NameConflict[] = [];
  for (const name of names) {
    if (exposed.has(name)) continue;
    const plain = plainName(name, scope);
    const keeper = plain === undefined ? undefined : heldFrom(plain, scope.server);
    let found = keeper === undefined ? plain : undefined;
    for (let attempt = 0; found === undefined || takenBy.has(found); attempt += 1) {
      found = suffixedName(name, scope, attempt);
    }
    exposed.set(name, found);
    original.set(found, name);
    const winner =
      plain === undefined ? foreignPrefix(prefixText(scope.prefix) + name, scope) : (keeper ?? takenBy.get(plain));
    if (winner !== undefined && winner !== scope.server) {
      conflicts.push({ server: scope.server, name, exposed: found, gaveWayTo: winner });
    }
    takenBy.set(found, scope.server);
  }
  return { exposed, original, conflicts };
}

/**
 * The servers that a name may belong to, most likely first: those whose prefix it has, the longest first. More than
 * one only where servers share a prefix or one is called like another and `__` (`a` and `a__b`), or has none.
 */
export function findOwnersByName<T extends NameOwner>(exposedName: string, owners: readonly T[]): T[] {
  return owners
    .filter(({ prefix }) => exposedName.startsWith(prefixText(prefix)))
    .toSorted((a, b) => b.prefix.length - a.prefix.length);
}

/** The name without the prefix: what it is at the server unless it had to be changed. */
export function stripPrefix(exposedName: string, prefix: string): string {
  const text = prefixText(prefix);
  return exposedName.startsWith(text) ? exposedName.slice(text.length) : exposedName;
}

/** Whether it could be a name that had to be changed. */
export function isSuffixed(exposedName: string): boolean {
  return SUFFIXED.test(exposedName);
}

/** `text`, cut where needed, with a stable hash of what it stands for. */
export function withSuffix(text: string, seed: string): string {
  return `${text.slice(0, EXPOSED_NAME_CHARS_MAX - SUFFIX_CHARS)}_${hashName(seed)}`;
}

/** The name behind its prefix; undefined when it is too long, of other characters, or looks like another server's. */
function plainName(name: string, scope: NameScope): string | undefined {
  const plain = prefixText(scope.prefix) + name;
  const usable = name !== '' && name.search(NOT_ALLOWED) === -1 && plain.length <= EXPOSED_NAME_CHARS_MAX;
  return usable && foreignPrefix(plain, scope) === undefined ? plain : undefined;
}

function suffixedName(name: string, { server, prefix }: NameScope, attempt: number): string {
  const seed = attempt === 0 ? `${server}\0${name}` : `${server}\0${name}\0${attempt}`;
  return withSuffix(prefixText(prefix) + name.replace(NOT_ALLOWED, '_'), seed);
}

/** `a` with the tool `b__c` must not take the name of `a__b` with the tool `c`. */
function foreignPrefix(exposedName: string, { prefix, prefixes }: NameScope): string | undefined {
  return prefixes
    .filter((other) => other.length > prefix.length)
    .map(prefixText)
    .find((other) => exposedName.startsWith(other));
}

/** FNV-1a, 32 bits, over UTF-16 code units low byte first. Names in clients' rules depend on it: never change it. */
function hashName(text: string): string {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    hash = Math.imul(hash ^ (unit & 0xff), 0x01000193);
    hash = Math.imul(hash ^ (unit >>> 8), 0x01000193);
  }
  return (hash >>> 0).toString(36).padStart(HASH_CHARS, '0');
}
