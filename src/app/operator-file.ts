/**
 * Reading one file that the operator owns: its text, its mode and a digest of both, or what is wrong with it.
 *
 * Promises: never more than `CONFIG_BYTES_MAX` in memory, never a wait on a pipe or device, mode and content from
 * the same open file (so a rename in between cannot mix two versions). The digest changes when the existence, the
 * content or the mode does; `watch.ts` compares it. What the text means is the business of `config/parse.ts`.
 */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';

import { CONFIG_BYTES_MAX } from '../limits.ts';

export type OperatorFile = { readonly path: string; readonly digest: string } & (
  | { readonly state: 'absent' }
  /** There, but not to be used. `text` and `fix` are for a problem. */
  | {
      readonly state: 'unusable';
      readonly text: string;
      readonly fix: string;
      readonly line: number | undefined;
      readonly denied: boolean;
      /** It may be read another time without having changed: descriptors ran out, a disk did not answer. */
      readonly passing: boolean;
    }
  /** `mode` are the permission bits. */
  | { readonly state: 'read'; readonly text: string; readonly mode: number }
);

/** Lower-case hex SHA-256. */
export function sha256(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

/** Reads the file; all that can be wrong is in the result. */
export async function readOperatorFile(path: string): Promise<OperatorFile> {
  let handle: FileHandle;
  try {
    // Without O_NONBLOCK the open of a named pipe waits for its writer.
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    return notOpened(path, error as NodeJS.ErrnoException);
  }
  try {
    return await readOpened(path, handle);
  } catch (error) {
    return notOpened(path, error as NodeJS.ErrnoException);
  } finally {
    await handle.close();
  }
}

function notOpened(path: string, error: NodeJS.ErrnoException): OperatorFile {
  const code = error.code ?? 'EIO';
  // ENOTDIR: a part of the path is a file, so this file is not there either.
  if (code === 'ENOENT' || code === 'ENOTDIR') return { path, state: 'absent', digest: 'absent' };
  if (code === 'EACCES' || code === 'EPERM') {
    const fix = 'run the command as root or as the user of the service';
    return unusable(path, { text: 'permission denied', fix, denied: true });
  }
  const isFull = code === 'EMFILE' || code === 'ENFILE';
  return unusable(path, {
    text: `the file cannot be read (${code})`,
    fix: isFull
      ? 'raise LimitNOFILE of the unit, or `ulimit -n`: too many files are open'
      : 'check the path and the disk',
    passing: true,
  });
}

async function readOpened(path: string, handle: FileHandle): Promise<OperatorFile> {
  const stat = await handle.stat();
  if (!stat.isFile()) {
    const kind = stat.isDirectory() ? 'a directory' : 'no regular file';
    return unusable(path, { text: `this is ${kind}`, fix: 'name a file' });
  }
  if (stat.size > CONFIG_BYTES_MAX) return tooLong(path, stat.size);
  const buffer = Buffer.alloc(stat.size);
  let length = 0;
  while (length < buffer.length) {
    const { bytesRead } = await handle.read(buffer, length, buffer.length - length, length);
    if (bytesRead === 0) break; // cut while it was read
    length += bytesRead;
  }
  const bytes = buffer.subarray(0, length);
  const text = decodeUtf8(bytes);
  if (typeof text === 'number') {
    const content = unusable(path, { text: 'the file is not valid UTF-8', fix: 'save it as UTF-8', line: text });
    return { ...content, digest: sha256(bytes) };
  }
  const mode = stat.mode & 0o7777;
  return { path, state: 'read', text, mode, digest: `${mode.toString(8)} ${sha256(bytes)}` };
}

function tooLong(path: string, size: number): OperatorFile {
  return unusable(path, {
    text: `the file has ${size} bytes; at most ${CONFIG_BYTES_MAX} are read`,
    fix: 'check that this is the right file',
  });
}

function unusable(
  path: string,
  found: { text: string; fix: string; line?: number; denied?: boolean; passing?: boolean },
): OperatorFile & { state: 'unusable' } {
  const { text, fix, line, denied = false, passing = false } = found;
  return { path, state: 'unusable', text, fix, line, denied, passing, digest: text };
}

/** The text without a byte order mark, or the 1-based number of the first line that is not UTF-8. */
function decodeUtf8(bytes: Uint8Array): string | number {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    // A newline byte never occurs inside a UTF-8 sequence, so the lines can be tried one by one.
    let start = 0;
    for (let line = 1; ; line += 1) {
      const end = bytes.indexOf(0x0a, start);
      const part = bytes.subarray(start, end === -1 ? bytes.length : end);
      try {
        new TextDecoder('utf-8', { fatal: true }).decode(part);
      } catch {
        return line;
      }
      if (end === -1) return line;
      start = end + 1;
    }
  }
}
