/**
 * The load generator: a closed loop over raw sockets or one pair of pipes, in a process of its own.
 *
 * Each connection (of a pipe: each request in flight) sends one prepared request, waits for the whole answer, checks
 * it, and sends the next. It parses no more of HTTP than that takes, so that it stays well below the cost of what it measures; its
 * own CPU time is reported to prove it. Reads one job (JSON) per line on stdin, writes one result per line.
 */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import net from 'node:net';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { performance } from 'node:perf_hooks';
import type { Readable, Writable } from 'node:stream';
import { cpuSecondsOf } from './proc.ts';

export type LoadJob = {
  /** Complete requests, head and body; each connection sends the same one of them again and again. */
  readonly requests: readonly string[];
  readonly connections: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
} & (
  | { readonly port: number }
  /** Arguments of `node` for a command that is spoken to over its pipes, one line for each request and answer. */
  | { readonly command: readonly string[] }
);

export interface LoadResult {
  readonly requests: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** CPU seconds of this process in the measured time. */
  readonly cpuSeconds: number;
  /** Requests sent in all, warm-up included: what an access log must show. */
  readonly sent: number;
  /** CPU seconds of the command that was spoken to, of the job with its warm-up; where there is one. */
  readonly commandCpuSeconds: number | undefined;
}

const HEAD_END = '\r\n\r\n';
const LAST_CHUNK = '0\r\n\r\n';
/** Part of every right answer; see upstream.ts and mcp-server.ts. */
const WANTED = '"isError":false}}';

interface Tally {
  measuring: boolean;
  stopping: boolean;
  sent: number;
  readonly latenciesMs: number[];
}

async function runJob(job: LoadJob): Promise<LoadResult> {
  const tally: Tally = { measuring: false, stopping: false, sent: 0, latenciesMs: [] };
  const requests = Array.from({ length: job.connections }, (_, at) => {
    return Buffer.from(job.requests[at % job.requests.length] ?? '', 'latin1');
  });
  const command = 'command' in job ? commandOf(job.command) : undefined;
  const commandCpuBefore = command === undefined ? 0 : cpuSecondsOf(command.pid ?? 0);
  const loops =
    'command' in job
      ? [loopOverPipe(commandOf(job.command), requests, tally)]
      : requests.map((request) => loop(job.port, request, tally));
  const all = Promise.all(loops);
  await Promise.race([all, elapse(job.warmUpMs)]);
  tally.measuring = true;
  const cpuBefore = process.cpuUsage();
  const startMs = performance.now();
  await Promise.race([all, elapse(job.measureMs)]);
  const seconds = (performance.now() - startMs) / 1000;
  const cpu = process.cpuUsage(cpuBefore);
  tally.measuring = false;
  tally.stopping = true;
  await all;
  const sorted = Float64Array.from(tally.latenciesMs).toSorted();
  return {
    requests: sorted.length,
    seconds,
    p50Ms: quantile(sorted, 0.5),
    p99Ms: quantile(sorted, 0.99),
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
    sent: tally.sent,
    commandCpuSeconds: command === undefined ? undefined : cpuSecondsOf(command.pid ?? 0) - commandCpuBefore,
  };
}

/** One connection until the tally says stop; rejects at the first wrong answer or lost connection. */
function loop(port: number, request: Buffer, tally: Tally): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
    let sentMs = 0;
    let pending = '';
    const send = (): void => {
      if (tally.stopping) {
        socket.end();
        resolve();
        return;
      }
      tally.sent += 1;
      sentMs = performance.now();
      socket.write(request);
    };
    socket.on('connect', send);
    socket.on('data', (chunk: Buffer) => {
      pending += chunk.toString('latin1');
      if (!isWhole(pending)) return;
      if (tally.measuring) tally.latenciesMs.push(performance.now() - sentMs);
      if (!pending.startsWith('HTTP/1.1 200') || !pending.includes(WANTED)) {
        socket.destroy();
        reject(new Error(`wrong answer: ${pending.slice(0, 1_000)}`));
        return;
      }
      pending = '';
      send();
    });
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('the connection was closed')));
  });
}

type PipedCommand = ChildProcessByStdio<Writable, Readable, null>;

/** Commands that were started, by their arguments: each serves all jobs that name it and ends with this process. */
const commands = new Map<string, PipedCommand>();

function commandOf(args: readonly string[]): PipedCommand {
  const key = args.join('\0');
  const command = commands.get(key) ?? spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  commands.set(key, command);
  return command;
}

/** As many requests in flight as there are requests, told apart by the ids that they carry: 0, 1, 2 … */
function loopOverPipe(command: PipedCommand, requests: readonly Buffer[], tally: Tally): Promise<void> {
  return new Promise((resolve, reject) => {
    const sentMs = requests.map(() => 0);
    let inFlight = 0;
    let pending = '';
    const send = (at: number): void => {
      tally.sent += 1;
      inFlight += 1;
      sentMs[at] = performance.now();
      command.stdin.write(requests[at] ?? '');
    };
    const onLine = (line: string): void => {
      const at = Number(/"id":(\d+)/.exec(line)?.[1]);
      if (tally.measuring) tally.latenciesMs.push(performance.now() - (sentMs[at] ?? 0));
      inFlight -= 1;
      if (!line.includes(WANTED)) reject(new Error(`wrong answer: ${line.slice(0, 1_000)}`));
      else if (!tally.stopping) send(at);
    };
    const onData = (chunk: Buffer): void => {
      const lines = (pending + chunk.toString('latin1')).split('\n');
      pending = lines.pop() ?? '';
      lines.forEach(onLine);
      if (!tally.stopping || inFlight > 0) return;
      command.stdout.off('data', onData);
      command.off('exit', onExit);
      resolve();
    };
    const onExit = (): void => reject(new Error('the command ended'));
    command.stdout.on('data', onData);
    command.once('exit', onExit);
    requests.forEach((_, at) => send(at));
  });
}

/** Whether the answer is complete. One request is in flight per connection, so nothing can follow it. */
function isWhole(answer: string): boolean {
  const headEnd = answer.indexOf(HEAD_END);
  if (headEnd < 0) return false;
  const length = /\r\ncontent-length: *(\d+)/i.exec(answer.slice(0, headEnd))?.[1];
  if (length !== undefined) return answer.length >= headEnd + HEAD_END.length + Number(length);
  return answer.endsWith(LAST_CHUNK);
}

function quantile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

function elapse(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

for await (const line of createInterface({ input: process.stdin })) {
  const result = await runJob(JSON.parse(line) as LoadJob);
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
for (const command of commands.values()) command.kill();
