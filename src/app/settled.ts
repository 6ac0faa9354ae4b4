/**
 * Waiting for something at the end of the process, but not for ever.
 *
 * Unlike a deadline of a request it keeps the process alive, because a service that stops may have nothing else left.
 * What was waited for goes on when the time is up.
 */

/** Resolves with the promise, or without it after `ms`. */
export async function settled(promise: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([promise, late]);
  clearTimeout(timer);
}
