/**
 * What of a tool is locked, and how a list differs from what was locked.
 *
 * Locked is all that a model or a client acts on: name, title, description, the schemas and the annotations. Not `_meta`,
 * which is the server's own and may differ from answer to answer, nor icons, which say nothing to a model. A digest is
 * over the canonical JSON of that, so that another order of members is no change. Pure: the hash is handed in.
 */
import { canonicalJson } from '../text/canonical-json.ts';
import type { JsonObject } from './waist.ts';

const LOCKED_MEMBERS = ['name', 'title', 'description', 'inputSchema', 'outputSchema', 'annotations'] as const;

/** Digests by the server's own names. */
export type LockedDigests = ReadonlyMap<string, string>;

export interface ToolDrift {
  readonly changed: readonly string[];
  readonly added: readonly string[];
  readonly vanished: readonly string[];
}

export function lockedPart(tool: JsonObject): JsonObject {
  return Object.fromEntries(
    LOCKED_MEMBERS.flatMap((member) => (tool[member] === undefined ? [] : [[member, tool[member]]])),
  );
}

/** `sha256:HEX`. @param sha256 lower-case hex of a text */
export function digestTool(tool: JsonObject, sha256: (text: string) => string): string {
  return `sha256:${sha256(canonicalJson(lockedPart(tool)))}`;
}

/** @param digests of the tools as they are now. @param isWhole false when the list was cut, so that nothing can be missed */
export function compareTools(locked: LockedDigests, digests: LockedDigests, isWhole: boolean): ToolDrift {
  const names = [...digests.keys()];
  return {
    changed: names.filter((name) => locked.has(name) && locked.get(name) !== digests.get(name)),
    added: names.filter((name) => !locked.has(name)),
    vanished: isWhole ? [...locked.keys()].filter((name) => !digests.has(name)) : [],
  };
}

export function hasDrift({ changed, added, vanished }: ToolDrift): boolean {
  return changed.length + added.length + vanished.length > 0;
}
