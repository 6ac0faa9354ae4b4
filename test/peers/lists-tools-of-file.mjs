/**
 * A legacy MCP server over stdio whose tools stand in a file of JSON, read anew for each list.
 *
 * Every tool answers with its name and arguments; `announce` also tells that the list has changed. Ends when its stdin
 * ends.
 */
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { createInterface } from 'node:readline';

const [, , file] = process.argv;
const print = (message) => process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);

for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line);
  if (method === 'initialize') {
    const capabilities = { tools: { listChanged: true } };
    print({
      id,
      result: { protocolVersion: params.protocolVersion, capabilities, serverInfo: { name: 'file', version: '1' } },
    });
  } else if (method === 'tools/list') print({ id, result: { tools: JSON.parse(readFileSync(file, 'utf8')) } });
  else if (method === 'tools/call') {
    if (params.name === 'announce') print({ method: 'notifications/tools/list_changed' });
    print({ id, result: { content: [{ type: 'text', text: JSON.stringify([params.name, params.arguments]) }] } });
  } else if (id !== undefined) print({ id, error: { code: -32601, message: `no method ${method}` } });
}
