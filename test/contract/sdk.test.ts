/**
 * The official clients against published servers: what they see through mcproxy is what they see directly, and the
 * access log has exactly one entry for every HTTP request they sent.
 */
import assert from 'node:assert/strict';
import { after } from 'node:test';
import {
  connectClient1,
  connectClient2,
  type ClientOptions,
  type OfficialClient,
} from '../support/official-clients.ts';
import { startConformanceFixture, startEverything } from '../support/peers.ts';
import { startApp } from '../support/start-app.ts';
import { transcribeEverything, transcribeFixture } from '../support/transcript.ts';
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

const AUTO = { mode: 'auto' } as const;
/** Request ids of all that the tests below sent with the right token. */
const sentIds: string[] = [];

verifies('contract.sdk1-streamable', 'the SDK 1 client sees the same over Streamable HTTP', () =>
  assertSameSeen({ connect: connectClient1, server: 'streamable', revision: '2025-11-25' }),
);

verifies('contract.sdk1-sse', 'the SDK 1 client sees the same over HTTP+SSE', () =>
  // This transport of the SDK does not tell the revision.
  assertSameSeen({ connect: connectClient1, server: 'events', revision: undefined }),
);

verifies('contract.client2-auto', 'the client 2 without negotiation sees the same over Streamable HTTP', () =>
  assertSameSeen({ connect: connectClient2, server: 'streamable', revision: '2025-11-25' }),
);

verifies('contract.client2-auto', 'the client 2 that asks first is served in the modern era', async () => {
  // It cannot be told from one that speaks nothing else, which could not use this server at all.
  const url = `${app.url}/streamable/mcp`;
  const connected = await connectClient2({ url, transport: 'streamable', token: TOKEN, negotiation: AUTO });
  assert.equal(connected.revision, '2026-07-28');
  const result = await connected.callTool({ name: 'get-sum', arguments: { a: 2, b: 40 } });
  assert.match(JSON.stringify(result), /sum of 2 and 40 is 42/);
  await connected.close();
  await assertLoggedOnce(connected.requestIds);
});

verifies('contract.client2-auto', 'the client 2 sees the same over HTTP+SSE', () =>
  assertSameSeen({ connect: connectClient2, server: 'events', revision: '2025-11-25' }),
);

verifies(
  ['contract.client2-auto', 'contract.client2-modern'],
  'the client 2 negotiates 2026-07-28 and sees the same',
  () => assertSameSeen({ connect: connectClient2, server: 'modern', revision: '2026-07-28', negotiation: AUTO }),
);

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

verifies('log.one-entry-per-exchange', 'what the clients sent is what the log has', async () => {
  await app.stop();
  const logged = app.entries().flatMap(({ principal, request_id: id }) => (principal === 'alice' ? [String(id)] : []));
  assert.deepEqual(logged.toSorted(), sentIds.toSorted());
});

interface Comparison {
  readonly connect: (options: ClientOptions) => Promise<OfficialClient>;
  readonly server: keyof typeof peers;
  readonly revision: string | undefined;
  readonly negotiation?: typeof AUTO;
}

/** Writes down what a client sees, directly and through mcproxy, and compares. */
async function assertSameSeen({ connect, server, revision, negotiation }: Comparison): Promise<void> {
  const transport = server === 'events' ? 'sse' : 'streamable';
  const transcribe = server === 'modern' ? transcribeFixture : transcribeEverything;
  const common = { transport, ...(negotiation && { negotiation }) } as const;
  const direct = await connect({ ...common, url: peers[server].url });
  const expected = await transcribe(direct);
  await direct.close();

  const url = `${app.url}/${server}/${server === 'events' ? 'sse' : 'mcp'}`;
  const proxied = await connect({ ...common, url, token: TOKEN });
  const actual = await transcribe(proxied);
  await proxied.close();

  assert.equal(proxied.revision, revision);
  assert.deepEqual(actual, expected);
  await assertLoggedOnce(proxied.requestIds);
}

/** Entries of streams are written when the stream ends, which is a moment after the client has left. */
async function assertLoggedOnce(requestIds: readonly string[]): Promise<void> {
  sentIds.push(...requestIds);
  const wanted = new Set(requestIds);
  const found = (): unknown[] => app.entries().filter((entry) => wanted.has(String(entry['request_id'])));
  await waitFor(() => found().length >= wanted.size, { what: `${wanted.size} entries` }).catch(() => undefined);
  assert.equal(found().length, wanted.size);
}
