/**
 * A server of 2026-07-28 over HTTP that a test steers: it remembers what it was asked, byte for byte, holds the calls
 * of `slow` until it is told to finish them, and tells its subscribers what the test wants.
 */
import type { ServerResponse } from 'node:http';
import type { Json } from './downstream-clients.ts';
import { startUpstream, type Conversation, type RecordedRequest } from './recording-upstream.ts';
import type { Cleanup } from './temp-dir.ts';

export interface ModernUpstream {
  /** The URL of its endpoint. */
  readonly url: string;
  /** What it was asked with this method. */
  asked(method: string): readonly RecordedRequest[];
  /** Calls of `slow` in progress; a client that leaves takes its own with it. */
  readonly held: readonly HeldCall[];
  /** Sends a notification to every subscription. */
  tell(method: string, params?: Json): void;
  /** The filters of the open subscriptions. */
  readonly filters: readonly Json[];
}

export interface HeldCall {
  readonly id: unknown;
  progress(progress: number): void;
  finish(): void;
}

interface Listening {
  readonly id: unknown;
  readonly filter: Json;
  readonly response: ServerResponse;
}

const SUBSCRIPTION = 'io.modelcontextprotocol/subscriptionId';
const FRESH = { ttlMs: 0, cacheScope: 'private' };
const TOOLS = [
  { name: 'slow', inputSchema: { type: 'object' } },
  {
    name: 'mirrored',
    inputSchema: {
      type: 'object',
      properties: {
        region: { type: 'string', 'x-mcp-header': 'Region' },
        count: { type: 'integer', 'x-mcp-header': 'Count' },
      },
    },
  },
];

/** What a test answers itself: a `result` that says its type, or an `error`. */
export type Script = (method: string, params: Json) => Json | undefined;

/** @param uris the resources that it lists and tells about */
export async function startModernUpstream(
  cleanup: Cleanup,
  uris: readonly string[] = [],
  script: Script = () => undefined,
): Promise<ModernUpstream> {
  const held: HeldCall[] = [];
  const listening: Listening[] = [];
  const results: Readonly<Record<string, (params: Json) => Json>> = {
    'server/discover': () => ({
      supportedVersions: ['2026-07-28'],
      capabilities: {
        tools: { listChanged: true },
        ...(uris.length === 0 ? {} : { resources: { listChanged: true, subscribe: true } }),
      },
      ...FRESH,
    }),
    'tools/list': () => ({ tools: TOOLS, ...FRESH }),
    'resources/list': () => ({ resources: uris.map((uri) => ({ uri, name: uri })), ...FRESH }),
    'resources/templates/list': () => ({ resourceTemplates: [], ...FRESH }),
    'resources/read': ({ uri }) => ({ contents: [{ uri, text: 'its own' }], ...FRESH }),
    'tools/call': (params) => ({ content: [{ type: 'text', text: JSON.stringify(params['arguments']) }] }),
  };

  function answer({ request, response }: Conversation): void {
    if (request.method !== 'POST') return void response.writeHead(405).end();
    const { id, method, params } = request.json() as Json;
    if (method === 'subscriptions/listen') return listen({ id, filter: params.notifications, response });
    const scripted = script(method as string, params);
    if (method === 'tools/call' && params.name === 'slow' && scripted === undefined) return hold(id, params, response);
    const make = results[method as string];
    const made = make === undefined ? { error: { code: -32601, message: 'no' } } : { result: complete(make(params)) };
    const body = scripted ?? made;
    response.writeHead('result' in body ? 200 : 404, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ jsonrpc: '2.0', id, ...body }));
  }

  function listen(one: Listening): void {
    listening.push(one);
    one.response.on('close', () => listening.splice(listening.indexOf(one), 1));
    one.response.writeHead(200, { 'content-type': 'text/event-stream' });
    send(one, 'notifications/subscriptions/acknowledged', { notifications: one.filter });
  }

  function hold(id: unknown, params: Json, response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const call: HeldCall = {
      id,
      progress(progress) {
        const { progressToken } = params['_meta'];
        write(response, { method: 'notifications/progress', params: { progressToken, progress } });
      },
      finish() {
        write(response, { id, result: complete({ content: [{ type: 'text', text: 'slow' }] }) });
        response.end();
      },
    };
    held.push(call);
    response.flushHeaders();
    response.on('close', () => held.splice(held.indexOf(call), 1));
  }

  const upstream = await startUpstream(cleanup, { answer });
  return {
    url: `${upstream.url}/mcp`,
    asked: (method) => upstream.requests.filter((each) => each.values('mcp-method')[0] === method),
    held,
    tell(method, params = {}) {
      for (const one of listening) send(one, method, params);
    },
    get filters() {
      return listening.map(({ filter }) => filter);
    },
  };
}

function complete(result: Json): Json {
  return { resultType: 'complete', ...result };
}

function send({ id, response }: Listening, method: string, params: Json): void {
  write(response, { method, params: { ...params, _meta: { [SUBSCRIPTION]: id } } });
}

function write(response: ServerResponse, message: Json): void {
  response.write(`event: message\ndata: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`);
}
