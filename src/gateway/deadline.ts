/**
 * Waiting with an end: a promise or a time, whichever comes first.
 *
 * The promise itself goes on; who calls decides what a late end means. The timer never outlives the wait and never
 * keeps the process alive.
 */
export type Settled<T> = { readonly kind: 'value'; readonly value: T } | { readonly kind: 'late' };

/** The value of the promise, or `late` after so many milliseconds. Rejects when the promise does in time. */
export async function settleWithin<T>(promise: Promise<T>, ms: number): Promise<Settled<T>> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Settled<T>>((resolve) => {
    timer = setTimeout(() => resolve({ kind: 'late' }), ms);
    timer.unref();
  });
  try {
    return await Promise.race([promise.then((value): Settled<T> => ({ kind: 'value', value })), late]);
  } finally {
    clearTimeout(timer);
  }
}
