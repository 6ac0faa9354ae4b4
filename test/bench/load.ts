/**
 * The load generator: a closed loop over raw sockets, in a process of its own.
 *
 * Each connection sends one prepared request, waits for the whole answer, checks status and body, and sends the
 * next. It parses no more of HTTP than that takes, so that it stays well below the cost of what it measures; its
 * own CPU time is reported to prove it. Reads one job (JSON) per line on stdin, writes one result per line.
 */
import net from 'node:net';
import { createInterface } from 'node:readline';
import { performance } from 'node:perf_hooks';

export interface LoadJob {
  readonly port: number;
  /** The complete request, head and body. */
  readonly request: string;
  readonly connections: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
}

export interface LoadResult {
  readonly requests: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** CPU seconds of this process in the measured time. */
  readonly cpuSeconds: number;
  /** Requests sent in all, warm-up included: what an access log must show. */
  readonly sent: number;
}

const HEAD_END = '\r\n\r\n';
const LAST_CHUNK = '0\r\n\r\n';
/** Part of every right answer; see upstream.ts. */
const WANTED = '"isError":false}}';

interface Tally {
  measuring: boolean;
  stopping: boolean;
  sent: number;
  readonly latenciesMs: number[];
}

async function runJob(job: LoadJob): Promise<LoadResult> {
  const tally: Tally = { measuring: false, stopping: false, sent: 0, latenciesMs: [] };
  const request = Buffer.from(job.request, 'latin1');
  const loops = Array.from({ length: job.connections }, () => loop(job.port, request, tally));
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
