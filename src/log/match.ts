/**
 * Search for many fixed strings at once.
 *
 * Wu and Manber's method (TR 94-17, University of Arizona, 1994): a table says, for the characters at the far end
 * of a window as long as the shortest needle, how far the window may move. Most of a text is never looked at, and
 * the time hardly grows with the number of needles. Pure.
 */

export interface Matcher {
  /** The text with each run of overlapping matches replaced by the mark. */
  replace(text: string, mark: string): string;
}

/** Characters that are looked up together. Three tell needles of Base64 and hexadecimal apart; two hardly do. */
const BLOCK = 3;
const TABLE_BITS_MAX = 20;

/** A matcher for needles of three characters or more. */
export function makeMatcher(needles: readonly string[]): Matcher {
  if (needles.length === 0) return { replace: (text) => text };
  let window = Infinity;
  for (const needle of needles) window = Math.min(window, needle.length);
  window = Math.min(window, 255);
  // Sparse enough that a slot seldom has several owners; a shared one costs time, never a match.
  const bits = Math.min(TABLE_BITS_MAX, Math.ceil(Math.log2(needles.length * window * 8)));
  const shifts = new Uint8Array(1 << bits).fill(window - BLOCK + 1);
  // Bounded by the configuration, whose secrets the needles are.
  const buckets = new Map<number, string[]>();
  for (const needle of needles) {
    for (let end = BLOCK - 1; end < window; end += 1) {
      const at = slot(needle, end);
      const shift = window - 1 - end;
      if (shift < (shifts[at] ?? 0)) shifts[at] = shift;
    }
    const last = slot(needle, window - 1);
    const bucket = buckets.get(last);
    if (bucket === undefined) buckets.set(last, [needle]);
    else bucket.push(needle);
  }
  return { replace };

  function replace(text: string, mark: string): string {
    let out = '';
    let copied = 0;
    let matchFrom = -1;
    let matchEnd = -1;
    for (let end = window - 1; end < text.length;) {
      const at = slot(text, end);
      const shift = shifts[at] ?? 0;
      if (shift > 0) {
        end += shift;
        continue;
      }
      const from = end - window + 1;
      const length = longestAt(text, from, buckets.get(at) ?? []);
      if (length > 0) {
        if (from >= matchEnd) {
          if (matchFrom >= 0) {
            out += text.slice(copied, matchFrom) + mark;
            copied = matchEnd;
          }
          matchFrom = from;
        }
        matchEnd = Math.max(matchEnd, from + length);
      }
      end += 1;
    }
    if (matchFrom < 0) return text;
    return out + text.slice(copied, matchFrom) + mark + text.slice(matchEnd);
  }

  function slot(text: string, end: number): number {
    const code = (text.charCodeAt(end - 2) << 14) ^ (text.charCodeAt(end - 1) << 7) ^ text.charCodeAt(end);
    return code & (shifts.length - 1);
  }
}

function longestAt(text: string, from: number, needles: readonly string[]): number {
  let longest = 0;
  for (const needle of needles) {
    if (needle.length > longest && text.startsWith(needle, from)) longest = needle.length;
  }
  return longest;
}
