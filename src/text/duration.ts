/**
 * Spans of time as people write them: `10s`, `250ms`, `5m`, `1h30m`, `1d`; a plain number means seconds.
 *
 * Whole milliseconds come out. Signs, unknown units and text that is too long to be a span give undefined, never a
 * guess. Bounds are the caller's business. Pure.
 */

const UNITS = new Map([
  ['ms', 1],
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
]);
const TEXT_CHARS_MAX = 32;
const NUMBER = /^\d+(?:\.\d+)?$/;
const PARTS = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+$/;
const PART = /(\d+(?:\.\d+)?)(ms|s|m|h|d)/g;

/** @returns milliseconds, or undefined when `text` is no span of time */
export function parseDuration(text: string): number | undefined {
  const trimmed = text.trim();
  if (trimmed.length > TEXT_CHARS_MAX) return undefined;
  if (NUMBER.test(trimmed)) return wholeMs(Number(trimmed) * 1_000);
  if (!PARTS.test(trimmed)) return undefined;
  let sum = 0;
  for (const [, digits, unit] of trimmed.matchAll(PART)) sum += Number(digits) * (UNITS.get(unit ?? '') ?? 0);
  return wholeMs(sum);
}

/** The shortest spelling that `parseDuration` reads back to the same number: `90000` is `1m30s`. */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0s';
  let rest = ms;
  let out = '';
  for (const [unit, size] of [...UNITS].toReversed()) {
    const count = Math.floor(rest / size);
    if (count > 0) out += `${count}${unit}`;
    rest -= count * size;
  }
  return out;
}

function wholeMs(ms: number): number | undefined {
  const rounded = Math.round(ms);
  return Number.isSafeInteger(rounded) ? rounded : undefined;
}
