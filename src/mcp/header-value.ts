/**
 * The spelling of `Mcp-Name` and `Mcp-Param-*` values.
 *
 * What a header cannot carry plainly travels as `=?base64?<base64 of UTF-8>?=`. Decoding is strict: characters that
 * are not printable ASCII, wrong base64 and wrong UTF-8 are refused; text without the whole marker is literal. Not
 * for `Mcp-Method` and `MCP-Protocol-Version`, which are compared as they are. The length is bounded by the HTTP
 * server's header bound. Source: MCP 2026-07-28 streamable-http, Value Encoding; SEP-2243.
 */

const PREFIX = '=?base64?';
const SUFFIX = '?=';

/** The header text for a value; it never contains a line break or anything else outside printable ASCII. */
export function encodeHeaderValue(value: string): string {
  const isPlain = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(value);
  // The empty value is written with the marker, as an empty field may be lost on the way.
  if (isPlain && !(value.startsWith(PREFIX) && value.endsWith(SUFFIX))) return value;
  return `${PREFIX}${Buffer.from(value).toString('base64')}${SUFFIX}`;
}

export type HeaderValue = { readonly ok: true; readonly value: string } | { readonly ok: false };

/** The value that a header text stands for. White space around the text is not part of it (RFC 9110 §5.5). */
export function decodeHeaderValue(text: string): HeaderValue {
  if (!/^[\t\x20-\x7e]*$/.test(text)) return { ok: false };
  const literal = text.trim();
  if (literal.includes('\t')) return { ok: false };
  const isEncoded =
    literal.length >= PREFIX.length + SUFFIX.length && literal.startsWith(PREFIX) && literal.endsWith(SUFFIX);
  if (!isEncoded) return { ok: true, value: literal };
  const base64 = literal.slice(PREFIX.length, -SUFFIX.length);
  const bytes = Buffer.from(base64, 'base64');
  // Node skips what is not base64; the way back shows whether anything was skipped.
  if (bytes.toString('base64') !== base64) return { ok: false };
  const value = bytes.toString('utf8');
  return Buffer.from(value).equals(bytes) ? { ok: true, value } : { ok: false };
}

/**
 * The header text for a tool argument: a string as it is, an integer in decimal, a boolean as its word. Undefined
 * for null, absent and every other value, for which the header is left out.
 */
export function encodeParam(value: unknown): string | undefined {
  if (typeof value === 'string') return encodeHeaderValue(value);
  if (typeof value === 'boolean') return String(value);
  if (typeof value === 'number' && Number.isInteger(value)) return BigInt(value).toString();
  return undefined;
}

/** Whether a header text says the same as a tool argument; numbers are compared as numbers, so `42.0` is 42. */
export function matchesParam(text: string, value: string | number | boolean): boolean {
  const decoded = decodeHeaderValue(text);
  if (!decoded.ok) return false;
  if (typeof value !== 'number') return decoded.value === String(value);
  return /^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(decoded.value) && Number(decoded.value) === value;
}
