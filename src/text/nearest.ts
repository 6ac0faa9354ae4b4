/**
 * The known word that a mistyped one probably means, for "did you mean".
 *
 * Distance is optimal string alignment: an insertion, deletion, substitution or swap of neighbours costs one. Case
 * and the difference between `-` and `_` cost nothing. A word is suggested only when no more than a third of it is
 * wrong, because a wrong suggestion misleads more than none. Pure.
 */

const WORD_CHARS_MAX = 64;

/** The candidate nearest to `word`, the first of several; undefined when none is near. */
export function findNearest(word: string, candidates: Iterable<string>): string | undefined {
  if (word.length === 0 || word.length > WORD_CHARS_MAX) return undefined;
  const wanted = fold(word);
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(wanted.length / 3)) + 1;
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - word.length) >= bestDistance) continue;
    const distance = measure(wanted, fold(candidate));
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

function fold(word: string): string {
  return word.toLowerCase().replaceAll('-', '_');
}

function measure(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(at(last, j) + 1, at(row, j - 1) + 1, at(last, j - 1) + (same ? 0 : 1));
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) cost = Math.min(cost, at(beforeLast, j - 2) + 1);
      row.push(cost);
    }
    beforeLast = last;
    last = row;
  }
  return at(last, b.length);
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Number.POSITIVE_INFINITY;
}
