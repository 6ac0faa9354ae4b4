/**
 * What a running mcproxy is started with: the configuration, what the process has of the system, and who is told.
 *
 * A part of `app.ts`, in a file of its own for its length alone. Nothing here changes while it runs; what a reload brings
 * comes from `load`.
 */
import type { Diag } from '../log/diag.ts';
import type { Clock, Config } from '../model.ts';
import type { LoadedConfig } from './load.ts';

export interface AppOptions {
  readonly config: Config;
  readonly diag: Diag;
  readonly clock: Clock;
  /** Seals sessions and other handles that clients carry, unless the configuration has a key for it. */
  readonly stateKey: Uint8Array;
  /** Where access tokens for servers are kept; undefined: nowhere. */
  readonly stateDirectory: string | undefined;
  /** Which configuration this is, the same after a restart; undefined: it is a part of one. */
  readonly owner?: string | undefined;
  /** What commands may inherit a few harmless variables from. */
  readonly ambientEnv: Readonly<Record<string, string | undefined>>;
  /** There is no listener and standard output is not ours to log to: the one client is on a pipe and soon impatient. */
  readonly piped?: boolean;
  /** A listening socket that was passed to the process. */
  readonly inheritedSocket?: number | undefined;
  /** Identifies this process in log entries. */
  readonly startId: string;
  load(): Promise<LoadedConfig>;
  /** Entries that could not be written to the log file. */
  onLostEntries(lines: string): void;
  /** Called after each reload with the files to watch from now on. */
  onFiles?(files: readonly string[]): void;
}
