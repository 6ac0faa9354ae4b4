/**
 * A write call that is synchronous while the disk answers at once, and asynchronous while it does not.
 *
 * Why (2026-11): a write of some lines into the page cache takes a few microseconds; handing it to a thread costs
 * thirty, a context switch, and keeps every exchange of the batch alive over two collections (mcproxy's CPU per
 * request fell by a third in `test/bench`). But a disk that hangs, an SD card above all, must not freeze the
 * process: one write over `LOG_SYNC_MS_MAX` moves all writes to a thread for `LOG_ASYNC_MS`.
 * Only for files and for pipes opened O_NONBLOCK: on a blocking descriptor a full pipe would stop everything.
 */
import fs from 'node:fs';

import { LOG_ASYNC_MS, LOG_SYNC_MS_MAX } from '../limits.ts';

/** `fs.write` as it is used here; replaced by tests that need a failure at a chosen call. */
export type WriteCall = (
  fd: number,
  bytes: Buffer,
  callback: (error: NodeJS.ErrnoException | null, writtenBytes: number) => void,
) => void;

/** @param monotonicMs the clock that tells whether the disk was slow */
export function createSwiftWrite(monotonicMs: () => number = () => performance.now()): WriteCall {
  let asyncUntilMs = 0;
  return (fd, bytes, callback) => {
    const beganMs = monotonicMs();
    if (beganMs < asyncUntilMs) {
      fs.write(fd, bytes, callback);
      return;
    }
    let writtenBytes = 0;
    let failure: NodeJS.ErrnoException | null = null;
    try {
      writtenBytes = fs.writeSync(fd, bytes);
    } catch (error) {
      failure = error as NodeJS.ErrnoException;
    }
    const endedMs = monotonicMs();
    if (endedMs - beganMs > LOG_SYNC_MS_MAX) asyncUntilMs = endedMs + LOG_ASYNC_MS;
    callback(failure, writtenBytes);
  };
}
