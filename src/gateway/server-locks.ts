/**
 * What each server is held to by mcproxy.lock, in one configuration.
 *
 * One object for a server, whoever uses it, so that what is made from its lists is made once. It goes by the server's name
 * and mode: a user's own server of that name is held to the same tools.
 */
import type { Config, ServerConfig } from '../model.ts';
import type { ServerLock } from './tool-guard.ts';

export interface ServerLocks {
  /** Undefined for a server that is held to nothing. */
  of(server: ServerConfig): ServerLock | undefined;
}

export function findLocks({ toolLock }: Config): ServerLocks {
  const locks = new Map<string, ServerLock>(); // Bounded by SERVER_COUNT_MAX, twice.
  return {
    of({ name, lock: mode }) {
      if (mode === 'off') return undefined;
      const key = `${mode} ${name}`;
      const lock = locks.get(key) ?? { serverName: name, mode, digests: toolLock.get(name) };
      locks.set(key, lock);
      return lock;
    },
  };
}
