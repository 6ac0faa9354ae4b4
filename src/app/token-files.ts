/**
 * Tokens of OAuth clients in the state directory: a file each, readable by the service alone, whole or not at all.
 *
 * Written beside its place, flushed and moved there, so that neither kill -9 nor a power failure leaves half of one. A
 * file that others can read is not used. Nothing here fails: what cannot be read is got anew, what cannot be kept lives
 * as long as the process, and the diagnostic log says why. Several processes may use one directory: a file says for which
 * configuration it is, and only that one removes it when nobody needs it any more.
 */
import { mkdir, open, readdir, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';

import type { KeptTokens, TokenStore } from '../auth/grant.ts';
import { OAUTH_FILE_BYTES_MAX, OAUTH_FILE_COUNT_MAX } from '../limits.ts';
import { replaceFile, TEMPORARY } from './replace-file.ts';

const FORMAT = 1;
const SUFFIX = '.json';
/** A process that writes one does not need so long. */
const TEMPORARY_MS_MAX = 60 * 60_000;

export interface TokenFilesOptions {
  /** Undefined: there is no state directory, and nothing is kept. */
  readonly directory: string | undefined;
  /** Which configuration the files are for. */
  readonly owner: string;
  /** Wall time in ms. */
  readonly nowMs: () => number;
  readonly onTrouble: (message: string, data: Readonly<Record<string, unknown>>) => void;
}

export interface TokenFiles {
  storeOf(name: string): TokenStore;
  /** Removes the files of this configuration that are not among these. Never rejects. */
  prune(names: ReadonlySet<string>): Promise<void>;
}

export function openTokenFiles(options: TokenFilesOptions): TokenFiles {
  const { directory: state, owner, onTrouble } = options;
  if (state === undefined) return { storeOf: () => NOWHERE, prune: () => Promise.resolve() };
  const directory = join(state, 'oauth');
  return {
    storeOf(name) {
      const path = join(directory, name + SUFFIX);
      return {
        async read() {
          try {
            return (await readTokens(path))?.tokens;
          } catch (error) {
            onTrouble('kept tokens cannot be used', { file: path, reason: reasonOf(error) });
            return undefined;
          }
        },
        async write(tokens) {
          try {
            await mkdir(directory, { recursive: true, mode: 0o700 });
            await replaceFile(path, JSON.stringify({ format: FORMAT, owner, ...tokens }));
          } catch (error) {
            onTrouble('tokens cannot be kept for a restart', { file: path, reason: reasonOf(error) });
          }
        },
      };
    },
    async prune(names) {
      try {
        await pruneDirectory(directory, names, options);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
        onTrouble('kept tokens cannot be looked through', { directory, reason: reasonOf(error) });
      }
    },
  };
}

const NOWHERE: TokenStore = { read: () => Promise.resolve(undefined), write: () => Promise.resolve() };

interface File {
  readonly owner: string;
  readonly tokens: KeptTokens;
}

/** Undefined when there is none. @throws {Error} when it cannot be used */
async function readTokens(path: string): Promise<File | undefined> {
  let file;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const { mode, size } = await file.stat();
    if ((mode & 0o077) !== 0) throw new Error(`others can read it; run: chmod 600 ${path}`);
    if (size > OAUTH_FILE_BYTES_MAX) throw new Error('it is too long');
    return decode(await file.readFile('utf8'));
  } finally {
    await file.close();
  }
}

function decode(text: string): File {
  let found: Partial<Record<keyof KeptTokens | 'owner' | 'format', unknown>> | null;
  try {
    found = JSON.parse(text) as typeof found;
  } catch {
    // What JSON.parse says quotes the text.
    throw new Error('it is no JSON');
  }
  const { owner, format, digest, issuer, accessToken, lifeMs, expiresMs, refreshToken } = found ?? {};
  if (
    format !== FORMAT ||
    typeof owner !== 'string' ||
    typeof digest !== 'string' ||
    typeof accessToken !== 'string' ||
    typeof lifeMs !== 'number' ||
    typeof expiresMs !== 'number' ||
    !isText(issuer) ||
    !isText(refreshToken)
  ) {
    throw new Error('it is of another version');
  }
  const texts = { issuer: issuer as string | undefined, refreshToken: refreshToken as string | undefined };
  return { owner, tokens: { digest, accessToken, lifeMs, expiresMs, ...texts } };
}

function isText(value: unknown): boolean {
  return value === undefined || typeof value === 'string';
}

/** Those of this configuration that nobody needs, what a crash left, and the oldest of too many. */
async function pruneDirectory(
  directory: string,
  names: ReadonlySet<string>,
  { owner, nowMs }: TokenFilesOptions,
): Promise<void> {
  const kept: { path: string; mtimeMs: number }[] = [];
  for (const entry of await readdir(directory)) {
    const path = join(directory, entry);
    // oxlint-disable-next-line no-await-in-loop -- one after the other, beside the work
    const { mtimeMs } = await stat(path);
    if (entry.endsWith(TEMPORARY)) {
      // oxlint-disable-next-line no-await-in-loop
      if (nowMs() - mtimeMs > TEMPORARY_MS_MAX) await remove(path);
    } else if (entry.endsWith(SUFFIX) && !names.has(entry.slice(0, -SUFFIX.length))) {
      // oxlint-disable-next-line no-await-in-loop
      const found = await readTokens(path).catch(() => undefined);
      // oxlint-disable-next-line no-await-in-loop
      if (found?.owner === owner) await remove(path);
      else kept.push({ path, mtimeMs });
    }
  }
  const oldest = kept.toSorted((a, b) => b.mtimeMs - a.mtimeMs).slice(OAUTH_FILE_COUNT_MAX);
  await Promise.all(oldest.map(({ path }) => remove(path)));
}

async function remove(path: string): Promise<void> {
  await unlink(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
