/**
 * The servers of one principal at one moment, with the members that serve them and the rules for what is shown of them.
 *
 * A view asks for it at every step instead of keeping it, so that a reload is seen by the next step and a principal
 * that was removed has nothing any more. Reading a list or calling opens a member; looking at what is known does not.
 * Lists come through the tool lock and the rules only, so that no view can show or find what they hide.
 */
import { lackText } from '../auth/credentials.ts';
import { ProxyError } from '../errors.ts';
import type { Exposure } from '../mcp/exposure.ts';
import { isObject } from '../mcp/jsonrpc.ts';
import type { NameOwner } from '../mcp/names.ts';
import type { Config, Principal, ServerConfig } from '../model.ts';
import type { ListKind, ServerList } from './catalog-read.ts';
import { exposeCatalog, exposeItems, exposureOf, type ExposedCatalog } from './exposed-catalog.ts';
import type { Member } from './member.ts';
import { isServable, type Members } from './members.ts';
import type { ServerLocks } from './server-locks.ts';
import {
  driftOf,
  guardCatalog,
  guardExposure,
  makeGuard,
  type Drift,
  type ServerLock,
  type ToolGuard,
} from './tool-guard.ts';

/** A member without its lists. */
export type ServingMember = Omit<Member, 'catalog'>;

export interface Servers {
  /** In the order of the configuration. */
  readonly names: readonly string[];
  /** The same with what their exposed names begin with. */
  readonly owners: readonly NameOwner[];
  /** @throws {ProxyError} UPSTREAM_NOT_READY when a reload took it away; as `Members.get` does */
  member(serverName: string): ServingMember;
  /** Undefined when it was not opened, or there is no such server. */
  known(serverName: string): ServingMember | undefined;
  /** What clients see of it. @throws {ProxyError} UPSTREAM_NOT_READY */
  exposure(serverName: string): Exposure;
  /** Its lists as clients see them. @throws {ProxyError} as `member` does */
  catalog(serverName: string): ExposedCatalog;
  /** The same without opening. */
  knownCatalog(serverName: string): ExposedCatalog | undefined;
  /** Why this principal cannot use it, for the principal; undefined when nothing is missing. */
  lack(serverName: string): string | undefined;
  /** Items of a server's answer as clients see them. */
  showItems(serverName: string, kind: ListKind, items: readonly unknown[]): readonly unknown[];
  /** The server's tools as it gave them last, before anything is hidden or changed. */
  ownTools(serverName: string): ServerList | undefined;
  /** The own name of a tool that is there and withheld by the lock, by what clients would call it. */
  withheldName(serverName: string, shown: string): string | undefined;
}

/** The configuration of now and what goes with it. */
export interface Now {
  readonly config: Config;
  readonly members: Members;
  readonly locks: ServerLocks;
  readonly onDrift: (drift: Drift) => void;
}

/**
 * @param principal as somebody once knew it; the current configuration decides
 * @param only one server, or undefined for all
 */
export function findServers(principal: Principal, only: string | undefined, now: Now): Servers {
  const configs = new Map<string, ServerConfig>(); // Bounded by SERVER_COUNT_MAX.
  const current = now.config.principals.find(({ id }) => id === principal.id);
  for (const [name, server] of current?.servers ?? []) {
    if (isServable(server) && (only === undefined || only === name)) configs.set(name, server);
  }
  const get = (serverName: string): ServerConfig => {
    const server = configs.get(serverName);
    if (server !== undefined) return server;
    // Whoever asks had it a moment ago.
    throw new ProxyError('UPSTREAM_NOT_READY', `server ${serverName} was changed or removed; ask again`);
  };
  const find = (serverName: string): Member | undefined => {
    const server = configs.get(serverName);
    return server === undefined ? undefined : now.members.find(principal.id, server);
  };
  const rules = (serverName: string): Exposure => exposureOf(get(serverName).exposure);
  const guard = (serverName: string): ToolGuard | undefined => {
    const lock = now.locks.of(get(serverName));
    return lock && makeGuard(lock, now.onDrift);
  };
  const exposure = (serverName: string): Exposure =>
    guardExposure(rules(serverName), now.locks.of(get(serverName)), () => {
      const list = find(serverName)?.catalog.peek('tools');
      return list && guard(serverName)?.list(list);
    });
  const catalogs = new WeakMap<Member, ExposedCatalog>();
  const catalogOf = (member: Member, serverName: string): ExposedCatalog => {
    const known =
      catalogs.get(member) ?? exposeCatalog(guardCatalog(member.catalog, guard(serverName)), rules(serverName));
    catalogs.set(member, known);
    return known;
  };
  const names = [...configs.keys()];
  return {
    names,
    owners: names.map((server) => ({ server, prefix: exposure(server).prefix })),
    member: (serverName) => now.members.get(principal.id, get(serverName)),
    known: find,
    exposure,
    catalog: (serverName) => catalogOf(now.members.get(principal.id, get(serverName)), serverName),
    knownCatalog(serverName) {
      const member = find(serverName);
      return member && catalogOf(member, serverName);
    },
    lack(serverName) {
      const server = configs.get(serverName);
      return server === undefined || server.lacks.length === 0 ? undefined : lackText(server, principal.id);
    },
    showItems(serverName, kind, items) {
      const lock = kind === 'tools' ? now.locks.of(get(serverName)) : undefined;
      if (lock === undefined) return exposeItems(kind, items, rules(serverName));
      notice(find(serverName), items, { lock, onDrift: now.onDrift });
      const guarded = makeGuard(lock, now.onDrift);
      const left = items.filter((item) => guarded.admits(item));
      return exposeItems(kind, left, rules(serverName));
    },
    ownTools: (serverName) => find(serverName)?.catalog.peek('tools'),
    withheldName(serverName, shown) {
      const own = configs.has(serverName) ? rules(serverName).ownName('tools', shown) : undefined;
      const tool = find(serverName)
        ?.catalog.peek('tools')
        ?.items.find(({ name }) => name === own);
      return tool === undefined || guard(serverName)?.admits(tool) !== false ? undefined : own;
    },
  };
}

/** What a server's own answer shows of its tools: told, and read anew where it is not what was read last. */
function notice(
  member: Member | undefined,
  items: readonly unknown[],
  { lock, onDrift }: { readonly lock: ServerLock; readonly onDrift: (drift: Drift) => void },
): void {
  const tools = items.filter(isObject);
  const seen = { items: tools, keys: [], ttlMs: 0, scope: 'private', cut: true } as const;
  const drift = driftOf(lock, seen);
  onDrift(drift);
  const last = member?.catalog.peek('tools');
  const known = last && driftOf(lock, last).digests;
  if ([...drift.digests].every(([name, digest]) => known?.get(name) === digest)) return;
  member?.catalog.invalidate('tools');
  void member?.catalog.get('tools');
}
