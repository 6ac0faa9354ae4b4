/**
 * The real tree for the house checks: which files there are and what they say. Reads, never writes.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readSource, type Source } from './source.ts';

export const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Paths of all `.ts` files under a top-level folder, sorted, with forward slashes. */
export function listSources(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .toSorted();
}

/** All `.ts` files under a top-level folder, lexed. */
export function readSources(folder: string): Source[] {
  return listSources(folder).map((path) => readSource(path, readText(path)));
}

/** A file of the tree; empty when it is missing, so that a check can say so. */
export function readText(path: string): string {
  try {
    return readFileSync(join(ROOT, path), 'utf8');
  } catch {
    return '';
  }
}
