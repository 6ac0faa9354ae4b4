/**
 * One replica of a remote server of 2026-07-28, in the test's own process: it says who it is, and fails when told to.
 *
 * `work` answers with the replica's name, held back while `hold` is set; `ask` asks for a name first. A replica that
 * was stopped refuses connections until it is started again, at the same port.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import type { Cleanup } from './temp-dir.ts';

export interface ReplicaServer {
  readonly url: string;
  /** Methods that arrived, in order. */
  readonly asked: string[];
  /** `reset`: connections end when a request has arrived. */
  mode: 'well' | 'reset' | 503;
  hold: boolean;
  /** Whether somebody listens with a filter that names this. */
  hasListener(wanted: string): boolean;
  /** Lets held calls go on. */
  release(): void;
  /** Tells those whose filter names what is wanted. */
  tell(wanted: string, method: string, params?: Readonly<Record<string, unknown>>): void;
  stop(): Promise<void>;
  start(): Promise<void>;
}

interface Message {
  readonly id?: unknown;
  readonly method: string;
  readonly params?: { readonly name?: string; readonly requestState?: string; readonly notifications?: object };
}

export async function startReplica(cleanup: Cleanup, name: string): Promise<ReplicaServer> {
  const streams = new Map<ServerResponse, { readonly id: unknown; readonly wanted: string }>();
  let held: (() => void)[] = [];
  let port = 0;
  let server: Server | undefined;
  const self: ReplicaServer = {
    get url() {
      return `http://127.0.0.1:${port}/mcp`;
    },
    asked: [],
    mode: 'well',
    hold: false,
    release() {
      const waiting = held;
      held = [];
      for (const go of waiting) go();
    },
    hasListener: (wanted) => [...streams.values()].some((stream) => stream.wanted.includes(wanted)),
    tell(wanted, method, params = {}) {
      for (const [stream, { id, wanted: filter }] of streams) {
        if (!filter.includes(wanted)) continue;
        stream.write(eventOf(id, method, params));
      }
    },
    async stop() {
      server?.close();
      server?.closeAllConnections();
      server = undefined;
    },
    async start() {
      server = createServer((request, response) => void serve(request, response));
      server.listen(port, '127.0.0.1');
      await once(server, 'listening');
      ({ port } = server.address() as AddressInfo);
    },
  };

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const message = (await json(request)) as Message;
    self.asked.push(message.method);
    if (self.mode === 'reset') return void request.socket.destroy();
    if (self.mode === 503) return void response.writeHead(503).end();
    if (message.method === 'subscriptions/listen') return listen(message, response);
    if (message.method === 'tools/call' && self.hold) await new Promise<void>((go) => held.push(go));
    const result = { resultType: 'complete', ...resultOf(message) };
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ jsonrpc: '2.0', id: message.id, result }));
  }

  function listen({ id, params }: Message, response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const notifications = params?.notifications ?? {};
    response.write(eventOf(id, 'notifications/subscriptions/acknowledged', { notifications }));
    streams.set(response, { id, wanted: JSON.stringify(notifications) });
    response.on('close', () => streams.delete(response));
  }

  function resultOf({ method, params }: Message): object {
    if (method === 'server/discover') {
      const capabilities = { tools: { listChanged: true }, resources: { subscribe: true } };
      return { supportedVersions: ['2026-07-28'], capabilities };
    }
    const object = { type: 'object' };
    if (method === 'tools/list') return { tools: [{ name: `only-${name}`, inputSchema: object }] };
    if (params?.name === 'ask' && params.requestState === undefined) {
      const form = { method: 'elicitation/create', params: { mode: 'form', message: 'Who?', requestedSchema: object } };
      return { resultType: 'input_required', inputRequests: { who: form }, requestState: `state-of-${name}` };
    }
    return { content: [{ type: 'text', text: `${name} ${params?.requestState ?? ''}`.trim() }] };
  }

  await self.start();
  cleanup.after(() => {
    self.release();
    return self.stop();
  });
  return self;
}

function eventOf(listenId: unknown, method: string, params: object): string {
  const meta = { 'io.modelcontextprotocol/subscriptionId': listenId };
  return `data: ${JSON.stringify({ jsonrpc: '2.0', method, params: { ...params, ['_meta']: meta } })}\n\n`;
}
