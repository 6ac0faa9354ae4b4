/**
 * The check after a test file: no child, listener, socket or file watcher of this process is left.
 *
 * `after(checkNothingLeft)` at the top of a test file. Things close in their own time, so it waits a little.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { waitFor } from './wait.ts';

const LEAKS = /^(?:ProcessWrap|TCPServerWrap|TCPSocketWrap|PipeServerWrap|FSEventWrap|StatWatcher|TLSWrap|UDPWrap)$/;

/**
 * Resolves when nothing is left.
 *
 * @throws {Error} that lists what is left when the deadline passes
 */
export async function checkNothingLeft(deadlineMs = 2_000): Promise<void> {
  let left: string[] = [];
  try {
    await waitFor(
      () => {
        left = listLeft();
        return left.length === 0;
      },
      { deadlineMs },
    );
  } catch {
    throw new Error(`left behind by the tests: ${left.join(', ')}`);
  }
}

function listLeft(): string[] {
  const resources = process.getActiveResourcesInfo().filter((name) => LEAKS.test(name));
  return [...resources, ...listChildren()];
}

/** Children by name, also those the event loop does not wait for. Linux only; elsewhere the resources must do. */
function listChildren(): string[] {
  try {
    const tasks = readdirSync('/proc/self/task');
    const ids = tasks.flatMap((task) => readFileSync(`/proc/self/task/${task}/children`, 'utf8').trim().split(/\s+/));
    // The compiler of the test runner's own loader stays as long as the process.
    return ids
      .filter((id) => id !== '')
      .map(nameOf)
      .filter((name) => !name.includes('esbuild'));
  } catch {
    return [];
  }
}

function nameOf(id: string): string {
  try {
    return readFileSync(`/proc/${id}/cmdline`, 'utf8').replaceAll('\0', ' ').trim() || `process ${id}`;
  } catch {
    return `process ${id}`;
  }
}
