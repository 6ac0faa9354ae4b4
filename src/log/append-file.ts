/**
 * The file under the access log: opening it for appending, telling whether a path still leads to it, taking back
 * a half-written line, and saying in words why it cannot be opened or written.
 *
 * The calls are synchronous: each is a look at the directory of a local disk, rarer than a batch of lines, and an
 * answer waits for it in any case. Source: open(2), logrotate(8).
 */
import fs from 'node:fs';
import { dirname } from 'node:path';

export interface OpenFile {
  readonly fd: number;
  readonly dev: number;
  readonly ino: number;
  /** The file ends inside a line, so the next write has to begin with a newline. */
  torn: boolean;
}

const { O_APPEND, O_CREAT, O_NOCTTY, O_NONBLOCK, O_WRONLY } = fs.constants;
/** Non-blocking, because opening a FIFO without a reader would otherwise hang the process; files ignore it. */
const APPEND_FLAGS = O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY;
/** Stands for the device of a standard stream, which has no path. */
const NO_DEVICE = -1;
const NEWLINE = 0x0a;

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied. Give the user that mcproxy runs as write access to the directory and the file',
  EPERM: 'not permitted. Give the user that mcproxy runs as write access to the directory and the file',
  EROFS: 'the file system is read-only. Choose another path, or list it in ReadWritePaths of the unit',
  ENOENT: 'its directory does not exist and cannot be made',
  EISDIR: 'it is a directory. Name a file inside it',
  ENOTDIR: 'a part of the path is a file, not a directory',
  EEXIST: 'a part of the path is a file, not a directory',
  ENXIO: 'it is a pipe that nobody reads, or a socket',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  EFBIG: 'the file has reached its size limit',
  EIO: 'the disk reports an error',
  EPIPE: 'nobody reads the pipe any more',
};

/** What the system error means and what to do, ending with its code. */
export function explain(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === undefined) return message;
  return `${REASONS[code] ?? message} (${code})`;
}

/** Opens or makes the file (0640) and its directory (0750); `-` is the standard stream. Throws the system's error. */
export function openAppend(path: string, standardFd: 1 | 2 = 1): OpenFile {
  if (path === '-') return { fd: standardFd, dev: NO_DEVICE, ino: -1, torn: false };
  const fd = openOrMake(path);
  try {
    const { dev, ino } = fs.fstatSync(fd);
    return { fd, dev, ino, torn: endsInsideLine(path, fd) };
  } catch (error) {
    fs.closeSync(fd);
    throw error;
  }
}

/** Closes what `openAppend` opened, except a standard stream. A failure changes nothing for the caller. */
export function closeFile(file: OpenFile | undefined): void {
  if (file === undefined || file.dev === NO_DEVICE) return;
  try {
    fs.closeSync(file.fd);
  } catch {
    // The descriptor is gone either way (close(2): do not retry).
  }
}

/** False when the path is missing, leads to another file, or cannot be looked up. */
export function leadsTo(path: string, file: OpenFile): boolean {
  try {
    const found = fs.statSync(path, { throwIfNoEntry: false });
    return found !== undefined && found.ino === file.ino && found.dev === file.dev;
  } catch {
    return false;
  }
}

/** True when no path leads to the file any more, so that whatever is written to it is gone. */
export function isRemoved(file: OpenFile): boolean {
  try {
    return fs.fstatSync(file.fd).nlink === 0;
  } catch {
    return true;
  }
}

/**
 * Removes `piece` from the end of the file, if it still is its end. Only then: another process may have appended
 * since, and cutting that off would be worse than a torn line.
 *
 * @returns false when the piece stays
 */
export function takeBack(path: string, file: OpenFile, piece: Buffer): boolean {
  try {
    const { size, ino, dev } = fs.statSync(path);
    if (ino !== file.ino || dev !== file.dev || size < piece.length) return false;
    if (!readAt(path, size - piece.length, piece.length).equals(piece)) return false;
    fs.ftruncateSync(file.fd, size - piece.length);
    return true;
  } catch {
    return false;
  }
}

function openOrMake(path: string): number {
  try {
    return fs.openSync(path, APPEND_FLAGS, 0o640);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    makeDirectory(dirname(path));
    return fs.openSync(path, APPEND_FLAGS, 0o640);
  }
}

/**
 * Like `mkdirSync` with `recursive`, which on Node 20 never returns where making a directory in an existing one
 * fails with ENOENT, as in /proc.
 */
function makeDirectory(path: string): void {
  try {
    fs.mkdirSync(path, 0o750);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return;
    const parent = dirname(path);
    if (code !== 'ENOENT' || parent === path) throw error;
    makeDirectory(parent);
    if (!fs.existsSync(path)) fs.mkdirSync(path, 0o750);
  }
}

/** How often a file that grows meanwhile is looked at: each time a write of another process was in the way. */
const LOOK_COUNT_MAX = 20;

/**
 * What a process leaves that was killed in the middle of a write. One that is still writing leaves the same for a moment,
 * because readers see a file grow page by page; only what stays is an end. An unreadable file gets the benefit of doubt.
 */
function endsInsideLine(path: string, fd: number): boolean {
  try {
    for (let look = 0; look < LOOK_COUNT_MAX; look += 1) {
      const { size, mode } = fs.fstatSync(fd);
      if (size === 0 || readAt(path, size - 1, 1)[0] === NEWLINE) return false;
      awaitWrite(fd, mode);
      if (fs.fstatSync(fd).size === size) return true;
    }
    return false;
  } catch {
    return false;
  }
}

/**
 * Returns when the write to the file that is in progress, if any, is over: a change of the mode, here to what it is, waits
 * for the same lock in the kernel (inode_lock(): fs/attr.c notify_change, write(2)).
 */
function awaitWrite(fd: number, mode: number): void {
  try {
    fs.fchmodSync(fd, mode & 0o7777);
  } catch {
    // The file is somebody else's, so that its end cannot be told from a pause.
  }
}

/** The log itself is open for writing only, so a second descriptor reads. */
function readAt(path: string, position: number, length: number): Buffer {
  const fd = fs.openSync(path, 'r');
  try {
    const buffer = Buffer.alloc(length);
    return buffer.subarray(0, fs.readSync(fd, buffer, 0, length, position));
  } finally {
    fs.closeSync(fd);
  }
}
