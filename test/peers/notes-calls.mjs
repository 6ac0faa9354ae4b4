/**
 * A legacy MCP server over stdio that writes down what it hears: `{pid, method, name}` a line into the file of the
 * first argument.
 *
 * `answers` repeats its arguments, `fails` reports an error, `waits` tells progress and never answers, `big` answers
 * with `bytes` bytes; one tool has a name that is too long for clients. Ends when its stdin ends.
 */
import { appendFileSync } from 'node:fs';
import process from 'node:process';
import { createInterface } from 'node:readline';

const [, , file] = process.argv;
const LONG = `a_tool_whose_name_is_far_too_long_for_what_the_common_clients_take`;
const path = { type: 'string' };
const TOOLS = [
  {
    name: 'answers',
    description: 'Repeats its arguments.\nIn full.',
    inputSchema: { type: 'object', properties: { path, depth: { type: 'number' } }, required: ['path'] },
  },
  ...['fails', 'waits', 'big', LONG].map((name) => ({ name, inputSchema: { type: 'object' } })),
];
const print = (message) => process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
const text = (id, value, rest = {}) => print({ id, result: { content: [{ type: 'text', text: value }], ...rest } });

function call(id, { name, arguments: args = {}, _meta }) {
  if (name === 'answers') text(id, JSON.stringify(args));
  else if (name === 'fails') text(id, 'it did not work', { isError: true });
  else if (name === 'big') text(id, 'x'.repeat(args.bytes));
  else if (name === 'waits') {
    print({ method: 'notifications/progress', params: { progressToken: _meta.progressToken, progress: 1 } });
  } else print({ id, error: { code: -32602, message: `Unknown tool: ${name}` } });
}

for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line);
  appendFileSync(file, `${JSON.stringify({ pid: process.pid, method, name: params?.name })}\n`);
  if (method === 'initialize') {
    const { protocolVersion } = params;
    print({
      id,
      result: { protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'notes', version: '1' } },
    });
  } else if (method === 'tools/list') print({ id, result: { tools: TOOLS } });
  else if (method === 'tools/call') call(id, params);
  else if (id !== undefined) print({ id, error: { code: -32601, message: `no method ${method}` } });
}
