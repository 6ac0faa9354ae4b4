/**
 * The official clients at /{server}/mcp and /{server}/sse of servers that do not speak what they speak: each reaches
 * the server all the same, sees what it would see, and leaves one entry per HTTP request.
 */
import assert from 'node:assert/strict';
import { after } from 'node:test';
import { connectClient1, connectClient2, type OfficialClient } from '../support/official-clients.ts';
import { startConformanceFixture, startEverything } from '../support/peers.ts';
import { POST } from '../support/proxied-app.ts';
import { startApp } from '../support/start-app.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor } from '../support/wait.ts';

const TOKEN = 'contract-era-bridge-token-0123456789';

const peers = {
  legacy: await startConformanceFixture({ after }, 'legacy'),
  modern: await startConformanceFixture({ after }, 'modern'),
  both: await startConformanceFixture({ after }),
  events: await startEverything({ after }, 'sse'),
  streamable: await startEverything({ after }, 'streamableHttp'),
};
const servers = Object.fromEntries(Object.entries(peers).map(([name, { url }]) => [name, { url }]));
const users = { alice: { token: TOKEN, servers } };
const app = await startApp({ after }, { files: { 'tokens.yml': JSON.stringify({ users }) } });

const MODERN_ONLY = { mode: { pin: '2026-07-28' } } as const;

/** Uses the server as anybody would, and leaves. @returns the text of a tool's answer */
async function use(connected: OfficialClient, tool: { name: string; arguments: Record<string, unknown> }) {
  assert.ok(JSON.stringify(await connected.client.listTools()).includes(`"name":"${tool.name}"`));
  const result = await connected.callTool(tool);
  await connected.close();
  const { requestIds } = connected;
  await waitFor(() => requestIds.every((id) => entriesOf(id).length > 0), { what: 'an entry for each request' });
  for (const id of requestIds) assert.equal(entriesOf(id).length, 1);
  return JSON.stringify(result);
}

function entriesOf(id: string): readonly unknown[] {
  return app.entries().filter((entry) => entry['request_id'] === id);
}

const SIMPLE = { name: 'test_simple_text', arguments: {} };
const ECHO = { name: 'echo', arguments: { message: 'over the bridge' } };
const at = (server: keyof typeof peers, transport: 'streamable' | 'sse' = 'streamable') => ({
  url: `${app.url}/${server}/${transport === 'sse' ? 'sse' : 'mcp'}`,
  transport,
  token: TOKEN,
});

verifies('gateway.bridge.modern-to-legacy', 'a client pinned to 2026-07-28 uses a legacy server', async () => {
  await assert.rejects(connectClient2({ url: peers.legacy.url, transport: 'streamable', negotiation: MODERN_ONLY }));
  const connected = await connectClient2({ ...at('legacy'), negotiation: MODERN_ONLY });
  assert.equal(connected.revision, '2026-07-28');
  assert.match(await use(connected, SIMPLE), /simple text response/);
});

verifies('gateway.bridge.modern-to-legacy', 'a client pinned to 2026-07-28 uses a server of HTTP+SSE', async () => {
  const connected = await connectClient2({ ...at('events'), negotiation: MODERN_ONLY });
  assert.equal(connected.revision, '2026-07-28');
  assert.match(await use(connected, ECHO), /over the bridge/);
});

verifies('gateway.bridge.legacy-to-modern', 'the SDK 1 client uses a server of 2026-07-28 alone', async () => {
  await assert.rejects(connectClient1({ url: peers.modern.url, transport: 'streamable' }));
  const connected = await connectClient1(at('modern'));
  assert.equal(connected.revision, '2025-11-25');
  assert.match(await use(connected, SIMPLE), /simple text response/);
});

verifies(
  ['gateway.bridge.legacy-to-modern', 'gateway.bridge.transport'],
  'the SDK 1 client of HTTP+SSE uses a server of 2026-07-28 alone',
  async () => {
    assert.match(await use(await connectClient1(at('modern', 'sse')), SIMPLE), /simple text response/);
  },
);

verifies('gateway.bridge.transport', 'the SDK 1 client of HTTP+SSE uses a server of Streamable HTTP', async () => {
  assert.match(await use(await connectClient1(at('streamable', 'sse')), ECHO), /over the bridge/);
});

verifies('gateway.bridge.transport', 'the SDK 1 client of Streamable HTTP uses a server of HTTP+SSE', async () => {
  const connected = await connectClient1(at('events'));
  assert.equal(connected.revision, '2025-11-25');
  assert.match(await use(connected, ECHO), /over the bridge/);
});

verifies('gateway.bridge.transport', 'a request without a session is served by a server of HTTP+SSE', async () => {
  const headers = { ...POST, authorization: `Bearer ${TOKEN}` };
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: ECHO });
  const answer = await fetch(at('events').url, { method: 'POST', headers, body });
  assert.equal(answer.status, 200);
  assert.match(await answer.text(), /over the bridge/);
});

for (const [title, connect] of [
  ['a client pinned to 2026-07-28', () => connectClient2({ ...at('both'), negotiation: MODERN_ONLY })],
  ['the SDK 1 client', () => connectClient1(at('both'))],
] as const) {
  verifies('gateway.bridge.verdict', `${title} is relayed to a server of both eras`, async () => {
    const connected = await connect();
    // The server itself answers: its own name, not that of mcproxy.
    assert.match(JSON.stringify(connected.client.getServerVersion()), /conformance-fixture/);
    assert.match(await use(connected, SIMPLE), /simple text response/);
  });
}
