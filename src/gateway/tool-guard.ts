/**
 * The tool lock around one server's list of tools: what differs from mcproxy.lock is told, and with `block` left out.
 *
 * A layer under the rules of exposure: it goes by the server's own names and by whole definitions, so whatever is shown,
 * renamed or called went through it. With `block` a name is only good while the last known list holds it with an approved
 * definition; a server that does not tell its list has no tools then. The same list always gives the same object.
 */
import { createHash } from 'node:crypto';

import type { Exposure } from '../mcp/exposure.ts';
import { isObject } from '../mcp/jsonrpc.ts';
import { compareTools, digestTool, type LockedDigests, type ToolDrift } from '../mcp/tool-lock.ts';
import type { JsonObject } from '../mcp/waist.ts';
import type { LockMode } from '../model.ts';
import type { ListKind, ServerList } from './catalog-read.ts';
import type { Catalog, KnownList } from './catalog.ts';

/** What a server is held to; one object for each server of a configuration, so that it can be a key. */
export interface ServerLock {
  readonly serverName: string;
  readonly mode: Exclude<LockMode, 'off'>;
  /** Undefined: the server is not in the file. */
  readonly digests: LockedDigests | undefined;
}

export interface Drift extends ToolDrift {
  readonly lock: ServerLock;
  /** Of the tools as they are now. */
  readonly digests: LockedDigests;
}

export interface ToolGuard {
  /** Whether a definition may be shown. */
  admits(definition: unknown): boolean;
  /** What is left of a list; told once what differs. */
  list(list: ServerList): ServerList;
}

const NONE: LockedDigests = new Map(); // Bounded by CONFIG_BYTES_MAX.
const digests = new WeakMap<object, string>();
const drifts = new WeakMap<ServerLock, WeakMap<ServerList, Drift>>();
const guarded = new WeakMap<ServerLock, WeakMap<ServerList, ServerList>>();

/** @param onDrift told of each list that differs, each time it is looked at anew */
export function makeGuard(lock: ServerLock, onDrift: (drift: Drift) => void): ToolGuard {
  const { mode, digests: locked = NONE } = lock;
  const admits = (definition: unknown): boolean =>
    mode === 'warn' || (isObject(definition) && locked.get(String(definition['name'])) === digestOf(definition));
  return {
    admits,
    list(list) {
      const known = guarded.get(lock) ?? new WeakMap<ServerList, ServerList>();
      guarded.set(lock, known);
      const before = known.get(list);
      if (before !== undefined) return before;
      onDrift(driftOf(lock, list));
      const items = list.items.filter((item) => admits(item));
      const left =
        items.length === list.items.length ? list : { ...list, items, keys: items.map(({ name }) => String(name)) };
      known.set(list, left);
      return left;
    },
  };
}

/** How a list differs from what is locked. */
export function driftOf(lock: ServerLock, list: ServerList): Drift {
  const known = drifts.get(lock) ?? new WeakMap<ServerList, Drift>();
  drifts.set(lock, known);
  const before = known.get(list);
  if (before !== undefined) return before;
  const now = new Map(list.items.map((item) => [String(item['name']), digestOf(item)])); // Bounded by CATALOG_ITEM_COUNT_MAX.
  const drift = { ...compareTools(lock.digests ?? NONE, now, !list.cut), lock, digests: now };
  known.set(list, drift);
  return drift;
}

/** @see digestTool */
export function digestOf(definition: JsonObject): string {
  const digest =
    digests.get(definition) ?? digestTool(definition, (text) => createHash('sha256').update(text).digest('hex'));
  digests.set(definition, digest);
  return digest;
}

/** A catalog whose tools went through the guard. */
export function guardCatalog(catalog: Catalog, guard: ToolGuard | undefined): Catalog {
  if (guard === undefined) return catalog;
  const pass = (kind: ListKind, list: ServerList | undefined): ServerList | undefined =>
    kind === 'tools' && list !== undefined ? guard.list(list) : list;
  const show = (kind: ListKind, known: KnownList): KnownList => ({ ...known, list: pass(kind, known.list) });
  return {
    ...catalog,
    peek: (kind) => pass(kind, catalog.peek(kind)),
    get: async (kind) => show(kind, await catalog.get(kind)),
    getAfterMiss: async (kind) => show(kind, await catalog.getAfterMiss(kind)),
  };
}

/** The rules by which names are found: with `block` a tool has to be in the list that went through the guard. */
export function guardExposure(
  inner: Exposure,
  lock: ServerLock | undefined,
  known: () => ServerList | undefined,
): Exposure {
  if (lock?.mode !== 'block') return inner;
  const isKnown = (own: string): boolean => known()?.keys.includes(own) === true;
  return {
    ...inner,
    isPlain: (kind) => kind !== 'tools' && inner.isPlain(kind),
    shows: (kind, own) => inner.shows(kind, own) && (kind !== 'tools' || isKnown(own)),
    ownName(kind, shown) {
      const own = inner.ownName(kind, shown);
      return own === undefined || kind !== 'tools' || isKnown(own) ? own : undefined;
    },
  };
}
