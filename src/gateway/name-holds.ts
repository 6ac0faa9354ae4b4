/**
 * Which server was shown first under a name that others with its prefix may have too: it keeps the name.
 *
 * The order of the configuration decides whenever all servers are there. One that is down at the start or slow is not,
 * and a later server shows its own tool of that name; were the name given back when the first returns, a client that
 * listed it before would call another tool than it means. So names are held, for all users alike, until the process
 * ends or a reload changes what servers, prefixes and names there are. Names of a prefix that one server has alone need
 * no holding: nobody else can be meant.
 */
import { NAME_HOLD_COUNT_MAX } from '../limits.ts';
import type { NameOwner, NameTable } from '../mcp/names.ts';
import type { Config, ServerConfig } from '../model.ts';

export interface NameHolds {
  /** The server that was shown under this name of tools or prompts first, if one was. */
  holder(kind: string, exposed: string): string | undefined;
  /** These names go to a client now. */
  note(kind: string, owners: readonly NameOwner[], tables: ReadonlyMap<string, NameTable>): void;
  reload(config: Config): void;
}

export const NOBODY_HOLDS: Pick<NameHolds, 'holder' | 'note'> = {
  holder: () => undefined,
  note: () => undefined,
};

export function createNameHolds(config: Config): NameHolds {
  // Bounded by NAME_HOLD_COUNT_MAX: further names are given by the configuration alone.
  const held = new Map<string, string>();
  let sign = signOf(config);
  return {
    holder: (kind, exposed) => held.get(`${kind}\0${exposed}`),
    note(kind, owners, tables) {
      for (const { server, prefix } of owners) {
        if (!owners.some((other) => other.server !== server && other.prefix === prefix)) continue;
        for (const exposed of tables.get(server)?.exposed.values() ?? []) {
          const key = `${kind}\0${exposed}`;
          if (!held.has(key) && held.size < NAME_HOLD_COUNT_MAX) held.set(key, server);
        }
      }
    },
    reload(next) {
      const fresh = signOf(next);
      if (fresh !== sign) held.clear();
      sign = fresh;
    },
  };
}

/** What decides names in a configuration. */
function signOf({ servers, principals }: Config): string {
  const own = principals.filter((principal) => principal.servers !== servers);
  return JSON.stringify([namesOf(servers), own.map((principal) => namesOf(principal.servers))]);
}

function namesOf(servers: ReadonlyMap<string, ServerConfig>): unknown {
  return [...servers.values()].map(({ name, enabled, exposure }) => [name, enabled, exposure]);
}
