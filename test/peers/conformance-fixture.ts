/**
 * A dual-era MCP server that satisfies every required server scenario of the official conformance suite.
 *
 *   node --import tsx test/peers/conformance-fixture.ts [PORT]   Streamable HTTP on 127.0.0.1, prints its port
 *   node --import tsx test/peers/conformance-fixture.ts stdio    newline-delimited JSON on stdin and stdout
 *
 * ERA=legacy or ERA=modern in the environment makes it a server of that era alone (over HTTP).
 *
 * Over HTTP it serves 2026-07-28 without sessions and 2025-11-25 with sessions, resumption and a Host check; it is
 * strict where the suite is, and keeps what it needs for a test run only.
 */
import { randomUUID } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { NodeStreamableHTTPServerTransport, toNodeHandler } from '@modelcontextprotocol/node';
import {
  classifyInboundRequest,
  createMcpHandler,
  type EventStore,
  type JSONRPCMessage,
  type McpServer,
} from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { makeServer } from './conformance/server.ts';

const LOCAL_HOST = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/;
/** Reconnection delay that a cut stream announces. */
const SSE_RETRY_MS = 500;

type RequestHandler = (request: http.IncomingMessage, reply: http.ServerResponse, body?: unknown) => Promise<void>;

const { ERA } = process.env;
const [argument = '0'] = process.argv.slice(2);
if (argument === 'stdio') startStdio();
else startHttp(Number(argument));

function startStdio(): void {
  const servers = new Set<McpServer>();
  const changes = {
    tools: () => servers.forEach((server) => server.sendToolListChanged()),
    prompts: () => servers.forEach((server) => server.sendPromptListChanged()),
    resource: (uri: string) => servers.forEach((server) => void server.server.sendResourceUpdated({ uri })),
  };
  serveStdio(() => {
    const server = makeServer(changes);
    servers.add(server);
    return server;
  });
}

function startHttp(port: number): void {
  const handle = makeHttpHandler();
  const server = http.createServer((request, reply) => void handle(request, reply));
  server.listen(port, '127.0.0.1', () => console.log(`listening on ${(server.address() as AddressInfo).port}`));
}

function makeHttpHandler(): RequestHandler {
  const modern = createMcpHandler(() => makeServer(changes));
  const changes = {
    tools(): void {
      modern.notify.toolsChanged();
      for (const server of inSessions) server.sendToolListChanged();
    },
    prompts(): void {
      modern.notify.promptsChanged();
      for (const server of inSessions) server.sendPromptListChanged();
    },
    resource(uri: string): void {
      modern.notify.resourceUpdated(uri);
      for (const server of inSessions) void server.server.sendResourceUpdated({ uri });
    },
  };
  const inSessions = new Set<McpServer>();
  const handleModern = toNodeHandler(modern) as RequestHandler;
  const sessions = new Map<string, NodeStreamableHTTPServerTransport>();
  const eventStore = makeEventStore();

  const openSession = async (): Promise<NodeStreamableHTTPServerTransport> => {
    const transport: NodeStreamableHTTPServerTransport = new NodeStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      eventStore,
      retryInterval: SSE_RETRY_MS,
      onsessioninitialized: (id) => void sessions.set(id, transport),
      onsessionclosed: (id) => void sessions.delete(id),
    });
    const server = makeServer(changes);
    await server.connect(transport);
    inSessions.add(server);
    return transport;
  };

  return async (request, reply) => {
    if (!LOCAL_HOST.test(request.headers.host ?? '')) return fail(reply, 403, { code: -32000, message: 'bad host' });
    if (!request.url?.startsWith('/mcp')) return fail(reply, 404, { code: -32000, message: 'no such path' });
    const body = request.method === 'POST' ? await readJson(request) : undefined;
    if (body instanceof Error) return fail(reply, 400, { code: -32700, message: 'Parse error' });
    const asModern = request.method === 'POST' && isModern(request, body);
    if (asModern && ERA !== 'legacy') return handleModern(request, reply, body);
    if (ERA === 'modern') return refuseLegacy(request, reply);
    const sessionId = headerOf(request, 'mcp-session-id');
    if (sessionId !== undefined) {
      const transport = sessions.get(sessionId);
      return transport === undefined
        ? fail(reply, 404, { code: -32001, message: 'Session not found' })
        : transport.handleRequest(request, reply, body);
    }
    if (!isInitialize(body)) return fail(reply, 400, { code: -32000, message: 'Session ID required' });
    return (await openSession()).handleRequest(request, reply, body);
  };
}

/** As a server of 2026-07-28 alone SHOULD: with the revisions that it has. */
function refuseLegacy(request: http.IncomingMessage, reply: http.ServerResponse): void {
  if (request.method !== 'POST') return void reply.writeHead(405, { allow: 'POST' }).end();
  const data = { supported: ['2026-07-28'], requested: 'none' };
  fail(reply, 400, { code: -32022, message: 'Unsupported protocol version', data });
}

function isModern(request: http.IncomingMessage, body: unknown): boolean {
  const protocolVersionHeader = headerOf(request, 'mcp-protocol-version');
  const mcpMethodHeader = headerOf(request, 'mcp-method');
  const outcome = classifyInboundRequest({
    httpMethod: 'POST',
    body,
    ...(protocolVersionHeader === undefined ? {} : { protocolVersionHeader }),
    ...(mcpMethodHeader === undefined ? {} : { mcpMethodHeader }),
  });
  return outcome.kind !== 'legacy';
}

function isInitialize(body: unknown): boolean {
  return typeof body === 'object' && body !== null && 'method' in body && body.method === 'initialize';
}

/** Events of all sessions in order; an id is `stream::number`, so that a replay stays within its stream. */
function makeEventStore(): EventStore {
  const events: { id: string; streamId: string; message: JSONRPCMessage }[] = [];
  return {
    async storeEvent(streamId, message) {
      const id = `${streamId}::${events.length}`;
      events.push({ id, streamId, message });
      return id;
    },
    async replayEventsAfter(lastEventId, { send }) {
      const last = events.findIndex((event) => event.id === lastEventId);
      const streamId = lastEventId.split('::')[0] ?? '';
      for (const event of events.slice(last + 1)) {
        // The event that primes a stream stores an empty message: it has an id and nothing to replay.
        if (event.streamId === streamId && Object.keys(event.message).length > 0) await send(event.id, event.message);
      }
      return streamId;
    },
  };
}

async function readJson(request: http.IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown;
  } catch (error) {
    return error;
  }
}

function headerOf(request: http.IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value.join(', ') : value;
}

function fail(
  reply: http.ServerResponse,
  status: number,
  error: { code: number; message: string; data?: unknown },
): void {
  reply.writeHead(status, { 'content-type': 'application/json' });
  reply.end(JSON.stringify({ jsonrpc: '2.0', error, id: null }));
}
