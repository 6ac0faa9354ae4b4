/**
 * Starts the real MCP servers that the contract tests put behind mcproxy, each in a process of its own.
 *
 * A peer is ready when it listens on its port, it and nobody else. The published servers cannot be told "any free port
 * and say which", so a free one is looked up first and another is tried when somebody was faster. A peer ends with the
 * test that started it, or by `stop()`, which resolves when the process is gone.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findClosedPort, isListener } from './ports.ts';
import type { Cleanup } from './temp-dir.ts';
import { waitFor } from './wait.ts';

export interface Peer {
  /** The URL of its MCP endpoint (Streamable HTTP) or event stream (HTTP+SSE). */
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

interface PeerSpec {
  /** Arguments of `node`. */
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly port: number;
  readonly path: string;
}

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const READY_MS_MAX = 20_000;
const STOP_MS_MAX = 3_000;
const START_COUNT_MAX = 3;
const OUTPUT_CHARS_MAX = 4_000;

/** `@modelcontextprotocol/server-everything`: every feature of the legacy era. */
export function startEverything(cleanup: Cleanup, transport: 'streamableHttp' | 'sse'): Promise<Peer> {
  const script = join(ROOT, 'node_modules/@modelcontextprotocol/server-everything/dist/index.js');
  const path = transport === 'sse' ? '/sse' : '/mcp';
  return startPeer(cleanup, (port) => ({ args: [script, transport], env: { PORT: String(port) }, port, path }));
}

/** `@notionhq/notion-mcp-server`, which really checks the bearer token; it lists its tools without any network. */
export function startNotion(cleanup: Cleanup, bearer: string): Promise<Peer> {
  const script = join(ROOT, 'node_modules/@notionhq/notion-mcp-server/bin/cli.mjs');
  const options = ['--transport', 'http', '--auth-token', bearer];
  return startPeer(cleanup, (port) => ({ args: [script, ...options, '--port', String(port)], port, path: '/mcp' }));
}

/** The fixture of the conformance suite, of both eras unless one is named. */
export function startConformanceFixture(cleanup: Cleanup, era?: 'legacy' | 'modern'): Promise<Peer> {
  const script = join(ROOT, 'test/peers/conformance-fixture.ts');
  const env = era === undefined ? {} : { ERA: era };
  return startPeer(cleanup, (port) => ({ args: ['--import', 'tsx', script, String(port)], env, port, path: '/mcp' }));
}

/** A server of 2026-07-28 with tasks, `test/peers/tasks-fixture.ts`. */
export function startTasksFixture(cleanup: Cleanup): Promise<Peer> {
  const script = join(ROOT, 'test/peers/tasks-fixture.ts');
  return startPeer(cleanup, (port) => ({ args: ['--import', 'tsx', script, String(port)], port, path: '/mcp' }));
}

async function startPeer(cleanup: Cleanup, describe: (port: number) => PeerSpec): Promise<Peer> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- the next attempt only after this one failed
      const peer = await startOnce(describe(await findClosedPort()));
      cleanup.after(() => peer.stop());
      return peer;
    } catch (error) {
      const portTaken = error instanceof Error && /EADDRINUSE|already in use/.test(error.message);
      if (!portTaken || attempt === START_COUNT_MAX) throw error;
    }
  }
}

async function startOnce(spec: PeerSpec): Promise<Peer> {
  const env = { PATH: process.env['PATH'] ?? '', ...spec.env };
  const child = spawn(process.execPath, spec.args, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  const keepTail = (chunk: Buffer): void => {
    output = (output + chunk.toString('utf8')).slice(-OUTPUT_CHARS_MAX);
  };
  child.stdout.on('data', keepTail);
  child.stderr.on('data', keepTail);
  // Without a listener a failed spawn would be thrown at the test runner; it shows as an ended process here.
  child.on('error', (error) => keepTail(Buffer.from(String(error))));
  const listens = (): boolean => child.pid !== undefined && isListener(child.pid, spec.port);
  const ready = await waitFor(async () => hasEnded(child) || (listens() && (await accepts(spec.port))), {
    deadlineMs: READY_MS_MAX,
    what: `port ${spec.port}`,
  }).catch(() => false);
  if (!ready || hasEnded(child)) {
    await stopChild(child);
    throw new Error(`a peer did not start: node ${spec.args.join(' ')}\n${output}`);
  }
  return { url: `http://127.0.0.1:${spec.port}${spec.path}`, pid: child.pid ?? 0, stop: () => stopChild(child) };
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** SIGTERM, then SIGKILL: a peer with open streams may wait for them when it is asked politely. */
async function stopChild(child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const killer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
  await ended;
  clearTimeout(killer);
}

function hasEnded(child: ChildProcess): boolean {
  return child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
}
