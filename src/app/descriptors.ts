/**
 * How many client connections there may be: as many as are allowed, and never so many that nothing else can be opened.
 *
 * Where descriptors run out, the system takes a connection and drops it without a word to the process, and files, logs and
 * servers cannot be opened either. So connections leave a part of the descriptors alone. Node has raised its soft limit to
 * the hard one by itself. Source: getrlimit(2) RLIMIT_NOFILE, proc(5) `limits`.
 */
import { readFileSync } from 'node:fs';

import { CONNECTION_COUNT_MAX, CONNECTION_PERCENT_MAX } from '../limits.ts';

/** Asked once: the limit of a process that runs is not changed. */
let known: number | undefined;

export function connectionCountMax(): number {
  known ??= Math.min(CONNECTION_COUNT_MAX, Math.floor((descriptorCountMax() * CONNECTION_PERCENT_MAX) / 100));
  return known;
}

/** Infinite where the system does not say. */
function descriptorCountMax(): number {
  try {
    const [, soft] = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    return soft === undefined ? Infinity : Number(soft);
  } catch {
    return Infinity;
  }
}
