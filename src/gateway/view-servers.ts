/**
 * Which servers of a view have their list ready, and why the others do not.
 *
 * For who looks at the catalog and wants all of it, or to know what is missing: unlike a client's list, which never
 * waits long, this waits as long as it is told to for servers that are only starting.
 */
import type { ListKind } from './catalog-read.ts';
import { settleWithin } from './deadline.ts';
import type { Member } from './member.ts';
import type { Servers } from './servers-of.ts';
import type { ViewServer } from './view.ts';

export async function reportServers(servers: Servers, kind: ListKind, ms: number): Promise<ViewServer[]> {
  return Promise.all(
    servers.names.map(async (server) => {
      try {
        const member = servers.member(server);
        await settleWithin(readToTheEnd(member, kind), ms);
        return reportOf(server, member, kind);
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        return { server, state: 'down', downSinceMs: null, reason } as const;
      }
    }),
  );
}

async function readToTheEnd({ catalog }: Member, kind: ListKind): Promise<void> {
  await catalog.get(kind);
  await catalog.finished(kind);
}

function reportOf(server: string, { catalog, down }: Member, kind: ListKind): ViewServer {
  const reason = down?.reason ?? catalog.failure(kind)?.message ?? null;
  const isListed = catalog.peek(kind) !== undefined;
  const state = reason !== null ? 'down' : isListed ? 'listed' : 'waiting';
  return { server, state, downSinceMs: down?.sinceMs ?? null, reason };
}
