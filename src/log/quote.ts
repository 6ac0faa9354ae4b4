/**
 * Text as one JSON string on one line, within a bound of bytes.
 *
 * The result is valid UTF-8 JSON for every reader, not only for V8: characters that end a line or steer a
 * terminal somewhere (C0, C1, U+2028, U+2029, bidirectional controls) are escaped, and a lone surrogate, which
 * several parsers refuse even when escaped (RFC 8259 §8.2), becomes U+FFFD. Pure; never throws.
 */

const PLAIN = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;
const LONE_SURROGATE = /\p{Surrogate}/gu;
const UNSAFE_IN_JSON = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;
/** Any escape sequence, so that an escaped backslash before `ud800` is not mistaken for one. */
const ESCAPE = /\\(?:u(d[89a-f][0-9a-f]{2})|.)/g;

/** What stands at the end of a text that was cut. */
export const CUT_MARK = '…[cut]';
const CUT_MARK_BYTES = 8;

/** The text as a JSON string of at most `bytesMax` bytes between its quotes, cut and marked when longer. */
export function quote(text: string, bytesMax: number): string {
  if (text.length <= bytesMax && PLAIN.test(text)) return `"${text}"`;
  // A character takes at least one byte, so nothing past bytesMax characters can be part of the result.
  const head = text.length > bytesMax ? text.slice(0, bytesMax + 1) : text;
  const printed = singleLineJson(JSON.stringify(head.replace(LONE_SURROGATE, '\ufffd')));
  if (head.length === text.length && Buffer.byteLength(printed) - 2 <= bytesMax) return printed;
  return cut(head, bytesMax - CUT_MARK_BYTES);
}

/** JSON text (as `JSON.stringify` prints it) with everything escaped that is unsafe in a line of a log. */
export function singleLineJson(json: string): string {
  const paired = json.includes('\\ud')
    ? json.replace(ESCAPE, (escape, surrogate) => (surrogate === undefined ? escape : '\ufffd'))
    : json;
  return paired.replace(UNSAFE_IN_JSON, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Cuts between characters and between escapes; slow, for the rare long text. */
function cut(text: string, bytesMax: number): string {
  let kept = '';
  let bytes = 0;
  for (const char of text.replace(LONE_SURROGATE, '\ufffd')) {
    const printed = singleLineJson(JSON.stringify(char)).slice(1, -1);
    bytes += Buffer.byteLength(printed);
    if (bytes > bytesMax) break;
    kept += printed;
  }
  return `"${kept}${CUT_MARK}"`;
}
