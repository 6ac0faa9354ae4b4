/**
 * The scalars of JSON, from their own text: what the scan finds is decoded here.
 *
 * A string gives what `JSON.parse` gives; numbers and literals too, except that an integer outside the safe range
 * stays its literal text, so that it is never rounded. Nothing throws: text that is no scalar gives undefined.
 * Source: RFC 8259 §3, §6, §7.
 */

export type JsonScalar = string | number | boolean | null;

const NUMBER = /^-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$/;

/** The value of a string's raw text, without its quotes; undefined when an escape is not valid. */
export function decodeString(raw: string): string | undefined {
  if (!raw.includes('\\')) return raw;
  try {
    return JSON.parse(`"${raw}"`) as string;
  } catch {
    return undefined;
  }
}

/** The value of a number or literal; undefined when it is neither. */
export function decodeWord(text: string): JsonScalar | undefined {
  if (text === 'true') return true;
  if (text === 'false') return false;
  if (text === 'null') return null;
  const match = NUMBER.exec(text);
  if (match === null) return undefined;
  const value = Number(text);
  const isInteger = match[1] === undefined && match[2] === undefined;
  return isInteger && !Number.isSafeInteger(value) ? text : value;
}

/** Whether the byte can be part of a number or a literal. */
export function isWordByte(byte: number): boolean {
  return (
    (byte >= 0x30 && byte <= 0x39) ||
    (byte >= 0x61 && byte <= 0x7a) ||
    byte === 0x2d ||
    byte === 0x2e ||
    byte === 0x2b ||
    byte === 0x45
  );
}
