/**
 * The first run without any file: a small MCP server inside this process, a fresh token, and what to paste where.
 *
 * The server is real and reached over real HTTP with a credential of its own, so that what a newcomer sees is the
 * product's main job. It speaks 2026-07-28 statelessly and the `initialize` revisions without a session. Its tools
 * show the point: `whoami` answers with the credential that arrived, which is not the client's token.
 */
import { createHash, randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { plainExposure } from '../config/exposure.ts';
import type { Config, HttpServerConfig } from '../model.ts';
import { LATEST_LEGACY, isRevision, eraOfRevision, META, MODERN_REVISIONS } from '../mcp/protocol.ts';
import { makeSecret } from '../text/secret.ts';
import { VERSION } from './version.ts';

export interface Demo {
  readonly config: Config;
  /** What to print once it listens. */
  banner(url: string): string;
  close(): Promise<void>;
}

/** Starts the demo server on a free loopback port. @param base the defaults, with what the command line says */
export async function startDemo(base: Config): Promise<Demo> {
  const token = `mcp_demo_${randomBytes(24).toString('base64url')}`;
  const credential = `demo-credential-${randomBytes(6).toString('hex')}`;
  const server = createServer((request, response) => void answer(request, response, credential));
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  const demo: HttpServerConfig = {
    kind: 'http',
    name: 'demo',
    enabled: true,
    transport: 'streamable',
    url: `http://127.0.0.1:${port}/mcp`,
    credential: { type: 'bearer', token: makeSecret(credential) },
    credentialFrom: 'user',
    exposure: plainExposure('demo'),
    otherUrls: [],
    lock: 'off',
    headers: [],
    lacks: [],
    era: 'auto',
    share: 'auto',
    idleMs: undefined,
    caFile: undefined,
    retries: 3,
    timeouts: { connectMs: 5_000, firstByteMs: 60_000, idleMs: 60_000 },
  };
  const servers = new Map([[demo.name, demo]]);
  const tokenDigests = [createHash('sha256').update(token).digest('hex')];
  return {
    config: {
      ...base,
      servers,
      principals: [{ id: 'demo', role: 'user', tokenDigests, servers }],
      secrets: [makeSecret(credential)],
    },
    banner: (url) => banner(url, token),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function banner(url: string, token: string): string {
  const endpoint = `${url}/demo/mcp`;
  const call = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'whoami', arguments: {} } };
  const client = {
    mcpServers: { demo: { type: 'http', url: endpoint, headers: { Authorization: `Bearer ${token}` } } },
  };
  return [
    `mcproxy ${VERSION}: no configuration found, so this is a demonstration with a built-in server.`,
    '',
    `URL    ${endpoint}`,
    `Token  ${token}`,
    '',
    'Try it:',
    `  curl -s ${endpoint} -H 'Authorization: Bearer ${token}' -H 'Content-Type: application/json' \\`,
    `    -H 'Accept: application/json, text/event-stream' -d '${JSON.stringify(call)}'`,
    '',
    'Client configuration (Claude Code, Claude Desktop, Cursor, VS Code):',
    JSON.stringify(client, null, 2),
    '',
    'Next: write mcproxy.yml and tokens.yml, then start with --config DIR (mcproxy --help).',
    '',
  ].join('\n');
}

const BODY_BYTES_MAX = 64 * 1024;

async function answer(request: IncomingMessage, response: ServerResponse, credential: string): Promise<void> {
  if (request.headers.authorization !== `Bearer ${credential}`) return send(response, 401, { error: 'invalid_token' });
  if (request.method !== 'POST') return send(response, 405, { error: 'use POST' });
  const text = await readText(request);
  const message = parseCall(text);
  if (message === undefined) return send(response, 400, failure(null, -32700, 'the body is no JSON-RPC request'));
  if (message.id === undefined) return void response.writeHead(202).end();
  const reply = handle(message, credential);
  send(response, 'error' in reply && reply.error.code === -32601 && message.modern ? 404 : 200, {
    jsonrpc: '2.0',
    id: message.id,
    ...reply,
  });
}

interface Call {
  readonly id: string | number | undefined;
  readonly method: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly modern: boolean;
}

function parseCall(text: string): Call | undefined {
  try {
    const message = JSON.parse(text) as { id?: unknown; method?: unknown; params?: Record<string, unknown> } | null;
    if (message === null || typeof message.method !== 'string') return undefined;
    const params = message.params ?? {};
    const meta = params['_meta'] as Record<string, unknown> | undefined;
    const id = typeof message.id === 'string' || typeof message.id === 'number' ? message.id : undefined;
    return { id, method: message.method, params, modern: meta?.[META.protocolVersion] !== undefined };
  } catch {
    return undefined;
  }
}

const NO_INPUT = { type: 'object', properties: {} };
const TOOLS = [
  {
    name: 'whoami',
    description: 'Shows which credential reached the server: not the token of the client.',
    inputSchema: NO_INPUT,
  },
  {
    name: 'echo',
    description: 'Answers with the text it is given.',
    inputSchema: { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] },
  },
];
const SERVER_INFO = { name: 'mcproxy-demo', version: VERSION };

type Reply = { readonly result: unknown } | { readonly error: { readonly code: number; readonly message: string } };

function handle(call: Call, credential: string): Reply {
  const complete = call.modern ? { resultType: 'complete', _meta: { [META.serverInfo]: SERVER_INFO } } : {};
  const cached = call.modern ? { ttlMs: 60_000, cacheScope: 'private' } : {};
  switch (call.method) {
    case 'initialize': {
      const asked = call.params['protocolVersion'];
      const known = typeof asked === 'string' && isRevision(asked) && eraOfRevision(asked) === 'legacy';
      return {
        result: {
          protocolVersion: known ? asked : LATEST_LEGACY,
          capabilities: { tools: {} },
          serverInfo: SERVER_INFO,
        },
      };
    }
    case 'server/discover':
      return { result: { ...complete, ...cached, supportedVersions: MODERN_REVISIONS, capabilities: { tools: {} } } };
    case 'ping':
      return { result: {} };
    case 'tools/list':
      return { result: { ...complete, ...cached, tools: TOOLS } };
    case 'tools/call':
      return callTool(call.params, complete, credential);
    default:
      return { error: { code: -32601, message: `method ${call.method} is not served by the demo` } };
  }
}

function callTool(params: Readonly<Record<string, unknown>>, complete: object, credential: string): Reply {
  const input = params['arguments'] as { text?: unknown } | undefined;
  if (params['name'] === 'whoami') {
    const text = `This call reached the server with the credential ${credential}. The token you sent stayed at mcproxy.`;
    return { result: { ...complete, content: [{ type: 'text', text }] } };
  }
  if (params['name'] === 'echo') {
    return {
      result: { ...complete, content: [{ type: 'text', text: typeof input?.text === 'string' ? input.text : '' }] },
    };
  }
  return { error: { code: -32602, message: 'Unknown tool' } };
}

function failure(id: null, code: number, message: string): object {
  return { jsonrpc: '2.0', id, error: { code, message } };
}

async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let byteCount = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    byteCount += chunk.length;
    if (byteCount > BODY_BYTES_MAX) return '';
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function send(response: ServerResponse, status: number, body: object): void {
  const text = JSON.stringify(body);
  response
    .writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
    .end(text);
}
