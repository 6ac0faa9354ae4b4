/**
 * A small, fast MCP server of the legacy era, over stdio or over HTTP: one tool that answers some 300 bytes.
 *
 * Real enough that the gateway starts it, lists it and calls it; whatever it does is work that is measured as the
 * server's when somebody talks to it directly. Over HTTP it demands its own bearer token and prints its port.
 * Arguments: `stdio`, or `http TOKEN`.
 */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import process from 'node:process';

interface Message {
  readonly id?: number | string;
  readonly method: string;
  readonly params?: { readonly protocolVersion?: string };
}

const TEXT = 'The quick brown fox jumps over the lazy dog. '.repeat(4).trim();

/** What the load generator looks for; see load.ts. */
const CALLED = JSON.stringify({
  content: [{ type: 'text', text: TEXT }],
  structuredContent: { length: TEXT.length },
  isError: false,
});
const LISTED = JSON.stringify({
  tools: [{ name: 'search', description: 'Finds what is asked for.', inputSchema: { type: 'object' } }],
});

/** The answer as text; undefined for a message that has none. */
function answer({ id, method, params }: Message): string | undefined {
  if (id === undefined) return undefined;
  const head = `{"jsonrpc":"2.0","id":${JSON.stringify(id)},`;
  if (method === 'tools/call') return `${head}"result":${CALLED}}`;
  if (method === 'tools/list') return `${head}"result":${LISTED}}`;
  if (method === 'ping') return `${head}"result":{}}`;
  if (method !== 'initialize') return `${head}"error":{"code":-32601,"message":"Method not found"}}`;
  const serverInfo = { name: 'bench', version: '1' };
  const { protocolVersion } = params ?? {};
  return `${head}"result":${JSON.stringify({ protocolVersion, capabilities: { tools: {} }, serverInfo })}}`;
}

function serveStdio(): void {
  let pending = '';
  process.stdin.setEncoding('utf8').on('data', (text: string) => {
    const lines = (pending + text).split('\n');
    pending = lines.pop() ?? '';
    const answers = lines.flatMap((line) => answer(JSON.parse(line) as Message) ?? []);
    if (answers.length > 0) process.stdout.write(`${answers.join('\n')}\n`);
  });
}

function serveHttp(token: string): void {
  const server = http.createServer((request, reply) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      if (request.headers.authorization !== `Bearer ${token}`) return reply.writeHead(401).end();
      if (request.method !== 'POST') return reply.writeHead(405).end();
      const text = answer(JSON.parse(Buffer.concat(chunks).toString('utf8')) as Message);
      if (text === undefined) return reply.writeHead(202).end();
      reply.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
      return reply.end(text);
    });
  });
  server.keepAliveTimeout = 60_000;
  server.listen(0, '127.0.0.1', () => console.error(`listening on ${(server.address() as AddressInfo).port}`));
}

const [, , kind, token = ''] = process.argv;
if (kind === 'http') serveHttp(token);
else serveStdio();
