/**
 * Requests of 2026-07-28 over a real socket and a scripted view, and what no era can read.
 */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { McpOutcome } from '../../src/mcp/waist.ts';
import {
  BOTH,
  DONE,
  callOf,
  modernBody,
  modernHeaders,
  postModern,
  readAll,
  serving,
  type Json,
} from '../support/downstream-clients.ts';
import { scriptView } from '../support/downstream-server.ts';
import { openStream, readUntil, send } from '../support/http-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { waitFor } from '../support/wait.ts';

after(() => checkNothingLeft());

test('a modern call without notifications is answered with JSON and logged before', async () => {
  const view = scriptView(() => DONE);
  await serving(view, async (server) => {
    const answer = await postModern(
      server,
      modernBody('tools/call', { name: 'files__read' }, { meta: { vendor: 1 }, id: 7 }),
    );
    assert.equal(answer.status, 200);
    assert.equal(answer.header('content-type'), 'application/json');
    assert.equal(answer.header('mcp-session-id'), undefined);
    const message = answer.json() as Json;
    assert.equal(message['id'], 7);
    assert.equal(message['result'].resultType, 'complete');
    assert.equal(message['result']['_meta']['io.modelcontextprotocol/serverInfo'].name, 'mcproxy');
    const { params = {} } = view.calls[0]?.request ?? {};
    assert.deepEqual(Object.keys((params as Json)['_meta']).toSorted(), ['traceparent', 'vendor']);
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
      { meta: { progressToken: 'p', 'io.modelcontextprotocol/logLevel': 'info' } },
    );
    const opening = openStream(`${server.url}/mcp`, { headers: modernHeaders('tools/call', 'a'), body });
    const call = await callOf(view, 0);
    assert.equal(call.request.wantsProgress, true);
    call.events.onProgress({ progress: 1 });
    call.events.onLog({ level: 'debug', data: 'too little' });
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
    const answer = await postModern(server, modernBody('tools/call', retry, { id: 'r-2' }));
    assert.equal((answer.json() as Json)['result'].resultType, 'complete');
    assert.deepEqual(view.calls[1]?.request.params['inputResponses'], { q: { action: 'accept' } });
  });
});

test('a modern client that closes its stream cancels, and the entry says that it left', async () => {
  const view = scriptView();
  await serving(view, async (server) => {
    const body = modernBody('tools/call', { name: 'a' }, { meta: { progressToken: 1 } });
    const opening = openStream(`${server.url}/mcp`, { headers: modernHeaders('tools/call', 'a'), body });
    const call = await callOf(view, 0);
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
    const call = await callOf(view, 0);
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
    const body = modernBody('subscriptions/listen', { notifications }, { id: 0 });
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
      const sent = (params ?? result) as Json;
      assert.equal(sent['_meta']['io.modelcontextprotocol/subscriptionId'], 0);
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

for (const { name, meta } of [
  { name: 'JSON', meta: {} },
  { name: 'a stream', meta: { progressToken: 1 } },
]) {
  test(`a response as ${name} leaves when its entry is in the file, and not before`, async () => {
    const view = scriptView((_request, events) => {
      events.onProgress({ progress: 1 });
      return DONE;
    });
    await serving(
      view,
      async (server) => {
        let isAnswered = false;
        const answering = postModern(server, modernBody('tools/call', { name: 'a' }, { meta })).finally(() => {
          isAnswered = true;
        });
        await waitFor(() => server.entries.length === 1);
        // A round trip, in which the answer would have come too.
        await send(`${server.url}/nothing/messages`, { body: {}, signal: AbortSignal.timeout(100) }).catch(
          () => undefined,
        );
        assert.equal(isAnswered, false);
        server.writeLog();
        assert.match((await answering).text(), /"done"/);
      },
      { holdLog: true },
    );
  });
}
