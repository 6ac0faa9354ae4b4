/**
 * Streamable HTTP towards clients of every revision, on real sockets over a scripted view.
 */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { McpOutcome } from '../../src/mcp/waist.ts';
import { scriptView, startDownstream, type DownstreamServer, type ScriptedView } from '../support/downstream-server.ts';
import { openStream, readUntil, send, type Answer, type StreamedAnswer } from '../support/http-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { waitFor } from '../support/wait.ts';

after(() => checkNothingLeft());

type Json = Record<string, any>; // oxlint-disable-line no-explicit-any -- what came over the wire

const BOTH = 'application/json, text/event-stream';
const DONE: McpOutcome = { kind: 'complete', result: { content: [{ type: 'text', text: 'done' }] } };

async function serving(
  view: ScriptedView,
  body: (server: DownstreamServer) => Promise<void>,
  options: { readonly heartbeatMs?: number } = {},
): Promise<void> {
  const server = await startDownstream(view, options);
  try {
    await body(server);
    assert.deepEqual(server.internal, []);
  } finally {
    await server.close();
  }
}

function modernHeaders(method: string, name?: string): Record<string, string> {
  return {
    accept: BOTH,
    'mcp-protocol-version': '2026-07-28',
    'mcp-method': method,
    ...(name === undefined ? {} : { 'mcp-name': name }),
  };
}

function modernBody(method: string, params: Json = {}, meta: Json = {}, id: string | number = 'r-1'): Json {
  const _meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientCapabilities': {},
    ...meta,
  };
  return { jsonrpc: '2.0', id, method, params: { ...params, _meta } };
}

function postModern(server: DownstreamServer, body: Json): Promise<Answer> {
  const { name, uri } = body['params'] as Json;
  return send(`${server.url}/mcp`, { headers: modernHeaders(body['method'], name ?? uri), body });
}

interface LegacyClient {
  readonly id: string;
  post(body: unknown, headers?: Record<string, string>): Promise<Answer>;
  stream(body: unknown): Promise<StreamedAnswer>;
  listen(): Promise<StreamedAnswer>;
  end(): Promise<Answer>;
}

async function connect(
  server: DownstreamServer,
  options: { readonly revision?: string; readonly capabilities?: Json; readonly path?: string } = {},
): Promise<LegacyClient> {
  const { revision = '2025-11-25', capabilities = {}, path = '/mcp' } = options;
  const url = server.url + path;
  const params = { protocolVersion: revision, capabilities, clientInfo: { name: 'test', version: '1' } };
  const first = await send(url, { headers: { accept: BOTH }, body: request(0, 'initialize', params) });
  assert.equal(first.status, 200);
  assert.equal((first.json() as Json)['result'].protocolVersion, revision);
  const id = first.header('mcp-session-id') ?? '';
  const headers = { accept: BOTH, 'mcp-session-id': id, 'mcp-protocol-version': revision };
  return {
    id,
    post: (body, more = {}) => send(url, { headers: { ...headers, ...more }, body }),
    stream: (body) => openStream(url, { headers, body }),
    listen: () => openStream(url, { headers: { ...headers, accept: 'text/event-stream' } }),
    end: () => send(url, { method: 'DELETE', headers }),
  };
}

function request(id: string | number, method: string, params: Json = {}): Json {
  return { jsonrpc: '2.0', id, method, params };
}

function eventsOf(text: string): Json[] {
  return text
    .split('\n\n')
    .flatMap((block) => block.split('\n').filter((line) => line.startsWith('data: ')))
    .map((line) => JSON.parse(line.slice(6)) as Json);
}

async function readAll(stream: StreamedAnswer): Promise<Json[]> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream.chunks) chunks.push(chunk);
  return eventsOf(Buffer.concat(chunks).toString('utf8'));
}

function endsWith(id: string | number): (text: string) => boolean {
  return (text) => text.includes(`"id":${JSON.stringify(id)}`);
}

test('a modern call without notifications is answered with JSON and logged before', async () => {
  const view = scriptView(() => DONE);
  await serving(view, async (server) => {
    const answer = await postModern(server, modernBody('tools/call', { name: 'files__read' }, { vendor: 1 }, 7));
    assert.equal(answer.status, 200);
    assert.equal(answer.header('content-type'), 'application/json');
    assert.equal(answer.header('mcp-session-id'), undefined);
    const message = answer.json() as Json;
    assert.equal(message['id'], 7);
    assert.equal(message['result'].resultType, 'complete');
    assert.equal(message['result']._meta['io.modelcontextprotocol/serverInfo'].name, 'mcproxy');
    const meta = view.calls[0]?.request.params['_meta'] as Json;
    assert.deepEqual(Object.keys(meta).toSorted(), ['traceparent', 'vendor']);
    const [entry] = server.entries;
    assert.equal(server.entries.length, 1);
    assert.equal(entry?.rpcMethod, 'tools/call');
    assert.equal(entry?.rpcName, 'files__read');
    assert.equal(entry?.upstream, 'files');
    assert.equal(entry?.outcome, 'ok');
    assert.equal(entry?.bytesOut, answer.body.length);
    assert.ok((entry?.bytesIn ?? 0) > 0);
  });
});

test('a modern call that reports progress is answered with a stream that its response ends', async () => {
  const view = scriptView();
  await serving(view, async (server) => {
    const body = modernBody(
      'tools/call',
      { name: 'a' },
      { progressToken: 'p', 'io.modelcontextprotocol/logLevel': 'info' },
    );
    const opening = openStream(`${server.url}/mcp`, { headers: modernHeaders('tools/call', 'a'), body });
    const call = await waitFor(() => view.calls[0]);
    assert.equal(call.request.wantsProgress, true);
    call.events.onProgress({ progress: 1 });
    call.events.onLog({ level: 'info', data: 'x' });
    const stream = await opening;
    assert.equal(stream.header('content-type'), 'text/event-stream');
    assert.equal(stream.header('x-accel-buffering'), 'no');
    assert.equal(server.entries.length, 0);
    call.end({ kind: 'complete', result: { content: [], isError: true } });
    const events = await readAll(stream);
    assert.deepEqual(
      events.map((event) => event['method'] ?? event['id']),
      ['notifications/progress', 'notifications/message', 'r-1'],
    );
    assert.equal(events[0]?.['params'].progressToken, 'p');
    assert.equal(server.entries[0]?.toolError, true);
    assert.equal(server.entries[0]?.outcome, 'ok');
  });
});

const MODERN_ENDS: { name: string; outcome: McpOutcome; status: number; logged: Json; code: number }[] = [
  {
    name: 'an unknown method',
    outcome: { kind: 'error', code: -32601, message: 'no', data: undefined },
    status: 404,
    code: -32601,
    logged: { rpcError: -32601, outcome: 'client_error', errorCode: null },
  },
  {
    name: 'a missing capability',
    outcome: { kind: 'error', code: -32021, message: 'no', data: { requiredCapabilities: { sampling: {} } } },
    status: 400,
    code: -32021,
    logged: { rpcError: -32021, outcome: 'client_error', errorCode: null },
  },
  {
    name: 'a server that is down',
    outcome: { kind: 'error', code: 503, message: 'down', data: { source: 'mcproxy', code: 'UPSTREAM_NOT_READY' } },
    status: 200,
    code: 503,
    logged: { rpcError: 503, outcome: 'upstream_error', errorCode: 'UPSTREAM_NOT_READY' },
  },
];

for (const { name, outcome, status, code, logged } of MODERN_ENDS) {
  test(`${name} is told to a modern client with its status and logged`, async () => {
    await serving(
      scriptView(() => outcome),
      async (server) => {
        const answer = await postModern(server, modernBody('resources/list'));
        assert.equal(answer.status, status);
        const { error } = answer.json() as Json;
        assert.equal(error.code, code);
        if (error.data?.source === 'mcproxy') assert.equal(error.data.request_id, server.entries[0]?.requestId);
        const entry = server.entries[0] as unknown as Json;
        for (const [field, value] of Object.entries(logged)) assert.equal(entry[field], value, field);
      },
    );
  });
}

test('server/discover and lists say how long they may be kept', async () => {
  await serving(
    scriptView(() => ({ kind: 'complete', result: { tools: [] } })),
    async (server) => {
      const { result } = (await postModern(server, modernBody('server/discover'))).json() as Json;
      assert.deepEqual(result.supportedVersions, ['2026-07-28']);
      assert.equal(result.instructions, 'Be kind.');
      assert.equal(result.ttlMs, 0);
      const list = ((await postModern(server, modernBody('tools/list'))).json() as Json)['result'];
      assert.equal(list.cacheScope, 'private');
    },
  );
});

test('a question passes to a modern client as it is and its answers come back', async () => {
  const inputRequests = { q: { method: 'elicitation/create' as const, params: { message: 'Sure?' } } };
  const view = scriptView((asked) =>
    asked.params['inputResponses'] === undefined ? { kind: 'input_required', inputRequests, requestState: 's' } : DONE,
  );
  await serving(view, async (server) => {
    const { result } = (await postModern(server, modernBody('tools/call', { name: 'a' }))).json() as Json;
    assert.equal(result.resultType, 'input_required');
    assert.deepEqual(result.inputRequests, inputRequests);
    const retry = { name: 'a', inputResponses: { q: { action: 'accept' } }, requestState: result.requestState };
    const answer = await postModern(server, modernBody('tools/call', retry, {}, 'r-2'));
    assert.equal((answer.json() as Json)['result'].resultType, 'complete');
    assert.deepEqual(view.calls[1]?.request.params['inputResponses'], { q: { action: 'accept' } });
  });
});

test('a modern client that closes its stream cancels, and the entry says that it left', async () => {
  const view = scriptView();
  await serving(view, async (server) => {
    const body = modernBody('tools/call', { name: 'a' }, { progressToken: 1 });
    const opening = openStream(`${server.url}/mcp`, { headers: modernHeaders('tools/call', 'a'), body });
    const call = await waitFor(() => view.calls[0]);
    call.events.onProgress({ progress: 1 });
    (await opening).close();
    await waitFor(() => call.cancelled !== undefined);
    await waitFor(() => server.entries.length === 1);
    assert.equal(server.entries[0]?.outcome, 'cancelled');
  });
});

test('a modern client that leaves before any answer cancels too', async () => {
  const view = scriptView();
  await serving(view, async (server) => {
    const abort = new AbortController();
    const body = modernBody('tools/call', { name: 'a' });
    const headers = modernHeaders('tools/call', 'a');
    const left = assert.rejects(send(`${server.url}/mcp`, { headers, body, signal: abort.signal }));
    const call = await waitFor(() => view.calls[0]);
    abort.abort();
    await left;
    await waitFor(() => call.cancelled !== undefined);
    await waitFor(() => server.entries[0]?.httpStatus === 499);
  });
});

test('listen confirms what is honoured first, tells only that, and ends with a closing result', async () => {
  const view = scriptView();
  await serving(view, async (server) => {
    const notifications = {
      toolsListChanged: true,
      promptsListChanged: true,
      resourceSubscriptions: ['file:///a', 'deaf:b'],
    };
    const body = modernBody('subscriptions/listen', { notifications }, {}, 0);
    const stream = await openStream(`${server.url}/mcp`, { headers: modernHeaders('subscriptions/listen'), body });
    await waitFor(() => view.listenerCount === 1);
    for (const kind of ['prompts', 'resources', 'tools'] as const) view.change({ kind });
    view.change({ kind: 'resource', uri: 'file:///other' });
    view.change({ kind: 'resource', uri: 'file:///a/part' });
    await waitFor(() => [...server.open][0]?.streaming);
    server.downstream.endPrincipal('bob');
    server.downstream.close();
    const events = await readAll(stream);
    assert.deepEqual(
      events.map((event) => event['method'] ?? 'result'),
      [
        'notifications/subscriptions/acknowledged',
        'notifications/tools/list_changed',
        'notifications/resources/updated',
        'result',
      ],
    );
    assert.deepEqual(events[0]?.['params'].notifications, {
      toolsListChanged: true,
      resourceSubscriptions: ['file:///a'],
    });
    for (const { params, result } of events) {
      assert.equal((params ?? result)._meta['io.modelcontextprotocol/subscriptionId'], 0);
    }
    assert.equal(events[3]?.['result'].resultType, 'complete');
    assert.equal(server.entries[0]?.outcome, 'ok');
    await waitFor(() => view.listenerCount === 0 && view.subscribed.get('file:///a') === 0);
  });
});

test('a listen that the client leaves is let go of and is no failure', async () => {
  const view = scriptView();
  await serving(view, async (server) => {
    const body = modernBody('subscriptions/listen', { notifications: { resourceSubscriptions: ['file:///a'] } });
    const stream = await openStream(`${server.url}/mcp`, { headers: modernHeaders('subscriptions/listen'), body });
    await readUntil(stream, (text) => text.includes('acknowledged'));
    stream.close();
    await waitFor(() => view.listenerCount === 0 && view.subscribed.get('file:///a') === 0);
    await waitFor(() => server.entries[0]?.outcome === 'ok');
  });
});

test('a malformed listen filter is -32602 and subscribes to nothing', async () => {
  const view = scriptView();
  await serving(view, async (server) => {
    const answer = await postModern(server, modernBody('subscriptions/listen', { notifications: [] }));
    assert.equal((answer.json() as Json)['error'].code, -32602);
    assert.equal(view.listenerCount, 0);
  });
});

test('a silent call turns into a stream with comments before an intermediary cuts it', async () => {
  const view = scriptView();
  await serving(
    view,
    async (server) => {
      const body = modernBody('tools/call', { name: 'a' });
      const stream = await openStream(`${server.url}/mcp`, { headers: modernHeaders('tools/call', 'a'), body });
      await readUntil(stream, (text) => text.includes(': keep-alive'));
      stream.close();
      await waitFor(() => view.calls[0]?.cancelled !== undefined);
    },
    { heartbeatMs: 20 },
  );
});

test('a legacy session goes from initialize to DELETE, and its id is dead afterwards', async () => {
  const view = scriptView(() => DONE);
  await serving(view, async (server) => {
    const client = await connect(server);
    assert.match(client.id, /^[\x21-\x7e]+$/);
    const accepted = await client.post({ jsonrpc: '2.0', method: 'notifications/initialized' });
    assert.equal(accepted.status, 202);
    assert.equal(accepted.body.length, 0);
    assert.deepEqual(((await client.post(request(1, 'ping'))).json() as Json)['result'], {});
    assert.equal(view.calls.length, 0);
    const answer = (await client.post(request('1', 'tools/call', { name: 'a' }))).json() as Json;
    assert.equal(answer['id'], '1');
    assert.equal(answer['result'].resultType, undefined);
    assert.equal((await client.end()).status, 200);
    assert.equal((await client.post(request(2, 'ping'))).status, 404);
    assert.equal(server.entries.length, 6);
    assert.equal(server.entries[5]?.errorCode, 'SESSION_UNKNOWN');
  });
});

const SESSION_REFUSALS: {
  name: string;
  headers: (id: string) => Record<string, string>;
  status: number;
  path?: string;
}[] = [
  { name: 'no session id', headers: () => ({}), status: 400 },
  { name: 'garbage for a session id', headers: () => ({ 'mcp-session-id': 'x'.repeat(60) }), status: 404 },
  {
    name: "another user's session id",
    headers: (id) => ({ 'mcp-session-id': id, 'x-test-user': 'bob' }),
    status: 404,
  },
  {
    name: 'the session id of another endpoint',
    headers: (id) => ({ 'mcp-session-id': id }),
    status: 404,
    path: '/files/mcp',
  },
  {
    name: 'an unknown revision in the header',
    headers: (id) => ({ 'mcp-session-id': id, 'mcp-protocol-version': '1900-01-01' }),
    status: 400,
  },
];

for (const { name, headers, status, path = '/mcp' } of SESSION_REFUSALS) {
  test(`a legacy request with ${name} is refused with ${status}`, async () => {
    const view = scriptView(() => DONE);
    await serving(view, async (server) => {
      const client = await connect(server);
      const answer = await send(server.url + path, {
        headers: { accept: BOTH, ...headers(client.id) },
        body: request(5, 'tools/list'),
      });
      assert.equal(answer.status, status);
      assert.equal((answer.json() as Json)['id'], 5);
      assert.equal(view.calls.length, 0);
    });
  });
}

test('an unknown method in a session is 200 with -32601', async () => {
  const unknown: McpOutcome = { kind: 'error', code: -32601, message: 'no', data: undefined };
  await serving(
    scriptView(() => unknown),
    async (server) => {
      const client = await connect(server);
      const answer = await client.post(request(1, 'does/not/exist'));
      assert.equal(answer.status, 200);
      assert.equal((answer.json() as Json)['error'].code, -32601);
    },
  );
});

test('a session goes on after a restart with what its id says', async () => {
  const view = scriptView(() => DONE);
  await serving(view, async (server) => {
    const client = await connect(server, { capabilities: { elicitation: { url: {} }, tasks: {}, roots: {} } });
    server.restart();
    assert.equal((await client.post(request(1, 'tools/call', { name: 'a' }))).status, 200);
    assert.deepEqual(view.calls[0]?.request.clientCapabilities, { roots: {}, elicitation: { url: {} } });
    assert.deepEqual(view.calls[0]?.request.clientInfo, { name: 'test', version: '1' });
  });
});

test('questions become requests on the stream of their call, and answers let it go on', async () => {
  const view = scriptView((asked) =>
    asked.params['inputResponses'] === undefined
      ? {
          kind: 'input_required',
          inputRequests: {
            sure: { method: 'elicitation/create', params: { mode: 'form', message: 'Sure?', requestedSchema: {} } },
            where: { method: 'roots/list', params: {} },
          },
          requestState: 'state',
        }
      : DONE,
  );
  await serving(view, async (server) => {
    const client = await connect(server, { revision: '2025-06-18', capabilities: { elicitation: {}, roots: {} } });
    const stream = await client.stream(request(9, 'tools/call', { name: 'a', requestState: 'forged' }));
    assert.equal(view.calls[0]?.request.params['requestState'], undefined);
    const asked = eventsOf(
      await readUntil(stream, (text) => text.includes('elicitation/create') && text.includes('roots/list')),
    );
    const [sure, where] = asked as [Json, Json];
    assert.notEqual(sure['id'], where['id']);
    assert.equal(sure['params'].mode, undefined);
    const refusal = { jsonrpc: '2.0', id: where['id'], error: { code: -32601, message: 'no' } };
    assert.equal((await client.post(refusal)).status, 202);
    await client.post({ jsonrpc: '2.0', id: sure['id'], result: { action: 'decline' } });
    const last = eventsOf(await readUntil(stream, endsWith(9)));
    assert.equal(last.at(-1)?.['result'].content[0].text, 'done');
    assert.deepEqual(view.calls[1]?.request.params['inputResponses'], {
      sure: { action: 'decline' },
      where: { roots: [] },
    });
    assert.equal(view.calls[1]?.request.params['requestState'], 'state');
    const entry = server.entries.find(({ rpcMethod }) => rpcMethod === 'tools/call');
    assert.equal(entry?.httpStatus, 200);
  });
});

test('sampling that the client refuses ends the call with text for the model, and nothing is repeated', async () => {
  const view = scriptView(() => ({
    kind: 'input_required',
    inputRequests: { s: { method: 'sampling/createMessage', params: { messages: [], maxTokens: 1 } } },
    requestState: undefined,
  }));
  await serving(view, async (server) => {
    const client = await connect(server, { capabilities: { sampling: {} } });
    const stream = await client.stream(request(3, 'tools/call', { name: 'a' }));
    const [asked] = eventsOf(await readUntil(stream, (text) => text.includes('sampling/createMessage')));
    await client.post({ jsonrpc: '2.0', id: asked?.['id'], error: { code: -1, message: 'User rejected' } });
    const [answer] = eventsOf(await readUntil(stream, endsWith(3)));
    assert.equal(answer?.['result'].isError, true);
    assert.equal(view.calls.length, 1);
  });
});

test('a question without an end is given up after a bounded number of rounds', async () => {
  const view = scriptView(() => ({
    kind: 'input_required',
    inputRequests: { r: { method: 'roots/list', params: {} } },
    requestState: undefined,
  }));
  await serving(view, async (server) => {
    const client = await connect(server, { capabilities: { roots: {} } });
    const stream = await client.stream(request('end', 'tools/call', { name: 'a' }));
    let text = '';
    const answered = new Set<unknown>();
    for await (const chunk of stream.chunks) {
      text += chunk.toString('utf8');
      for (const event of eventsOf(text)) {
        if (event['method'] !== 'roots/list' || answered.has(event['id'])) continue;
        answered.add(event['id']);
        void client.post({ jsonrpc: '2.0', id: event['id'], result: { roots: [] } });
      }
    }
    assert.equal(eventsOf(text).at(-1)?.['error'].code, -32603);
    assert.equal(view.calls.length, 9);
  });
});

test('a legacy client that drops its connection has not cancelled; the notification does, without a response', async () => {
  const view = scriptView();
  await serving(view, async (server) => {
    const client = await connect(server);
    const dropped = client.stream(request(1, 'tools/call', { name: 'a', _meta: { progressToken: 1 } }));
    const first = await waitFor(() => view.calls[0]);
    first.events.onProgress({ progress: 1 });
    (await dropped).close();
    await waitFor(() => server.entries.some(({ outcome }) => outcome === 'cancelled'));
    assert.equal(first.cancelled, undefined);
    first.end(DONE);
    const answering = client.post(request(2, 'tools/call', { name: 'a' }));
    const second = await waitFor(() => view.calls[1]);
    const cancel = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 2, reason: 'enough' } };
    assert.equal((await client.post(cancel)).status, 202);
    const answer = await answering;
    assert.equal(answer.body.length, 0);
    assert.equal(second.cancelled, 'enough');
  });
});

test('a batch is served in a session of 2025-03-26 and refused in a later one', async () => {
  const view = scriptView(() => DONE);
  await serving(view, async (server) => {
    const batch = [
      request(1, 'ping'),
      { jsonrpc: '2.0', method: 'notifications/initialized' },
      request(2, 'tools/call'),
    ];
    const old = await connect(server, { revision: '2025-03-26' });
    const answer = (await old.post(batch)).json() as Json[];
    assert.deepEqual(answer.map(({ id }) => id).toSorted(), [1, 2]);
    assert.equal((await old.post([{ jsonrpc: '2.0', method: 'notifications/initialized' }])).status, 202);
    const recent = await connect(server);
    assert.equal((await recent.post(batch)).status, 400);
    assert.equal(server.entries.filter(({ rpcMethod }) => rpcMethod === 'batch').length, 2);
  });
});

test('changes go to one stream of the session, and updates only to who subscribed', async () => {
  const view = scriptView();
  await serving(view, async (server) => {
    const client = await connect(server);
    const first = await client.listen();
    const second = await client.listen();
    assert.equal((await client.post(request(1, 'resources/subscribe', { uri: 'file:///a' }))).status, 200);
    await client.post(request(2, 'resources/subscribe', { uri: 'file:///a' }));
    assert.equal(view.subscribed.get('file:///a'), 1);
    const deaf = (await client.post(request(3, 'resources/subscribe', { uri: 'deaf:b' }))).json() as Json;
    assert.equal(deaf['error'].code, -32602);
    view.change({ kind: 'tools' });
    view.change({ kind: 'resource', uri: 'file:///b' });
    view.change({ kind: 'resource', uri: 'file:///a/part' });
    for (const exchange of server.open) if (exchange.streaming) exchange.stop?.('shutdown');
    assert.deepEqual(await readAll(first), []);
    const told = await readAll(second);
    assert.deepEqual(
      told.map((event) => event['params']?.uri ?? event['method']),
      ['notifications/tools/list_changed', 'file:///a/part'],
    );
    await waitFor(() => view.listenerCount === 0);
    await client.end();
    await waitFor(() => view.subscribed.get('file:///a') === 0);
  });
});

test('the log level of a session holds for its later requests', async () => {
  const view = scriptView(() => DONE);
  await serving(view, async (server) => {
    const client = await connect(server);
    assert.equal((await client.post(request(1, 'logging/setLevel', { level: 'error' }))).status, 200);
    const wrong = (await client.post(request(2, 'logging/setLevel', { level: 'loud' }))).json() as Json;
    assert.equal(wrong['error'].code, -32602);
    await client.post(request(3, 'tools/call', { name: 'a' }));
    assert.equal(view.calls[0]?.request.logLevel, 'error');
    await (await connect(server)).post(request(3, 'tools/call', { name: 'a' }));
    assert.equal(view.calls[1]?.request.logLevel, 'info');
  });
});

test('what cannot be read is refused with the status of the error table', async () => {
  await serving(scriptView(), async (server) => {
    const url = `${server.url}/mcp`;
    const headers = { accept: BOTH, 'content-type': 'application/json' };
    assert.equal((await send(url, { headers, body: '{' })).status, 400);
    assert.equal((await send(url, { headers, body: '[]' })).status, 400);
    const tooLong = { ...headers, 'content-length': String(17 * 1024 * 1024) };
    assert.equal(
      (await send(url, { headers: tooLong, body: '{}', method: 'POST' }).catch(() => ({ status: 413 }))).status,
      413,
    );
    const codes = server.entries.map(({ errorCode }) => errorCode);
    assert.deepEqual(codes, ['RPC_PARSE', 'RPC_INVALID', 'BODY_TOO_LARGE']);
  });
});

test('a body longer than what the relay holds is read whole', async () => {
  const view = scriptView(() => DONE);
  await serving(view, async (server) => {
    const text = 'x'.repeat(400 * 1024);
    const answer = await postModern(server, modernBody('tools/call', { name: 'a', arguments: { text } }));
    assert.equal(answer.status, 200);
    assert.deepEqual(view.calls[0]?.request.params['arguments'], { text });
  });
});

test('a user who is removed loses the streams of its sessions, others do not', async () => {
  const view = scriptView();
  await serving(view, async (server) => {
    const client = await connect(server);
    const stream = await client.listen();
    await waitFor(() => view.listenerCount === 1);
    server.downstream.endPrincipal('bob');
    assert.equal(view.listenerCount, 1);
    server.downstream.endPrincipal('alice');
    assert.deepEqual(await readAll(stream), []);
  });
});

test('a stop in the middle of a call answers it with an error', async () => {
  const view = scriptView();
  await serving(view, async (server) => {
    const client = await connect(server);
    const answering = client.post(request(1, 'tools/call', { name: 'a' }));
    await waitFor(() => view.calls[0]);
    for (const exchange of server.open) exchange.stop?.('abort');
    const { error } = (await answering).json() as Json;
    assert.equal(error.data.code, 'SHUTTING_DOWN');
    await waitFor(() => view.calls[0]?.cancelled !== undefined);
    assert.equal(server.entries.at(-1)?.errorCode, 'SHUTTING_DOWN');
  });
});
