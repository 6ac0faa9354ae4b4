/**
 * A value that cannot be printed by accident.
 *
 * `String()`, template literals, `JSON.stringify` and `util.inspect` (so also `console.log`) all give `[secret]`;
 * only `reveal()` gives the text, so a search for that word finds every place where a secret leaves. Redaction of
 * text that already contains a secret belongs to `log/redact`.
 */
import type { Secret } from '../model.ts';

const mask = (): string => '[secret]';

/** Wraps `text`; equal texts give different objects, so compare by `reveal()`. */
export function makeSecret(text: string): Secret {
  return Object.freeze({
    reveal: (): string => text,
    toString: mask,
    toJSON: mask,
    [Symbol.toPrimitive]: mask,
    [Symbol.for('nodejs.util.inspect.custom')]: mask,
  });
}
