/**
 * Instants as people write them: a day, `2027-01-31`, or a time with its offset, `2027-01-31T18:00:00Z` (RFC 3339 §5.6).
 *
 * A day alone is meant in UTC and has two ends: what begins that day begins with it, what ends that day lasts until it
 * is over. A day that no calendar has gives undefined, never its neighbour. Pure.
 */

const SHAPE =
  /^(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:\.\d{1,9})?)?([Zz]|[+-](?:[01]\d|2[0-3]):?[0-5]\d))?$/;
const DAY_MS = 86_400_000;

/** @returns ms since the epoch; undefined when `text` is no instant. @param edge which end of a day is meant */
export function parseInstant(text: string, edge: 'start' | 'end'): number | undefined {
  const match = SHAPE.exec(text.trim());
  if (match === null) return undefined;
  const [, year, month, day, hour = '00', minute = '00', second = '00', offset] = match;
  const dayMs = Date.UTC(Number(year), Number(month) - 1, Number(day));
  const sound = formatInstant(dayMs).startsWith(`${year}-${month}-${day}`);
  if (!sound || Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return undefined;
  if (offset === undefined) return edge === 'start' ? dayMs : dayMs + DAY_MS;
  const sinceMidnight = (Number(hour) * 60 + Number(minute)) * 60_000 + Number(second) * 1_000;
  return dayMs + sinceMidnight - offsetMs(offset);
}

/** To the second, in UTC. */
export function formatInstant(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}

function offsetMs(offset: string): number {
  if (offset.toUpperCase() === 'Z') return 0;
  const minutes = Number(offset.slice(1, 3)) * 60 + Number(offset.slice(-2));
  return (offset.startsWith('-') ? -minutes : minutes) * 60_000;
}
