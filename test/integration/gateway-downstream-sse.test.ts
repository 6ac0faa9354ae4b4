/**
 * HTTP+SSE towards its clients, and the official clients of both generations over every transport.
 */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { SESSION_COUNT_MAX } from '../../src/limits.ts';
import type { McpOutcome } from '../../src/mcp/waist.ts';
import { scriptView, startDownstream, type DownstreamServer, type ScriptedView } from '../support/downstream-server.ts';
import { openStream, readUntil, send, type StreamedAnswer } from '../support/http-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { connectClient1, connectClient2, type OfficialClient } from '../support/official-clients.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor } from '../support/wait.ts';

after(() => checkNothingLeft());

const JSON_TYPE = { 'content-type': 'application/json' };

async function serving(
  view: ScriptedView,
  body: (server: DownstreamServer) => Promise<void>,
  options: { readonly holdLog?: boolean } = {},
): Promise<void> {
  const server = await startDownstream(view, options);
  try {
    await body(server);
    assert.deepEqual(server.internal, []);
  } finally {
    await server.close();
  }
}

/** Opens a stream and gives the URL to POST to. */
async function connect(server: DownstreamServer, path = '/sse'): Promise<{ stream: StreamedAnswer; endpoint: string }> {
  const stream = await openStream(server.url + path, { headers: { accept: 'text/event-stream' } });
  const text = await readUntil(stream, (sofar) => sofar.endsWith('\n\n'));
  assert.match(text, /^event: endpoint\n/);
  return { stream, endpoint: server.url + (/data: (.*)\n/.exec(text)?.[1] ?? '') };
}

function call(id: number): unknown {
  return { jsonrpc: '2.0', id, method: 'tools/call', params: { name: 'a' } };
}

verifies(
  'gateway.front.case-67',
  'a POST to the endpoint is 202 at once, and its answer comes on the stream after its entry',
  async () => {
    const view = scriptView();
    await serving(view, async (server) => {
      const { stream, endpoint } = await connect(server, '/files/sse');
      assert.match(endpoint, /\/files\/messages\?sessionId=/);
      assert.equal((await send(endpoint, { body: call(1) })).status, 202);
      assert.equal(server.entries.length, 0);
      view.calls[0]?.end({ kind: 'error', code: -32602, message: 'no', data: undefined });
      const text = await readUntil(stream, (sofar) => sofar.includes('"id":1'));
      assert.match(text, /"code":-32602/);
      assert.equal(server.entries[0]?.rpcMethod, 'tools/call');
      assert.equal(server.entries[0]?.rpcError, -32602);
      assert.equal(server.entries[0]?.httpStatus, 202);
      stream.close();
    });
  },
);

test('an answer on the stream waits for its entry', async () => {
  const view = scriptView(() => DONE);
  await serving(
    view,
    async (server) => {
      const { stream, endpoint } = await connect(server);
      await send(endpoint, { body: call(1) });
      await waitFor(() => server.entries.length === 1);
      view.change({ kind: 'tools' });
      const early = await readUntil(stream, (sofar) => sofar.includes('list_changed'));
      assert.doesNotMatch(early, /"id":1/);
      server.writeLog();
      await readUntil(stream, (sofar) => sofar.includes('"id":1'));
      stream.close();
    },
    { holdLog: true },
  );
});

const REFUSED: { name: string; status: number; url: (endpoint: string) => string; headers?: Record<string, string> }[] =
  [
    { name: 'without a session', status: 400, url: (endpoint) => endpoint.replace(/\?.*/, '') },
    { name: 'with garbage', status: 404, url: (endpoint) => endpoint.replace(/=.*/, `=${'x'.repeat(60)}`) },
    { name: 'of another user', status: 404, url: (endpoint) => endpoint, headers: { 'x-test-user': 'bob' } },
    { name: 'of another scope', status: 404, url: (endpoint) => endpoint.replace('/messages', '/files/messages') },
  ];

for (const { name, status, url, headers = {} } of REFUSED) {
  verifies('gateway.front.case-68', `a POST ${name} is ${status} and calls nothing`, async () => {
    const view = scriptView();
    await serving(view, async (server) => {
      const { stream, endpoint } = await connect(server);
      const answer = await send(url(endpoint), { headers: { ...JSON_TYPE, ...headers }, body: call(1) });
      assert.equal(answer.status, status);
      assert.equal(view.calls.length, 0);
      stream.close();
    });
  });
}

verifies(
  'gateway.front.case-68',
  'the end of the stream is the end of the session: calls are cancelled and their entries written',
  async () => {
    const view = scriptView();
    await serving(view, async (server) => {
      const { stream, endpoint } = await connect(server);
      await send(endpoint, { body: call(1) });
      stream.close();
      await waitFor(() => view.calls[0]?.cancelled !== undefined);
      await waitFor(() => server.entries.length === 2);
      const entry = server.entries.find(({ rpcMethod }) => rpcMethod === 'tools/call');
      assert.equal(entry?.outcome, 'cancelled');
      assert.equal((await send(endpoint, { body: call(2) })).status, 404);
      assert.equal(view.listenerCount, 0);
    });
  },
);

test('a stop waits for what is in progress and then ends the stream', async () => {
  const view = scriptView();
  await serving(view, async (server) => {
    const { stream, endpoint } = await connect(server);
    await send(endpoint, { body: call(1) });
    server.downstream.close();
    for (const exchange of server.open) exchange.stop?.('shutdown');
    view.calls[0]?.end(DONE);
    let text = '';
    for await (const chunk of stream.chunks) text += chunk.toString('utf8');
    assert.match(text, /"id":1,"result"/);
    assert.equal(server.entries.length, 2);
  });
});

verifies('gateway.front.fair-share', 'a user who opens many streams leaves room for another', async () => {
  const view = scriptView();
  await serving(view, async (server) => {
    const open = (user: string): Promise<StreamedAnswer> =>
      openStream(`${server.url}/sse`, { headers: { accept: 'text/event-stream', 'x-test-user': user } });
    const first = await open('mallory');
    const bob = await open('bob');
    const many: StreamedAnswer[] = [];
    while (many.length < SESSION_COUNT_MAX - 2) {
      const count = Math.min(64, SESSION_COUNT_MAX - 2 - many.length);
      // oxlint-disable-next-line no-await-in-loop -- not all at once
      many.push(...(await Promise.all(Array.from({ length: count }, () => open('mallory')))));
    }
    assert.equal((await open('mallory')).status, 503);
    const alice = await open('alice');
    assert.equal(alice.status, 200);
    let text = '';
    for await (const chunk of first.chunks) text += chunk.toString('utf8');
    assert.match(text, /^event: endpoint\n/, 'the oldest stream of who has most has ended');
    assert.ok(many.every(({ status }) => status === 200));
    for (const stream of [...many, alice, bob]) stream.close();
    await waitFor(() => server.open.size === 0);
  });
});

const DONE: McpOutcome = { kind: 'complete', result: { content: [{ type: 'text', text: 'done' }] } };

/** A server with one tool that reports progress, logs, and asks once. */
function tutorView(): ScriptedView {
  return scriptView(({ method, params, clientCapabilities }, events) => {
    if (method === 'tools/list') {
      return { kind: 'complete', result: { tools: [{ name: 'a', inputSchema: { type: 'object' } }] } };
    }
    if (method !== 'tools/call') return { kind: 'error', code: -32601, message: 'no', data: undefined };
    events.onLog({ level: 'error', data: 'hm' });
    if (params['inputResponses'] !== undefined || clientCapabilities['elicitation'] === undefined) return DONE;
    const requestedSchema = { type: 'object', properties: { name: { type: 'string' } } };
    const ask = { method: 'elicitation/create' as const, params: { mode: 'form', message: 'Who?', requestedSchema } };
    return { kind: 'input_required', inputRequests: { who: ask }, requestState: 'state' };
  });
}

const CLIENTS: { name: string; revision: string | undefined; connect: (url: string) => Promise<OfficialClient> }[] = [
  {
    name: 'client 1 over Streamable HTTP',
    revision: '2025-11-25',
    connect: (url) => connectClient1({ url: `${url}/mcp`, transport: 'streamable' }),
  },
  {
    name: 'client 1 over HTTP+SSE',
    revision: undefined,
    connect: (url) => connectClient1({ url: `${url}/sse`, transport: 'sse' }),
  },
  {
    name: 'client 2 over HTTP+SSE',
    revision: '2025-11-25',
    connect: (url) => connectClient2({ url: `${url}/sse`, transport: 'sse' }),
  },
  {
    name: 'client 2 of 2026-07-28',
    revision: '2026-07-28',
    connect: (url) =>
      connectClient2({ url: `${url}/mcp`, transport: 'streamable', negotiation: { mode: { pin: '2026-07-28' } } }),
  },
  {
    name: 'client 2 that finds out the era',
    revision: '2026-07-28',
    connect: (url) => connectClient2({ url: `${url}/mcp`, transport: 'streamable', negotiation: { mode: 'auto' } }),
  },
];

for (const { name, revision, connect: connectClient } of CLIENTS) {
  test(`the official ${name} lists, calls and answers a question; each request has one entry`, async () => {
    const view = tutorView();
    await serving(view, async (server) => {
      const client = await connectClient(server.url);
      try {
        if (revision !== undefined) assert.equal(client.revision, revision);
        const { tools } = (await client.client.listTools()) as { tools: { name: string }[] };
        assert.deepEqual(
          tools.map((tool) => tool.name),
          ['a'],
        );
        const result = (await client.callTool({ name: 'a', arguments: {} })) as { content: unknown };
        assert.deepEqual(result.content, [{ type: 'text', text: 'done' }]);
        assert.deepEqual(client.answered, ['elicitation/create']);
        const answers = view.calls.at(-1)?.request.params['inputResponses'] as { who: { action: string } };
        assert.equal(answers.who.action, 'accept');
        assert.equal(view.calls.at(-1)?.request.params['requestState'], 'state');
      } finally {
        await client.close();
      }
      await waitFor(() => server.open.size === 0);
      const logged = server.entries.map(({ requestId }) => requestId);
      await waitFor(() => server.entries.length >= client.requestIds.length);
      assert.deepEqual(logged.toSorted(), [...client.requestIds].toSorted());
    });
  });
}
