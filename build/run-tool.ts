/**
 * Running a program that a build needs: its output, or one error that says what is missing and where it comes from.
 *
 * The environment is passed on, since package managers read theirs; what makes results depend on it is set here.
 */
import { spawnSync } from 'node:child_process';

export interface ToolOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** What to do when the program is not there, such as `apt install binutils`. */
  readonly install: string;
}

/** Runs a program to its end and returns its standard output. @throws {Error} when it is missing or fails */
export function runTool(command: readonly [name: string, ...args: string[]], options: ToolOptions): string {
  const [name, ...args] = command;
  const result = spawnSync(name, args, {
    cwd: options.cwd,
    env: { ...process.env, LC_ALL: 'C.UTF-8', TZ: 'UTC', ...options.env },
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  if (isMissing(result.error)) throw new Error(`${name} is needed and not installed; run: ${options.install}`);
  if (result.error !== undefined) throw new Error(`${name}: ${result.error.message}`, { cause: result.error });
  if (result.status !== 0) {
    const ending = result.signal ?? `code ${result.status}`;
    throw new Error(`${[name, ...args].join(' ')} ended with ${ending}\n${result.stderr.trim()}`);
  }
  return result.stdout;
}

/** Whether a program could not be run because it is not there. */
export function isMissing(error: Error | undefined): boolean {
  return error !== undefined && 'code' in error && error.code === 'ENOENT';
}
