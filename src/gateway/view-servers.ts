/**
 * Which servers of a view have their list ready, and why the others do not.
 *
 * For who looks at the catalog and wants all of it, or to know what is missing: unlike a client's list, which never
 * waits long, this waits as long as it is told to for servers that are only starting.
 */
import type { ListKind } from './catalog-read.ts';
import { settleWithin } from './deadline.ts';
import type { ExposedCatalog } from './exposed-catalog.ts';
import type { Servers } from './servers-of.ts';
import type { ViewServer } from './view.ts';

export async function reportServers(servers: Servers, kind: ListKind, ms: number): Promise<ViewServer[]> {
  return Promise.all(
    servers.names.map(async (server) => {
      try {
        const catalog = servers.catalog(server);
        await settleWithin(readToTheEnd(catalog, kind), ms);
        const down = servers.known(server)?.down;
        const reason = down?.reason ?? catalog.failure(kind)?.message ?? null;
        const listed = catalog.peek(kind) === undefined ? 'waiting' : 'listed';
        return { server, state: reason === null ? listed : 'down', downSinceMs: down?.sinceMs ?? null, reason };
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        return { server, state: 'down', downSinceMs: null, reason };
      }
    }),
  );
}

async function readToTheEnd(catalog: ExposedCatalog, kind: ListKind): Promise<void> {
  await catalog.get(kind);
  await catalog.finished(kind);
}
