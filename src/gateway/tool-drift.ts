/**
 * Differences from mcproxy.lock, told once each in the diagnostic log, and as they are now for `status`.
 *
 * Several principals see the same servers and lists are read again and again; what was told is remembered as long as the
 * process lives. A definition that changes once more is told once more.
 */
import { FINDING_COUNT_MAX } from '../limits.ts';
import { hasDrift } from '../mcp/tool-lock.ts';
import type { JsonObject } from '../mcp/waist.ts';
import type { OnDiag } from './diag.ts';
import type { Drift } from './tool-guard.ts';

/** A function that tells what it has not told before. */
export function reportDrift(onDiag: OnDiag): (drift: Drift) => void {
  const told = new Set<string>(); // Bounded by FINDING_COUNT_MAX.
  const tell = (message: string, data: JsonObject, key: string): void => {
    if (told.has(key) || told.size >= FINDING_COUNT_MAX) return;
    told.add(key);
    onDiag('warn', message, data);
  };
  return (drift) => {
    const { serverName: server, mode, digests } = drift.lock;
    const isBlocked = mode === 'block';
    if (digests === undefined) {
      const message = isBlocked
        ? 'a server is not in mcproxy.lock, so none of its tools is shown'
        : 'a server is not in mcproxy.lock, so nothing can be said of its tools';
      return tell(message, { server, run: `mcproxy lock ${server}` }, `${server}\0${mode}`);
    }
    const end = isBlocked ? ' and is withheld until it is approved' : '';
    const messages = {
      changed: `a tool is not what was locked${end}`,
      added: `a tool is not in mcproxy.lock${end}`,
      vanished: 'a tool of mcproxy.lock is no longer there',
    };
    for (const kind of ['changed', 'added', 'vanished'] as const) {
      for (const tool of drift[kind]) {
        const key = [server, mode, kind, tool, drift.digests.get(tool)].join('\0');
        tell(messages[kind], { server, tool, run: `mcproxy lock diff ${server}` }, key);
      }
    }
  };
}

/** One row for each server that differs, as `status` shows it. */
export function driftRows(drifts: Iterable<Drift & { readonly principal: string | null }>): readonly JsonObject[] {
  return [...drifts].flatMap((drift) => {
    const { lock, principal } = drift;
    const { serverName: server, mode } = lock;
    const isLocked = lock.digests !== undefined;
    if (isLocked && !hasDrift(drift)) return [];
    const [changed, added, vanished] = [drift.changed, drift.added, drift.vanished].map((names) =>
      names.slice(0, FINDING_COUNT_MAX),
    );
    const run = isLocked ? `mcproxy lock diff ${server}` : `mcproxy lock ${server}`;
    return [{ server, user: principal, mode, locked: isLocked, changed, new: added, vanished, run }];
  });
}
