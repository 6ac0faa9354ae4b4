/**
 * What an access log ends with, for the chain of a process that has just begun to write it.
 *
 * An empty or new file is taken as what a rotation left: the end is then that of the newest file beside it whose name
 * goes on after the log's (`access.log.1`, `access.log-20270131`), as logrotate(8) names them; compressed ones cannot be
 * gone on from. Reads at most `LOG_TAIL_BYTES_MAX`; what cannot be read counts as not there.
 */
import fs from 'node:fs';
import { basename, dirname, join } from 'node:path';

import { LOG_TAIL_BYTES_MAX } from '../limits.ts';
import type { OpenFile } from './append-file.ts';
import { tailOf, type Tail } from './chain.ts';

const NOTHING: Tail = { line: undefined, torn: undefined };

/** The end of the log at `path`, which is open as `file`. */
export function readTail(path: string, file: OpenFile): Tail {
  try {
    const entry = path === '-' ? undefined : fs.fstatSync(file.fd);
    if (entry?.isFile() !== true) return NOTHING;
    if (entry.size > 0) return endOf(path, entry.size);
    const rotated = newestRotated(path);
    return rotated === undefined ? NOTHING : endOf(rotated.path, rotated.size);
  } catch {
    return NOTHING;
  }
}

function newestRotated(path: string): { readonly path: string; readonly size: number } | undefined {
  const name = basename(path);
  const found = fs
    .readdirSync(dirname(path))
    .filter((other) => /^[.-][\w.-]+$/.test(other.startsWith(name) ? other.slice(name.length) : ''))
    .filter((other) => !/\.(?:gz|xz|zst|bz2)$/.test(other))
    .map((other) => ({ path: join(dirname(path), other), ...statOf(join(dirname(path), other)) }))
    .filter(({ size }) => size > 0);
  return found.toSorted((a, b) => b.changedMs - a.changedMs)[0];
}

function statOf(path: string): { readonly size: number; readonly changedMs: number } {
  const entry = fs.statSync(path, { throwIfNoEntry: false });
  return { size: entry?.isFile() === true ? entry.size : 0, changedMs: entry?.mtimeMs ?? 0 };
}

function endOf(path: string, size: number): Tail {
  const length = Math.min(size, LOG_TAIL_BYTES_MAX);
  const buffer = Buffer.alloc(length);
  const fd = fs.openSync(path, 'r');
  try {
    const count = fs.readSync(fd, buffer, 0, length, size - length);
    return tailOf(buffer.subarray(0, count), length === size);
  } finally {
    fs.closeSync(fd);
  }
}
