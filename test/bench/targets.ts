/**
 * What the benchmark compares on the path of bytes (the upstream itself, the bare proxy, mcproxy) and what both parts
 * need: the parts as plain JavaScript, and mcproxy with its real work switched on (bearer check, credential injection,
 * one access-log line per request in a real file).
 */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';
import { bundle } from '../../build/bundle.ts';
import { startListener, type Listener } from './processes.ts';

export interface Target {
  readonly name: string;
  /** Where it is spoken to: a port, or the pipes of a command that the load generator starts. */
  readonly via: { readonly port: number } | { readonly command: readonly string[] };
  /** Whose CPU time counts; undefined where it is the command's. */
  readonly pid: number | undefined;
  /** Complete requests, one for each connection; the first again where there are more connections. */
  readonly requests: readonly string[];
  /** Lines of the access log so far; undefined where none is written. */
  countEntries?(): number;
  stop(): Promise<void>;
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const UPSTREAM_TOKEN = 'bench-upstream-credential';
export const CLIENT_TOKEN = 'bench-client-token-0123456789abcdef';
const SERVER_NAME = 'bench';
const SOME_SESSION = '5f0c7a52-6d1b-4f8e-9a3e-2b6f1f2f3a4b';
const BODY = callOf(1, 'search');

/** The call that is measured, everywhere the same but for its id and the name of the tool. */
export function callOf(id: number, name: string): string {
  const query = { query: 'the quick brown fox', limit: 10 };
  const params = { name, arguments: query, _meta: { progressToken: id } };
  return JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params });
}

export type Part = 'upstream' | 'bare-proxy' | 'load' | 'mcp-server';

/** Bundles the parts of the benchmark to plain JavaScript in `directory`. */
export function bundleParts(directory: string): (part: Part) => string {
  const parts: readonly Part[] = ['upstream', 'bare-proxy', 'load', 'mcp-server'];
  buildSync({
    entryPoints: parts.map((part) => path.join(ROOT, 'test/bench', `${part}.ts`)),
    outdir: directory,
    outExtension: { '.js': '.mjs' },
    format: 'esm',
    platform: 'node',
    bundle: true,
  });
  return (part) => path.join(directory, `${part}.mjs`);
}

export async function startUpstream(script: string): Promise<Target> {
  const listener = await startListener([script, UPSTREAM_TOKEN]);
  return {
    name: 'direct',
    ...overHttp(listener),
    requests: [requestTo('/mcp', { token: UPSTREAM_TOKEN, body: BODY })],
  };
}

export async function startBareProxy(script: string, upstreamPort: number): Promise<Target> {
  const listener = await startListener([script, String(upstreamPort)]);
  return { name: 'bare', ...overHttp(listener), requests: [requestTo('/mcp', { token: UPSTREAM_TOKEN, body: BODY })] };
}

/** mcproxy before one HTTP upstream, which it relays. */
export async function startRelay(options: McproxyOptions & { readonly upstreamPort: number }): Promise<Target> {
  const url = `http://127.0.0.1:${options.upstreamPort}/mcp`;
  const running = await startMcproxy(options, { [SERVER_NAME]: { url, token: UPSTREAM_TOKEN } });
  const request = requestTo(`/${SERVER_NAME}/mcp`, { token: CLIENT_TOKEN, body: BODY });
  return { name: 'mcproxy', ...running, requests: [request] };
}

export interface McproxyOptions {
  readonly directory: string;
  /** Another checkout to take mcproxy from, for a comparison of two versions. */
  readonly root?: string;
  /** Extra arguments for `node`, for example `--cpu-prof`. */
  readonly nodeArgs?: readonly string[];
  /** Right before the process is started. */
  readonly onStart?: () => void;
}

export interface RunningMcproxy {
  readonly via: { readonly port: number };
  readonly pid: number;
  countEntries(): number;
  stop(): Promise<void>;
}

/** mcproxy as it is shipped, with one user who has these servers, in a directory of its own under `directory`. */
export async function startMcproxy(
  { directory, root = ROOT, nodeArgs = [], onStart }: McproxyOptions,
  servers: Readonly<Record<string, unknown>>,
): Promise<RunningMcproxy> {
  const own = mkdtempSync(path.join(directory, 'mcproxy-'));
  const logFile = path.join(own, 'access.log');
  writeConfig(own, { servers, logFile });
  // Bundled on the spot, exactly as `npm run build` does: never a stale one.
  const program = await bundle({ root, entry: 'src/main.ts', outDir: own });
  onStart?.();
  const listener = await startListener([...nodeArgs, program, 'serve', '--config', path.join(own, 'config')], own);
  return { ...overHttp(listener), countEntries: () => countLines(logFile) };
}

function overHttp({ port, pid, stop }: Listener): { via: { port: number }; pid: number; stop(): Promise<void> } {
  return { via: { port }, pid, stop };
}

function writeConfig(
  directory: string,
  { servers, logFile }: { servers: Readonly<Record<string, unknown>>; logFile: string },
): void {
  const config = path.join(directory, 'config');
  mkdirSync(config);
  const digest = createHash('sha256').update(CLIENT_TOKEN).digest('hex');
  const settings = {
    listen: '127.0.0.1:0',
    log: { file: logFile },
    admin: { socket: path.join(directory, 'admin.sock') },
    // All that have no secret of the user's, so that a command runs once for all.
    servers,
  };
  const users = { bench: { token: `sha256:${digest}`, servers: '*' } };
  // JSON is YAML.
  writeFileSync(path.join(config, 'mcproxy.yml'), JSON.stringify(settings));
  writeFileSync(path.join(config, 'tokens.yml'), JSON.stringify({ users }), { mode: 0o600 });
}

export interface RequestParts {
  readonly token: string;
  readonly body: string;
  readonly sessionId?: string;
}

export function requestTo(target: string, { token, body, sessionId = SOME_SESSION }: RequestParts): string {
  const head = [
    `POST ${target} HTTP/1.1`,
    'Host: 127.0.0.1',
    `Authorization: Bearer ${token}`,
    'Content-Type: application/json',
    'Accept: application/json, text/event-stream',
    'MCP-Protocol-Version: 2025-11-25',
    `Mcp-Session-Id: ${sessionId}`,
    'User-Agent: mcproxy-bench',
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  return `${head.join('\r\n')}\r\n\r\n${body}`;
}

function countLines(file: string): number {
  let count = 0;
  for (const byte of readFileSync(file)) if (byte === 0x0a) count += 1;
  return count;
}
