/**
 * Names that had to give way, told once each in the diagnostic log: one line for all of two servers.
 *
 * Several principals see the same servers, and lists are read again and again; what was told is remembered as long as
 * the process lives, so that the log holds a conflict once. What is so now, the views say (`name-router`).
 */
import { NAME_CONFLICT_COUNT_MAX } from '../limits.ts';
import type { NameConflict } from '../mcp/names.ts';
import type { JsonObject } from '../mcp/waist.ts';
import type { OnDiag } from './diag.ts';
import type { NameKind } from './name-router.ts';

/** A line is to stay readable; status has them all. */
const NAME_COUNT_SHOWN = 5;

/** A function that tells conflicts that it has not told before. */
export function reportConflicts(onDiag: OnDiag): (kind: NameKind, conflicts: readonly NameConflict[]) => void {
  const told = new Set<string>(); // Bounded by NAME_CONFLICT_COUNT_MAX.
  return (kind, conflicts) => {
    const fresh = conflicts.filter((conflict) => {
      const key = JSON.stringify(conflictRow({ ...conflict, kind }));
      if (told.has(key) || told.size >= NAME_CONFLICT_COUNT_MAX) return false;
      told.add(key);
      return true;
    });
    const pairs = new Map<string, NameConflict[]>(); // Bounded by NAME_CONFLICT_COUNT_MAX.
    for (const conflict of fresh) {
      const pair = JSON.stringify([conflict.server, conflict.gaveWayTo]);
      pairs.set(pair, [...(pairs.get(pair) ?? []), conflict]);
    }
    for (const [first, ...others] of pairs.values()) if (first !== undefined) tell(kind, [first, ...others]);
  };

  function tell(kind: NameKind, of: readonly [NameConflict, ...NameConflict[]]): void {
    const [{ server, gaveWayTo }] = of;
    const shown = of.slice(0, NAME_COUNT_SHOWN).map(({ name, exposed }) => `${name} as ${exposed}`);
    const names = of.length > shown.length ? [...shown, '…'] : shown;
    const data = { server, kind, gave_way_to: gaveWayTo, count: of.length, names: names.join(', ') };
    onDiag('warn', 'names are taken by another server and are shown with a suffix', data);
  }
}

/** Each conflict of several views once, as `status` shows it. */
export function conflictRows(conflicts: Iterable<NameConflict & { readonly kind: NameKind }>): readonly JsonObject[] {
  const rows = new Map<string, JsonObject>(); // Bounded by NAME_CONFLICT_COUNT_MAX.
  for (const conflict of conflicts) {
    if (rows.size >= NAME_CONFLICT_COUNT_MAX) break;
    const row = conflictRow(conflict);
    rows.set(JSON.stringify(row), row);
  }
  return [...rows.values()];
}

function conflictRow(conflict: NameConflict & { readonly kind: NameKind }): JsonObject {
  const { kind, server, name, exposed, gaveWayTo } = conflict;
  return { server, kind, name, exposed, gave_way_to: gaveWayTo };
}
