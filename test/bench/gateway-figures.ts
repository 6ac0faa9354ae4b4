/**
 * Figures of the path of messages that are no load: memory with sessions and with idle streams, time to a whole list.
 *
 * Each is taken from an mcproxy of its own, right after its start, because what a process once needed under load it
 * does not give back.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import http from 'node:http';
import { createRequire } from 'node:module';
import path from 'node:path';
import process from 'node:process';
import { performance } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { rotate } from './measure.ts';
import { residentMegabytesOf } from './proc.ts';
import { listTools, openSessions, startGateway } from './gateway-targets.ts';
import { median, type Figures } from './report.ts';
import { CLIENT_TOKEN, startMcproxy, type McproxyOptions } from './targets.ts';

const SESSION_COUNT = 100;
const STREAM_COUNT = 1_000;
/** Time for the collector and for what was told about the start. */
const SETTLE_MS = 3_000;

/** Megabytes of mcproxy alone: with ten servers, with a hundred sessions, and what a thousand idle streams add. */
export async function measureMemory(server: string, options: McproxyOptions): Promise<Figures> {
  const { mcproxy, remote } = await startGateway(server, options);
  const { pid, via } = mcproxy;
  try {
    await delay(SETTLE_MS);
    const withServers = residentMegabytesOf(pid);
    const sessions = await openSessions(via.port, SESSION_COUNT);
    await delay(SETTLE_MS);
    const withSessions = residentMegabytesOf(pid);
    sessions.push(...(await openSessions(via.port, STREAM_COUNT - SESSION_COUNT)));
    await delay(SETTLE_MS);
    const before = residentMegabytesOf(pid);
    const streams = await Promise.all(sessions.map((id) => openStream(via.port, id)));
    await delay(SETTLE_MS);
    const after = residentMegabytesOf(pid);
    for (const stream of streams) stream.destroy();
    return {
      'with 10 servers MB': withServers,
      'and 100 sessions MB': withSessions,
      'each of 1,000 idle streams KB': ((after - before) * 1024) / STREAM_COUNT,
    };
  } finally {
    await mcproxy.stop();
    await remote.stop();
  }
}

function openStream(port: number, sessionId: string): Promise<http.IncomingMessage> {
  const headers = {
    authorization: `Bearer ${CLIENT_TOKEN}`,
    accept: 'text/event-stream',
    'mcp-session-id': sessionId,
    'mcp-protocol-version': '2025-11-25',
  };
  return new Promise((resolve, reject) => {
    const request = http.get({ host: '127.0.0.1', port, path: '/mcp', headers, agent: false }, (stream) => {
      if (stream.statusCode !== 200) return reject(new Error(`a stream was answered ${stream.statusCode}`));
      stream.on('error', () => undefined);
      stream.resume();
      return resolve(stream);
    });
    request.on('error', reject);
  });
}

const PACKAGES = [
  ['everything', '@modelcontextprotocol/server-everything/dist/index.js'],
  ['filesystem', '@modelcontextprotocol/server-filesystem/dist/index.js', '.'],
  ['memory', '@modelcontextprotocol/server-memory/dist/index.js'],
  ['thinking', '@modelcontextprotocol/server-sequential-thinking/dist/index.js'],
  ['github', '@modelcontextprotocol/server-github/dist/index.js'],
  ['context7', '@upstash/context7-mcp/dist/index.js'],
  ['notion', '@notionhq/notion-mcp-server/bin/cli.mjs'],
  ['filesystem2', '@modelcontextprotocol/server-filesystem/dist/index.js', '.'],
  ['memory2', '@modelcontextprotocol/server-memory/dist/index.js'],
  ['thinking2', '@modelcontextprotocol/server-sequential-thinking/dist/index.js'],
] as const;

/**
 * Milliseconds from start to a whole `tools/list` over ten published stdio servers, against those until the slowest of
 * the ten has answered when all are started at once without mcproxy.
 */
export async function measureStart(options: McproxyOptions, rounds: number): Promise<Figures> {
  const modules = path.dirname(path.dirname(createRequire(import.meta.url).resolve('typescript/package.json')));
  const commands = PACKAGES.map(([name, file, ...args]) => ({ name, args: [path.join(modules, file), ...args] }));
  const taken: Record<'directly' | 'mcproxy', number[]> = { directly: [], mcproxy: [] };
  for (let round = 0; round < rounds; round += 1) {
    for (const which of rotate(['directly', 'mcproxy'] as const, round)) {
      const measure = which === 'directly' ? listDirectly(commands) : listThroughMcproxy(options, commands);
      // oxlint-disable-next-line no-await-in-loop -- one at a time is the purpose
      taken[which].push(await measure);
    }
  }
  const added = taken.mcproxy.map((ms, round) => ms - (taken.directly[round] ?? Number.NaN));
  return {
    'slowest server, all started at once ms': median(taken.directly),
    'whole list through mcproxy ms': median(taken.mcproxy),
    'added ms': median(added),
  };
}

interface Command {
  readonly name: string;
  readonly args: readonly string[];
}

async function listThroughMcproxy(options: McproxyOptions, commands: readonly Command[]): Promise<number> {
  const servers = commands.map(({ name, args }) => [name, { command: process.execPath, args }]);
  let startMs = 0;
  const onStart = (): void => void (startMs = performance.now());
  const mcproxy = await startMcproxy({ ...options, onStart }, Object.fromEntries(servers) as Record<string, unknown>);
  try {
    const [sessionId = ''] = await openSessions(mcproxy.via.port, 1);
    const tools = await listTools(mcproxy.via.port, sessionId);
    const ms = performance.now() - startMs;
    const missing = commands.filter(({ name }) => !tools.some((tool) => tool.name.startsWith(`${name}__`)));
    if (missing.length > 0) throw new Error(`not in the first list: ${missing.map(({ name }) => name).join(', ')}`);
    return ms;
  } finally {
    await mcproxy.stop();
  }
}

async function listDirectly(commands: readonly Command[]): Promise<number> {
  const startMs = performance.now();
  const children = commands.map(({ args }) => spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'ignore'] }));
  try {
    await Promise.all(children.map(listOne));
    return performance.now() - startMs;
  } finally {
    for (const child of children) child.kill('SIGKILL');
  }
}

async function listOne(child: ChildProcess): Promise<void> {
  const { stdin, stdout } = child;
  if (stdin === null || stdout === null) throw new Error('no pipes');
  const tell = (message: object): void => void stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  const clientInfo = { name: 'bench', version: '1' };
  tell({ id: 1, method: 'initialize', params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo } });
  for await (const line of createInterface({ input: stdout })) {
    const { id } = JSON.parse(line) as { id?: number };
    if (id === 2) return;
    if (id !== 1) continue;
    tell({ method: 'notifications/initialized' });
    tell({ id: 2, method: 'tools/list' });
  }
  throw new Error('a server ended before it gave its list');
}
