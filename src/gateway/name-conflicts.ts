/**
 * Names that had to give way, told once each in the diagnostic log.
 *
 * Several principals see the same servers, and lists are read again and again; what was told is remembered as long as
 * the process lives, so that the log holds a conflict once. What is so now, the views say (`name-router`).
 */
import { NAME_CONFLICT_COUNT_MAX } from '../limits.ts';
import type { NameConflict } from '../mcp/names.ts';
import type { JsonObject } from '../mcp/waist.ts';
import type { OnDiag } from './diag.ts';
import type { NameKind } from './name-router.ts';

/** A function that tells conflicts that it has not told before. */
export function reportConflicts(onDiag: OnDiag): (kind: NameKind, conflicts: readonly NameConflict[]) => void {
  const told = new Set<string>(); // Bounded by NAME_CONFLICT_COUNT_MAX.
  return (kind, conflicts) => {
    for (const conflict of conflicts) {
      const row = conflictRow({ ...conflict, kind });
      const key = JSON.stringify(row);
      if (told.has(key) || told.size >= NAME_CONFLICT_COUNT_MAX) continue;
      told.add(key);
      onDiag('warn', 'a name is taken by another server and is shown with a suffix', row);
    }
  };
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
