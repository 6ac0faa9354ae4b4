/**
 * Plain clients of both eras for tests of the client's side of the gateway: what goes over the wire is in sight.
 */
import assert from 'node:assert/strict';
import type { McpOutcome } from '../../src/mcp/waist.ts';
import { startDownstream, type Asked, type DownstreamServer, type ScriptedView } from './downstream-server.ts';
import { openStream, send, type Answer, type StreamedAnswer } from './http-client.ts';
import { waitFor } from './wait.ts';

// oxlint-disable-next-line no-explicit-any -- what came over the wire
export type Json = Record<string, any>;

export const BOTH = 'application/json, text/event-stream';
export const DONE: McpOutcome = { kind: 'complete', result: { content: [{ type: 'text', text: 'done' }] } };

export async function serving(
  view: ScriptedView,
  body: (server: DownstreamServer) => Promise<void>,
  options: { readonly heartbeatMs?: number; readonly holdLog?: boolean } = {},
): Promise<void> {
  const server = await startDownstream(view, options);
  try {
    await body(server);
    assert.deepEqual(server.internal, []);
  } finally {
    await server.close();
  }
}

export function modernHeaders(method: string, name?: string): Record<string, string> {
  return {
    accept: BOTH,
    'mcp-protocol-version': '2026-07-28',
    'mcp-method': method,
    ...(name === undefined ? {} : { 'mcp-name': name }),
  };
}

export function modernBody(
  method: string,
  params: Json = {},
  more: { readonly meta?: Json; readonly id?: string | number } = {},
): Json {
  const meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientCapabilities': {},
    ...more.meta,
  };
  return { jsonrpc: '2.0', id: more.id ?? 'r-1', method, params: { ...params, _meta: meta } };
}

export function postModern(server: DownstreamServer, body: Json): Promise<Answer> {
  const { name, uri } = body['params'] as Json;
  return send(`${server.url}/mcp`, { headers: modernHeaders(body['method'], name ?? uri), body });
}

export interface LegacyClient {
  readonly id: string;
  post(body: unknown, headers?: Record<string, string>): Promise<Answer>;
  stream(body: unknown): Promise<StreamedAnswer>;
  /** GET; with an id, to take up the stream of that event. */
  listen(lastEventId?: string): Promise<StreamedAnswer>;
  end(): Promise<Answer>;
}

export interface ConnectOptions {
  readonly revision?: string;
  readonly capabilities?: Json;
  readonly path?: string;
  readonly user?: string;
}

export async function connect(server: DownstreamServer, options: ConnectOptions = {}): Promise<LegacyClient> {
  const { revision = '2025-11-25', capabilities = {}, path = '/mcp', user = 'alice' } = options;
  const url = server.url + path;
  const params = { protocolVersion: revision, capabilities, clientInfo: { name: 'test', version: '1' } };
  const by = { accept: BOTH, 'x-test-user': user };
  const first = await send(url, { headers: by, body: request(0, 'initialize', params) });
  assert.equal(first.status, 200);
  assert.equal((first.json() as Json)['result'].protocolVersion, revision);
  const id = first.header('mcp-session-id') ?? '';
  const headers = { ...by, 'mcp-session-id': id, 'mcp-protocol-version': revision };
  return {
    id,
    post: async (body, more = {}) => lastMessage(await send(url, { headers: { ...headers, ...more }, body })),
    stream: (body) => openStream(url, { headers, body }),
    listen: (lastEventId) => openStream(url, { headers: { ...headers, ...SSE, ...resuming(lastEventId) } }),
    end: () => send(url, { method: 'DELETE', headers }),
  };
}

const SSE = { accept: 'text/event-stream' };

function resuming(lastEventId: string | undefined): Record<string, string> {
  return lastEventId === undefined ? {} : { 'last-event-id': lastEventId };
}

/** The answer, whose `json` gives the last message of an event stream too. */
function lastMessage(answer: Answer): Answer {
  if (answer.header('content-type') !== 'text/event-stream') return answer;
  return { ...answer, json: () => eventsOf(answer.text()).at(-1) };
}

/** A call of the view, when it has been made. */
export async function callOf(view: ScriptedView, index: number): Promise<Asked> {
  const found = await waitFor(() => view.calls[index]);
  assert.ok(found);
  return found;
}

export function request(id: string | number, method: string, params: Json = {}): Json {
  return { jsonrpc: '2.0', id, method, params };
}

export function eventsOf(text: string): Json[] {
  return text
    .split('\n\n')
    .flatMap((block) => block.split('\n').filter((line) => line.startsWith('data: {')))
    .map((line) => JSON.parse(line.slice(6)) as Json);
}

/** The last event id of a stream's text. */
export function lastIdOf(text: string): string {
  const id = [...text.matchAll(/^id: (.+)$/gm)].at(-1)?.[1];
  assert.ok(id, `no event id in: ${text}`);
  return id;
}

export async function readAll(stream: StreamedAnswer): Promise<Json[]> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream.chunks) chunks.push(chunk);
  return eventsOf(Buffer.concat(chunks).toString('utf8'));
}

export function endsWith(id: string | number): (text: string) => boolean {
  return (text) => text.includes(`"id":${JSON.stringify(id)}`);
}
