/**
 * A directory of its own for one test, removed when the test ends.
 */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** Whatever can promise to clean up: a test's context, or an object around node:test's `after`. */
export interface Cleanup {
  after(fn: () => void | Promise<void>): void;
}

/**
 * Collects what is to be cleaned up, to be run last first by the caller's own hook: what uses a directory ends before
 * the directory is removed, and nothing ends with the `before` it was made in.
 */
export function collectCleanup(): Cleanup & { run(): Promise<void> } {
  const hooks: (() => void | Promise<void>)[] = [];
  return {
    after: (hook) => void hooks.push(hook),
    run: async () => {
      // oxlint-disable-next-line no-await-in-loop -- one after the other is the purpose
      for (const hook of hooks.toReversed()) await hook();
    },
  };
}

/** All that were made: what could not be removed when its test ended goes with the process. */
const made = new Set<string>();
process.once('exit', () => made.forEach((dir) => remove(dir)));

/** Path of a new, empty directory (0700), free of symbolic links. */
export function makeTempDir(cleanup: Cleanup): string {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'mcproxy-test-')));
  made.add(dir);
  cleanup.after(() => {
    try {
      remove(dir);
    } catch {
      // Hooks run in the order of their registration, so a process that still runs may write here once more. A hook that
      // throws keeps those after it from running, which would leave that process, and the test waiting for it.
    }
  });
  return dir;
}

function remove(dir: string): void {
  rmSync(dir, { recursive: true, force: true, maxRetries: 3 });
}

/** Writes files by their path relative to `dir`, readable by the owner only. */
export function writeFiles(dir: string, files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    const path = join(dir, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text, { mode: 0o600 });
  }
}
