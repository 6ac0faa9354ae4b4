/**
 * The process of a stdio upstream: started in a process group of its own, and gone with the whole group.
 *
 * `npx` is a tree (npm, sh, node), so everything is done to the group. The stop ladder is MCP's (2025-11-25
 * lifecycle#shutdown): end of stdin, SIGTERM, SIGKILL, each bounded; a child that ends by itself gets the same for
 * what it left behind. After `kill -9` of mcproxy nothing of ours runs any more: the kernel closes the pipes, so a
 * child that reads stdin sees its end and leaves, and one that writes gets EPIPE; Node has no PR_SET_PDEATHSIG for
 * the rest. There, and for a grandchild that left the group (setsid), systemd's KillMode=control-group is the net.
 * Speaking MCP, restarting and logging belong to others.
 */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';

import {
  CHILD_DRAIN_MS_MAX,
  CHILD_EOF_MS_MAX,
  CHILD_GROUP_POLL_MS,
  CHILD_KILL_MS_MAX,
  CHILD_TERM_MS_MAX,
} from '../limits.ts';
import type { StdioServerConfig } from '../model.ts';
import { childEnvironment } from './child-environment.ts';
import { spawnFailure } from './child-failure.ts';
import { createStderrLines } from './child-stderr.ts';
import { settlesWithin } from './settles-within.ts';

/** How a child ended. The first cause wins: a crash stays one even if somebody calls `stop` a moment later. */
export interface ChildExit {
  readonly code: number | null;
  readonly signal: string | null;
  /** `stopped`: asked to, it left by itself or on SIGTERM. `killed`: asked to, it needed SIGKILL. */
  readonly cause: 'stopped' | 'crashed' | 'killed';
}

export interface Child {
  /** Also the id of its process group. */
  readonly pid: number;
  /** Errors of the three streams are handled here; a failed write is told to its callback. */
  readonly stdin: Writable;
  /** Closes, with all that was written, at most `CHILD_DRAIN_MS_MAX` after the exit. */
  readonly stdout: Readable;
  /** Never rejects. */
  readonly exited: Promise<ChildExit>;
  /** The ladder. Resolves when the group is gone or, in the kernel's hands, cannot be made to go. Idempotent. */
  stop(): Promise<void>;
}

export interface SpawnOptions {
  readonly server: StdioServerConfig;
  readonly ambientEnv: Readonly<Record<string, string | undefined>>;
  /** One line of stderr, bounded and limited in number, not redacted. */
  readonly onStderr: (line: string) => void;
  readonly stopMs?: StopMs | undefined;
}

/** The bounds of the first two steps of the ladder. */
export interface StopMs {
  readonly eof: number;
  readonly term: number;
}

const STOP_MS: StopMs = { eof: CHILD_EOF_MS_MAX, term: CHILD_TERM_MS_MAX };

/**
 * Starts the command of a server; resolves when the process runs, which says nothing about MCP yet.
 *
 * @throws {ProxyError} UPSTREAM_UNREACHABLE when it cannot be started, with the reason
 */
export async function spawnChild(options: SpawnOptions): Promise<Child> {
  const { server, ambientEnv } = options;
  const env = childEnvironment(ambientEnv, server.env);
  try {
    const spawned = spawn(server.command, [...server.args], { cwd: server.cwd, env, stdio: 'pipe', detached: true });
    // Nothing is missed: exit and output come from the event loop, and this continues before that turns again.
    await once(spawned, 'spawn');
    return watchChild(spawned, options);
  } catch (error) {
    throw spawnFailure(server, error, env['PATH']);
  }
}

/**
 * Orders that Node produces: exit → streams close → close (the usual one); streams close → exit (it closed them
 * first); exit and no close (a grandchild holds a pipe). stdin is closed by Node at the exit.
 */
function watchChild(
  spawned: ChildProcessWithoutNullStreams,
  { onStderr, stopMs = STOP_MS }: Pick<SpawnOptions, 'onStderr' | 'stopMs'>,
): Child {
  const { stdin, stdout, stderr } = spawned;
  const pid = spawned.pid as number; // it has one since `spawn`
  let cause: ChildExit['cause'] = 'crashed'; // counts at the exit; the exit itself begins the ladder if nobody has
  let ladder: Promise<void> | undefined;

  const exited = new Promise<ChildExit>((resolve) => {
    spawned.once('exit', (code, signal) => {
      resolve({ code, signal, cause });
      ladder ??= climb();
    });
  });
  const closed = new Promise<void>((resolve) => {
    spawned.once('close', () => resolve());
  });
  const drained = drain();
  // Without a listener each would end mcproxy; what they mean arrives as an exit or at the callback of a write.
  for (const emitter of [spawned, stdin, stdout, stderr]) emitter.on('error', () => undefined);
  const lines = createStderrLines(onStderr);
  stderr.on('data', (chunk: Buffer) => lines.feed(chunk));
  stderr.once('close', () => lines.end());

  async function climb(): Promise<void> {
    stdin.end();
    if (await isGone(stopMs.eof)) return drained;
    signalGroup(pid, 'SIGTERM');
    if (await isGone(stopMs.term)) return drained;
    cause = 'killed';
    signalGroup(pid, 'SIGKILL');
    // Nothing can ignore that, so the group is not asked again: where process 1 collects no orphans, it never empties.
    if (await settlesWithin(exited, CHILD_KILL_MS_MAX)) return drained;
    return destroyStreams();
  }

  /** Whether the child ends, and its group empties, in the time given. */
  async function isGone(withinMs: number): Promise<boolean> {
    const endMs = performance.now() + withinMs;
    if (!(await settlesWithin(exited, withinMs))) return false;
    while (signalGroup(pid, 0)) {
      if (performance.now() >= endMs) return false;
      // oxlint-disable-next-line no-await-in-loop -- the system can only be asked
      await delay(CHILD_GROUP_POLL_MS);
    }
    return true;
  }

  async function drain(): Promise<void> {
    await exited;
    if (!(await settlesWithin(closed, CHILD_DRAIN_MS_MAX))) destroyStreams();
  }

  function destroyStreams(): void {
    for (const stream of [stdin, stdout, stderr]) stream.destroy();
  }

  return {
    pid,
    stdin,
    stdout,
    exited,
    stop() {
      if (ladder === undefined) cause = 'stopped';
      ladder ??= climb();
      return ladder;
    },
  };
}

/**
 * Signals every process of the group; 0 only asks. False when the group is empty.
 *
 * The id is not reused while the group has members, and it is signalled only right after it was seen to have some.
 */
function signalGroup(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-pid, signal);
    return true;
  } catch (error) {
    // EPERM: there are members, but they changed their user.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
