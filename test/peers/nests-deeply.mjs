/**
 * A stdio peer (2025-06-18) whose messages are nested so deeply that JSON.parse reads and JSON.stringify cannot print
 * them: the tool `result`, `error`, `progress` or `question` sends one of that kind; `plain` answers well.
 */
import process from 'node:process';
import { createInterface } from 'node:readline';

const DEEP = '['.repeat(20_000) + ']'.repeat(20_000);
const KINDS = ['result', 'error', 'progress', 'question', 'plain'];
const TOOLS = JSON.stringify(KINDS.map((name) => ({ name, inputSchema: { type: 'object' } })));
const HELLO = '{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"n","version":"1"}}';

const print = (members) => process.stdout.write(`{"jsonrpc":"2.0",${members}}\n`);

function call(id, { name, _meta }) {
  const token = JSON.stringify(_meta?.progressToken ?? 0);
  if (name === 'result') return print(`"id":${id},"result":{"content":[],"structuredContent":{"a":${DEEP}}}`);
  if (name === 'error') return print(`"id":${id},"error":{"code":1,"message":"m","data":${DEEP}}`);
  if (name === 'progress')
    print(`"method":"notifications/progress","params":{"progressToken":${token},"progress":1,"x":${DEEP}}`);
  if (name === 'question')
    print(`"id":7,"method":"elicitation/create","params":{"message":"m","requestedSchema":${DEEP}}`);
  return print(`"id":${id},"result":{"content":[]}`);
}

for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined) continue;
  if (method === 'initialize') print(`"id":${id},"result":${HELLO}`);
  else if (method === 'tools/list') print(`"id":${id},"result":{"tools":${TOOLS}}`);
  else if (method === 'tools/call') call(id, params);
  else print(`"id":${id},"error":{"code":-32601,"message":"unknown"}`);
}
