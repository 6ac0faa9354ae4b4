/**
 * The official clients against published servers: what they see through mcproxy is what they see directly, and the
 * access log has exactly one entry for every HTTP request they sent.
 */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import {
  connectClient1,
  connectClient2,
  type ClientOptions,
  type OfficialClient,
} from '../support/official-clients.ts';
import { startConformanceFixture, startEverything } from '../support/peers.ts';
import { startApp } from '../support/start-app.ts';
import { transcribeEverything, transcribeFixture, type Transcript } from '../support/transcript.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor } from '../support/wait.ts';

const TOKEN = 'contract-sdk-token-0123456789abcdef';

const peers = {
  streamable: await startEverything({ after }, 'streamableHttp'),
  events: await startEverything({ after }, 'sse'),
  modern: await startConformanceFixture({ after }),
};
const servers = Object.fromEntries(Object.entries(peers).map(([name, { url }]) => [name, { url }]));
const users = { alice: { token: TOKEN, servers } };
const app = await startApp({ after }, { files: { 'tokens.yml': JSON.stringify({ users }) } });

interface Case {
  readonly ids: Parameters<typeof verifies>[0];
  readonly title: string;
  readonly server: keyof typeof peers;
  readonly revision: string | undefined;
  readonly connect: (options: ClientOptions) => Promise<OfficialClient>;
  readonly negotiation?: ClientOptions['negotiation'];
  readonly transcribe: (connected: OfficialClient) => Promise<Transcript>;
}

const AUTO = { mode: 'auto' } as const;

const CASES: readonly Case[] = [
  {
    ids: 'contract.sdk1-streamable',
    title: 'the SDK 1 client sees the same over Streamable HTTP',
    server: 'streamable',
    revision: '2025-11-25',
    connect: connectClient1,
    transcribe: transcribeEverything,
  },
  {
    ids: 'contract.sdk1-sse',
    title: 'the SDK 1 client sees the same over HTTP+SSE',
    server: 'events',
    revision: undefined,
    connect: connectClient1,
    transcribe: transcribeEverything,
  },
  {
    ids: 'contract.client2-auto',
    title: 'the client 2 without negotiation sees the same over Streamable HTTP',
    server: 'streamable',
    revision: '2025-11-25',
    connect: connectClient2,
    transcribe: transcribeEverything,
  },
  {
    ids: 'contract.client2-auto',
    title: 'the client 2 falls back to the legacy era and sees the same over Streamable HTTP',
    server: 'streamable',
    revision: '2025-11-25',
    connect: connectClient2,
    negotiation: AUTO,
    transcribe: transcribeEverything,
  },
  {
    ids: 'contract.client2-auto',
    title: 'the client 2 sees the same over HTTP+SSE',
    server: 'events',
    revision: '2025-11-25',
    connect: connectClient2,
    transcribe: transcribeEverything,
  },
  {
    ids: ['contract.client2-auto', 'contract.client2-modern'],
    title: 'the client 2 negotiates 2026-07-28 and sees the same',
    server: 'modern',
    revision: '2026-07-28',
    connect: connectClient2,
    negotiation: AUTO,
    transcribe: transcribeFixture,
  },
];

for (const { ids, title, server, revision, connect, negotiation, transcribe } of CASES) {
  verifies(ids, title, async () => {
    const transport = server === 'events' ? 'sse' : 'streamable';
    const common = { transport, ...(negotiation && { negotiation }) } as const;
    const direct = await connect({ ...common, url: peers[server].url });
    const expected = await transcribe(direct);
    await direct.close();

    const url = `${app.url}/${server}/${transport === 'sse' ? 'sse' : 'mcp'}`;
    const proxied = await connect({ ...common, url, token: TOKEN });
    const actual = await transcribe(proxied);
    await proxied.close();

    assert.equal(proxied.revision, revision);
    assert.deepEqual(actual, expected);
    await assertLoggedOnce(proxied.requestIds);
  });
}

verifies('contract.client2-modern', 'the client 2 hears of a changed list on its subscription', async () => {
  const url = `${app.url}/modern/mcp`;
  const connected = await connectClient2({ url, transport: 'streamable', token: TOKEN, negotiation: AUTO });
  let changeCount = 0;
  connected.client.setNotificationHandler('notifications/tools/list_changed', () => void (changeCount += 1));
  const subscription = await connected.client.listen({ toolsListChanged: true });

  await connected.callTool({ name: 'test_trigger_tool_change', arguments: {} });
  await waitFor(() => changeCount === 1, { what: 'tools/list_changed' });

  await subscription.close();
  await connected.close();
  await assertLoggedOnce(connected.requestIds);
});

for (const { connect, title } of [
  { connect: connectClient1, title: 'the SDK 1 client' },
  { connect: connectClient2, title: 'the client 2' },
]) {
  for (const [transport, path] of [
    ['streamable', '/streamable/mcp'],
    ['sse', '/events/sse'],
  ] as const) {
    verifies('identity.unknown-401', `${title} is refused with a wrong token over ${path}`, async () => {
      const url = `${app.url}${path}`;
      await assert.rejects(connect({ url, transport, token: 'wrong' }), /401|Unauthorized/i);
    });
  }
}

test('every request of this file is one entry and there is no other', async () => {
  await app.stop();
  const ids = app.entries().map((entry) => entry['request_id']);
  assert.equal(new Set(ids).size, ids.length);
});

/** Entries of streams are written when the stream ends, which is a moment after the client has left. */
async function assertLoggedOnce(requestIds: readonly string[]): Promise<void> {
  const wanted = new Set(requestIds);
  const found = (): unknown[] => app.entries().filter((entry) => wanted.has(String(entry['request_id'])));
  await waitFor(() => found().length >= wanted.size, { what: `${wanted.size} entries` }).catch(() => undefined);
  assert.equal(found().length, wanted.size);
}
