/**
 * Waiting with an end: for a promise, but not for ever.
 *
 * Unlike a deadline of a request (`gateway/deadline`) the timer keeps the process alive while it runs, because a process
 * that stops may have nothing else left. What was waited for goes on when the time is up.
 */

/** Whether the promise settles in the time given; leaves no timer. For a promise that never rejects. */
export async function settlesWithin(promise: Promise<unknown>, withinMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, withinMs, false);
  });
  try {
    return await Promise.race([promise.then(() => true as const), late]);
  } finally {
    clearTimeout(timer);
  }
}
