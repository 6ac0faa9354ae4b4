/**
 * What the benchmark compares: the upstream itself, the bare proxy, and mcproxy with its real work switched on
 * (bearer check, credential injection, one access-log line per request in a real file).
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';
import { bundle } from '../../build/bundle.ts';
import { startListener, type Listener } from './processes.ts';

export interface Target {
  readonly name: 'direct' | 'bare' | 'mcproxy';
  readonly listener: Listener;
  readonly request: string;
  /** Lines of the access log so far; undefined where none is written. */
  countEntries?(): number;
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const UPSTREAM_TOKEN = 'bench-upstream-credential';
const CLIENT_TOKEN = 'bench-client-token-0123456789abcdef';
const SERVER_NAME = 'bench';

const BODY = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'tools/call',
  params: { name: 'search', arguments: { query: 'the quick brown fox', limit: 10 }, _meta: { progressToken: 1 } },
});

/** Bundles the parts of the benchmark to plain JavaScript in `directory`. */
export function bundleParts(directory: string): (part: 'upstream' | 'bare-proxy' | 'load') => string {
  const parts = ['upstream', 'bare-proxy', 'load'];
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
  return { name: 'direct', listener, request: requestFor('/mcp', UPSTREAM_TOKEN) };
}

export async function startBareProxy(script: string, upstream: Listener): Promise<Target> {
  const listener = await startListener([script, String(upstream.port)]);
  return { name: 'bare', listener, request: requestFor('/mcp', UPSTREAM_TOKEN) };
}

export interface McproxyOptions {
  readonly directory: string;
  readonly upstream: Listener;
  /** Extra arguments for `node`, for example `--cpu-prof`. */
  readonly nodeArgs?: readonly string[];
}

export async function startMcproxy(options: McproxyOptions): Promise<Target> {
  const logFile = path.join(options.directory, 'access.log');
  const configDirectory = writeConfig(options, logFile);
  // Bundled on the spot, exactly as `npm run build` does: never a stale one.
  const program = await bundle({ root: ROOT, entry: 'src/main.ts', outDir: options.directory });
  const args = [...(options.nodeArgs ?? []), program, 'serve', '--config', configDirectory];
  const listener = await startListener(args, options.directory);
  const request = requestFor(`/${SERVER_NAME}/mcp`, CLIENT_TOKEN);
  return { name: 'mcproxy', listener, request, countEntries: () => countLines(logFile) };
}

function writeConfig(options: McproxyOptions, logFile: string): string {
  const directory = path.join(options.directory, 'config');
  mkdirSync(directory, { recursive: true });
  const digest = createHash('sha256').update(CLIENT_TOKEN).digest('hex');
  const url = `http://127.0.0.1:${options.upstream.port}/mcp`;
  const settings = {
    listen: '127.0.0.1:0',
    log: { file: logFile },
    admin: { socket: path.join(options.directory, 'admin.sock') },
  };
  const servers = { [SERVER_NAME]: { url, token: UPSTREAM_TOKEN } };
  const users = { bench: { token: `sha256:${digest}`, servers } };
  // JSON is YAML.
  writeFileSync(path.join(directory, 'mcproxy.yml'), JSON.stringify(settings));
  writeFileSync(path.join(directory, 'tokens.yml'), JSON.stringify({ users }), { mode: 0o600 });
  return directory;
}

function requestFor(target: string, token: string): string {
  const head = [
    `POST ${target} HTTP/1.1`,
    'Host: 127.0.0.1',
    `Authorization: Bearer ${token}`,
    'Content-Type: application/json',
    'Accept: application/json, text/event-stream',
    'MCP-Protocol-Version: 2025-11-25',
    'Mcp-Session-Id: 5f0c7a52-6d1b-4f8e-9a3e-2b6f1f2f3a4b',
    'User-Agent: mcproxy-bench',
    `Content-Length: ${Buffer.byteLength(BODY)}`,
  ];
  return `${head.join('\r\n')}\r\n\r\n${BODY}`;
}

function countLines(file: string): number {
  let count = 0;
  for (const byte of readFileSync(file)) if (byte === 0x0a) count += 1;
  return count;
}
