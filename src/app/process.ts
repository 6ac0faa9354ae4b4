/**
 * What a process that stays has of the system: its diagnostic log, its sealing key.
 *
 * Under journald the lines carry a priority and no time of their own (systemd.exec(5), `$JOURNAL_STREAM`). A key that
 * cannot be kept is no failure; it is said once.
 */
import { fstatSync } from 'node:fs';

import { openDiag, type Diag } from '../log/diag.ts';
import { loadStateKey } from './state-key.ts';

/** @param write where the lines go, newline included */
export function openDiagnostics(env: NodeJS.ProcessEnv, write: (line: string) => void): Diag {
  const journal = isJournal(env);
  return openDiag({
    write,
    level: 'info',
    now: () => Date.now(),
    monotonicMs: () => performance.now(),
    timestamps: !journal,
    priorityPrefix: journal,
  });
}

/** The key for sessions and other handles. @param diag is told when it cannot be kept; undefined where none is needed */
export function sealingKey(env: NodeJS.ProcessEnv, diag: Diag | undefined): Uint8Array {
  const { key, trouble } = loadStateKey(env);
  if (trouble !== undefined) diag?.info('sessions end with this process', { reason: trouble });
  return key;
}

/** Whether standard error goes to journald: the variable alone may be inherited. */
function isJournal(env: NodeJS.ProcessEnv): boolean {
  if (env['JOURNAL_STREAM'] === undefined) return false;
  try {
    const { dev, ino } = fstatSync(2);
    return env['JOURNAL_STREAM'] === `${dev}:${ino}`;
  } catch {
    return false;
  }
}
