/**
 * Patterns with `*` (any characters, also none) and `?` (exactly one); every other character means itself.
 *
 * A pattern matches the whole text, case counts, and nothing can be escaped. Takes time proportional to the length of
 * the text times that of the pattern at worst, whatever both hold; bounding them is the caller's. Pure.
 */

/** Tells whether `pattern` matches all of `text`. */
export function matchesGlob(pattern: string, text: string): boolean {
  let at = 0;
  let inPattern = 0;
  // Where to go on when what follows the last star does not fit: the star then takes one character more.
  let star = -1;
  let starTook = 0;
  while (at < text.length) {
    const wanted = pattern[inPattern];
    if (wanted === '*') {
      star = inPattern;
      starTook = at;
      inPattern += 1;
    } else if (wanted === '?' || (wanted !== undefined && wanted === text[at])) {
      inPattern += 1;
      at += 1;
    } else if (star === -1) return false;
    else {
      starTook += 1;
      at = starTook;
      inPattern = star + 1;
    }
  }
  while (pattern[inPattern] === '*') inPattern += 1;
  return inPattern === pattern.length;
}

/** Tells whether a text matches one of `allow`, where that is given, and none of `deny`. */
export function passesGlobs(
  { allow, deny }: { readonly allow: readonly string[] | undefined; readonly deny: readonly string[] },
  text: string,
): boolean {
  const matches = (pattern: string): boolean => matchesGlob(pattern, text);
  return !deny.some(matches) && (allow?.some(matches) ?? true);
}

/** Tells whether a text is a pattern that can match more than itself. */
export function isGlob(text: string): boolean {
  return /[*?]/.test(text);
}

/** Whether something that begins with `text` can match the pattern. */
export function mayBegin(pattern: string, text: string): boolean {
  const literal = /^[^*?]*/.exec(pattern)?.[0] ?? '';
  if (literal.length === pattern.length) return pattern.startsWith(text);
  return literal.startsWith(text) || text.startsWith(literal);
}
