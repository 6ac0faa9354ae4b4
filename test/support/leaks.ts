/**
 * The check after a test file: no listener, socket or file watcher of this process is left, no child of it and no child
 * of a child, also where those in between have ended.
 *
 * `after(checkNothingLeft)` at the top of a test file. Things close in their own time, so it waits a little. Descendants
 * are known by a directory in PATH that is nowhere: tests and mcproxy hand PATH on also where they hand on little else.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { childrenOf } from './process-tree.ts';
import { waitFor } from './wait.ts';

const MARK = `:/nonexistent/mcproxy-test-${process.pid}-${Date.now()}`;
process.env['PATH'] += MARK;

const LEAKS = /^(?:ProcessWrap|TCPServerWrap|TCPSocketWrap|PipeServerWrap|FSEventWrap|StatWatcher|TLSWrap|UDPWrap)$/;

/**
 * Resolves when nothing is left.
 *
 * @throws {Error} that lists what is left when the deadline passes
 */
export async function checkNothingLeft(deadlineMs = 10_000): Promise<void> {
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
  return [...resources, ...listDescendants()];
}

/** By name, also those the event loop does not wait for. Linux only; elsewhere the resources must do. */
function listDescendants(): string[] {
  try {
    const marked = readdirSync('/proc').filter((id) => /^\d+$/.test(id) && isMarked(id));
    // The compiler of the test runner's own loader stays as long as the process.
    return [...new Set([...childrenOf('self').map(String), ...marked])]
      .map(nameOf)
      .filter((name) => !name.includes('esbuild'));
  } catch {
    return [];
  }
}

/** False for who has ended meanwhile, and for who belongs to another user. */
function isMarked(id: string): boolean {
  try {
    return readFileSync(`/proc/${id}/environ`, 'latin1').includes(MARK);
  } catch {
    return false;
  }
}

function nameOf(id: string): string {
  try {
    return readFileSync(`/proc/${id}/cmdline`, 'utf8').replaceAll('\0', ' ').trim() || `process ${id}`;
  } catch {
    return `process ${id}`;
  }
}
