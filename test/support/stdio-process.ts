/**
 * `mcproxy stdio` as a process of its own, with the pipe in the hands of the test.
 *
 * Every line of its standard output has to be a JSON-RPC message; a line that is none fails whoever asks. The process
 * is killed when the test ends.
 */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

import type { Json } from './downstream-clients.ts';
import { childrenOf, endProcess } from './process-tree.ts';
import { PROGRAM_ARGS, type Exit } from './start-app.ts';
import { legacy, notice, seen } from './stdio-conversation.ts';
import type { Cleanup } from './temp-dir.ts';
import { waitFor } from './wait.ts';

export interface StdioProcess {
  readonly child: ChildProcessWithoutNullStreams;
  readonly pid: number;
  /** Every message so far. */
  readonly messages: Json[];
  readonly exited: Promise<Exit>;
  stderr(): string;
  /** Writes a message as one line, or a text as it is. */
  send(message: unknown): void;
  /** Asks in the older era with an id of its own. */
  ask(method: string, params?: Json): Promise<Json>;
  answer(id: unknown): Promise<Json>;
  initialize(capabilities?: Json): Promise<Json>;
  toolNames(): Promise<string[]>;
  /** Processes below this one that run the scripts of the tests. */
  servers(): number[];
}

const ANSWER_MS_MAX = 20_000;

/** @param args after `mcproxy stdio` */
export function launchStdio(
  cleanup: Cleanup,
  args: readonly string[],
  options: { readonly env?: Readonly<Record<string, string>>; readonly unread?: boolean } = {},
): StdioProcess {
  const env = { PATH: process.env['PATH'] ?? '', HOME: '/nonexistent', ...options.env };
  const child = spawn(process.execPath, [...PROGRAM_ARGS, 'stdio', ...args], { env, stdio: 'pipe' });
  const messages: Json[] = [];
  let stderr = '';
  let count = 0;
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  child.stdin.on('error', () => undefined);
  if (options.unread !== true) {
    createInterface({ input: child.stdout }).on('line', (line) => messages.push(JSON.parse(line) as Json));
  }
  const exited = new Promise<Exit>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  cleanup.after(async () => {
    // A server that reads nothing would not notice that it is alone.
    const servers = child.exitCode === null && child.signalCode === null ? started.servers() : [];
    child.kill('SIGKILL');
    await exited;
    for (const pid of servers) endProcess(pid);
    for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy();
  });
  const started: StdioProcess = {
    child,
    pid: child.pid ?? 0,
    messages,
    exited,
    stderr: () => stderr,
    send: (message) => void child.stdin.write(typeof message === 'string' ? message : `${JSON.stringify(message)}\n`),
    answer(id) {
      const what = `the answer to ${String(id)}; stderr:\n${stderr}`;
      const find = (): Json | undefined => messages.find((message) => message['id'] === id && !('method' in message));
      return seen(find, { deadlineMs: ANSWER_MS_MAX, what });
    },
    ask(method, params = {}) {
      const id = `own-${(count += 1)}`;
      started.send(legacy(id, method, params));
      return started.answer(id);
    },
    async initialize(capabilities = {}) {
      const clientInfo = { name: 'test', version: '1' };
      const answer = await started.ask('initialize', { protocolVersion: '2025-11-25', capabilities, clientInfo });
      started.send(notice('notifications/initialized'));
      return answer;
    },
    async toolNames() {
      const { tools } = (await started.ask('tools/list'))['result'] as { tools: { name: string }[] };
      return tools.map(({ name }) => name);
    },
    servers: () => serversOf(started.pid),
  };
  return started;
}

/** Waits until exactly the tools of these servers are listed, in a merged view. */
export function untilTools(client: Pick<StdioProcess, 'toolNames'>, servers: readonly string[]): Promise<unknown> {
  const wanted = servers.toSorted().join();
  return waitFor(
    async () => {
      const names = (await client.toolNames()).map((name) => name.slice(0, name.indexOf('__')));
      return [...new Set(names)].toSorted().join() === wanted;
    },
    { deadlineMs: 10_000, what: `the tools of ${wanted}` },
  );
}

/** The servers among its children. */
function serversOf(pid: number): number[] {
  return childrenOf(pid).filter((id) => readFileSync(`/proc/${id}/cmdline`, 'utf8').includes('/test/peers/'));
}
