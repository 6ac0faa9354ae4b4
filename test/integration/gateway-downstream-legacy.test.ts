/**
 * Sessions of the older revisions over Streamable HTTP, on a real socket and a scripted view.
 */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { McpOutcome } from '../../src/mcp/waist.ts';
import {
  BOTH,
  DONE,
  callOf,
  connect,
  endsWith,
  eventsOf,
  readAll,
  request,
  serving,
  type Json,
  type LegacyClient,
} from '../support/downstream-clients.ts';
import { scriptView } from '../support/downstream-server.ts';
import { readUntil, send } from '../support/http-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor } from '../support/wait.ts';
import type { RequirementId } from '../requirements.ts';

after(() => checkNothingLeft());

verifies(
  ['gateway.front.case-53', 'gateway.front.case-62', 'gateway.front.case-63'],
  'a legacy session goes from initialize to DELETE, and its id is dead afterwards',
  async () => {
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
  },
);

const SESSION_REFUSALS: {
  id?: RequirementId;
  name: string;
  headers: (id: string) => Record<string, string>;
  status: number;
  path?: string;
}[] = [
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
    id: 'gateway.front.case-56',
    name: 'an unknown revision in the header',
    headers: (id) => ({ 'mcp-session-id': id, 'mcp-protocol-version': '1900-01-01' }),
    status: 400,
  },
];

for (const { id = 'gateway.front.case-54', name, headers, status, path = '/mcp' } of SESSION_REFUSALS) {
  verifies(id, `a legacy request with ${name} is refused with ${status}`, async () => {
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

verifies('gateway.front.case-55', 'an unknown method in a session is 200 with -32601', async () => {
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
    const tasks = { extensions: { 'io.modelcontextprotocol/tasks': {} } };
    assert.deepEqual(view.calls[0]?.request.clientCapabilities, { roots: {}, elicitation: { url: {} }, ...tasks });
    assert.deepEqual(view.calls[0]?.request.clientInfo, { name: 'test', version: '1' });
  });
});

verifies('protocol.case-88', 'questions are requests on the stream of their call, and answers go on', async () => {
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

verifies('protocol.case-88', 'sampling that is refused ends the call with text for the model', async () => {
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

verifies('gateway.front.case-64', 'a legacy client that drops its connection has not cancelled', async () => {
  const view = scriptView();
  await serving(view, async (server) => {
    const client = await connect(server, { revision: '2025-06-18' });
    const dropped = client.stream(request(1, 'tools/call', { name: 'a', _meta: { progressToken: 1 } }));
    const first = await callOf(view, 0);
    first.events.onProgress({ progress: 1 });
    (await dropped).close();
    await waitFor(() => server.entries.some(({ errorCode }) => errorCode === 'CLIENT_GONE'));
    assert.equal(first.cancelled, undefined);
    first.end(DONE);
  });
});

for (const accept of [BOTH, 'application/json']) {
  const title = `a request that is cancelled gets no response and is logged as cancelled, with Accept: ${accept}`;
  verifies('gateway.front.case-64', title, async () => {
    const view = scriptView();
    await serving(view, async (server) => {
      const client = await connect(server);
      const answering = client.post(request(2, 'tools/call', { name: 'a' }), { accept });
      const call = await callOf(view, 0);
      const cancel = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 2, reason: 'enough' } };
      assert.equal((await client.post(cancel)).status, 202);
      const answer = await answering;
      assert.equal(answer.status, 200);
      assert.deepEqual(eventsOf(answer.text()), []);
      assert.equal(call.cancelled, 'enough');
      const entry = server.entries.find(({ rpcMethod }) => rpcMethod === 'tools/call');
      assert.deepEqual([entry?.outcome, entry?.errorCode, entry?.rpcError], ['cancelled', null, null]);
    });
  });
}

verifies('gateway.front.case-57', 'a batch is answered whole in a session of 2025-03-26 alone', async () => {
  const no: McpOutcome = { kind: 'error', code: -32602, message: 'no', data: undefined };
  const view = scriptView(({ params }) => (params['name'] === 'bad' ? no : DONE));
  await serving(view, async (server) => {
    const note = { jsonrpc: '2.0', method: 'notifications/initialized' };
    const batch = [
      request(1, 'ping'),
      note,
      request('two', 'tools/call', { name: 'bad' }),
      request(3, 'tools/call', { name: 'a' }),
      note,
    ];
    const old = await connect(server, { revision: '2025-03-26' });
    const answers = (await old.post(batch)).json() as Json[];
    const byId = new Map(answers.map((answer) => [answer['id'], answer]));
    assert.equal(answers.length, 3);
    assert.deepEqual(byId.get(1)?.['result'], {});
    assert.equal(byId.get('two')?.['error'].code, -32602);
    assert.equal(byId.get(3)?.['result'].content[0].text, 'done');
    assert.equal((await old.post([note, note])).status, 202);
    const begun = await old.post([request(1, 'initialize', { protocolVersion: '2025-03-26' }), request(2, 'ping')]);
    assert.equal(begun.status, 400);
    for (const revision of ['2025-06-18', '2025-11-25']) {
      // oxlint-disable-next-line no-await-in-loop -- one session after the other
      const recent = await connect(server, { revision });
      // oxlint-disable-next-line no-await-in-loop
      assert.equal((await recent.post(batch)).status, 400);
    }
    const logged = server.entries.filter(({ rpcMethod }) => rpcMethod === 'batch');
    assert.deepEqual(
      logged.map(({ outcome }) => outcome),
      ['client_error', 'ok'],
    );
  });
});

verifies(
  'gateway.front.case-57',
  'a batch whose requests have something to say before is answered as events',
  async () => {
    const view = scriptView();
    await serving(view, async (server) => {
      const client = await connect(server, { revision: '2025-03-26' });
      const batch = [request(1, 'ping'), request(2, 'tools/call', { name: 'a', _meta: { progressToken: 'p' } })];
      const streaming = client.stream(batch);
      const call = await callOf(view, 0);
      call.events.onProgress({ progress: 1 });
      const stream = await streaming;
      call.end(DONE);
      const events = await readAll(stream);
      assert.deepEqual(
        events.map((event) => event['id'] ?? event['method']),
        [1, 'notifications/progress', 2],
      );
    });
  },
);

verifies(
  'gateway.front.case-58',
  'changes go to one stream of the session, and updates only to who subscribed',
  async () => {
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
  },
);

verifies(
  'gateway.front.case-65',
  'the log level of a session holds for its later requests, and for no other session',
  async () => {
    const view = scriptView((_asked, events) => {
      for (const level of ['debug', 'info', 'warning', 'error']) events.onLog({ level, data: level });
      return DONE;
    });
    await serving(view, async (server) => {
      const told = async (client: LegacyClient): Promise<unknown[]> => {
        const events = await readAll(await client.stream(request(9, 'tools/call', { name: 'a' })));
        return events.flatMap(({ params }) => (params === undefined ? [] : [(params as Json)['level']]));
      };
      const [quiet, curious, unset] = [await connect(server), await connect(server), await connect(server)];
      assert.equal((await quiet.post(request(1, 'logging/setLevel', { level: 'error' }))).status, 200);
      await curious.post(request(1, 'logging/setLevel', { level: 'debug' }));
      const wrong = (await quiet.post(request(2, 'logging/setLevel', { level: 'loud' }))).json() as Json;
      assert.equal(wrong['error'].code, -32602);
      assert.deepEqual(await told(quiet), ['error']);
      assert.deepEqual(await told(curious), ['debug', 'info', 'warning', 'error']);
      assert.deepEqual(await told(unset), ['info', 'warning', 'error']);
      assert.deepEqual(
        view.calls.map(({ request: asked }) => asked.logLevel),
        ['error', 'debug', 'info'],
      );
    });
  },
);

verifies('gateway.front.case-66', 'a resource stays subscribed to while one of two sessions is', async () => {
  const view = scriptView();
  await serving(view, async (server) => {
    const [one, two] = [await connect(server), await connect(server)];
    const uri = 'file:///a';
    for (const client of [one, one, two]) {
      // oxlint-disable-next-line no-await-in-loop -- in order
      await client.post(request(1, 'resources/subscribe', { uri }));
    }
    const streams = [await one.listen(), await two.listen()] as const;
    await two.post(request(2, 'resources/unsubscribe', { uri }));
    assert.equal(view.subscribed.get(uri), 1);
    view.change({ kind: 'resource', uri });
    await readUntil(streams[0], (text) => text.includes('resources/updated'));
    await Promise.all([one.end(), two.end()]);
    assert.deepEqual(await readAll(streams[1]), []);
    assert.equal(view.subscribed.get(uri), 0);
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
    await callOf(view, 0);
    // As the app does at the end of the grace.
    for (const exchange of server.open) exchange.stop?.(exchange.streaming ? 'shutdown' : 'abort');
    const { error } = (await answering).json() as Json;
    assert.equal(error.data.code, 'SHUTTING_DOWN');
    await waitFor(() => view.calls[0]?.cancelled !== undefined);
    assert.equal(server.entries.at(-1)?.errorCode, 'SHUTTING_DOWN');
  });
});
