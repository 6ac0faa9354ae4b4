/**
 * What the benchmark compares on the path of messages: a command and an HTTP server spoken to directly, and the same
 * two through `/mcp` of an mcproxy that has ten servers.
 *
 * Each connection is a client of its own with its own legacy session, because that is what the clients of the field
 * are. The command behind mcproxy and the one that is spoken to directly are two processes of the same program.
 */
import process from 'node:process';
import { startListener, type Listener } from './processes.ts';
import {
  callOf,
  CLIENT_TOKEN,
  requestTo,
  startMcproxy,
  UPSTREAM_TOKEN,
  type McproxyOptions,
  type RunningMcproxy,
  type Target,
} from './targets.ts';

const COMMAND_COUNT = 9;
const CLIENT_COUNT_MAX = 128;
const READY_MS_MAX = 30_000;

/** The HTTP server, and mcproxy with nine commands and it. */
export interface Gateway {
  readonly remote: Listener;
  readonly mcproxy: RunningMcproxy;
}

export async function startGateway(server: string, options: McproxyOptions): Promise<Gateway> {
  const remote = await startListener([server, 'http', UPSTREAM_TOKEN]);
  const commands = Array.from({ length: COMMAND_COUNT }, (_, at) => {
    return [`command${at}`, { command: process.execPath, args: [server, 'stdio'] }] as const;
  });
  const url = `http://127.0.0.1:${remote.port}/mcp`;
  const servers = { ...Object.fromEntries(commands), remote: { url, token: UPSTREAM_TOKEN } };
  const mcproxy = await startMcproxy(options, servers);
  try {
    await waitForTools(mcproxy.via.port, COMMAND_COUNT + 1);
  } catch (error) {
    await mcproxy.stop();
    await remote.stop();
    throw error;
  }
  return { remote, mcproxy };
}

export async function gatewayTargets(server: string, { remote, mcproxy }: Gateway): Promise<Target[]> {
  const sessions = await openSessions(mcproxy.via.port, CLIENT_COUNT_MAX);
  const stop = async (): Promise<void> => undefined;
  const through = (tool: string): string[] =>
    sessions.map((sessionId, at) => {
      return requestTo('/mcp', { token: CLIENT_TOKEN, body: callOf(at, tool), sessionId });
    });
  const directly = sessions.map((_, at) => callOf(at, 'search'));
  return [
    {
      name: 'pipe',
      via: { command: [server, 'stdio'] },
      pid: undefined,
      requests: directly.map((body) => `${body}\n`),
      stop,
    },
    { ...mcproxy, name: 'mcproxy-pipe', requests: through('command0__search'), stop },
    {
      name: 'http',
      via: { port: remote.port },
      pid: remote.pid,
      requests: directly.map((body) => requestTo('/mcp', { token: UPSTREAM_TOKEN, body })),
      stop,
    },
    { ...mcproxy, name: 'mcproxy-http', requests: through('remote__search'), stop },
  ];
}

/** Ids of new legacy sessions, each initialised as a client does it. */
export async function openSessions(port: number, count: number): Promise<string[]> {
  const ids: string[] = [];
  // oxlint-disable-next-line no-await-in-loop -- one client after the other
  while (ids.length < count) ids.push(await openSession(port));
  return ids;
}

async function openSession(port: number): Promise<string> {
  const clientInfo = { name: 'bench', version: '1' };
  const params = { protocolVersion: '2025-11-25', capabilities: { sampling: {}, roots: {} }, clientInfo };
  const { headers } = await post(port, { jsonrpc: '2.0', id: 0, method: 'initialize', params });
  const id = headers.get('mcp-session-id') ?? '';
  await post(port, { jsonrpc: '2.0', method: 'notifications/initialized' }, id);
  return id;
}

/** The tools that `/mcp` lists now. */
export async function listTools(port: number, sessionId: string): Promise<readonly { readonly name: string }[]> {
  const { text } = await post(port, { jsonrpc: '2.0', id: 'list', method: 'tools/list' }, sessionId);
  return (JSON.parse(answerIn(text)) as { result: { tools: { name: string }[] } }).result.tools;
}

/** A slow answer comes as an event stream, whose last event it is. */
function answerIn(text: string): string {
  return text.startsWith('{') ? text : (/^data: (\{.*)$/gm.exec(text)?.[1] ?? '');
}

/** Resolves when that many tools are listed, however often it has to ask. */
export async function waitForTools(port: number, count: number): Promise<void> {
  const endMs = performance.now() + READY_MS_MAX;
  const [sessionId = ''] = await openSessions(port, 1);
  // oxlint-disable-next-line no-await-in-loop -- asking again is the purpose; a list waits by itself
  while ((await listTools(port, sessionId)).length < count) {
    if (performance.now() > endMs) throw new Error(`there are no ${count} tools after ${READY_MS_MAX} ms`);
  }
}

async function post(port: number, message: unknown, sessionId?: string): Promise<{ headers: Headers; text: string }> {
  const answer = await fetch(`http://127.0.0.1:${port}/mcp`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${CLIENT_TOKEN}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...(sessionId === undefined ? {} : { 'mcp-session-id': sessionId, 'mcp-protocol-version': '2025-11-25' }),
    },
    body: JSON.stringify(message),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${answer.status}: ${text}`);
  return { headers: answer.headers, text };
}
