/**
 * What a client of an older revision meets at the front: versions, lost session ids, JSON alone, room for its messages.
 */
import assert from 'node:assert/strict';
import { request as httpRequest, type ClientRequest } from 'node:http';
import { after } from 'node:test';
import { GATEWAY_BODIES_USER_BYTES_MAX, GATEWAY_BODY_BYTES_MAX } from '../../src/limits.ts';
import {
  BOTH,
  DONE,
  callOf,
  connect,
  eventsOf,
  readAll,
  request,
  serving,
  type Json,
} from '../support/downstream-clients.ts';
import { scriptView, type DownstreamServer } from '../support/downstream-server.ts';
import { openStream, send, type Answer } from '../support/http-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { headersOf, settingsFile, usersFile } from '../support/message-app.ts';
import { startApp } from '../support/start-app.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor } from '../support/wait.ts';

after(() => checkNothingLeft());

const JSON_ONLY = { accept: 'application/json' };

function post(server: DownstreamServer, body: unknown, headers: Record<string, string> = {}): Promise<Answer> {
  return send(`${server.url}/mcp`, { headers: { accept: BOTH, ...headers }, body });
}

const NEGOTIATED = [
  ['2025-03-26', '2025-03-26'],
  ['2025-06-18', '2025-06-18'],
  ['2025-11-25', '2025-11-25'],
  ['1999-01-01', '2025-11-25'],
  ['2026-07-28', '2025-11-25'],
] as const;

for (const [asked, answered] of NEGOTIATED) {
  verifies('gateway.front.case-52', `initialize of ${asked} is answered with ${answered}`, async () => {
    await serving(scriptView(), async (server) => {
      const params = { protocolVersion: asked, capabilities: {}, clientInfo: { name: 'c', version: '1' } };
      const answer = await post(server, request(1, 'initialize', params), { 'mcp-session-id': 'ignored' });
      assert.equal((answer.json() as Json)['result'].protocolVersion, answered);
      assert.match(answer.header('mcp-session-id') ?? '', /^[\x21-\x7e]+$/);
    });
  });
}

const RECOVERABLE = ['ping', 'tools/list', 'tools/call', 'resources/read', 'prompts/get', 'completion/complete'];

for (const method of RECOVERABLE) {
  verifies('gateway.front.case-54', `${method} without a session id is served, and told once`, async () => {
    const view = scriptView(() => DONE);
    await serving(view, async (server) => {
      for (const revision of [{}, { 'mcp-protocol-version': '2025-06-18' }]) {
        // oxlint-disable-next-line no-await-in-loop -- one after the other
        const answer = await post(server, request(7, method, { name: 'a' }), revision);
        assert.equal(answer.status, 200);
        assert.equal((answer.json() as Json)['id'], 7);
        assert.equal(answer.header('mcp-session-id'), undefined);
      }
      // Tasks are mcproxy’s own to wait for, whatever the client can.
      const declared = method === 'tools/call' ? { extensions: { 'io.modelcontextprotocol/tasks': {} } } : {};
      assert.deepEqual(view.calls[0]?.request.clientCapabilities ?? {}, declared);
      assert.equal(server.diags.length, 1);
      assert.deepEqual(
        server.entries.map(({ rpcMethod, outcome }) => [rpcMethod, outcome]),
        [
          [method, 'ok'],
          [method, 'ok'],
        ],
      );
    });
  });
}

verifies('gateway.front.case-54', 'a call without a session is never asked back, and may tell progress', async () => {
  const view = scriptView();
  await serving(view, async (server) => {
    const params = { name: 'a', _meta: { progressToken: 1 } };
    const streaming = openStream(`${server.url}/mcp`, {
      headers: { accept: BOTH },
      body: request(1, 'tools/call', params),
    });
    const call = await callOf(view, 0);
    call.events.onProgress({ progress: 1 });
    call.end({
      kind: 'input_required',
      inputRequests: { r: { method: 'roots/list', params: {} } },
      requestState: undefined,
    });
    const events = await readAll(await streaming);
    assert.equal(events[0]?.['method'], 'notifications/progress');
    assert.equal(events[1]?.['result'].isError, true);
  });
});

const NEEDS_SESSION = ['logging/setLevel', 'resources/subscribe', 'resources/unsubscribe'];

verifies('gateway.front.case-54', 'what needs a session is 400 without one, and never 404', async () => {
  const view = scriptView(() => DONE);
  await serving(view, async (server) => {
    for (const method of NEEDS_SESSION) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const answer = await post(server, request(3, method, { level: 'info', uri: 'file:///a' }));
      assert.equal(answer.status, 400);
      assert.equal((answer.json() as Json)['error'].data.code, 'SESSION_MISSING');
    }
    assert.equal((await post(server, [request(1, 'ping')])).status, 400);
    assert.equal((await post(server, { jsonrpc: '2.0', id: 1, result: {} })).status, 400);
    assert.equal((await post(server, { jsonrpc: '2.0', method: 'notifications/initialized' })).status, 202);
    for (const method of ['GET', 'DELETE']) {
      // oxlint-disable-next-line no-await-in-loop
      const answer = await send(`${server.url}/mcp`, { method, headers: { accept: 'text/event-stream' } });
      assert.equal(answer.status, 400);
    }
    assert.equal(view.calls.length, 0);
    assert.equal(server.diags.length, 0);
  });
});

verifies('gateway.front.case-56', 'a request of a session is served without a revision in the header', async () => {
  const view = scriptView(() => DONE);
  await serving(view, async (server) => {
    const { id } = await connect(server);
    const answer = await post(server, request(1, 'tools/list'), { 'mcp-session-id': id, ...JSON_ONLY });
    assert.equal(answer.status, 200);
  });
});

verifies('gateway.front.json-only', 'a client that takes only JSON gets JSON, and no question', async () => {
  const view = scriptView((_request, events) => {
    events.onProgress({ progress: 1 });
    return DONE;
  });
  await serving(view, async (server) => {
    const client = await connect(server);
    const params = { name: 'a', _meta: { progressToken: 1 } };
    const answer = await client.post(request(1, 'tools/call', params), JSON_ONLY);
    assert.equal(answer.header('content-type'), 'application/json');
    assert.equal((answer.json() as Json)['result'].content[0].text, 'done');
    const stream = await client.post(request(1, 'tools/call', params));
    assert.equal(stream.header('content-type'), 'text/event-stream');
    assert.equal(eventsOf(stream.text()).length, 2);
  });
});

verifies('gateway.front.case-69', 'a POST to the URL of the HTTP+SSE stream is 405', async (t) => {
  const files = { 'mcproxy.yml': settingsFile({}), 'tokens.yml': usersFile({ alice: '"*"' }) };
  const app = await startApp(t, { files });
  const envelope = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' };
  for (const params of [{}, { _meta: envelope }]) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const answer = await send(`${app.url}/sse`, {
      headers: headersOf('alice'),
      body: request(1, 'server/discover', params),
    });
    assert.equal(answer.status, 405);
    assert.equal((answer.json() as Json)['error'].code, 405);
  }
});

/** Begins a POST of which `bytes` arrive, and no end. */
function drip(
  server: DownstreamServer,
  user: string,
  bytes: number,
): { readonly outgoing: ClientRequest; status(): number | undefined } {
  let status: number | undefined;
  const headers = { accept: BOTH, 'content-type': 'application/json', 'x-test-user': user };
  const outgoing = httpRequest(`${server.url}/mcp`, { method: 'POST', agent: false, headers });
  outgoing.on('response', (incoming) => {
    status = incoming.statusCode;
    incoming.resume();
  });
  outgoing.on('error', () => undefined);
  outgoing.write(Buffer.alloc(bytes, ' '));
  return { outgoing, status: () => status };
}

verifies(
  'gateway.front.body-room',
  'whoever fills the room with messages that do not end has to give way',
  async () => {
    const view = scriptView(() => DONE);
    await serving(view, async (server) => {
      const size = GATEWAY_BODY_BYTES_MAX - 1;
      const count = Math.ceil(GATEWAY_BODIES_USER_BYTES_MAX / size) + 1;
      const slow = Array.from({ length: count }, () => drip(server, 'mallory', size));
      await waitFor(() => slow.some(({ status }) => status() === 503));
      const refused = server.entries.filter(({ errorCode }) => errorCode === 'OVERLOADED');
      assert.ok(refused.length < count, 'some are still being read');
      const small = request(1, 'tools/call', { name: 'a' });
      assert.equal((await post(server, small, { 'x-test-user': 'mallory' })).status, 200);
      const large = request(2, 'tools/call', { name: 'a', arguments: { text: 'x'.repeat(size - 1_000) } });
      assert.equal((await post(server, large, { 'x-test-user': 'alice' })).status, 200);
      for (const { outgoing } of slow) outgoing.destroy();
      await waitFor(() => server.open.size === 0);
      assert.equal((await post(server, large, { 'x-test-user': 'mallory' })).status, 200);
    });
  },
);
