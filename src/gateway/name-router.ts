/**
 * From exposed names of tools and prompts to servers, and back, for one merged view.
 *
 * A name is looked up in the lists of the servers whose prefix it has, at most one of them nearly always, so that a
 * call waits for no other server. A list that does not have it is read again first. Where several servers share a
 * prefix, the lists of those that come before decide too and are waited for once, so that a call goes where the list
 * would show it; a server keeps the names that it was shown under (`name-holds`). When a list cannot be had, a name that was not changed goes to its server all the same: that one says
 * why it cannot serve, or serves. What is hidden is in no list and refused in every case.
 */
import { ProxyError } from '../errors.ts';
import { QUOTED_CHARS_MAX } from '../limits.ts';
import { exposeName, findOwnersByName, isSuffixed, makeNameTables, stripPrefix } from '../mcp/names.ts';
import type { NameConflict, NameScope, NameTable } from '../mcp/names.ts';
import type { ServerList } from './catalog-read.ts';
import { NOBODY_HOLDS, type NameHolds } from './name-holds.ts';
import type { Servers } from './servers-of.ts';

export type NameKind = 'tools' | 'prompts';

export interface Named {
  readonly serverName: string;
  /** What the server calls it. */
  readonly name: string;
  /** What its exposed list calls it. */
  readonly shown: string;
}

export interface NameRouter {
  /** The names of all these servers, for a client. @param lists in their order; undefined where nothing is known */
  show(kind: NameKind, among: Listed): ReadonlyMap<string, NameTable>;
  /** @throws {ProxyError} RPC_PARAMS when no server has it; UPSTREAM_* when its server cannot tell */
  resolve(kind: NameKind, exposed: string): Promise<Named>;
  /** What can be said without asking anybody, also of names that no list has. */
  guess(kind: NameKind, exposed: string): Omit<Named, 'shown'> | undefined;
  /** Names that had to give way when names were last given, if that was for the servers of now. */
  conflicts(): readonly (NameConflict & { readonly kind: NameKind })[];
}

/** Servers with a list of each, at one moment. */
export interface Listed {
  readonly servers: Servers;
  readonly lists: readonly (ServerList | undefined)[];
}

interface Made extends Listed {
  readonly tables: ReadonlyMap<string, NameTable>;
}

/** @param onConflicts told whenever names were given anew and some had to give way */
export function createNameRouter(
  servers: () => Servers,
  onConflicts: (kind: NameKind, conflicts: readonly NameConflict[]) => void = () => undefined,
  holds: Pick<NameHolds, 'holder' | 'note'> = NOBODY_HOLDS,
): NameRouter {
  const made: Partial<Record<NameKind, Made>> = {};

  function tables(kind: NameKind, { servers: now, lists }: Listed): ReadonlyMap<string, NameTable> {
    const last = made[kind];
    if (last?.servers === now && last.lists.every((list, at) => list === lists[at])) return last.tables;
    const named = now.owners.map((owner, at) => ({ ...owner, names: lists[at]?.keys ?? [] }));
    const fresh = makeNameTables(named, (exposed) => holds.holder(kind, exposed));
    made[kind] = { servers: now, lists, tables: fresh };
    const conflicts = conflictsIn(fresh);
    if (conflicts.length > 0) onConflicts(kind, conflicts);
    return fresh;
  }

  function find(kind: NameKind, exposed: string): Named | undefined {
    const now = servers();
    const lists = now.names.map((serverName) => now.knownCatalog(serverName)?.peek(kind));
    const known = tables(kind, { servers: now, lists });
    for (const { server } of findOwnersByName(exposed, now.owners)) {
      const shown = known.get(server)?.original.get(exposed);
      const name = shown === undefined ? undefined : now.exposure(server).ownName(kind, shown);
      if (shown !== undefined && name !== undefined) return { serverName: server, name, shown };
    }
    return undefined;
  }

  return {
    show(kind, among) {
      const shown = tables(kind, among);
      holds.note(kind, among.servers.owners, shown);
      return shown;
    },
    guess(kind, exposed) {
      return find(kind, exposed) ?? guessUnknown(servers(), kind, exposed);
    },
    async resolve(kind, exposed) {
      const found = find(kind, exposed);
      const rivals = found === undefined ? [] : unreadRivals(servers(), kind, found.serverName);
      if (found !== undefined && rivals.length === 0) return found;
      const now = servers();
      const asked = found === undefined ? findOwnersByName(exposed, now.owners).map(({ server }) => server) : rivals;
      const read = await Promise.all(
        asked.map(async (server) => ({ server, missing: await readAgain(now, { server, kind }) })),
      );
      const named = find(kind, exposed);
      if (named !== undefined) return named;
      return throughSilence(exposed, { now, kind, silent: read.filter(({ missing }) => missing !== undefined) });
    },
    conflicts: () =>
      (['tools', 'prompts'] as const).flatMap((kind) => {
        const last = made[kind];
        if (last?.servers !== servers()) return [];
        return conflictsIn(last.tables).map((conflict) => ({ ...conflict, kind }));
      }),
  };
}

function conflictsIn(tables: ReadonlyMap<string, NameTable>): NameConflict[] {
  return [...tables.values()].flatMap(({ conflicts }) => conflicts);
}

/** Servers before this one with its prefix that nobody has asked yet; one that is down is not waited for again. */
function unreadRivals(servers: Servers, kind: NameKind, serverName: string): string[] {
  const { prefix } = servers.exposure(serverName);
  return servers.names
    .slice(0, servers.names.indexOf(serverName))
    .filter((other) => servers.exposure(other).prefix === prefix)
    .filter(
      (other) => servers.knownCatalog(other)?.peek(kind) === undefined && servers.known(other)?.down === undefined,
    );
}

/** Reads the list unless that was done just now; why it cannot be had, if so. */
async function readAgain(
  now: Servers,
  { server, kind }: { server: string; kind: NameKind },
): Promise<ProxyError | undefined> {
  try {
    return (await now.catalog(server).getAfterMiss(kind)).missing;
  } catch (error) {
    // One server that cannot even be opened must not take the others with it.
    if (error instanceof ProxyError) return error;
    throw error;
  }
}

/** The name at a server that does not tell its list, or why that cannot be known. */
function throughSilence(
  exposed: string,
  at: { now: Servers; kind: NameKind; silent: readonly { server: string; missing: ProxyError | undefined }[] },
): Named {
  const { now, kind } = at;
  const prefixes = now.owners.map(({ prefix }) => prefix);
  for (const { server, missing } of at.silent) {
    const scope: NameScope = { server, prefix: now.exposure(server).prefix, prefixes };
    const shown = stripPrefix(exposed, scope.prefix);
    const isPlain = exposeName(shown, scope) === exposed;
    const name = isPlain ? now.exposure(server).ownName(kind, shown) : undefined;
    if (name !== undefined) return { serverName: server, name, shown };
    if (missing !== undefined && (isPlain || isSuffixed(exposed))) throw missing;
  }
  throw unknownName(kind, exposed);
}

/**
 * Where a name would belong that is in no list: the server that hides it, else the one whose prefix it has, where there
 * is one such. Without a prefix every name there is would belong to a server.
 */
function guessUnknown(servers: Servers, kind: NameKind, exposed: string): Omit<Named, 'shown'> | undefined {
  const all = findOwnersByName(exposed, servers.owners).map(({ server, prefix }) => {
    const shown = stripPrefix(exposed, prefix);
    return { serverName: server, prefix, shown, name: servers.exposure(server).ownName(kind, shown) };
  });
  const [first] = all;
  const likely = all.filter(({ prefix }) => prefix === first?.prefix);
  const hidden = likely.filter(({ name }) => name === undefined);
  const [owner, other] = hidden.length > 0 ? hidden : likely;
  if (owner === undefined || other !== undefined) return undefined;
  const { serverName, prefix, shown, name } = owner;
  const isForeign = prefix === '' && name !== undefined && servers.knownCatalog(serverName)?.peek(kind) !== undefined;
  return isForeign ? undefined : { serverName, name: name ?? shown };
}

/** The same for what does not exist and what is hidden. */
export function unknownName(kind: NameKind, name: string): ProxyError {
  const noun = kind === 'tools' ? 'tool' : 'prompt';
  return new ProxyError('RPC_PARAMS', `Unknown ${noun}: ${name.slice(0, QUOTED_CHARS_MAX)}`);
}
