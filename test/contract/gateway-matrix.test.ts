/**
 * Every kind of client against every kind of server through one merged endpoint: what each pair can do.
 *
 * One mcproxy has five servers: commands of both eras, Streamable HTTP with sessions, 2026-07-28 without, HTTP+SSE.
 * Seven clients use them side by side: over HTTP, over `mcproxy stdio` with the same files, and through the bridge
 * `mcproxy stdio --url` before that mcproxy. Every pair can do everything. The matrix is printed at the end.
 */
import assert from 'node:assert/strict';
import { after } from 'node:test';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { exposeName } from '../../src/mcp/names.ts';
import type { RequirementId } from '../requirements.ts';
import { EVERYTHING_PROGRAM, FIXTURE_PROGRAM, type Call, type Program } from '../support/matrix-programs.ts';
import { connectClient1, connectClient2, type Launch, type OfficialClient } from '../support/official-clients.ts';
import { startConformanceFixture, startEverything } from '../support/peers.ts';
import { PROGRAM_ARGS, startApp } from '../support/start-app.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor, within } from '../support/wait.ts';

const TOKEN = 'gateway-matrix-token-0123456789abcdef';
const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const EVERYTHING = join(ROOT, 'node_modules/@modelcontextprotocol/server-everything/dist/index.js');
const FIXTURE = join(ROOT, 'test/peers/conformance-fixture.ts');
const CELL_MS_MAX = 10_000;

const SERVER_NAMES = ['stdio', 'stdio-modern', 'sessions', 'stateless', 'events'] as const;
const CLIENT_NAMES = [
  'sdk1',
  'sdk1-sse',
  'client2',
  'sdk1-stdio',
  'client2-stdio',
  'sdk1-bridge',
  'client2-bridge',
] as const;

type ServerName = (typeof SERVER_NAMES)[number];
type ClientName = (typeof CLIENT_NAMES)[number];

const PROGRAMS: Readonly<Record<ServerName, Program>> = {
  stdio: EVERYTHING_PROGRAM,
  'stdio-modern': FIXTURE_PROGRAM,
  sessions: EVERYTHING_PROGRAM,
  stateless: FIXTURE_PROGRAM,
  events: EVERYTHING_PROGRAM,
};

interface Cell {
  readonly client: OfficialClient;
  readonly clientName: ClientName;
  readonly server: ServerName;
  readonly program: Program;
}

interface Feature {
  readonly id: RequirementId;
  readonly title: string;
  readonly run: (cell: Cell) => Promise<void>;
}

/** In this order: for a while after a cancelled call nobody can tell which call a server without ties asks for. */
const FEATURES: readonly Feature[] = [
  { id: 'gateway.matrix.connect', title: 'initialises or discovers', run: checkConnected },
  { id: 'gateway.matrix.list', title: 'lists the tools', run: checkList },
  { id: 'gateway.matrix.call', title: 'calls a tool', run: checkCall },
  { id: 'gateway.matrix.progress', title: 'sees progress', run: checkProgress },
  { id: 'gateway.matrix.read', title: 'reads a resource', run: checkRead },
  { id: 'gateway.matrix.prompt', title: 'gets a prompt', run: checkPrompt },
  { id: 'gateway.matrix.completion', title: 'gets completions', run: checkCompletion },
  { id: 'gateway.matrix.elicitation', title: 'is asked for input', run: (cell) => checkAsked(cell, 'elicitation') },
  { id: 'gateway.matrix.sampling', title: 'is asked to sample', run: (cell) => checkAsked(cell, 'sampling') },
  { id: 'gateway.matrix.roots', title: 'is asked for its roots', run: (cell) => checkAsked(cell, 'roots') },
  { id: 'gateway.matrix.subscribe', title: 'hears of an updated resource', run: checkSubscribe },
  { id: 'gateway.matrix.changes', title: 'hears of a changed list', run: checkChange },
  { id: 'gateway.matrix.cancel', title: 'cancels a call', run: checkCancel },
];

const remotes = {
  sessions: await startEverything({ after }, 'streamableHttp'),
  stateless: await startConformanceFixture({ after }),
  events: await startEverything({ after }, 'sse'),
};
const app = await startApp(
  { after },
  {
    files: {
      'tokens.yml': JSON.stringify({
        users: {
          alice: {
            token: TOKEN,
            servers: {
              stdio: { command: process.execPath, args: [EVERYTHING], roots: true },
              'stdio-modern': {
                command: process.execPath,
                args: ['--import', import.meta.resolve('tsx'), FIXTURE, 'stdio'],
                roots: true,
              },
              sessions: { url: remotes.sessions.url },
              stateless: { url: remotes.stateless.url },
              events: { url: remotes.events.url, transport: 'sse' },
            },
          },
        },
      }),
    },
  },
);

await waitUntilListed();
const clients: Readonly<Record<ClientName, OfficialClient>> = {
  sdk1: await connect('sdk1'),
  'sdk1-sse': await connect('sdk1-sse'),
  client2: await connect('client2'),
  'sdk1-stdio': await connect('sdk1-stdio'),
  'client2-stdio': await connect('client2-stdio'),
  'sdk1-bridge': await connect('sdk1-bridge'),
  'client2-bridge': await connect('client2-bridge'),
};
await waitUntilAllListed(clients['sdk1-stdio']);
after(async () => void (await Promise.allSettled(Object.values(clients).map((client) => client.close()))));

const outcomes = new Map<string, string>();

for (const { id, title, run } of FEATURES) {
  verifies(id, `every client at every server ${title}`, async () => {
    const failures: string[] = [];
    for (const clientName of CLIENT_NAMES) {
      for (const server of SERVER_NAMES) {
        const cell = { client: clients[clientName], clientName, server, program: PROGRAMS[server] };
        // oxlint-disable-next-line no-await-in-loop -- side by side, changes could not be told apart
        const failure = await failureOf(run, cell);
        outcomes.set(`${id} ${clientName} ${server}`, failure === undefined ? 'yes' : 'NO');
        if (failure !== undefined) failures.push(`${clientName} at ${server}: ${failure}`);
      }
    }
    assert.deepEqual(failures, []);
  });
}

verifies('gateway.matrix.call', 'the log names the server that every call went to', () => {
  const upstreamsOf = (method: string): string[] =>
    [
      ...new Set(app.entries().flatMap((entry) => (entry['rpc_method'] === method ? [String(entry['upstream'])] : []))),
    ].toSorted();
  for (const method of ['tools/call', 'prompts/get', 'resources/read', 'completion/complete']) {
    assert.deepEqual(upstreamsOf(method), SERVER_NAMES.toSorted(), method);
  }
});

after(() => console.log(formatMatrix()));

function connect(name: ClientName): Promise<OfficialClient> {
  const [version, way] = name.split('-');
  const options = way === 'stdio' || way === 'bridge' ? launchOf(way) : addressOf(way);
  if (version === 'client2') return connectClient2({ ...options, negotiation: { mode: 'auto' } });
  return connectClient1(options);
}

function addressOf(way: string | undefined) {
  const url = `${app.url}/${way === 'sse' ? 'sse' : 'mcp'}`;
  return { url, transport: way === 'sse' ? 'sse' : 'streamable', token: TOKEN } as const;
}

function launchOf(way: 'stdio' | 'bridge'): Launch {
  const { execPath: command } = process;
  const args = way === 'stdio' ? ['--config', app.dir, '--user', 'alice'] : ['--url', `${app.url}/mcp`];
  return { transport: 'stdio', command, args: [...PROGRAM_ARGS, 'stdio', ...args], env: { MCPROXY_TOKEN: TOKEN } };
}

async function waitUntilListed(): Promise<void> {
  const client = await connect('sdk1');
  await waitUntilAllListed(client);
  await client.close();
}

/** Commands take a moment to start, and a list does not wait for them for long. */
async function waitUntilAllListed(client: OfficialClient): Promise<void> {
  await waitFor(async () => (await serversListed(client)).length === SERVER_NAMES.length, {
    deadlineMs: 30_000,
    what: 'all servers in the list',
  });
}

async function serversListed(client: OfficialClient): Promise<string[]> {
  const names = await toolNames(client);
  return SERVER_NAMES.filter((server) => names.some((name) => name.startsWith(`${server}__`)));
}

async function toolNames({ client }: OfficialClient): Promise<string[]> {
  const { tools } = (await client.listTools()) as { tools: { name: string }[] };
  return tools.map(({ name }) => name);
}

async function failureOf(run: Feature['run'], cell: Cell): Promise<string | undefined> {
  try {
    await within(run(cell), { deadlineMs: CELL_MS_MAX, what: 'the cell' });
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

async function checkConnected({ client, clientName }: Cell): Promise<void> {
  // The first version does not say it except over Streamable HTTP.
  const revision = clientName.startsWith('client2') ? '2026-07-28' : clientName === 'sdk1' ? '2025-11-25' : undefined;
  assert.equal(client.revision, revision);
  const capabilities = client.client.getServerCapabilities() as Record<string, unknown>;
  for (const each of ['tools', 'prompts', 'resources', 'completions']) assert.ok(capabilities[each], each);
}

async function checkList({ client, server, program }: Cell): Promise<void> {
  const names = await toolNames(client);
  assert.ok(names.includes(shown(server, program.call.name)), names.join(' '));
  assert.equal(new Set(names).size, names.length);
}

async function checkCall(cell: Cell): Promise<void> {
  assert.match(JSON.stringify(await callTool(cell, cell.program.call)), cell.program.call.says);
}

async function checkProgress(cell: Cell): Promise<void> {
  const steps: number[] = [];
  const onprogress = (step: unknown): void => void steps.push((step as { progress: number }).progress);
  await callTool(cell, cell.program.progress, { onprogress });
  // The clients forget a step that arrives in one piece with the result.
  assert.ok(steps.length >= 2, `${steps.length} steps`);
  assert.deepEqual(
    steps,
    steps.toSorted((a, b) => a - b),
  );
}

async function checkRead({ client, server, program }: Cell): Promise<void> {
  const uri = await exposedUri(client, server, program.uri);
  const { contents } = (await client.client.readResource({ uri })) as { contents: { uri: string; text: string }[] };
  assert.equal(contents[0]?.uri, uri);
  assert.ok((contents[0]?.text ?? '').length > 0);
}

async function checkPrompt({ client, server, program: { prompt } }: Cell): Promise<void> {
  const name = shown(server, prompt.name);
  assert.match(JSON.stringify(await client.client.getPrompt({ name, arguments: prompt.arguments })), prompt.says);
}

async function checkCompletion({ client, server, program: { completion } }: Cell): Promise<void> {
  const ref = { type: 'ref/prompt', name: shown(server, completion.prompt) } as const;
  const answer = await client.client.complete({ ref, argument: { name: completion.argument, value: 'S' } });
  assert.deepEqual((answer as { completion: { values: string[] } }).completion.values, completion.values);
}

async function checkAsked(cell: Cell, what: 'elicitation' | 'sampling' | 'roots'): Promise<void> {
  const call = cell.program[what];
  assert.match(JSON.stringify(await callTool(cell, call)), call.says);
}

async function checkSubscribe(cell: Cell): Promise<void> {
  const { client, server, program } = cell;
  const uri = await exposedUri(client, server, program.uri);
  const subscribed = await listenTo(cell, { uri });
  try {
    await callTool(cell, program.update);
    await waitFor(() => heard(cell, 'notifications/resources/updated', uri), {
      what: 'notifications/resources/updated',
    });
  } finally {
    if (program.updatesToggle) await callTool(cell, program.update);
    await subscribed.end();
  }
}

async function checkChange(cell: Cell): Promise<void> {
  const { notification } = cell.program.change;
  const listening = await listenTo(cell, {});
  try {
    const before = countOf(cell, notification);
    await callTool(cell, cell.program.change);
    await waitFor(() => countOf(cell, notification) > before, { what: notification });
  } finally {
    await listening.end();
  }
}

async function checkCancel(cell: Cell): Promise<void> {
  const { program } = cell;
  const requestIds = app.entries().map((entry) => String(entry['request_id']));
  const controller = new AbortController();
  const steps: unknown[] = [];
  const onprogress = (step: unknown): void => {
    steps.push(step);
    controller.abort('enough');
  };
  await assert.rejects(callTool(cell, program.slow, { onprogress, signal: controller.signal }), /enough|abort/i);
  assert.equal(steps.length, 1);
  const known = new Set(requestIds);
  await waitFor(
    () => app.entries().some((entry) => !known.has(String(entry['request_id'])) && isEndOfCall(entry, cell)),
    { what: 'the end of the cancelled call in the log' },
  );
  await checkCall(cell);
}

/** In the modern era a call is cancelled by leaving; before, by a notification, after which it ends without answer. */
function isEndOfCall(entry: Readonly<Record<string, unknown>>, { server, program }: Cell): boolean {
  return entry['upstream'] === server && entry['rpc_name'] === program.slow.name && entry['outcome'] === 'cancelled';
}

function callTool(
  { client, server }: Cell,
  call: Call,
  options: { onprogress?: (step: unknown) => void; signal?: AbortSignal } = {},
): Promise<unknown> {
  return client.callTool({ name: shown(server, call.name), arguments: call.arguments, ...options });
}

/** Long names are shortened, so that they fit where clients allow few characters. */
function shown(server: ServerName, name: string): string {
  return exposeName(name, { server, prefix: server, prefixes: SERVER_NAMES });
}

/** What a view calls a resource of one server: wrapped where an earlier server has the same URI. */
async function exposedUri({ client }: OfficialClient, server: ServerName, uri: string): Promise<string> {
  const { resources } = (await client.listResources()) as { resources: { uri: string }[] };
  const wrapped = `mcproxy:${server}/${uri}`;
  const found = resources.find((each) => each.uri === wrapped) ?? resources.find((each) => each.uri === uri);
  assert.ok(found, `${uri} of ${server} is not listed`);
  return found.uri;
}

/** A stream of changes in the modern era; before, lists are always told and resources are subscribed to by request. */
async function listenTo({ client }: Cell, { uri }: { uri?: string }): Promise<{ end(): Promise<unknown> }> {
  if ('listen' in client.client) {
    const { listen } = client.client as Awaited<ReturnType<typeof connectClient2>>['client'];
    const filter =
      uri === undefined ? { toolsListChanged: true, resourcesListChanged: true } : { resourceSubscriptions: [uri] };
    const subscription = await listen.call(client.client, filter);
    return { end: () => subscription.close() };
  }
  if (uri === undefined) return { end: async () => undefined };
  await client.client.subscribeResource({ uri });
  return { end: () => client.client.unsubscribeResource({ uri }) };
}

function heard({ client }: Cell, method: string, uri: string): boolean {
  return client.changes.some((change) => change.method === method && change.params?.['uri'] === uri);
}

function countOf({ client }: Cell, method: string): number {
  return client.changes.filter((change) => change.method === method).length;
}

function formatMatrix(): string {
  const rows = CLIENT_NAMES.flatMap((client) =>
    FEATURES.map(({ id }) => {
      const cells = SERVER_NAMES.map((server) => (outcomes.get(`${id} ${client} ${server}`) ?? '-').padEnd(14));
      return `${client.padEnd(16)}${id.replace('gateway.matrix.', '').padEnd(13)}${cells.join('')}`.trimEnd();
    }),
  );
  const head = `${'client'.padEnd(16)}${'feature'.padEnd(13)}${SERVER_NAMES.map((name) => name.padEnd(14)).join('')}`;
  return [head.trimEnd(), ...rows].join('\n');
}
