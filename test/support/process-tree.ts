/**
 * The processes below a process, whoever started them. Linux only: elsewhere there are none to be found.
 */
import { readdirSync, readFileSync } from 'node:fs';

/** Its children, by id. */
export function childrenOf(pid: number | 'self'): number[] {
  try {
    const tasks = readdirSync(`/proc/${pid}/task`);
    return tasks.flatMap((task) =>
      Array.from(readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').matchAll(/\d+/g), ([id]) => Number(id)),
    );
  } catch {
    return [];
  }
}

/** Its children and theirs, nearest first. */
export function descendantsOf(pid: number): number[] {
  const children = childrenOf(pid);
  return [...children, ...children.flatMap(descendantsOf)];
}

/** Does nothing where it has ended already. */
export function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It was faster.
  }
}
