import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { after, test, type TestContext } from 'node:test';

import type { JsonObject, McpOutcome, McpPeer, McpRequest } from '../../src/mcp/waist.ts';
import { openModernHttp, type ModernPeer } from '../../src/upstream/modern-http.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { startUpstream, type Conversation, type RecordingUpstream } from '../support/recording-upstream.ts';
import { remoteAt, type Remote, type RemoteSpec } from '../support/remote-server.ts';
import { waitFor } from '../support/wait.ts';
import { verifies } from '../support/verifies.ts';

after(() => checkNothingLeft());

interface Message {
  readonly id: number;
  readonly method: string;
  readonly params: JsonObject & { readonly _meta: JsonObject };
}

type Behaviour = (conversation: Conversation & { readonly message: Message }) => void;

interface Setup {
  readonly peer: ModernPeer;
  readonly upstream: RecordingUpstream;
  readonly remote: Remote;
  /** Messages that the server got. */
  readonly sent: () => Message[];
}

async function setUp(t: TestContext, behave: Behaviour, spec: RemoteSpec = {}): Promise<Setup> {
  const upstream = await startUpstream(t, {
    answer: (conversation) => behave({ ...conversation, message: conversation.request.json() as Message }),
  });
  const remote = await remoteAt(t, `${upstream.url}/mcp`, { fields: ['Authorization', 'Bearer out'], ...spec });
  const peer = openModernHttp(remote);
  t.after(() => peer.close());
  return { peer, upstream, remote, sent: () => upstream.requests.map((request) => request.json() as Message) };
}

// oxlint-disable-next-line max-params -- what is answered, to what, how
function reply(response: ServerResponse, message: Message, body: object, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ jsonrpc: '2.0', id: message.id, ...body }));
}

const CALL: McpRequest = {
  method: 'tools/call',
  params: { name: 'x', arguments: {} },
  clientCapabilities: {},
  clientInfo: undefined,
  logLevel: undefined,
  wantsProgress: false,
};
const LIST: McpRequest = { ...CALL, method: 'tools/list', params: {} };
const SILENT = { onProgress: () => undefined, onLog: () => undefined };

function ask(peer: McpPeer, request: McpRequest): Promise<McpOutcome> {
  return peer.call(request, SILENT).outcome;
}

test('the headers mirror the body, and the metadata is made anew', async (t) => {
  const { peer, upstream, sent } = await setUp(t, ({ message, response }) => reply(response, message, { result: {} }));
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const stale = { 'io.modelcontextprotocol/protocolVersion': '2020-01-01', progressToken: 'theirs' };
  await ask(peer, {
    ...CALL,
    params: { name: 'größe ', _meta: { ...stale, traceparent, 'com.example/k': 1 } },
    clientCapabilities: { roots: {} },
    clientInfo: { name: 'c', version: '1' },
    logLevel: 'error',
    wantsProgress: true,
  });
  const [request] = upstream.requests;
  const expected: Record<string, string> = {
    'mcp-protocol-version': '2026-07-28',
    'mcp-method': 'tools/call',
    'mcp-name': `=?base64?${Buffer.from('größe ').toString('base64')}?=`,
    accept: 'application/json, text/event-stream',
    'content-type': 'application/json',
    authorization: 'Bearer out',
    traceparent,
  };
  for (const [name, value] of Object.entries(expected)) assert.deepEqual(request?.values(name), [value], name);
  assert.deepEqual(request?.values('mcp-session-id'), []);
  const [message] = sent();
  assert.deepEqual(message?.params['_meta'], {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientCapabilities': { roots: {} },
    'io.modelcontextprotocol/clientInfo': { name: 'c', version: '1' },
    'io.modelcontextprotocol/logLevel': 'error',
    progressToken: message?.id,
    traceparent,
    'com.example/k': 1,
  });
});

const OUTCOMES: readonly { name: string; request?: McpRequest; status?: number; body: object; wanted: object }[] = [
  {
    name: 'an unknown method (404)',
    status: 404,
    body: { error: { code: -32601, message: 'no' } },
    wanted: { kind: 'error', code: -32601, message: 'no', data: undefined },
  },
  {
    name: 'a missing capability (400)',
    status: 400,
    body: { error: { code: -32021, message: 'no', data: { requiredCapabilities: { sampling: {} } } } },
    wanted: { kind: 'error', code: -32021, data: { requiredCapabilities: { sampling: {} } } },
  },
  {
    name: 'an error that names no request',
    body: { id: null, error: { code: -32603, message: 'no' } },
    wanted: { kind: 'error', code: -32603 },
  },
  {
    name: 'a refused revision',
    status: 400,
    body: { error: { code: -32022, message: 'no', data: { supported: ['2099-01-01'] } } },
    wanted: { kind: 'error', code: 502, data: { source: 'mcproxy', notProcessed: true } },
  },
  {
    name: 'a result without a type',
    body: { result: { content: [] } },
    wanted: { kind: 'complete', result: { content: [] } },
  },
  {
    name: 'a result of an unknown type',
    body: { result: { resultType: 'later' } },
    wanted: { kind: 'error', code: 502, data: { code: 'UPSTREAM_PROTOCOL' } },
  },
  {
    name: 'a question in answer to a list',
    request: LIST,
    body: { result: { resultType: 'input_required', requestState: 's' } },
    wanted: { kind: 'error', code: 502 },
  },
  {
    name: 'a question that was not declared',
    body: { result: { resultType: 'input_required', inputRequests: { r: { method: 'roots/list' } } } },
    wanted: { kind: 'error', code: 502 },
  },
  {
    name: 'a task unasked',
    body: { result: { resultType: 'task', taskId: 't' } },
    wanted: { kind: 'error', code: 502 },
  },
  { name: 'the response to another request', body: { id: 'x', result: {} }, wanted: { kind: 'error', code: 502 } },
  {
    name: 'a refused credential',
    status: 401,
    body: {},
    wanted: { kind: 'error', code: 502, data: { code: 'UPSTREAM_CREDENTIAL' } },
  },
  {
    name: 'no time now',
    status: 503,
    body: {},
    wanted: { kind: 'error', code: 503, data: { code: 'UPSTREAM_NOT_READY', notProcessed: true } },
  },
];

for (const { name, request = CALL, status = 200, body, wanted } of OUTCOMES) {
  test(`${name} is reported as what it is`, async (t) => {
    const { peer, sent } = await setUp(t, ({ message, response }) => reply(response, message, body, status));
    assertContains(await ask(peer, request), wanted);
    assert.equal(sent().length, 1);
  });
}

/** Every member of `wanted` is in `actual` with that value. */
function assertContains(actual: unknown, wanted: unknown): void {
  if (typeof wanted !== 'object' || wanted === null || Array.isArray(wanted)) return assert.deepEqual(actual, wanted);
  for (const [key, value] of Object.entries(wanted)) assertContains((actual as JsonObject)[key], value);
}

test('only what was asked for is told while a call runs', async (t) => {
  const { peer, remote } = await setUp(t, ({ message, response }) => {
    const token = message.params['_meta']['progressToken'];
    const progress = (params: object): object => ({ method: 'notifications/progress', params });
    const events = [
      progress({ progressToken: token, progress: 1 }),
      progress({ progressToken: token, progress: 1 }),
      progress({ progressToken: 'foreign', progress: 5 }),
      progress({ progressToken: token, progress: 0.5 }),
      progress({ progressToken: token, progress: 2, message: 'half' }),
      { method: 'notifications/message', params: { level: 'debug', data: 'quiet' } },
      { method: 'notifications/message', params: { level: 'error', data: 'loud' } },
      { id: 'q', method: 'sampling/createMessage', params: {} },
      { id: message.id, result: { content: [] } },
      progress({ progressToken: token, progress: 3 }),
    ];
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(': comment\n\n');
    for (const event of events) response.write(`data: ${JSON.stringify({ jsonrpc: '2.0', ...event })}\n\n`);
    response.end();
  });
  const progress: JsonObject[] = [];
  const logs: JsonObject[] = [];
  const call = peer.call(
    { ...CALL, wantsProgress: true, logLevel: 'info' },
    { onProgress: (params) => progress.push(params), onLog: (params) => logs.push(params) },
  );
  assert.equal((await call.outcome).kind, 'complete');
  assert.deepEqual(progress, [{ progress: 1 }, { progress: 2, message: 'half' }]);
  assert.deepEqual(logs, [{ level: 'error', data: 'loud' }]);
  assert.equal(remote.diags.length, 1);
});

test('a cut answer is asked for again only where asking merely reads, under a new id', async (t) => {
  const { peer, sent } = await setUp(
    t,
    ({ message, response, index }) => {
      if (index >= 2) return reply(response, message, { result: { tools: [] } });
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(': begun\n\n');
      setImmediate(() => response.destroy());
    },
    { retries: 3 },
  );
  const outcome = await ask(peer, CALL);
  assertContains(outcome, { kind: 'error', code: 502, data: { code: 'UPSTREAM_CLOSED' } });
  assert.equal(sent().length, 1);
  assert.equal((await ask(peer, LIST)).kind, 'complete');
  assert.equal(new Set(sent().map(({ id }) => id)).size, 3);
});

for (const when of ['before the answer', 'in the middle of the answer']) {
  test(`cancelling ${when} closes the connection, and the outcome is known at once`, async (t) => {
    let isGone = false;
    let hasArrived = false;
    const { peer } = await setUp(t, ({ message, response }) => {
      hasArrived = true;
      response.once('close', () => {
        isGone = true;
      });
      if (when === 'before the answer') return;
      const progressToken = message.params['_meta']['progressToken'];
      const event = { jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken, progress: 1 } };
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(`data: ${JSON.stringify(event)}\n\n`);
    });
    let hasBegun = when === 'before the answer';
    const call = peer.call(
      { ...CALL, wantsProgress: true },
      {
        ...SILENT,
        onProgress: () => {
          hasBegun = true;
        },
      },
    );
    await waitFor(() => hasArrived && hasBegun);
    call.cancel('enough');
    assertContains(await call.outcome, { kind: 'error', data: { code: 'CLIENT_GONE' } });
    await waitFor(() => isGone);
  });
}

verifies(
  'protocol.case-72',
  'a server that goes on refusing the headers is asked for its tools once and for the call twice',
  async (t) => {
    const { peer, sent } = await setUp(t, ({ message, response }) => {
      if (message.method === 'tools/list') return reply(response, message, { result: { tools: [] } });
      reply(response, message, { error: { code: -32020, message: 'no' } }, 400);
    });
    assertContains(await ask(peer, CALL), { kind: 'error', code: 502, data: { source: 'mcproxy' } });
    assert.deepEqual(
      sent().map(({ method }) => method),
      ['tools/call', 'tools/list', 'tools/call'],
    );
  },
);

verifies(
  'protocol.case-73',
  'mirrored arguments are known from the list that passed, and bad annotations hide a tool',
  async (t) => {
    const schema = (property: object): object => ({ type: 'object', properties: { region: property } });
    const { peer, upstream, remote } = await setUp(t, ({ message, response }) => {
      const tools = [
        { name: 'good', inputSchema: schema({ type: 'string', 'x-mcp-header': 'Region' }) },
        { name: 'bad', inputSchema: schema({ type: 'object', 'x-mcp-header': 'Region' }) },
        { name: 'plain', inputSchema: schema({ type: 'string' }) },
      ];
      reply(response, message, { result: message.method === 'tools/list' ? { tools } : {} });
    });
    const listed = await ask(peer, LIST);
    const tools = listed.kind === 'complete' ? (listed.result['tools'] as JsonObject[]) : [];
    assert.deepEqual(
      tools.map(({ name }) => name),
      ['good', 'plain'],
    );
    assert.equal(remote.diags.length, 1);
    await ask(peer, { ...CALL, params: { name: 'good', arguments: { region: 'a\r\nX: y' } } });
    const encoded = `=?base64?${Buffer.from('a\r\nX: y').toString('base64')}?=`;
    assert.deepEqual(upstream.requests.at(-1)?.values('mcp-param-region'), [encoded]);
    await ask(peer, { ...CALL, params: { name: 'good', arguments: { region: null } } });
    assert.deepEqual(upstream.requests.at(-1)?.values('mcp-param-region'), []);
  },
);

test('what a server says about itself is kept for a while', async (t) => {
  const result = { supportedVersions: ['2026-07-28'], capabilities: { tools: {} }, ttlMs: 60_000 };
  const { upstream, remote } = await setUp(t, ({ message, response }) => reply(response, message, { result }));
  let nowMs = 0;
  const peer = openModernHttp({ ...remote, clock: { ...remote.clock, monotonicMs: () => nowMs } });
  t.after(() => peer.close());
  const [first, second] = await Promise.all([peer.describe(), peer.describe()]);
  assert.deepEqual(first, second);
  nowMs = 59_000;
  await peer.describe();
  assert.equal(upstream.requests.length, 1);
  nowMs = 61_000;
  await peer.describe();
  assert.equal(upstream.requests.length, 2);
});

test('a server that has stopped being modern is not described', async (t) => {
  const { peer } = await setUp(t, ({ message, response }) => {
    reply(response, message, { error: { code: -32601, message: 'no' } }, 404);
  });
  await assert.rejects(peer.describe(), /does not say that it speaks/);
  assert.match((await peer.ended).message, /does not say that it speaks/);
});
