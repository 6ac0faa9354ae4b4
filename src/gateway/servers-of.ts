/**
 * The servers of one principal at one moment, with the members that serve them and the rules for what is shown of them.
 *
 * A view asks for it at every step instead of keeping it, so that a reload is seen by the next step and a principal
 * that was removed has nothing any more. Reading a list or calling opens a member; looking at what is known does not.
 * Lists come through the rules only, so that no view can show or find what they hide: those of the server, which all
 * share, and those of the principal around them.
 */
import { lackText } from '../auth/credentials.ts';
import { ProxyError } from '../errors.ts';
import type { Exposure } from '../mcp/exposure.ts';
import { hasRules, restrictExposure } from '../mcp/access.ts';
import { exposeName, type NameOwner } from '../mcp/names.ts';
import type { AccessConfig, Config, Principal, ServerConfig } from '../model.ts';
import { exposeCatalog, exposureOf, type ExposedCatalog } from './exposed-catalog.ts';
import type { Member } from './member.ts';
import { isServable, type Members } from './members.ts';

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
}

/**
 * @param principal as somebody once knew it; the current configuration decides
 * @param only one server, or undefined for all
 */
export function findServers(
  principal: Principal,
  only: string | undefined,
  now: { readonly config: Config; readonly members: Members },
): Servers {
  const current = now.config.principals.find(({ id }) => id === principal.id);
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
  now: { readonly config: Config; readonly members: Members },
): Servers {
  const { only, access, unrestricted } = how;
  const principalId = current?.id ?? '';
  // Names are those of all servers of the principal, whatever the view.
  const prefixes = [...(current?.servers.values() ?? [])].filter(isServable).map((server) => server.exposure.prefix);
  const configs = new Map<string, ServerConfig>(); // Bounded by SERVER_COUNT_MAX.
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
    return server === undefined ? undefined : now.members.find(principalId, server);
  };
  const exposures = new Map<string, Exposure>(); // Bounded by SERVER_COUNT_MAX.
  const exposure = (serverName: string): Exposure => {
    const { exposure: rules } = get(serverName);
    const scope = { server: serverName, prefix: rules.prefix, prefixes };
    const made = exposures.get(serverName) ?? restrictExposure(exposureOf(rules), access, scope);
    exposures.set(serverName, made);
    return made;
  };
  const catalogs = new WeakMap<Member, ExposedCatalog>();
  const catalogOf = (member: Member, serverName: string): ExposedCatalog => {
    const known = catalogs.get(member) ?? exposeCatalog(member.catalog, exposure(serverName));
    catalogs.set(member, known);
    return known;
  };
  const names = [...configs.keys()];
  return {
    names,
    owners: names.map((server) => ({ server, prefix: exposure(server).prefix })),
    member: (serverName) => now.members.get(principalId, get(serverName)),
    known: find,
    exposure,
    catalog: (serverName) => catalogOf(now.members.get(principalId, get(serverName)), serverName),
    knownCatalog(serverName) {
      const member = find(serverName);
      return member && catalogOf(member, serverName);
    },
    lack(serverName) {
      const server = configs.get(serverName);
      return server === undefined || server.lacks.length === 0 ? undefined : lackText(server, principalId);
    },
    mergedName(serverName, ownName) {
      const { prefix } = get(serverName).exposure;
      const shown = exposure(serverName).shownName('tools', ownName);
      return exposeName(shown, { server: serverName, prefix, prefixes });
    },
    unrestricted,
  };
}
