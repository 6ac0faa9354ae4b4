/**
 * Roots of official clients before a command that takes them for folders of its own machine.
 */
import assert from 'node:assert/strict';
import { after, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { ListRootsRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { checkNothingLeft } from '../support/leaks.ts';
import { settingsFile, usersFile } from '../support/message-app.ts';
import { PROGRAM_ARGS, startApp } from '../support/start-app.ts';
import { makeTempDir, writeFiles } from '../support/temp-dir.ts';
import { tokenOf } from '../support/users.ts';
import { verifies } from '../support/verifies.ts';

after(() => checkNothingLeft());

const SERVER = fileURLToPath(new URL('../peers/asks-roots.mjs', import.meta.url));
const WHOLE_DISK = [{ uri: 'file:///' }];

interface Told {
  /** The server was told that it could ask. */
  readonly declared: boolean;
  readonly roots: unknown;
}

/** What the server learns from a client that offers the whole disk. */
async function tellRoots(t: TestContext, transport: Transport): Promise<Told> {
  const client = new Client({ name: 'test', version: '1' }, { capabilities: { roots: {} } });
  client.setRequestHandler(ListRootsRequestSchema, () => ({ roots: WHOLE_DISK }));
  t.after(() => client.close());
  await client.connect(transport);
  const { content } = await client.callTool({ name: 'files__where', arguments: {} });
  const [{ text }] = content as [{ text: string }];
  return JSON.parse(text) as Told;
}

function filesOf(more: string): Readonly<Record<string, string>> {
  const server = `{ command: ${process.execPath}, args: [${SERVER}]${more} }`;
  return { 'mcproxy.yml': settingsFile({ files: server }), 'tokens.yml': usersFile({ alice: '"*"' }) };
}

for (const { name, more, told } of [
  { name: 'a command learns nothing of them', more: '', told: { declared: false, roots: null } },
  {
    name: 'a command with `roots: true` learns them',
    more: ', roots: true',
    told: { declared: true, roots: WHOLE_DISK },
  },
]) {
  verifies('gateway.isolation.roots', `the roots of a client elsewhere: ${name}`, async (t) => {
    const app = await startApp(t, { files: filesOf(more) });
    const headers = { authorization: `Bearer ${tokenOf('alice')}` };
    const transport = new StreamableHTTPClientTransport(new URL(`${app.url}/mcp`), { requestInit: { headers } });
    const { declared, roots } = await tellRoots(t, transport);
    assert.deepEqual({ declared, roots }, told);
  });
}

verifies('gateway.isolation.roots', 'on a pipe the client is this machine, and its roots count', async (t) => {
  const dir = makeTempDir(t);
  writeFiles(dir, { 'mcproxy.yml': settingsFile({ files: `{ command: ${process.execPath}, args: [${SERVER}] }` }) });
  const args = [...PROGRAM_ARGS, 'stdio', '--config', dir];
  const transport = new StdioClientTransport({ command: process.execPath, args, cwd: dir, stderr: 'ignore' });
  const { declared, roots } = await tellRoots(t, transport);
  assert.deepEqual({ declared, roots }, { declared: true, roots: WHOLE_DISK });
});
