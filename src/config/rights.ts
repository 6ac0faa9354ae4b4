/**
 * What several sources allow together: what is said of a user, each of their roles, what a claim adds.
 *
 * The same for users of the files, when they are read, and for those whose rights a token names, when they come in.
 * Lists add up as `access` says; a server that a source says something special of is taken from the last one that does,
 * and from the first source, which is the user's own, before all others. Pure.
 */
import type { AccessConfig, AccessFilter, RoleConfig, ServerConfig } from '../model.ts';
import { isGlob, matchesGlob } from '../text/glob.ts';
import { addUp } from './access.ts';

export type Allowing = Omit<RoleConfig, 'limits'>;

export const ALLOWS_NOTHING: Allowing = {
  servers: undefined,
  tools: undefined,
  prompts: undefined,
  resources: undefined,
  own: new Map(),
};

export interface Rights {
  readonly servers: ReadonlyMap<string, ServerConfig>;
  readonly access: AccessConfig;
}

/** @param sources the user's own first @param all the servers of mcproxy.yml; the very map where all are allowed */
export function rightsOf(sources: readonly Allowing[], all: ReadonlyMap<string, ServerConfig>): Rights {
  const servers = addUp(sources.map((source) => source.servers)) ?? { allow: [], deny: [] };
  const [first, ...others] = sources;
  const own = [...others, ...(first === undefined ? [] : [first])].flatMap((source) => [...source.own.values()]);
  return {
    servers: selectServers({ filter: servers, own }, all),
    access: {
      servers,
      tools: addUp(sources.map(({ tools }) => tools)),
      prompts: addUp(sources.map(({ prompts }) => prompts)),
      resources: addUp(sources.map(({ resources }) => resources)),
    },
  };
}

interface Wanted {
  readonly filter: AccessFilter;
  readonly own: readonly ServerConfig[];
}

function selectServers({ filter, own }: Wanted, all: ReadonlyMap<string, ServerConfig>): Rights['servers'] {
  const { allow = [{ pattern: '*' }], deny } = filter;
  const isAll = deny.length === 0 && allow.some(({ pattern }) => pattern === '*');
  if (isAll && own.length === 0) return all;
  const isDenied = (name: string): boolean => deny.some(({ pattern }) => matchesGlob(pattern, name));
  const servers = new Map<string, ServerConfig>();
  // In the order in which they are named, and within a pattern in that of the configuration.
  for (const { pattern } of allow) {
    const named = isGlob(pattern) ? undefined : all.get(pattern);
    if (named !== undefined && !isDenied(named.name)) servers.set(named.name, named);
    if (!isGlob(pattern)) continue;
    for (const [name, server] of all)
      if (matchesGlob(pattern, name) && !isDenied(name) && !servers.has(name)) servers.set(name, server);
  }
  for (const server of own) if (!isDenied(server.name)) servers.set(server.name, server);
  return servers;
}
