/**
 * The servers of one principal at one moment, with the members that serve them and the rules for what is shown of them.
 *
 * A view asks for it at every step instead of keeping it, so that a reload is seen by the next step and a principal
 * that was removed has nothing any more. Reading a list or calling opens a member; looking at what is known does not.
 * Lists come through the tool lock and the rules only, so that no view can show or find what they hide: the rules of the
 * server, which all share, and those of the principal around them.
 */
import { currentPrincipal } from '../auth/unlisted.ts';
import { lackText } from '../auth/credentials.ts';
import { ProxyError } from '../errors.ts';
import type { Exposure } from '../mcp/exposure.ts';
import { hasRules, restrictExposure } from '../mcp/access.ts';
import { isObject } from '../mcp/jsonrpc.ts';
import { exposeName, type NameOwner } from '../mcp/names.ts';
import type { AccessConfig, Config, Principal, ServerConfig } from '../model.ts';
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
  /** What a tool is called in the merged catalog, unless another server with the same prefix has one of that name too. */
  mergedName(serverName: string, ownName: string): string;
  /** The same servers without the rules of the principal, to say what these hide; undefined where there are none. */
  readonly unrestricted: Servers | undefined;
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
  const current = currentPrincipal(now.config, principal.id);
  const unrestricted = selectServers(current, { only, access: undefined, unrestricted: undefined }, now);
  const access = current?.access;
  return hasRules(access) ? selectServers(current, { only, access, unrestricted }, now) : unrestricted;
}

function selectServers(
  current: Principal | undefined,
  how: {
    readonly only: string | undefined;
    readonly access: AccessConfig | undefined;
    readonly unrestricted: Servers | undefined;
  },
  now: Now,
): Servers {
  const { only, access, unrestricted } = how;
  const principalId = current?.id ?? '';
  // Names are those of all servers of the principal, whatever the view.
  const prefixes = [...(current?.servers.values() ?? [])].filter(isServable).map((server) => server.exposure.prefix);
  const configs = new Map<string, ServerConfig>(); // Bounded by SERVER_COUNT_MAX.
  for (const [name, server] of current?.servers ?? []) {
    if (isServable(server) && (only === undefined || only === name)) configs.set(name, server);
  }
  const names = [...configs.keys()];
  const get = (serverName: string): ServerConfig => {
    const server = configs.get(serverName);
    if (server !== undefined) return server;
    // Whoever asks had it a moment ago.
    throw new ProxyError('UPSTREAM_NOT_READY', `server ${serverName} was changed or removed; ask again`);
  };
  const find = (serverName: string): Member | undefined => {
    const server = configs.get(serverName);
    return server === undefined ? undefined : now.members.find(principalId, server);
  };
  const shown = showServers({ get, find, access, prefixes, now });
  return {
    names,
    owners: names.map((server) => ({ server, prefix: get(server).exposure.prefix })),
    member: (serverName) => now.members.get(principalId, get(serverName)),
    known: find,
    exposure: (serverName) => shown.exposure(serverName),
    catalog: (serverName) => shown.catalog(now.members.get(principalId, get(serverName)), serverName),
    knownCatalog(serverName) {
      const member = find(serverName);
      return member && shown.catalog(member, serverName);
    },
    lack(serverName) {
      const server = configs.get(serverName);
      return server === undefined || server.lacks.length === 0
        ? undefined
        : lackText(server, current ?? { id: principalId });
    },
    mergedName(serverName, ownName) {
      const { prefix } = get(serverName).exposure;
      const name = shown.exposure(serverName).shownName('tools', ownName);
      return exposeName(name, { server: serverName, prefix, prefixes });
    },
    unrestricted,
    showItems: (serverName, kind, items) => shown.items(serverName, kind, items),
    ownTools: (serverName) => find(serverName)?.catalog.peek('tools'),
    withheldName: (serverName, name) => (configs.has(serverName) ? shown.withheldName(serverName, name) : undefined),
  };
}

/** What the rules and the lock are asked with. */
interface Scope {
  get(serverName: string): ServerConfig;
  find(serverName: string): Member | undefined;
  readonly access: AccessConfig | undefined;
  readonly prefixes: readonly string[];
  readonly now: Now;
}

interface Shown {
  exposure(serverName: string): Exposure;
  catalog(member: Member, serverName: string): ExposedCatalog;
  items(serverName: string, kind: ListKind, items: readonly unknown[]): readonly unknown[];
  withheldName(serverName: string, shown: string): string | undefined;
}

/** Servers through the rules of the principal, those of the server, and the tool lock, from the outside to the inside. */
function showServers(scope: Scope): Shown {
  const { access, prefixes, now } = scope;
  const restricted = new Map<string, Exposure>(); // Bounded by SERVER_COUNT_MAX.
  const catalogs = new WeakMap<Member, ExposedCatalog>();
  const lockOf = (serverName: string): ServerLock | undefined => now.locks.of(scope.get(serverName));
  const rules = (serverName: string): Exposure => {
    const { exposure } = scope.get(serverName);
    const named = { server: serverName, prefix: exposure.prefix, prefixes };
    const made = restricted.get(serverName) ?? restrictExposure(exposureOf(exposure), access, named);
    restricted.set(serverName, made);
    return made;
  };
  const guard = (serverName: string): ToolGuard | undefined => {
    const lock = lockOf(serverName);
    return lock && makeGuard(lock, now.onDrift);
  };
  const lastTools = (serverName: string): ServerList | undefined => scope.find(serverName)?.catalog.peek('tools');
  return {
    exposure: (serverName) =>
      guardExposure(rules(serverName), lockOf(serverName), () => {
        const list = lastTools(serverName);
        return list && guard(serverName)?.list(list);
      }),
    catalog(member, serverName) {
      const known = catalogs.get(member);
      const made = known ?? exposeCatalog(guardCatalog(member.catalog, guard(serverName)), rules(serverName));
      catalogs.set(member, made);
      return made;
    },
    items(serverName, kind, items) {
      const lock = kind === 'tools' ? lockOf(serverName) : undefined;
      if (lock === undefined) return exposeItems(kind, items, rules(serverName));
      notice(scope.find(serverName), items, { lock, onDrift: now.onDrift });
      const guarded = makeGuard(lock, now.onDrift);
      const left = items.filter((item) => guarded.admits(item));
      return exposeItems(kind, left, rules(serverName));
    },
    withheldName(serverName, shown) {
      const own = rules(serverName).ownName('tools', shown);
      const tool = lastTools(serverName)?.items.find(({ name }) => name === own);
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
