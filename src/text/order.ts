/**
 * The order of two texts by their code units, for sorting names.
 *
 * Not `localeCompare`: the first call of that reads the rules of all languages, three megabytes that stay in memory, and
 * its order depends on the machine. Pure.
 */
export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
