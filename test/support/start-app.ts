/**
 * mcproxy as a real process: `serve` on a directory of files, listening on a port the system chose.
 *
 * Runs from source, or from the bundle with `program: 'bundle'` or where all tests do. The environment is not inherited, so that nothing
 * of the developer's reaches the test. The process is killed and its directory removed when the test ends.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { descendantsOf, endProcess } from './process-tree.ts';
import { makeTempDir, writeFiles, type Cleanup } from './temp-dir.ts';
import { waitFor, within } from './wait.ts';

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const BUNDLE_ARGS = [join(ROOT, 'dist/mcproxy.js')] as const;
/**
 * Arguments of `node` that run mcproxy: from source, or the bundle where `npm test` has just made it (TEST_PROGRAM), which
 * takes a fraction of the time to start.
 */
export const PROGRAM_ARGS =
  process.env['TEST_PROGRAM'] === 'bundle'
    ? BUNDLE_ARGS
    : (['--import', import.meta.resolve('tsx'), join(ROOT, 'src/main.ts')] as const);
const START_MS_MAX = 20_000;
const STOP_MS_MAX = 15_000;

export interface StartOptions {
  /** Files of the configuration directory by name; `mcproxy.yml` gets a default that logs to `access.log`. */
  readonly files?: Readonly<Record<string, string>>;
  /** An existing configuration directory, for a second start; `files` are written into it. */
  readonly dir?: string;
  /** Added to a bare PATH and HOME. */
  readonly env?: Readonly<Record<string, string>>;
  /** Arguments after `serve --config DIR`. */
  readonly args?: readonly string[];
  /** Anything but the name is the beginning of a command line; the default is `PROGRAM_ARGS`. */
  readonly program?: 'bundle' | readonly string[];
  /** Without any file: only the environment says what to do. */
  readonly bare?: boolean;
  /** Arguments of `node` before the program. */
  readonly nodeArgs?: readonly string[];
  /** A listening socket that is passed on as a service manager does (sd_listen_fds(3)). */
  readonly descriptor?: number | undefined;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** One parsed line of the access log. */
export type LoggedEntry = Readonly<Record<string, unknown>>;

export interface RunningApp {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  readonly dir: string;
  readonly exited: Promise<Exit>;
  stdout(): string;
  stderr(): string;
  signal(name: NodeJS.Signals): void;
  /** SIGTERM, then waits; SIGKILL and an error when it does not end in time. */
  stop(): Promise<Exit>;
  /** Every line of the access log. A line that is not whole or not JSON throws. */
  entries(file?: string): LoggedEntry[];
}

/** What a command run to its end left behind. */
export interface Finished extends Exit {
  readonly stdout: string;
  readonly stderr: string;
}

const DEFAULT_SETTINGS = 'listen: 127.0.0.1:0\nlog:\n  file: access.log\nadmin:\n  socket: admin.sock\n';

/**
 * Starts the app and resolves once it says on which address it listens.
 *
 * @throws {Error} with its standard error when it ends before that, or is too slow
 */
export async function startApp(cleanup: Cleanup, options: StartOptions = {}): Promise<RunningApp> {
  const started: Run[] = [];
  // Before the directory's own hook, because hooks run in the order of their registration.
  cleanup.after(async () => void (await Promise.all(started.map(kill))));
  const dir = options.dir ?? makeTempDir(cleanup);
  const defaults = existsSync(join(dir, 'mcproxy.yml')) ? {} : { 'mcproxy.yml': DEFAULT_SETTINGS };
  if (options.bare !== true) writeFiles(dir, { ...defaults, ...options.files });
  const files = options.bare === true ? [] : ['--config', dir];
  const run = launch(['serve', ...files, ...(options.args ?? [])], { ...options, dir });
  started.push(run);

  const address = await waitFor(
    () => {
      const line = /listening on http:\/\/([\w.-]+|\[[\w:.]+\]):(\d+)/.exec(run.stderr());
      return line !== null || run.ended() ? { host: line?.[1], port: Number(line?.[2]) } : undefined;
    },
    { deadlineMs: START_MS_MAX, what: 'the line "listening on"' },
  ).catch((cause: unknown) => {
    throw new Error(`mcproxy did not start:\n${run.stderr()}`, { cause });
  });
  if (address?.host === undefined) {
    await run.exited;
    throw new Error(`mcproxy ended before it listened:\n${run.stderr()}`);
  }

  return {
    url: `http://${address.host}:${address.port}`,
    port: address.port,
    pid: run.child.pid ?? 0,
    dir,
    exited: run.exited,
    stdout: () => run.stdout(),
    stderr: () => run.stderr(),
    signal: (name) => void run.child.kill(name),
    stop: () => stop(run),
    entries: (file = 'access.log') => readEntries(join(dir, file)),
  };
}

/** Runs one command of mcproxy to its end, with `input` on its standard input. */
export async function runCommand(
  args: readonly string[],
  options: StartOptions & { input?: string } = {},
): Promise<Finished> {
  const run = launch(args, options);
  run.child.stdin?.end(options.input ?? '');
  try {
    const exit = await within(run.exited, { deadlineMs: START_MS_MAX, what: `mcproxy ${args.join(' ')}` });
    return { ...exit, stdout: run.stdout(), stderr: run.stderr() };
  } finally {
    await kill(run);
  }
}

/** Whole lines of an access log, parsed; none when the file is missing. */
export function readEntries(path: string): LoggedEntry[] {
  if (!existsSync(path)) return [];
  const text = readFileSync(path, 'utf8');
  if (text !== '' && !text.endsWith('\n')) throw new Error(`${path} ends in half a line`);
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as LoggedEntry);
}

interface Run {
  readonly child: ChildProcess;
  readonly exited: Promise<Exit>;
  ended(): boolean;
  stdout(): string;
  stderr(): string;
}

function launch(args: readonly string[], options: StartOptions): Run {
  const { descriptor } = options;
  // The shell becomes the program, so that its own id is that of the program.
  const passing = descriptor === undefined ? [] : ['sh', '-c', 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"', 'sh'];
  const [file = '', ...program] = [...passing, ...commandOf(options)];
  const cwd = options.dir ?? ROOT;
  const env = { PATH: process.env['PATH'] ?? '', HOME: cwd, ...options.env };
  const stdio = ['pipe', 'pipe', 'pipe', ...(descriptor === undefined ? [] : [descriptor])] as ['pipe', 'pipe', 'pipe'];
  const child = spawn(file, [...program, ...args], { cwd, env, stdio });
  const exited = new Promise<Exit>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  const read = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (read.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (read.stderr += text));
  // A child that ends before it reads is no failure of the test.
  child.stdin.on('error', () => undefined);
  const ended = (): boolean => child.exitCode !== null || child.signalCode !== null;
  return { child, exited, ended, stdout: () => read.stdout, stderr: () => read.stderr };
}

function commandOf({ program, nodeArgs = [] }: StartOptions): readonly string[] {
  if (program === undefined) return [process.execPath, ...nodeArgs, ...PROGRAM_ARGS];
  if (program === 'bundle') return [process.execPath, ...nodeArgs, ...BUNDLE_ARGS];
  return program;
}

async function stop(run: Run): Promise<Exit> {
  run.child.kill('SIGTERM');
  try {
    return await within(run.exited, { deadlineMs: STOP_MS_MAX, what: `the end of mcproxy:\n${run.stderr()}` });
  } finally {
    await kill(run);
  }
}

/** Its servers too: what has not been told to leave may go on for as long as it has something to do. */
async function kill(run: Run): Promise<void> {
  if (run.ended()) return void (await run.exited);
  const servers = descendantsOf(run.child.pid ?? 0);
  run.child.kill('SIGKILL');
  servers.forEach(endProcess);
  await run.exited;
}
