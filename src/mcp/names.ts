/**
 * Names of tools and prompts in a merged catalog: `server__name`, and the way back.
 *
 * An exposed name depends only on the server, the name and the names of the other servers, never on what those
 * offer or whether they are up, so it is the same after a restart and while somebody is down. It has the alphabet
 * of MCP 2025-11-25 server/tools (Tool Names) and at most `EXPOSED_NAME_CHARS_MAX` characters; a name that had to be
 * changed ends in a hash of the original. Going back is a look-up among the names that the server really has, never
 * parsing. Pure.
 */
import { EXPOSED_NAME_CHARS_MAX } from '../limits.ts';

export const NAME_SEPARATOR = '__';

const NOT_ALLOWED = /[^A-Za-z0-9_.-]/g;
const HASH_CHARS = 7; // 32 bits in base 36
const SUFFIX_CHARS = HASH_CHARS + 1;

/** The names of one server, both ways. */
export interface NameTable {
  readonly exposed: ReadonlyMap<string, string>;
  readonly original: ReadonlyMap<string, string>;
}

/** What a name is looked at with: its server and all servers of the view, that one included. */
export interface NameScope {
  readonly server: string;
  readonly servers: readonly string[];
}

/** The exposed name, were it the only one of its server. */
export function exposeName(name: string, scope: NameScope): string {
  return nameFor(name, scope, 0);
}

/**
 * Both directions for all names of a server, in its order; a repeated name counts once. Two names that would be
 * exposed alike (they differ in characters that are not allowed, or share a hash) get different hashes in that order.
 */
export function makeNameTable(names: Iterable<string>, scope: NameScope): NameTable {
  const exposed = new Map<string, string>();
  const original = new Map<string, string>();
  for (const name of names) {
    if (exposed.has(name)) continue;
    let attempt = 0;
    while (original.has(nameFor(name, scope, attempt))) attempt += 1;
    const found = nameFor(name, scope, attempt);
    exposed.set(name, found);
    original.set(found, name);
  }
  return { exposed, original };
}

/**
 * The servers that a name may belong to, most likely first: those whose prefix it has, the longest first. More than
 * one only where a server is called like another and `__` (`a` and `a__b`).
 */
export function findServersByName(exposedName: string, servers: readonly string[]): string[] {
  return servers
    .filter((server) => exposedName.startsWith(prefixOf(server)))
    .toSorted((a, b) => b.length - a.length || (a < b ? -1 : 1));
}

/** The name without the prefix: what it is at the server unless it had to be changed. */
export function stripPrefix(exposedName: string, server: string): string {
  return exposedName.startsWith(prefixOf(server)) ? exposedName.slice(prefixOf(server).length) : exposedName;
}

function prefixOf(server: string): string {
  return `${server}${NAME_SEPARATOR}`;
}

function nameFor(name: string, scope: NameScope, attempt: number): string {
  const plain = `${prefixOf(scope.server)}${name.replace(NOT_ALLOWED, '_')}`;
  const unchanged = plain === `${prefixOf(scope.server)}${name}` && name !== '';
  const fits = plain.length <= EXPOSED_NAME_CHARS_MAX;
  if (attempt === 0 && unchanged && fits && !belongsToLonger(plain, scope)) return plain;
  const seed = attempt === 0 ? `${scope.server}\0${name}` : `${scope.server}\0${name}\0${attempt}`;
  return `${plain.slice(0, EXPOSED_NAME_CHARS_MAX - SUFFIX_CHARS)}_${hashName(seed)}`;
}

/** `a` with the tool `b__c` must not take the name of `a__b` with the tool `c`. */
function belongsToLonger(exposedName: string, { server, servers }: NameScope): boolean {
  return servers.some((other) => other.length > server.length && exposedName.startsWith(prefixOf(other)));
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
