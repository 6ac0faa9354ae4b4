/**
 * One text for each JSON value, whatever the order of members and the blanks it came with, so that digests compare.
 *
 * Members in the order of their names by UTF-16 code units, numbers and strings as ECMAScript prints them; both are what
 * RFC 8785 (JSON Canonicalization Scheme) asks for. A member without a JSON value is left out. Pure.
 */

/** @param value a JSON value, as `JSON.parse` gives it */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item)).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`);
  return `{${members.join(',')}}`;
}
