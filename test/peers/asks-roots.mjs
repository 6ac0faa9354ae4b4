/**
 * A legacy MCP server over stdio that asks for the client's roots in each call of `where` and answers with what it was
 * told: like the published file server, it takes them for folders that it may use. It asks whether or not it was told
 * that it could, so that a refusal shows.
 */
import process from 'node:process';
import { createInterface } from 'node:readline';

const print = (message) => process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
const answer = (id, text) => print({ id, result: { content: [{ type: 'text', text }] } });
let declared = false;
let asked;

for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params, result, error } = JSON.parse(line);
  if (method === 'initialize') {
    declared = params.capabilities.roots !== undefined;
    const { protocolVersion } = params;
    print({
      id,
      result: { protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'asks-roots', version: '1' } },
    });
  } else if (method === 'tools/list')
    print({ id, result: { tools: [{ name: 'where', inputSchema: { type: 'object' } }] } });
  else if (method === 'tools/call') {
    asked = id;
    print({ id: 'roots', method: 'roots/list' });
  } else if (id === 'roots')
    answer(asked, JSON.stringify({ declared, roots: result?.roots ?? null, code: error?.code }));
  else if (method === 'ping') print({ id, result: {} });
  else if (id !== undefined) print({ id, error: { code: -32601, message: `no method ${method}` } });
}
