/**
 * mcproxy before a few HTTP servers that one user may use, and the parts that tests of the door and of failures share.
 *
 * Retry delays are random, so tests that exhaust attempts pick few. Every request gets an id of its own, by which its
 * entry is found; `forwarded` counts what an upstream was asked with it.
 */
import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { send, type Answer, type RequestOptions } from './http-client.ts';
import { startApp, type LoggedEntry, type RunningApp } from './start-app.ts';
import type { Cleanup } from './temp-dir.ts';
import { waitFor } from './wait.ts';

export const TOKEN = 'proxied-test-token-0123456789';
export const POST = {
  authorization: `Bearer ${TOKEN}`,
  'content-type': 'application/json',
  accept: 'application/json, text/event-stream',
} as const;

export interface ProxiedOptions {
  /** By name: the flow mapping of a server, as in `{ url: http://… }`. */
  readonly servers: Readonly<Record<string, string>>;
  /** Where to listen, when that has to be known before. */
  readonly listen?: string;
  /** More of mcproxy.yml. */
  readonly settings?: string;
  /** The diagnostic log says everything. */
  readonly debug?: boolean;
  /** Instead of `alice` with TOKEN. */
  readonly tokens?: string;
}

export interface Asked {
  readonly answer: Answer;
  /** The only entry of the request. */
  readonly entry: LoggedEntry;
}

export interface ProxiedApp {
  readonly app: RunningApp;
  readonly url: string;
  /** Sends a request, by default as alice, and gives answer and entry. */
  ask(path: string, options?: RequestOptions): Promise<Asked>;
  /** A JSON-RPC request to a server. */
  call(server: string, method: string): Promise<Asked>;
  entryOf(requestId: string): Promise<LoggedEntry>;
  /** Resolves to the entries that are added while `act` runs, once there are `count`. */
  entriesDuring(count: number, act: () => Promise<unknown>): Promise<readonly LoggedEntry[]>;
}

export function digestOf(token: string): string {
  return `sha256:${createHash('sha256').update(token).digest('hex')}`;
}

export function rpc(method: string, id = 1): string {
  return JSON.stringify({ jsonrpc: '2.0', id, method, params: method === 'tools/call' ? { name: 'x' } : {} });
}

/** Code, message and data of an error that mcproxy itself answered. */
export function errorOf(answer: Answer): { code: number; message: string; data: Record<string, unknown> } {
  const { error } = answer.json() as { error: { code: number; message: string; data: Record<string, unknown> } };
  assert.equal(error.data['source'], 'mcproxy');
  return error;
}

export async function startProxied(cleanup: Cleanup, options: ProxiedOptions): Promise<ProxiedApp> {
  const servers = Object.entries(options.servers).map(([name, text]) => `      ${name}: ${text}\n`);
  const tokens = `users:\n  alice:\n    token: ${digestOf(TOKEN)}\n    servers:\n${servers.join('')}`;
  const { listen = '127.0.0.1:0' } = options;
  const settings = `listen: ${listen}\nlog: { file: access.log${options.debug === true ? ', level: debug' : ''} }\nadmin: { socket: admin.sock }\n${options.settings ?? ''}`;
  const app = await startApp(cleanup, {
    files: { 'mcproxy.yml': settings, 'tokens.yml': options.tokens ?? tokens },
  });

  const entryOf = async (requestId: string): Promise<LoggedEntry> => {
    const matching = (): LoggedEntry[] => app.entries().filter((entry) => entry['request_id'] === requestId);
    await waitFor(() => matching().length > 0, { what: `the entry of ${requestId}` });
    const [entry, ...more] = matching();
    assert.deepEqual(more, [], 'one entry');
    return entry ?? assert.fail();
  };
  const ask = async (path: string, request: RequestOptions = {}): Promise<Asked> => {
    const id = randomUUID();
    const headers = request.headers ?? POST;
    const withId = Array.isArray(headers)
      ? [...(headers as readonly string[]), 'X-Request-Id', id]
      : { 'x-request-id': id, ...(headers as Readonly<Record<string, string>>) };
    const answer = await send(`${app.url}${path}`, { ...request, headers: withId });
    return { answer, entry: await entryOf(answer.header('x-request-id') ?? id) };
  };
  return {
    app,
    url: app.url,
    ask,
    entryOf,
    call: (server, method) => ask(`/${server}/mcp`, { method: 'POST', body: rpc(method) }),
    async entriesDuring(count, act) {
      const before = app.entries().length;
      await act();
      await waitFor(() => app.entries().length >= before + count, { what: `${count} entries` });
      return app.entries().slice(before);
    },
  };
}
