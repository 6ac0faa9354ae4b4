/**
 * Which path serves a request of one remote server, seen from the server: what it is asked besides what clients send.
 */
import assert from 'node:assert/strict';
import { after, test, type TestContext } from 'node:test';
import { checkNothingLeft } from '../support/leaks.ts';
import { digestOf, POST, startProxied, type ProxiedApp } from '../support/proxied-app.ts';
import {
  startUpstream,
  type Answer,
  type RecordedRequest,
  type RecordingUpstream,
} from '../support/recording-upstream.ts';
import { credentialOf, tokenOf } from '../support/users.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor } from '../support/wait.ts';

after(() => checkNothingLeft());

interface Reply {
  readonly status: number;
  /** A result, an error, or anything else as text. */
  readonly body?: object | string;
}

/** Answers by method; what is not listed is HTTP 404 without a body. */
function scripted(replies: Readonly<Record<string, Reply>>): Answer {
  return ({ request, response }) => {
    const { id } = request.method === 'POST' ? (request.json() as { id?: unknown }) : {};
    const { status, body } = replies[methodOf(request)] ?? { status: 404 };
    const isText = typeof body === 'string' || body === undefined;
    response.writeHead(status, { 'content-type': isText ? 'text/plain' : 'application/json' });
    response.end(isText ? body : JSON.stringify({ jsonrpc: '2.0', id, ...body }));
  };
}

function methodOf(request: RecordedRequest): string {
  return request.method === 'POST' ? (request.json() as { method: string }).method : request.method;
}

const CARD: Reply = {
  status: 200,
  body: { result: { resultType: 'complete', supportedVersions: ['2026-07-28'], capabilities: { tools: {} } } },
};
const INITIALIZED: Reply = {
  status: 200,
  body: {
    result: { protocolVersion: '2025-06-18', capabilities: { tools: {} }, serverInfo: { name: 'u', version: '1' } },
  },
};
const CALLED: Reply = { status: 200, body: { result: { content: [], resultType: 'complete' } } };

const META = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
};
const MODERN_CALL = {
  jsonrpc: '2.0',
  id: 1,
  method: 'tools/call',
  params: { name: 'work', arguments: {}, _meta: META },
};
const BARE_CALL = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'work' } };
const MODERN_HEADERS = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'work' };
const INITIALIZE = {
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } },
};

interface World {
  readonly upstream: RecordingUpstream;
  readonly proxied: ProxiedApp;
  /** Methods asked since the last look. */
  asked(): string[];
  call(user: string, body: unknown, headers?: Readonly<Record<string, string>>): ReturnType<ProxiedApp['ask']>;
}

async function startWorld(t: TestContext, replies: Readonly<Record<string, Reply>>, more = ''): Promise<World> {
  const upstream = await startUpstream(t, { answer: scripted(replies) });
  const users = ['alice', 'bob'].map(
    (name) =>
      `  ${name}:\n    token: ${digestOf(tokenOf(name))}\n    servers: { up: { url: "${upstream.url}/mcp", token: ${credentialOf(name)}${more} } }\n`,
  );
  const proxied = await startProxied(t, { servers: {}, tokens: `users:\n${users.join('')}` });
  let seen = 0;
  return {
    upstream,
    proxied,
    asked() {
      const methods = upstream.requests.slice(seen).map(methodOf);
      seen = upstream.requests.length;
      return methods;
    },
    call(user, body, headers = {}) {
      const all = { ...POST, authorization: `Bearer ${tokenOf(user)}`, ...headers };
      return proxied.ask('/up/mcp', { method: 'POST', headers: all, body: JSON.stringify(body) });
    },
  };
}

verifies('gateway.bridge.verdict', 'a server is asked once for the modern era, as the user who needs it', async (t) => {
  const world = await startWorld(t, { 'server/discover': CARD, 'tools/call': CALLED });
  const { answer } = await world.call('bob', MODERN_CALL, MODERN_HEADERS);
  assert.equal(answer.status, 200);
  assert.deepEqual(world.asked(), ['server/discover', 'tools/call']);
  assert.deepEqual(world.upstream.requests[0]?.values('authorization'), [`Bearer ${credentialOf('bob')}`]);
  await Promise.all([world.call('alice', MODERN_CALL, MODERN_HEADERS), world.call('bob', MODERN_CALL, MODERN_HEADERS)]);
  assert.deepEqual(world.asked(), ['tools/call', 'tools/call']);
});

verifies(
  'gateway.bridge.verdict',
  'whether it takes initialize is asked only when a client comes with it',
  async (t) => {
    const world = await startWorld(t, { 'server/discover': CARD, initialize: INITIALIZED, 'tools/call': CALLED });
    await world.call('alice', INITIALIZE);
    assert.deepEqual(world.asked(), ['initialize', 'initialize']);
    await world.call('bob', INITIALIZE);
    assert.deepEqual(world.asked(), ['initialize']);
  },
);

verifies(
  'gateway.bridge.verdict',
  'what neither head nor body says is left to the server without a question',
  async (t) => {
    const world = await startWorld(t, { 'tools/call': CALLED });
    await world.call('alice', BARE_CALL, { 'mcp-session-id': 'S1', 'mcp-protocol-version': '2025-11-25' });
    await world.call('alice', BARE_CALL);
    const long = {
      ...BARE_CALL,
      params: { name: 'work', arguments: { text: 'x'.repeat(300_000), also: '"initialize"' } },
    };
    const { answer, entry } = await world.call('alice', long);
    assert.equal(answer.status, 200);
    assert.equal(entry['bytes_in'], JSON.stringify(long).length);
    assert.deepEqual(world.asked(), ['tools/call', 'tools/call', 'tools/call']);
  },
);

verifies('gateway.bridge.verdict', 'a server that takes initialize itself says what it does not serve', async (t) => {
  const world = await startWorld(t, { initialize: INITIALIZED, 'tools/call': { status: 400, body: 'a teapot' } });
  for (const asked of [['tools/call', 'initialize'], ['tools/call']]) {
    const { answer, entry } = await world.call('alice', BARE_CALL);
    assert.equal(answer.status, 400);
    assert.equal(answer.text(), 'a teapot');
    assert.equal(entry['bytes_in'], JSON.stringify(BARE_CALL).length);
    assert.deepEqual(world.asked(), asked);
  }
});

verifies(
  'gateway.bridge.transport',
  'who sends what needs a session without one to a server of HTTP+SSE alone is told to send initialize',
  async (t) => {
    const world = await startWorld(t, {});
    world.upstream.answerWith(({ request, response }) => {
      const isStream = request.method === 'GET';
      response.writeHead(isStream ? 200 : 404, { 'content-type': isStream ? 'text/event-stream' : 'text/html' });
      response.end(isStream ? 'event: endpoint\ndata: /messages\n\n' : '<pre>Cannot POST /mcp</pre>');
    });
    const bare = { ...BARE_CALL, method: 'resources/subscribe' };
    const { answer, entry } = await world.call('alice', bare);
    assert.equal(answer.status, 400);
    assert.equal(entry['bytes_in'], JSON.stringify(bare).length);
    assert.match(answer.text(), /"id":1.*initialize/);
    assert.equal(entry['error_code'], 'SESSION_MISSING');
  },
);

for (const status of [401, 403, 503, 502]) {
  verifies('gateway.bridge.verdict', `HTTP ${status} is no verdict: the server is asked again`, async (t) => {
    const world = await startWorld(t, { 'server/discover': { status }, 'tools/call': CALLED }, ', retries: 0');
    for (let round = 0; round < 2; round += 1) {
      const { answer } = await world.call('alice', MODERN_CALL, MODERN_HEADERS);
      assert.equal(answer.status, 200);
      assert.deepEqual(world.asked(), ['server/discover', 'tools/call']);
    }
  });
}

verifies('gateway.bridge.verdict', 'a server that is no MCP server gives its own answer', async (t) => {
  const world = await startWorld(t, { 'tools/call': { status: 418, body: 'a teapot' } });
  const { answer } = await world.call('alice', MODERN_CALL, MODERN_HEADERS);
  assert.equal(answer.status, 418);
  assert.equal(answer.text(), 'a teapot');
});

verifies(
  'gateway.bridge.modern-to-legacy',
  'a modern request without its header never reaches a legacy server',
  async (t) => {
    const world = await startWorld(t, { initialize: INITIALIZED, 'tools/call': CALLED });
    const { answer, entry } = await world.call('alice', MODERN_CALL);
    assert.equal(answer.status, 400);
    assert.equal(entry['error_code'], 'HEADER_MISMATCH');
    assert.equal(entry['bytes_in'], JSON.stringify(MODERN_CALL).length);
    assert.ok(!world.asked().includes('tools/call'));
  },
);

verifies('gateway.servers.era', 'era: legacy and era: modern are believed without a question', async (t) => {
  const legacy = await startWorld(
    t,
    { initialize: INITIALIZED, 'tools/call': CALLED },
    ', era: legacy, transport: streamable',
  );
  assert.equal((await legacy.call('alice', INITIALIZE)).answer.status, 200);
  assert.deepEqual(legacy.asked(), ['initialize']);
  assert.equal((await legacy.call('alice', MODERN_CALL, MODERN_HEADERS)).answer.status, 200);
  assert.ok(!legacy.upstream.requests.map(methodOf).includes('server/discover'));
  legacy.asked();
  const modern = await startWorld(t, { 'server/discover': CARD, 'tools/call': CALLED }, ', era: modern');
  assert.equal((await modern.call('alice', MODERN_CALL, MODERN_HEADERS)).answer.status, 200);
  assert.deepEqual(modern.asked(), ['tools/call']);
  const { answer } = await modern.call('alice', INITIALIZE);
  assert.equal(answer.status, 200);
  assert.ok(!modern.asked().includes('initialize'));
});

test('a client that leaves while the server is asked leaves one entry', async (t) => {
  const world = await startWorld(t, {});
  world.upstream.answerWith(() => undefined);
  const controller = new AbortController();
  const left = world.proxied.entriesDuring(1, async () => {
    const headers = { ...POST, authorization: `Bearer ${tokenOf('alice')}`, ...MODERN_HEADERS };
    const options = { method: 'POST', headers, body: JSON.stringify(MODERN_CALL), signal: controller.signal };
    const asking = world.proxied.ask('/up/mcp', options);
    await waitFor(() => world.upstream.requests.length > 0);
    controller.abort();
    await assert.rejects(asking);
  });
  const [entry, ...more] = await left;
  assert.equal(entry?.['error_code'], 'CLIENT_GONE');
  assert.equal(entry?.['http_status'], 499);
  assert.deepEqual(more, []);
  assert.deepEqual(world.asked(), ['server/discover']);
});
