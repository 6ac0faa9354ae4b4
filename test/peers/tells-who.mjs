/**
 * A legacy MCP server over stdio whose every answer says who it is for: its own name, process and environment.
 *
 * `work` answers with its text after `delayMs`, with progress on the way that repeats the text. A tool called after
 * the variable WHO is there for that user alone. `crash` ends the process at once; while the file of the second
 * argument exists it does not even start. The first argument is the name that it goes by.
 */
import { existsSync } from 'node:fs';
import process from 'node:process';
import { createInterface } from 'node:readline';

const [, , name, brokenWhile] = process.argv;
if (brokenWhile !== undefined && existsSync(brokenWhile)) process.exit(7);

const print = (message) => process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
const who = process.env['WHO'] ?? 'all';
const TOOLS = ['work', 'crash', `only-${who}`].map((tool) => ({ name: tool, inputSchema: { type: 'object' } }));

function work(id, { arguments: { text, delayMs = 0 }, _meta }) {
  const progressToken = _meta?.progressToken;
  if (progressToken !== undefined) {
    print({ method: 'notifications/progress', params: { progressToken, progress: 1, message: text } });
  }
  const answer = JSON.stringify({ server: name, who, pid: process.pid, text });
  setTimeout(() => print({ id, result: { content: [{ type: 'text', text: answer }] } }), delayMs);
}

for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line);
  if (method === 'initialize') {
    const { protocolVersion } = params;
    print({ id, result: { protocolVersion, capabilities: { tools: {} }, serverInfo: { name, version: '1' } } });
  } else if (method === 'tools/list') print({ id, result: { tools: TOOLS } });
  else if (method === 'tools/call' && params.name === 'crash') process.exit(7);
  else if (method === 'tools/call') work(id, params);
  else if (method === 'ping') print({ id, result: {} });
  else if (id !== undefined) print({ id, error: { code: -32601, message: `no method ${method}` } });
}
// Nobody waits for what is not answered yet.
process.exit(0);
