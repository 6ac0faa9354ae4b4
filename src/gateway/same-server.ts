/**
 * Whether two configurations of a server mean the same, so that its connection or child may stay over a reload.
 *
 * Every member counts but what clients see of it, how much is allowed, and where the file says so; secrets are compared by
 * value. Two readings of one file give different objects, so identity says nothing here. Pure.
 */
import type { ServerConfig } from '../model.ts';

export function isSameServer(a: ServerConfig, b: ServerConfig): boolean {
  return a === b || isSame({ ...a, ...NOT_COMPARED }, { ...b, ...NOT_COMPARED });
}

const NOT_COMPARED = {
  exposure: undefined,
  lock: undefined,
  limits: undefined,
  ownLimits: undefined,
  credentialAt: undefined,
};

function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  const [left, right] = [revealed(a), revealed(b)];
  if (left !== undefined || right !== undefined) return left === right;
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && isSame(Reflect.get(a, key), Reflect.get(b, key)))
  );
}

/** The text of a secret; undefined for anything else. */
function revealed(value: object): unknown {
  const reveal: unknown = Reflect.get(value, 'reveal');
  return typeof reveal === 'function' ? Reflect.apply(reveal, value, []) : undefined;
}
