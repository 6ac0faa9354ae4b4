/**
 * mcproxy as its own authorization server (`oauth: facade`): the parts of it put together, for one process.
 *
 * The table of logins lives as long as the process, its file longer; all else follows from the configuration, so that a
 * reload needs nothing but a new snapshot. Without a state directory or a `cluster.key` a restart ends all logins, which
 * is said once.
 */
import { createClients, type Clients } from '../auth/facade-clients.ts';
import { createFamilies, type Families } from '../auth/facade-families.ts';
import { createSeals, type Seals } from '../auth/facade-seals.ts';
import type { Sealer } from '../auth/seal.ts';
import type { Diag } from '../log/diag.ts';
import type { Clock, Config } from '../model.ts';
import { requestControl } from '../upstream/control.ts';
import { openLoginFile, type LoginFile } from './login-file.ts';

/** What one configuration issues with. */
export interface Issuing {
  readonly issuer: string;
  readonly seals: Seals;
  readonly clients: Clients;
  readonly families: Families;
}

export interface Facade {
  /** Undefined where the configuration has no façade. */
  issuing(config: Config): Issuing | undefined;
  /** Logins that have not ended. */
  readonly loginCount: number;
  /** Resolves when nothing is left to be written. */
  settled(): Promise<void>;
}

export interface FacadeOptions {
  readonly clock: Clock;
  readonly diag: Diag;
  readonly sealer: Sealer;
  readonly stateDirectory?: string | undefined;
}

export function openFacade({ clock, diag, sealer, stateDirectory }: FacadeOptions): Facade {
  let file: LoginFile | undefined;
  let families: Families | undefined;

  function open(config: Config): Families {
    if (stateDirectory === undefined && config.clusterKey === undefined)
      diag.warn('logins with OAuth end with this process', {
        reason: 'there is no state directory (STATE_DIRECTORY, XDG_STATE_HOME)',
      });
    const opened = openLoginFile(stateDirectory, diag);
    const made: Families = createFamilies({
      clock,
      saved: opened.saved,
      onChange: () => opened.save(() => made.rows()),
    });
    file = opened;
    return made;
  }

  return {
    issuing(config) {
      if (config.facade === undefined) return undefined;
      const { issuer, allowPrivate } = config.facade;
      families ??= open(config);
      const seals = createSeals(sealer, issuer, clock);
      const clients = createClients({ seals, clock, allowPrivate, ask: requestControl });
      return { issuer, seals, clients, families };
    },
    get loginCount() {
      return families?.rows().filter(([, { revoked }]) => !revoked).length ?? 0;
    },
    settled: async () => file?.settled(),
  };
}
