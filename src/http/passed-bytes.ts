/**
 * Gives the memory of bytes that have passed through back soon.
 *
 * Node reads every piece from a socket into a buffer outside V8's heap, and V8 lets some 30 MB of such garbage pile
 * up before it looks: an idle process that relayed 64 MB grew by 40 MB, by 13 MB with this. On a small machine that
 * is most of what mcproxy takes. So a collection of the young generation, which takes about a millisecond, is asked
 * for every `PASSED_BYTES_MAX`. V8 shows its function only to contexts made after the flag is set.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { PASSED_BYTES_MAX } from '../limits.ts';

type Collect = (options: { readonly type: 'minor' }) => void;

let collect: Collect | undefined;
let passedBytes = 0;

/** Counts bytes of bodies that have been read from a socket, in either direction. */
export function countPassed(byteCount: number): void {
  passedBytes += byteCount;
  if (passedBytes < PASSED_BYTES_MAX) return;
  passedBytes = 0;
  collect ??= findCollect();
  collect({ type: 'minor' });
}

function findCollect(): Collect {
  setFlagsFromString('--expose-gc');
  const found = runInNewContext('gc') as Collect;
  setFlagsFromString('--no-expose-gc');
  return found;
}
