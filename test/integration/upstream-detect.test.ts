import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import { ProxyError, type ErrorCode } from '../../src/errors.ts';
import { askDiscover, detectRemote, forgetVerdict } from '../../src/upstream/detect.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { startConformanceFixture, startEverything } from '../support/peers.ts';
import { findClosedPort } from '../support/ports.ts';
import { startUpstream, type Answer, type RecordedRequest } from '../support/recording-upstream.ts';
import { remoteAt } from '../support/remote-server.ts';
import { verifies } from '../support/verifies.ts';

after(() => checkNothingLeft());

test('the conformance fixture is modern and tells its card', async (t) => {
  const { url } = await startConformanceFixture(t);
  const found = await detectRemote(await remoteAt(t, url));
  assert.equal(found.kind, 'modern');
  assert.equal(found.kind === 'modern' && found.card?.serverInfo?.['name'], 'conformance-fixture');
});

for (const [transport, kind] of [
  ['streamableHttp', 'legacy-streamable'],
  ['sse', 'legacy-sse'],
] as const) {
  test(`server-everything (${transport}) is ${kind}`, async (t) => {
    const { url } = await startEverything(t, transport);
    assert.deepEqual(await detectRemote(await remoteAt(t, url)), { kind });
  });
}

interface Reply {
  readonly status: number;
  readonly body?: string | object;
  readonly type?: string;
}

/** Answers by what is asked: the method of the message, or GET. */
function scripted(replies: Readonly<Record<string, Reply>>): Answer {
  return ({ request, response }) => {
    const id = request.method === 'POST' ? (request.json() as { id: unknown }).id : null;
    const { status, body = '', type = 'application/json' } = replies[whatOf(request)] ?? { status: 204 };
    response.writeHead(status, { 'content-type': type, 'mcp-session-id': 'S1' });
    if (typeof body !== 'string') return void response.end(JSON.stringify({ jsonrpc: '2.0', id, ...body }));
    response.write(body);
    if (type !== 'text/event-stream') response.end();
  };
}

function whatOf(request: RecordedRequest): string {
  return request.method === 'POST' ? (request.json() as { method: string }).method : request.method;
}

const rpcError = (code: number, data?: unknown): object => ({ error: { code, message: 'no', data } });
const INITIALIZED: Reply = {
  status: 200,
  body: { result: { protocolVersion: '2025-11-25', capabilities: {}, serverInfo: { name: 'x', version: '1' } } },
};
const SSE: Reply = { status: 200, type: 'text/event-stream', body: 'event: endpoint\ndata: /m\n\n' };

const VERDICTS: readonly { name: string; replies: Record<string, Reply>; kind: string }[] = [
  {
    name: '400 with -32000',
    replies: { 'server/discover': { status: 400, body: rpcError(-32000) } },
    kind: 'legacy-streamable',
  },
  {
    name: '200 with -32601',
    replies: { 'server/discover': { status: 200, body: rpcError(-32601) } },
    kind: 'legacy-streamable',
  },
  {
    name: '404 with -32001',
    replies: { 'server/discover': { status: 404, body: rpcError(-32001) } },
    kind: 'legacy-streamable',
  },
  {
    name: '500 with -32603',
    replies: { 'server/discover': { status: 500, body: rpcError(-32603) } },
    kind: 'legacy-streamable',
  },
  { name: 'an empty 400', replies: { 'server/discover': { status: 400 } }, kind: 'legacy-streamable' },
  {
    name: 'a 404 in HTML',
    replies: { 'server/discover': { status: 404, body: '<h1>no', type: 'text/html' } },
    kind: 'legacy-streamable',
  },
  {
    name: 'a page in HTML',
    replies: { 'server/discover': { status: 200, body: '<h1>hi', type: 'text/html' } },
    kind: 'legacy-streamable',
  },
  {
    name: 'a card with legacy revisions only',
    replies: {
      'server/discover': { status: 200, body: { result: { supportedVersions: ['2025-11-25'], capabilities: {} } } },
    },
    kind: 'legacy-streamable',
  },
  {
    name: '-32022 with legacy revisions only',
    replies: { 'server/discover': { status: 400, body: rpcError(-32022, { supported: ['2025-06-18'] }) } },
    kind: 'legacy-streamable',
  },
  {
    name: '-32020 that answers nothing of ours',
    replies: { 'server/discover': { status: 400, body: { id: null, error: { code: -32020, message: 'no' } } } },
    kind: 'legacy-streamable',
  },
  {
    name: '405 to every POST and an endpoint event',
    replies: { 'server/discover': { status: 405 }, initialize: { status: 405 }, GET: SSE },
    kind: 'legacy-sse',
  },
  {
    name: '422 to every POST and an endpoint event',
    replies: { 'server/discover': { status: 422 }, initialize: { status: 422 }, GET: SSE },
    kind: 'legacy-sse',
  },
  {
    name: 'a card',
    replies: {
      'server/discover': { status: 200, body: { result: { supportedVersions: ['2026-07-28'], capabilities: {} } } },
    },
    kind: 'modern',
  },
  {
    name: 'a card as an event',
    replies: {
      'server/discover': {
        status: 200,
        type: 'text/event-stream',
        body: 'data: {"jsonrpc":"2.0","id":"mcproxy-detect","result":{"supportedVersions":["2026-07-28"],"capabilities":{}}}\n\n',
      },
    },
    kind: 'modern',
  },
];

for (const { name, replies, kind } of VERDICTS) {
  verifies(['protocol.case-74', 'protocol.case-77'], `a server that answers ${name} is ${kind}`, async (t) => {
    const upstream = await startUpstream(t, { answer: scripted({ initialize: INITIALIZED, ...replies }) });
    const remote = await remoteAt(t, `${upstream.url}/mcp`);
    assert.equal((await detectRemote(remote)).kind, kind);
    assert.deepEqual(upstream.failures, []);
    const sessions = upstream.requests.filter((request) => whatOf(request) === 'initialize').length;
    const ended = upstream.requests.filter(({ method }) => method === 'DELETE');
    assert.equal(ended.length, sessions, 'a session that the question opened is ended');
    for (const request of ended) assert.deepEqual(request.values('mcp-session-id'), ['S1']);
  });
}

const FAILURES: readonly { name: string; replies: Record<string, Reply>; code: ErrorCode; asked: string[] }[] = [
  {
    name: '401',
    replies: { 'server/discover': { status: 401 } },
    code: 'UPSTREAM_CREDENTIAL',
    asked: ['server/discover'],
  },
  {
    name: '403',
    replies: { 'server/discover': { status: 403 } },
    code: 'UPSTREAM_CREDENTIAL',
    asked: ['server/discover'],
  },
  {
    name: '503',
    replies: { 'server/discover': { status: 503 } },
    code: 'UPSTREAM_NOT_READY',
    asked: ['server/discover'],
  },
  {
    name: '500',
    replies: { 'server/discover': { status: 500 } },
    code: 'UPSTREAM_PROTOCOL',
    asked: ['server/discover'],
  },
  {
    name: '503 with -32603',
    replies: { 'server/discover': { status: 503, body: rpcError(-32603) } },
    code: 'UPSTREAM_NOT_READY',
    asked: ['server/discover'],
  },
  {
    name: '500 to both eras with -32603',
    replies: {
      'server/discover': { status: 500, body: rpcError(-32603) },
      initialize: { status: 500, body: rpcError(-32603) },
    },
    code: 'UPSTREAM_PROTOCOL',
    asked: ['server/discover', 'initialize'],
  },
  {
    name: '302',
    replies: { 'server/discover': { status: 302 } },
    code: 'UPSTREAM_PROTOCOL',
    asked: ['server/discover'],
  },
  {
    name: '-32020 to our question',
    replies: { 'server/discover': { status: 400, body: rpcError(-32020) } },
    code: 'UPSTREAM_PROTOCOL',
    asked: ['server/discover'],
  },
  {
    name: '-32022 with revisions of the future only',
    replies: { 'server/discover': { status: 400, body: rpcError(-32022, { supported: ['2099-01-01'] }) } },
    code: 'UPSTREAM_PROTOCOL',
    asked: ['server/discover'],
  },
  {
    name: '401 to the handshake',
    replies: { 'server/discover': { status: 400 }, initialize: { status: 401 } },
    code: 'UPSTREAM_CREDENTIAL',
    asked: ['server/discover', 'initialize'],
  },
  {
    name: '404 to everything',
    replies: { 'server/discover': { status: 404 }, initialize: { status: 404 }, GET: { status: 404 } },
    code: 'UPSTREAM_PROTOCOL',
    asked: ['server/discover', 'initialize', 'GET'],
  },
  {
    name: 'a stream without an endpoint',
    replies: {
      'server/discover': { status: 404 },
      initialize: { status: 404 },
      GET: { ...SSE, body: 'data: hello\n\n' },
    },
    code: 'UPSTREAM_PROTOCOL',
    asked: ['server/discover', 'initialize', 'GET'],
  },
];

for (const { name, replies, code, asked } of FAILURES) {
  verifies('protocol.case-75', `a server that answers ${name} leaves no verdict`, async (t) => {
    const upstream = await startUpstream(t, { answer: scripted(replies) });
    const remote = await remoteAt(t, `${upstream.url}/mcp`);
    const isExpected = (error: unknown): boolean => error instanceof ProxyError && error.code === code;
    await assert.rejects(detectRemote(remote), isExpected);
    const questions = upstream.requests.map(whatOf).filter((what) => what !== 'DELETE');
    assert.deepEqual(questions, asked);
    await assert.rejects(detectRemote(remote), isExpected);
    assert.ok(upstream.requests.length > questions.length, 'it is asked again');
  });
}

test('a server that is not there is unreachable', async (t) => {
  const remote = await remoteAt(t, `http://127.0.0.1:${await findClosedPort()}/mcp`);
  await assert.rejects(detectRemote(remote), /cannot be reached/);
});

test('a legacy verdict is believed for a while and until it is forgotten', async (t) => {
  const upstream = await startUpstream(t, {
    answer: scripted({ 'server/discover': { status: 400 }, initialize: INITIALIZED }),
  });
  let nowMs = 0;
  const remote = await remoteAt(t, `${upstream.url}/mcp`);
  const clock = { ...remote.clock, monotonicMs: () => nowMs };
  const detect = async (): Promise<number> => {
    const before = upstream.requests.length;
    assert.deepEqual(await detectRemote({ ...remote, clock }), { kind: 'legacy-streamable' });
    return upstream.requests.length - before;
  };
  assert.equal(await detect(), 3);
  assert.equal(await detect(), 0);
  nowMs = 11 * 60_000;
  assert.equal(await detect(), 3);
  forgetVerdict(remote.upstream);
  assert.equal(await detect(), 3);
});

test('a configured transport skips questions', async (t) => {
  const upstream = await startUpstream(t, { answer: scripted({ 'server/discover': { status: 404 } }) });
  const sse = await remoteAt(t, `${upstream.url}/mcp`, { transport: 'sse' });
  assert.deepEqual(await detectRemote(sse), { kind: 'legacy-sse' });
  assert.equal(upstream.requests.length, 0);
  const streamable = await remoteAt(t, `${upstream.url}/mcp`, { transport: 'streamable' });
  assert.deepEqual(await detectRemote(streamable), { kind: 'legacy-streamable' });
  assert.deepEqual(upstream.requests.map(whatOf), ['server/discover']);
});

verifies('protocol.case-75', 'a server that is silent leaves no verdict', async (t) => {
  const upstream = await startUpstream(t, { answer: () => undefined });
  const timeouts = { connectMs: 2_000, firstByteMs: 100, idleMs: 2_000 };
  const remote = await remoteAt(t, `${upstream.url}/mcp`, { timeouts });
  for (let round = 1; round <= 2; round += 1) {
    await assert.rejects(detectRemote(remote), { code: 'UPSTREAM_TIMEOUT' });
    assert.deepEqual(
      upstream.requests.map(whatOf),
      Array.from({ length: round }, () => 'server/discover'),
    );
  }
});

verifies(
  'protocol.case-76',
  'a server that refuses a revision is asked once more with one that it names, and not for initialize',
  async (t) => {
    const card = { result: { supportedVersions: ['2026-07-28'], capabilities: {} } };
    const upstream = await startUpstream(t, {
      answer(conversation) {
        const [revision] = conversation.request.values('mcp-protocol-version');
        const refused = { status: 400, body: rpcError(-32022, { supported: ['2026-07-28'] }) };
        const reply = revision === '2026-07-28' ? { status: 200, body: card } : refused;
        return scripted({ 'server/discover': reply })(conversation);
      },
    });
    const remote = await remoteAt(t, `${upstream.url}/mcp`);
    assert.equal((await askDiscover(remote, '2099-01-01'))?.revision, '2026-07-28');
    assert.deepEqual(upstream.requests.map(whatOf), ['server/discover', 'server/discover']);
  },
);

test('a configured era skips questions', async (t) => {
  const upstream = await startUpstream(t, { answer: scripted({ initialize: INITIALIZED }) });
  const legacy = await remoteAt(t, `${upstream.url}/mcp`, { era: 'legacy' });
  assert.deepEqual(await detectRemote(legacy), { kind: 'legacy-streamable' });
  assert.deepEqual(upstream.requests.map(whatOf), ['initialize', 'DELETE']);
  const modern = await remoteAt(t, `${upstream.url}/mcp`, { era: 'modern' });
  assert.deepEqual(await detectRemote(modern), { kind: 'modern', card: undefined });
  assert.equal(upstream.requests.length, 2);
});
