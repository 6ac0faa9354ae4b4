/**
 * Secrets that stand in files of their own: `file:PATH`, and `cred:NAME` in the directory of systemd's credentials.
 *
 * Read anew with the files that refer to them, and watched like these, so that a rotated secret is in force within a
 * second. Promises: a bounded regular file in UTF-8 that others on this machine may not read, without its last newline; no
 * content in what is said of it. Without $CREDENTIALS_DIRECTORY, as on an operator's command line, the place that systemd
 * gives the packaged unit is looked into. Source: systemd.exec(5), LoadCredential.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';

import type { SecretRead, SecretReference } from '../config/reading.ts';
import { SECRET_FILE_BYTES_MAX, SECRET_FILE_COUNT_MAX } from '../limits.ts';
import { sha256 } from './operator-file.ts';

export interface SecretReader {
  read(reference: SecretReference): SecretRead;
  /** What was read or looked for, with what `readOperatorFile` says of its state; undefined where it was not to be had. */
  readonly digests: ReadonlyMap<string, string | undefined>;
}

const UNIT_DIRECTORY = '/run/credentials/mcproxy.service';

interface Known {
  readonly read: SecretRead;
  readonly digest: string | undefined;
}

/** A reader for one reading of the configuration; each file is read once. */
export function createSecretReader(env: NodeJS.ProcessEnv): SecretReader {
  const files = new Map<string, Known>(); // Bounded by SECRET_FILE_COUNT_MAX.
  const digests = new Map<string, string | undefined>(); // Bounded by SECRET_FILE_COUNT_MAX.
  return {
    digests,
    read({ kind, name }) {
      const path = kind === 'file' ? name : join(env['CREDENTIALS_DIRECTORY'] ?? UNIT_DIRECTORY, name);
      const before = files.get(path);
      if (before !== undefined) return before.read;
      if (files.size >= SECRET_FILE_COUNT_MAX) {
        return failure('there are too many files of secrets', `use at most ${SECRET_FILE_COUNT_MAX}`);
      }
      const known = readFile(path, kind);
      files.set(path, known);
      digests.set(path, known.digest);
      return known.read;
    },
  };
}

function readFile(path: string, kind: SecretReference['kind']): Known {
  try {
    // Without O_NONBLOCK the open of a named pipe waits for its writer.
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      return readOpened(path, fd);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    const { code = 'EIO' } = error as NodeJS.ErrnoException;
    const absent = code === 'ENOENT' || code === 'ENOTDIR';
    const read = absent
      ? failure(`${path} does not exist`, ABSENT_FIX[kind])
      : failure(`${path} cannot be read (${code})`, 'give the user that mcproxy runs as the right to read it');
    return { read, digest: absent ? 'absent' : undefined };
  }
}

const ABSENT_FIX = {
  file: 'make it, or correct the path, which is relative to this file; for the text itself write text:file:…',
  cred: 'write LoadCredential=NAME:PATH in the [Service] section of the unit and restart it',
} as const;

function readOpened(path: string, fd: number): Known {
  const stat = fstatSync(fd);
  if (!stat.isFile()) return unfit(`${path} is no regular file`);
  if (stat.size > SECRET_FILE_BYTES_MAX) {
    return unfit(`${path} has more than ${SECRET_FILE_BYTES_MAX} bytes`);
  }
  const buffer = Buffer.alloc(stat.size);
  const bytes = buffer.subarray(0, readSync(fd, buffer, 0, buffer.length, 0));
  const mode = stat.mode & 0o7777;
  // As in `readOperatorFile`, so that the watcher can compare.
  const digest = `${mode.toString(8)} ${sha256(bytes)}`;
  return { read: judge(path, bytes, mode), digest };
}

function judge(path: string, bytes: Buffer, mode: number): SecretRead {
  if ((mode & 0o007) !== 0 && process.platform !== 'win32') {
    const text = `everybody on this machine may read or change ${path} (mode ${(mode & 0o777).toString(8).padStart(4, '0')})`;
    return failure(text, `chmod o= ${path}; where a container mounts it, give the mount the mode 0440`);
  }
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes).replace(/\r?\n$/, '');
  } catch {
    return failure(`${path} is not valid UTF-8`, 'name a file that holds the secret as text');
  }
  return text === '' ? failure(`${path} is empty`, 'write the secret into it') : { text };
}

function unfit(text: string): Known {
  return { read: failure(text, 'name a file that holds the secret alone'), digest: undefined };
}

function failure(problem: string, fix: string): SecretRead {
  return { problem, fix };
}
