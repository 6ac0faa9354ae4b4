/**
 * Published servers of other people behind one endpoint at once, while one more crashes whenever it is asked and
 * another never answers: every tool is there once and as its server gave it, and one of each is called.
 *
 * Seven by default; all twelve where `npm run test:servers` has installed the others, whose directory it then names
 * in `MCPROXY_TEST_SERVERS`.
 */
import assert from 'node:assert/strict';
import process from 'node:process';
import { after, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { exposeName } from '../../src/mcp/names.ts';
import { makeSecret } from '../../src/text/secret.ts';
import { LEGACY_CLIENT_CAPABILITIES } from '../../src/upstream/legacy-questions.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { openSession, peersOf } from '../support/message-app.ts';
import { connectClient1, connectClient2, type OfficialClient } from '../support/official-clients.ts';
import { digestOf } from '../support/proxied-app.ts';
import { extraServers, localServers, type RealServer } from '../support/real-servers.ts';
import { startApp, type RunningApp } from '../support/start-app.ts';
import { converse, stdioServer } from '../support/stdio-server.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { tokenOf } from '../support/users.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor } from '../support/wait.ts';

type Tool = Readonly<Record<string, unknown>> & { readonly name: string };

const START_MS_MAX = 40_000;
const PEERS = fileURLToPath(new URL('../peers/', import.meta.url));
const EXTRA = process.env['MCPROXY_TEST_SERVERS'];
const ANYTHING = z.looseObject({});

const dir = makeTempDir({ after });
const servers = [...localServers(dir), ...(EXTRA === undefined ? [] : extraServers(EXTRA, dir))];
const BAD = {
  crashes: { command: process.execPath, args: [`${PEERS}crash-after-n.mjs`, '0'] },
  silent: { command: process.execPath, args: [`${PEERS}never-reads.mjs`], timeout: '10m' },
} as const;
const names = [...servers.map(({ name }) => name), ...Object.keys(BAD)];

/** What each server says when mcproxy is not there. */
const given = new Map<string, readonly Tool[]>();
// oxlint-disable-next-line no-await-in-loop -- one at a time, for the sake of small machines
for (const server of servers) given.set(server.name, await toolsOf(server));

// Asked to, before the hook that kills it: after that, the one that never answers would not notice and stay.
after(() => app.stop().then(() => undefined));
const app = await startWith({ ...Object.fromEntries(servers.map((each) => [each.name, commandOf(each)])), ...BAD });
// Hooks run in the order of their registration.
after(() => checkNothingLeft());
await waitUntilListed();

verifies('gateway.real-servers', 'an older client has every tool of every server once, as it was given', async (t) => {
  const client = await connectClient1({ url: `${app.url}/mcp`, transport: 'streamable', token: tokenOf('alice') });
  t.after(() => client.close());
  assert.equal(client.revision, '2025-11-25');
  await checkTools(t, client);
  await checkCalls(client);
  await checkBadOnes(client);
});

verifies('gateway.real-servers', 'a modern client has every tool of every server once, as it was given', async (t) => {
  const options = { url: `${app.url}/mcp`, transport: 'streamable', token: tokenOf('alice') } as const;
  const client = await connectClient2({ ...options, negotiation: { mode: 'auto' } });
  t.after(() => client.close());
  assert.equal(client.revision, '2026-07-28');
  await checkTools(t, client);
  await checkCalls(client);
  await checkBadOnes(client);
});

function startWith(commands: Readonly<Record<string, unknown>>): Promise<RunningApp> {
  const settings = { listen: '127.0.0.1:0', log: { file: 'access.log' }, admin: { socket: 'admin.sock' } };
  const users = { alice: { token: digestOf(tokenOf('alice')), servers: '*' } };
  return startApp(
    { after },
    {
      files: {
        'mcproxy.yml': JSON.stringify({ ...settings, servers: commands }),
        'tokens.yml': JSON.stringify({ users }),
      },
    },
  );
}

/** With roots, since one of them has a tool only for clients that have some. */
function commandOf({ command, args, env }: RealServer): unknown {
  return { command, args, env, roots: true };
}

/** Until then the one that never answers is in nobody's way: it still starts when all others are there. */
async function waitUntilListed(): Promise<void> {
  const session = await openSession(app.url, 'alice');
  const listed = async (): Promise<boolean> => {
    const tools = await session.toolNames();
    return servers.every(({ name }) => tools.some((tool) => tool.startsWith(`${name}__`)));
  };
  await waitFor(listed, { deadlineMs: START_MS_MAX, what: 'the tools of all servers' });
  await checkStates();
}

async function checkStates(): Promise<void> {
  const rows = await peersOf(app);
  const stateOf = (name: string): string | undefined => rows.find(({ server }) => server === name)?.state;
  assert.deepEqual(
    servers.filter(({ name }) => stateOf(name) !== 'ready'),
    [],
  );
  assert.equal(stateOf('silent'), 'starting');
  assert.match(stateOf('crashes') ?? '', /^(?:down|starting)$/);
}

async function checkTools(t: TestContext, client: OfficialClient): Promise<void> {
  const shown = await listTools(client);
  const wanted: Tool[] = [];
  const taskOnly = new Set<string>();
  for (const server of servers) {
    for (const tool of given.get(server.name) ?? []) {
      const name = exposed(server, tool.name);
      if (isTaskOnly(tool)) taskOnly.add(name);
      else wanted.push({ ...tool, name });
    }
  }
  const compared = shown.filter(({ name }) => !taskOnly.has(name));
  assert.deepEqual(
    compared.map(({ name }) => name),
    wanted.map(({ name }) => name),
  );
  for (const [at, tool] of wanted.entries()) assert.equal(textOf(compared[at]), textOf(tool));
  const bytes = Buffer.byteLength(JSON.stringify(shown));
  t.diagnostic(`${servers.length} servers, ${shown.length} tools, ${bytes} bytes`);
}

/** Whether it is listed depends on what the client can do with tasks. */
function isTaskOnly({ execution }: Tool): boolean {
  return (execution as { taskSupport?: string } | undefined)?.taskSupport === 'required';
}

/** As text, because unknown members and the order of all belong to what was given; `execution` is about tasks only. */
function textOf(tool: Tool | undefined): string {
  return JSON.stringify(tool, (key, value: unknown) => (key === 'execution' ? undefined : value));
}

/** Not `listTools`, which leaves out what this version of the client does not know. */
async function listTools({ client }: OfficialClient): Promise<Tool[]> {
  const raw = client as unknown as { request(message: object, schema: typeof ANYTHING): Promise<{ tools: Tool[] }> };
  const { tools } = await raw.request({ method: 'tools/list', params: {} }, ANYTHING);
  return tools;
}

/** To a client that can do as much as mcproxy at a server. */
async function toolsOf({ command, args, env }: RealServer): Promise<readonly Tool[]> {
  const secrets = Object.entries(env).map(([name, value]) => [name, makeSecret(value)] as const);
  const { ask, channel, messages } = await converse({ after }, stdioServer('', { command, args, env: secrets }));
  const resultOf = async (id: number): Promise<Record<string, unknown>> => {
    const deadline = { deadlineMs: START_MS_MAX, what: `an answer of ${args[0]}` };
    const answer = await waitFor(() => messages.find((message) => message['id'] === id), deadline);
    return answer?.['result'] as Tool;
  };
  const clientInfo = { name: 'contract-test', version: '1.0.0' };
  await ask(1, 'initialize', {
    protocolVersion: '2025-11-25',
    capabilities: LEGACY_CLIENT_CAPABILITIES,
    clientInfo,
  });
  await resultOf(1);
  await channel.send({ jsonrpc: '2.0', method: 'notifications/initialized' });
  await ask(2, 'tools/list');
  const { tools } = await resultOf(2);
  // The hook waits for its end.
  void channel.close();
  return tools as Tool[];
}

async function checkCalls(client: OfficialClient): Promise<void> {
  const answers = await Promise.all(servers.map(async (server) => [server.name, await answerOf(client, server)]));
  const wrong = servers.filter(({ call }, at) => !call.says.test(answers[at]?.[1] ?? ''));
  assert.deepEqual(
    wrong.map(({ name }) => answers.find(([of]) => of === name)),
    [],
  );
}

/** A refusal counts as well: it is the server's own. */
async function answerOf(client: OfficialClient, server: RealServer): Promise<string> {
  const { name, arguments: args } = server.call;
  try {
    return JSON.stringify(await client.callTool({ name: exposed(server, name), arguments: args }));
  } catch (error) {
    assert.ok(error instanceof Error);
    const { data } = error as { data?: { source?: string } };
    assert.notEqual(data?.source, 'mcproxy', error.message);
    return error.message;
  }
}

/** They are named where a client and an operator look, and still what they were while all the others answered. */
async function checkBadOnes({ client }: OfficialClient): Promise<void> {
  const instructions = String(client.getInstructions());
  assert.match(instructions, /## Not available now/);
  assert.match(instructions, /^- crashes: down since \d{4}-/m);
  assert.match(instructions, /^- silent: is still starting$/m);
  for (const { name } of servers) assert.doesNotMatch(instructions, new RegExp(`^- ${name}:`, 'm'));
  await checkStates();
}

function exposed({ name: server }: RealServer, tool: string): string {
  return exposeName(tool, { server, prefix: server, prefixes: names });
}
