/**
 * mcproxy as a process before stdio servers, and legacy sessions of its users.
 *
 * Servers are `test/peers/tells-who.mjs` unless told otherwise. Everything that came with an answer is kept, so that
 * a test can look for what should not be there.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ServerRow } from '../../src/admin/status.ts';
import { askSocket } from '../../src/app/admin-client.ts';
import { BOTH, eventsOf, request, type Json } from './downstream-clients.ts';
import { send, type Answer } from './http-client.ts';
import { digestOf } from './proxied-app.ts';
import type { RunningApp } from './start-app.ts';
import { tokenOf } from './users.ts';
import { waitFor } from './wait.ts';

const PEERS = fileURLToPath(new URL('../peers/', import.meta.url));

/** The flow mapping of a command that runs a script of `test/peers`. */
export function command(script: string, ...args: readonly string[]): string {
  return `{ command: ${process.execPath}, args: ${JSON.stringify([PEERS + script, ...args])} }`;
}

/** Text of `mcproxy.yml`. @param servers flow mappings by name */
export function settingsFile(servers: Readonly<Record<string, string>>, more = ''): string {
  const lines = Object.entries(servers).map(([name, text]) => `  ${name}: ${text}\n`);
  const list = lines.length === 0 ? '' : `servers:\n${lines.join('')}`;
  return `listen: 127.0.0.1:0\nlog: { file: access.log }\nadmin: { socket: admin.sock }\n${more}${list}`;
}

/** Text of `tokens.yml`. @param users the value of `servers` by user */
export function usersFile(users: Readonly<Record<string, string>>): string {
  const lines = Object.entries(users).map(
    ([name, servers]) => `  ${name}:\n    token: ${digestOf(tokenOf(name))}\n    servers: ${servers}\n`,
  );
  return `users:\n${lines.join('')}`;
}

export interface Reply {
  readonly answer: Answer;
  /** All messages of the answer, the response last. */
  readonly messages: readonly Json[];
  readonly response: Json;
}

export interface SessionClient {
  readonly sessionId: string;
  /** @param id one of its own unless told */
  ask(method: string, params?: Json, id?: number | string): Promise<Reply>;
  tell(method: string, params: Json): Promise<Answer>;
  /** Names of all tools, in order. */
  toolNames(): Promise<string[]>;
}

export interface SessionOptions {
  readonly path?: string;
  /** A session that exists already, maybe somebody else's. */
  readonly sessionId?: string;
}

/** Opens a session of revision 2025-11-25 as a user, or goes on with one. */
export async function openSession(url: string, user: string, options: SessionOptions = {}): Promise<SessionClient> {
  const { path = '/mcp' } = options;
  const sessionId = options.sessionId ?? (await initialize(url + path, user));
  const headers = { ...headersOf(user), 'mcp-session-id': sessionId, 'mcp-protocol-version': '2025-11-25' };
  let count = 0;
  const nextId = (): string => `own-${(count += 1)}`;
  const ask: SessionClient['ask'] = async (method, params = {}, id = nextId()) =>
    replyOf(await send(url + path, { headers, body: request(id, method, params) }));
  return {
    sessionId,
    ask,
    tell: (method, params) => send(url + path, { headers, body: { jsonrpc: '2.0', method, params } }),
    async toolNames() {
      const { response } = await ask('tools/list');
      assert.ok(response['result'] !== undefined, JSON.stringify(response));
      return (response['result'].tools as { name: string }[]).map(({ name }) => name);
    },
  };
}

export function headersOf(user: string): Record<string, string> {
  return { accept: BOTH, authorization: `Bearer ${tokenOf(user)}` };
}

/** What the peer told with its answer to `work`. @throws {Error} with the reply when it is no such answer */
export function toldBy({ response }: Reply): { server: string; who: string; pid: number; text: string } {
  assert.ok(response['result'] !== undefined, JSON.stringify(response));
  return JSON.parse(response['result'].content[0].text) as ReturnType<typeof toldBy>;
}

/** Rows of `mcproxy status`: each server, and each user's own connection or process. */
export async function peersOf(app: RunningApp): Promise<ServerRow[]> {
  const asked = await askSocket(join(app.dir, 'admin.sock'), { method: 'GET', target: '/status' });
  assert.ok(asked.kind === 'answer', JSON.stringify(asked));
  return (asked.body as { servers: ServerRow[] }).servers;
}

/** Waits until the tools of a user are these, in any order. */
export async function waitForTools(session: SessionClient, servers: readonly string[], deadlineMs = 10_000) {
  const wanted = servers.toSorted().join();
  return waitFor(async () => serversOf(await session.toolNames()).join() === wanted, {
    deadlineMs,
    what: `the tools of ${wanted}`,
  });
}

/** Whose tools these are, each once, sorted. */
export function serversOf(names: readonly string[]): string[] {
  return [...new Set(names.map((name) => name.slice(0, name.indexOf('__'))))].toSorted();
}

function replyOf(answer: Answer): Reply {
  const isStream = (answer.header('content-type') ?? '').startsWith('text/event-stream');
  const messages = isStream ? eventsOf(answer.text()) : answer.body.length === 0 ? [] : [answer.json() as Json];
  return { answer, messages, response: messages.at(-1) ?? {} };
}

async function initialize(url: string, user: string): Promise<string> {
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } };
  const answer = await send(url, { headers: headersOf(user), body: request(0, 'initialize', params) });
  assert.equal(answer.status, 200, answer.text());
  const id = answer.header('mcp-session-id');
  assert.ok(id !== undefined && id !== '');
  return id;
}
