/**
 * The processes of a benchmark run.
 *
 * Everything measured runs as plain JavaScript in a process of its own: the TypeScript sources are bundled into a
 * temporary directory first, so that no loader adds to anybody's memory or start.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { LoadJob, LoadResult } from './load.ts';

const READY_MS_MAX = 30_000;
const STOP_MS_MAX = 5_000;
const STDERR_CHARS_MAX = 8_000;

export interface Listener {
  readonly pid: number;
  readonly port: number;
  stop(): Promise<void>;
}

/** Starts `node ARGS` and waits for the line on stderr that says where it listens. */
export async function startListener(args: readonly string[], cwd?: string): Promise<Listener> {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'], ...(cwd ? { cwd } : {}) });
  let stderr = '';
  const port = await new Promise<number>((resolve, reject) => {
    const fail = (why: string): void => reject(new Error(`node ${args.join(' ')}: ${why}\n${stderr}`));
    const timer = setTimeout(() => fail('did not say where it listens'), READY_MS_MAX);
    child.once('error', reject);
    child.once('exit', (code, signal) => fail(`ended with ${code ?? signal}`));
    child.stderr.on('data', (chunk: Buffer) => {
      stderr = (stderr + chunk.toString('utf8')).slice(-STDERR_CHARS_MAX);
      const found = /listening on (?:http:\/\/127\.0\.0\.1:)?(\d+)/.exec(stderr)?.[1];
      if (found === undefined) return;
      clearTimeout(timer);
      resolve(Number(found));
    });
  }).catch(async (error: unknown) => {
    await stopProcess(child);
    throw error;
  });
  return { pid: child.pid ?? 0, port, stop: () => stopProcess(child) };
}

export interface LoadGenerator {
  run(job: LoadJob): Promise<LoadResult>;
  stop(): Promise<void>;
}

export function startLoadGenerator(script: string): LoadGenerator {
  const child = spawn(process.execPath, [script], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async run(job) {
      child.stdin.write(`${JSON.stringify(job)}\n`);
      const line = await lines.next();
      if (line.done === true) throw new Error('the load generator stopped; its reason is above');
      return JSON.parse(line.value) as LoadResult;
    },
    stop: () => stopProcess(child),
  };
}

async function stopProcess(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const killer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
  await ended;
  clearTimeout(killer);
}
