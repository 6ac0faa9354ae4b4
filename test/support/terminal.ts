/**
 * A command of mcproxy at a terminal: what somebody sees there, and what they type.
 *
 * The terminal is a real one (a pseudo-terminal of `script` from util-linux, which every Debian has), because a pipe that
 * says it is one has no raw mode, no echo and sends no signal for Ctrl-C. The command ends with the test.
 */
import { spawn } from 'node:child_process';
import { PROGRAM_ARGS } from './start-app.ts';
import type { Cleanup } from './temp-dir.ts';
import { waitFor } from './wait.ts';

export const CTRL_C = '\u0003';
export const CTRL_D = '\u0004';
export const ENTER = '\r';

export interface Terminal {
  /** All that was on the screen so far, with what was typed where that is shown. */
  screen(): string;
  type(text: string): void;
  /** Resolves when the screen shows it. */
  sees(text: string | RegExp): Promise<void>;
  /** The exit code of the command; 128 and the number of the signal that ended it. */
  readonly ended: Promise<number | null>;
}

const SEES_MS_MAX = 20_000;

/** @param args after `mcproxy` */
export function openTerminal(cleanup: Cleanup, args: readonly string[], dir: string): Terminal {
  // In the place of the shell, which Ctrl-C would end as well, with a code of its own.
  const command = `exec ${[process.execPath, ...PROGRAM_ARGS, ...args].map(quoted).join(' ')}`;
  const env = { PATH: process.env['PATH'] ?? '', HOME: dir, SHELL: '/bin/sh', TERM: 'dumb' };
  // -e: its exit code is that of the command.
  const child = spawn('script', ['-qefc', command, '/dev/null'], { cwd: dir, env, stdio: ['pipe', 'pipe', 'inherit'] });
  let screen = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (screen += text));
  child.stdin.on('error', () => undefined);
  const ended = new Promise<number | null>((resolve) => {
    child.once('error', () => resolve(null));
    child.once('close', (code) => resolve(code));
  });
  cleanup.after(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
    await ended;
  });
  return {
    screen: () => screen,
    type: (text) => void child.stdin.write(text),
    async sees(text) {
      const isThere = (): boolean => (typeof text === 'string' ? screen.includes(text) : text.test(screen));
      const isOver = (): boolean => child.exitCode !== null || child.signalCode !== null;
      await waitFor(() => isThere() || isOver(), { deadlineMs: SEES_MS_MAX, what: `${String(text)} on:\n${screen}` });
      if (!isThere()) throw new Error(`the command ended without ${String(text)}:\n${screen}`);
    },
    ended,
  };
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
