#!/usr/bin/env node
/**
 * An MCP server with one tool, `where`, that writes into its home and the cache of npm and says where that was.
 *
 * Over stdio, or with a port and, where wanted, an address as arguments over Streamable HTTP with JSON answers. Speaks
 * 2025-06-18 and needs nothing but Node, so that it runs on a bare machine.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';

const [port, host = '127.0.0.1'] = process.argv.slice(2);

function where() {
  const directories = [process.env.HOME, process.env.npm_config_cache].filter((path) => path !== undefined);
  for (const directory of directories) {
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, 'written'), 'x');
  }
  return { directories, uid: process.getuid(), notify: process.env.NOTIFY_SOCKET ?? null };
}

function resultOf(method) {
  const serverInfo = { name: 'where', version: '1' };
  if (method === 'initialize') return { protocolVersion: '2025-06-18', capabilities: { tools: {} }, serverInfo };
  if (method === 'tools/list') return { tools: [{ name: 'where', inputSchema: { type: 'object' } }] };
  if (method === 'tools/call') return { content: [{ type: 'text', text: JSON.stringify(where()) }] };
  return undefined;
}

function answer({ id, method }) {
  if (id === undefined) return undefined;
  const result = resultOf(method);
  if (result !== undefined) return { jsonrpc: '2.0', id, result };
  return { jsonrpc: '2.0', id, error: { code: -32601, message: 'Method not found' } };
}

if (port === undefined) {
  for await (const line of createInterface({ input: process.stdin })) {
    const reply = answer(JSON.parse(line));
    if (reply !== undefined) process.stdout.write(`${JSON.stringify(reply)}\n`);
  }
} else {
  createServer(async (request, response) => {
    if (request.method !== 'POST') return response.writeHead(405).end();
    const chunks = await Array.fromAsync(request);
    const reply = answer(JSON.parse(Buffer.concat(chunks).toString('utf8')));
    if (reply === undefined) return response.writeHead(202).end();
    return response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(reply));
  }).listen(Number(port), host);
}
