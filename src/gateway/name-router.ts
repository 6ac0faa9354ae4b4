/**
 * From exposed names of tools and prompts to servers, and back, for one merged view.
 *
 * A name is looked up in the lists of the servers whose prefix it has, at most one of them nearly always, so that a
 * call waits for no other server. A list that does not have it is read again first. When the list cannot be had, a
 * name that was not changed goes to its server all the same: that one says why it cannot serve, or serves.
 */
import { ProxyError } from '../errors.ts';
import { QUOTED_CHARS_MAX } from '../limits.ts';
import { exposeName, findServersByName, makeNameTable, stripPrefix, type NameTable } from '../mcp/names.ts';
import type { ListKind, ServerList } from './catalog-read.ts';
import type { Servers } from './servers-of.ts';

export interface Named {
  readonly serverName: string;
  readonly name: string;
}

export interface NameRouter {
  table(serverName: string, list: ServerList): NameTable;
  /** @throws {ProxyError} RPC_PARAMS when no server has it; UPSTREAM_* when its server cannot tell */
  resolve(kind: 'tools' | 'prompts', exposed: string): Promise<Named>;
  /** What can be said without asking anybody. */
  guess(kind: 'tools' | 'prompts', exposed: string): Named | undefined;
}

export function createNameRouter(servers: () => Servers): NameRouter {
  let tables = new WeakMap<ServerList, NameTable>();
  let among = '';

  function table(serverName: string, list: ServerList): NameTable {
    const { names } = servers();
    // Exposed names depend on which servers there are.
    if (among !== names.join()) [tables, among] = [new WeakMap(), names.join()];
    const found = tables.get(list) ?? makeNameTable(list.keys, { server: serverName, servers: names });
    tables.set(list, found);
    return found;
  }

  function look(exposed: string, serverName: string, list: ServerList | undefined): Named | undefined {
    const name = list === undefined ? undefined : table(serverName, list).original.get(exposed);
    return name === undefined ? undefined : { serverName, name };
  }

  function guess(kind: ListKind, exposed: string): Named | undefined {
    const now = servers();
    for (const serverName of findServersByName(exposed, now.names)) {
      const found = look(exposed, serverName, now.known(serverName)?.catalog.peek(kind));
      if (found !== undefined) return found;
    }
    return undefined;
  }

  return {
    table,
    guess(kind, exposed) {
      const serverName = findServersByName(exposed, servers().names)[0];
      const plain = serverName === undefined ? undefined : { serverName, name: stripPrefix(exposed, serverName) };
      return guess(kind, exposed) ?? plain;
    },
    async resolve(kind, exposed) {
      const found = guess(kind, exposed);
      if (found !== undefined) return found;
      const now = servers();
      const candidates = findServersByName(exposed, now.names);
      const read = await Promise.all(
        candidates.map(async (serverName) => ({
          serverName,
          known: await now.member(serverName).catalog.getAfterMiss(kind),
        })),
      );
      for (const { serverName, known } of read) {
        const named = look(exposed, serverName, known.list);
        if (named !== undefined) return named;
      }
      const silent = read.find(({ known }) => known.missing !== undefined);
      if (silent?.known.missing === undefined) throw unknownName(kind, exposed);
      const { serverName } = silent;
      const name = stripPrefix(exposed, serverName);
      if (exposeName(name, { server: serverName, servers: now.names }) === exposed) return { serverName, name };
      throw silent.known.missing;
    },
  };
}

function unknownName(kind: 'tools' | 'prompts', exposed: string): ProxyError {
  const noun = kind === 'tools' ? 'tool' : 'prompt';
  return new ProxyError('RPC_PARAMS', `Unknown ${noun}: ${exposed.slice(0, QUOTED_CHARS_MAX)}`);
}
