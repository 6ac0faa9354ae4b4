/**
 * A legacy server over stdio that asks its client while it works, and remembers what it was told.
 *
 * Tools: `ask` (a form, within the call), `visit` (refused with a page to visit until it was called once), `told`
 * (every message so far). Reading a resource fails as MCP 2025-11-25 says it for one that is not there.
 */
import { createInterface } from 'node:readline';

const told = [];
const waiting = new Map();
let askedCount = 0;
let visitCount = 0;

const send = (message) => process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
const text = (value) => ({ content: [{ type: 'text', text: JSON.stringify(value) }] });

function askClient(method, params) {
  askedCount += 1;
  const id = `asked-${askedCount}`;
  send({ id, method, params });
  return new Promise((resolve) => waiting.set(id, resolve));
}

const tools = {
  async ask() {
    const requestedSchema = { type: 'object', properties: { name: { type: 'string' } } };
    const params = { mode: 'form', message: 'Who are you?', requestedSchema };
    return { result: text(await askClient('elicitation/create', params)) };
  },
  async visit() {
    visitCount += 1;
    if (visitCount > 1) return { result: text({ visits: visitCount }) };
    const page = { mode: 'url', elicitationId: 'e-1', url: 'https://login.example/x', message: 'Log in' };
    return { error: { code: -32042, message: 'Visit a page first', data: { elicitations: [page] } } };
  },
  told: async () => ({ result: text(told) }),
};

const methods = {
  initialize: async () => ({
    result: {
      protocolVersion: '2025-11-25',
      capabilities: { tools: {}, resources: {} },
      serverInfo: { name: 'asks', version: '1' },
    },
  }),
  'tools/list': async () => ({
    result: { tools: Object.keys(tools).map((name) => ({ name, inputSchema: { type: 'object' } })) },
  }),
  'tools/call': ({ name }) => tools[name](),
  'resources/list': async () => ({ result: { resources: [{ uri: 'note://gone', name: 'gone' }] } }),
  'resources/templates/list': async () => ({ result: { resourceTemplates: [] } }),
  'resources/read': async ({ uri }) => ({ error: { code: -32002, message: 'Resource not found', data: { uri } } }),
};

createInterface({ input: process.stdin }).on('line', async (line) => {
  const message = JSON.parse(line);
  told.push(message);
  const { id, method, params = {} } = message;
  if (method === undefined) return waiting.get(id)?.(message.result ?? message.error);
  if (id === undefined) return;
  const answer = (await methods[method]?.(params)) ?? { error: { code: -32601, message: 'Method not found' } };
  send({ id, ...answer });
});
