/**
 * What servers of all kinds have in a configuration that says nothing of it, for tests that write one down in types.
 */
import { plainExposure } from '../../src/config/exposure.ts';
import type { ServerConfig } from '../../src/model.ts';

type Common = 'name' | 'enabled' | 'retries' | 'exposure' | 'era' | 'share' | 'idleMs' | 'lacks' | 'lock';

/** @param name of the server, which is its prefix too */
export function commonSettings(name: string): Pick<ServerConfig, Common> {
  return {
    name,
    enabled: true,
    retries: 0,
    exposure: plainExposure(name),
    era: 'auto',
    share: 'auto',
    idleMs: undefined,
    lacks: [],
    lock: 'off',
  };
}
