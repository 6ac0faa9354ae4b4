/**
 * What is remembered of logins over a restart: a small file in the state directory, for its owner alone.
 *
 * It holds no token and nothing that one could be made from: ids of logins, how often each was renewed, and whether it
 * was ended. It is written in the background, whole and by rename, one write after the other. A file that is gone, or
 * that cannot be read, costs only the memory of what was used before.
 */
import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import type { Family } from '../auth/facade-families.ts';
import type { Diag } from '../log/diag.ts';
import { isObject } from '../mcp/jsonrpc.ts';
import { replaceFile } from './replace-file.ts';

export type LoginRow = readonly [id: string, family: Family];

export interface LoginFile {
  /** As they were when the file was opened. */
  readonly saved: readonly LoginRow[];
  /** Soon writes what `rows` gives then. */
  save(rows: () => readonly LoginRow[]): void;
  /** Resolves when nothing is left to be written. */
  settled(): Promise<void>;
}

const FILE_NAME = 'oauth-logins.json';

/** @param directory undefined: nothing is kept */
export function openLoginFile(directory: string | undefined, diag: Diag): LoginFile {
  if (directory === undefined) return { saved: [], save: () => undefined, settled: () => Promise.resolve() };
  const path = join(directory, FILE_NAME);
  let wanted: (() => readonly LoginRow[]) | undefined;
  let writing: Promise<void> | undefined;

  const write = async (): Promise<void> => {
    while (wanted !== undefined) {
      const text = JSON.stringify({ version: 1, logins: Object.fromEntries(wanted()) });
      wanted = undefined;
      try {
        await mkdir(directory, { recursive: true, mode: 0o700 });
        await replaceFile(path, text);
      } catch (error) {
        diag.warn('what logins were used is not kept', { reason: (error as Error).message });
      }
    }
    writing = undefined;
  };

  return {
    saved: readRows(path, diag),
    save(rows) {
      wanted = rows;
      writing ??= write();
    },
    settled: () => writing ?? Promise.resolve(),
  };
}

function readRows(path: string, diag: Diag): LoginRow[] {
  try {
    const file: unknown = JSON.parse(readFileSync(path, 'utf8'));
    const logins: unknown = isObject(file) ? file['logins'] : undefined;
    return Object.entries(isObject(logins) ? logins : {}).filter(isRow);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
      diag.warn('what logins were used cannot be read', { reason: (error as Error).message });
    return [];
  }
}

function isRow(row: [string, unknown]): row is [string, Family] {
  const [, family] = row;
  if (!isObject(family)) return false;
  const { generation, madeMs, endsMs, revoked } = family;
  return [generation, madeMs, endsMs].every(Number.isFinite) && typeof revoked === 'boolean';
}
