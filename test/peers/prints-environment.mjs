/**
 * A careless legacy MCP server over stdio: `crash` prints its whole environment and its arguments to stderr and ends with
 * exit code 3; `fails` is a result that says so and repeats them, and its list of prompts is an error that does.
 */
import process from 'node:process';
import { createInterface } from 'node:readline';

const print = (message) => process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
const everything = JSON.stringify([process.env, process.argv]);

for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line);
  if (method === 'initialize') {
    const serverInfo = { name: 'careless', version: '1' };
    print({
      id,
      result: { protocolVersion: params.protocolVersion, capabilities: { tools: {}, prompts: {} }, serverInfo },
    });
  } else if (method === 'tools/list') {
    print({ id, result: { tools: ['crash', 'fails'].map((name) => ({ name, inputSchema: { type: 'object' } })) } });
  } else if (method === 'prompts/list') print({ id, error: { code: -32603, message: everything } });
  else if (method === 'tools/call' && params.name === 'fails') {
    const structuredContent = { [process.env.KEY]: { environment: process.env } };
    print({ id, result: { isError: true, content: [{ type: 'text', text: everything }], structuredContent } });
  } else if (method === 'tools/call') {
    process.stderr.write(`${everything}\n${Object.entries(process.env).join('\n')}\n`, () => process.exit(3));
  }
}
