/**
 * The servers of one principal at one moment, with the members that serve them.
 *
 * A view asks for it at every step instead of keeping it, so that a reload is seen by the next step and a principal
 * that was removed has nothing any more. Reading a list or calling opens a member; looking at what is known does not.
 */
import type { Config, Principal, ServerConfig } from '../model.ts';
import type { Member } from './member.ts';
import { isServable, type Members } from './members.ts';

export interface Servers {
  /** In the order of the configuration. */
  readonly names: readonly string[];
  /** @throws {ProxyError} as `Members.get` does */
  member(serverName: string): Member;
  /** Undefined when it was not opened, or there is no such server. */
  known(serverName: string): Member | undefined;
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
  const configs = new Map<string, ServerConfig>(); // Bounded by SERVER_COUNT_MAX.
  const current = now.config.principals.find(({ id }) => id === principal.id);
  for (const [name, server] of current?.servers ?? []) {
    if (isServable(server) && (only === undefined || only === name)) configs.set(name, server);
  }
  return {
    names: [...configs.keys()],
    member(serverName) {
      const server = configs.get(serverName);
      if (server === undefined) throw new TypeError(`no server ${serverName} in this view`);
      return now.members.get(principal.id, server);
    },
    known(serverName) {
      const server = configs.get(serverName);
      return server === undefined ? undefined : now.members.find(principal.id, server);
    },
  };
}
