import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { after, test, type TestContext } from 'node:test';

import { ProxyError } from '../../src/errors.ts';
import { openStreamableChannel, type RemoteChannel } from '../../src/upstream/streamable-channel.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { findClosedPort } from '../support/ports.ts';
import { startUpstream, type Conversation, type RecordingUpstream } from '../support/recording-upstream.ts';
import { recordEvents, remoteAt, shakeHands, type Recorded, type Remote } from '../support/remote-server.ts';
import { waitFor } from '../support/wait.ts';
import { verifies } from '../support/verifies.ts';

after(() => checkNothingLeft());

interface Setup extends Recorded {
  readonly channel: RemoteChannel;
  readonly remote: Remote;
  readonly upstream: RecordingUpstream;
}

type Message = { readonly id?: string | number; readonly method?: string };
type Behaviour = (conversation: Conversation & { readonly message: Message }) => void;

/** A session with a server that behaves well until its handshake is over. */
async function converse(t: TestContext, behave: Behaviour, listen?: Behaviour): Promise<Setup> {
  const upstream = await startUpstream(t, {
    answer(conversation) {
      const { request, response } = conversation;
      if (request.method === 'DELETE') return void response.writeHead(204).end();
      if (request.method === 'GET') {
        if (request.values('last-event-id').length === 0 || listen !== undefined) {
          return listen === undefined ? void response.writeHead(405).end() : listen({ ...conversation, message: {} });
        }
        return behave({ ...conversation, message: {} });
      }
      const message = request.json() as Message;
      if (message.method === 'notifications/initialized') return void response.writeHead(202).end();
      if (message.method !== 'initialize') return behave({ ...conversation, message });
      const result = { protocolVersion: '2025-06-18', capabilities: {}, serverInfo: { name: 'x', version: '1' } };
      response.writeHead(200, { 'content-type': 'application/json', 'mcp-session-id': 'S-1' });
      response.end(JSON.stringify({ jsonrpc: '2.0', id: message.id, result }));
    },
  });
  const remote = await remoteAt(t, `${upstream.url}/mcp?k=v`, { fields: ['Authorization', 'Bearer out'] });
  const recorded = recordEvents();
  const channel = openStreamableChannel(remote, recorded.events);
  t.after(() => channel.close());
  await shakeHands(channel, recorded, '2025-11-25');
  return { ...recorded, channel, remote, upstream };
}

const CALL = { jsonrpc: '2.0', id: 7, method: 'tools/call', params: { name: 'x' } } as const;
const DONE = '{"jsonrpc":"2.0","id":7,"result":{"content":[]}}';

function stream(response: ServerResponse, text: string): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.write(text);
}

function json(response: ServerResponse, text: string, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(text);
}

test('session, revision and credential go with every message after the handshake', async (t) => {
  const { channel, response, upstream } = await converse(t, ({ response: reply }) => json(reply, DONE));
  await channel.send(CALL);
  await response(7);
  await channel.close();
  const [initialize, ...later] = upstream.requests;
  assert.deepEqual(initialize?.values('mcp-session-id'), []);
  assert.deepEqual(initialize?.values('mcp-protocol-version'), []);
  assert.deepEqual(
    later.map(({ method }) => method),
    ['POST', 'GET', 'POST', 'DELETE'],
  );
  for (const request of later) {
    assert.deepEqual(request.values('mcp-session-id'), ['S-1']);
    assert.deepEqual(request.values('mcp-protocol-version'), ['2025-06-18']);
    assert.deepEqual(request.values('authorization'), ['Bearer out']);
    assert.equal(request.url, '/mcp?k=v');
  }
  assert.deepEqual(later[2]?.values('accept'), ['application/json, text/event-stream']);
});

for (const [status, text] of [
  [404, '{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"Session not found"}}'],
  [404, 'Not Found'],
  [400, '{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Bad Request: No valid session ID provided"}}'],
] as const) {
  test(`HTTP ${status} ${text.slice(0, 9)} ends the session; what was refused did not run`, async (t) => {
    const { channel, closes, losses, messages } = await converse(t, ({ response }) => json(response, text, status));
    await assert.rejects(channel.send(CALL), (error: ProxyError) => {
      assert.equal(error.code, 'UPSTREAM_CLOSED');
      assert.deepEqual(error.data, { sessionLost: true, notProcessed: true });
      assert.equal(closes.length, 0, 'the refused message comes first');
      return true;
    });
    await waitFor(() => closes.length === 1);
    await assert.rejects(channel.send({ ...CALL, id: 8 }), /has ended the session/);
    await assert.rejects(channel.send({ ...CALL, id: 9 }), { data: { sessionLost: true, notProcessed: true } });
    assert.deepEqual(losses, []);
    assert.equal(messages.length, 1);
  });
}

test('that one message was refused with the session says nothing of the others on their way', async (t) => {
  let isWaiting = false;
  const { channel, closes } = await converse(t, ({ message, response }) => {
    if (message.id === 7) isWaiting = true;
    else response.writeHead(404).end();
  });
  const first = channel.send(CALL).catch((error: unknown) => error);
  await waitFor(() => isWaiting);
  await assert.rejects(channel.send({ ...CALL, id: 8 }));
  assert.deepEqual(((await first) as ProxyError).data, { sessionLost: true });
  assert.equal(closes.length, 1);
});

verifies(
  'protocol.case-81',
  'a stream that is primed and cut is taken up again after the time the server asks for',
  async (t) => {
    const times: number[] = [];
    const { channel, response, messages, losses, upstream } = await converse(t, ({ request, response: reply }) => {
      times.push(performance.now());
      if (request.method === 'POST') {
        stream(reply, 'id: s:0\nretry: 300\ndata:\n\n');
        return void reply.end();
      }
      const progress = '{"jsonrpc":"2.0","method":"notifications/progress","params":{}}';
      stream(reply, `id: s:1\ndata: ${progress}\n\nid: s:2\ndata: ${DONE}\n\n`);
      reply.end();
    });
    await channel.send(CALL);
    await response(7);
    assert.deepEqual(upstream.requests.at(-1)?.values('last-event-id'), ['s:0']);
    assert.ok((times[1] ?? 0) - (times[0] ?? 0) >= 295, 'it waits as it is told');
    assert.deepEqual(
      messages.slice(1).map(({ relatedTo }) => relatedTo),
      [7, 7],
    );
    assert.deepEqual(losses, []);
  },
);

test('the end of a session while a stream is taken up again loses the conversation', async (t) => {
  const { channel, closes } = await converse(t, ({ request, response }) => {
    if (request.method === 'GET') return void response.writeHead(404).end();
    stream(response, 'id: s:0\nretry: 10\ndata:\n\n');
    response.end();
  });
  await channel.send(CALL);
  await waitFor(() => closes.length === 1);
  // What was in progress may have run.
  assert.deepEqual((closes[0] as ProxyError).data, { sessionLost: true });
});

const LOST: readonly { name: string; behave: Behaviour; wanted: RegExp }[] = [
  {
    name: 'a stream that ends without the response and without an event id',
    behave({ response }) {
      stream(response, ': hello\n\n');
      response.end();
    },
    wanted: /ended its answer before it was complete/,
  },
  {
    name: 'a stream that is reset',
    behave({ response }) {
      stream(response, 'data: {"jsonrpc":"2.0","method":"notifications/x"}\n\n');
      setImmediate(() => response.destroy());
    },
    wanted: /ended its answer before it was complete/,
  },
  { name: 'a 202', behave: ({ response }) => void response.writeHead(202).end(), wanted: /no message/ },
  { name: 'a body that is not JSON', behave: ({ response }) => json(response, '{'), wanted: /not the response/ },
  {
    name: 'the response to another request',
    behave: ({ response }) => json(response, DONE.replace('7', '"7"')),
    wanted: /not the response/,
  },
  {
    name: 'a JSON body that is cut',
    behave({ response }) {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '500' });
      response.write('{"jsonrpc"');
      setImmediate(() => response.destroy());
    },
    wanted: /ended its answer before it was complete/,
  },
];

for (const { name, behave, wanted } of LOST) {
  test(`${name} loses the request and not the session`, async (t) => {
    let isFirst = true;
    const { channel, losses, closes, response } = await converse(t, (conversation) => {
      const wasFirst = isFirst;
      isFirst = false;
      if (wasFirst) behave(conversation);
      else json(conversation.response, DONE.replace('7', '8'));
    });
    await channel.send(CALL);
    await waitFor(() => losses.length === 1);
    assert.equal(losses[0]?.requestId, 7);
    assert.match(losses[0]?.error.message ?? '', wanted);
    await channel.send({ ...CALL, id: 8 });
    await response(8);
    assert.deepEqual([losses.length, closes], [1, []]);
  });
}

test('a refusal with a JSON-RPC error is the answer, also when it names no request', async (t) => {
  const { channel, response } = await converse(t, ({ message, response: reply }) => {
    const id = message.id === 7 ? null : message.id;
    json(reply, JSON.stringify({ jsonrpc: '2.0', id, error: { code: -32602, message: 'bad' } }), 422);
  });
  await channel.send(CALL);
  await channel.send({ ...CALL, id: 'b' });
  for (const id of [7, 'b']) assert.deepEqual((await response(id))['error'], { code: -32602, message: 'bad' });
});

const REJECTED = [
  { status: 401, code: 'UPSTREAM_CREDENTIAL', notProcessed: true },
  { status: 403, code: 'UPSTREAM_CREDENTIAL', notProcessed: true },
  { status: 413, code: 'UPSTREAM_PROTOCOL', notProcessed: true },
  { status: 429, code: 'UPSTREAM_NOT_READY', notProcessed: true },
  { status: 500, code: 'UPSTREAM_PROTOCOL', notProcessed: undefined },
  { status: 503, code: 'UPSTREAM_NOT_READY', notProcessed: true },
] as const;

for (const { status, code, notProcessed } of REJECTED) {
  test(`HTTP ${status} rejects the message with ${code}`, async (t) => {
    const { channel, closes } = await converse(t, ({ response }) => void response.writeHead(status).end('no'));
    await assert.rejects(channel.send(CALL), (error: ProxyError) => {
      assert.equal(error.code, code);
      assert.equal(error.data?.['notProcessed'], notProcessed);
      return true;
    });
    assert.deepEqual(closes, []);
  });
}

test('a server that is not there rejects the message as not processed', async (t) => {
  const remote = await remoteAt(t, `http://127.0.0.1:${await findClosedPort()}/mcp`);
  const channel = openStreamableChannel(remote, recordEvents().events);
  await assert.rejects(channel.send(CALL), (error: ProxyError) => {
    assert.equal(error.code, 'UPSTREAM_UNREACHABLE');
    assert.equal(error.data?.['notProcessed'], true);
    return true;
  });
});

verifies('protocol.case-80', 'a batch is taken apart, in a body and in an event', async (t) => {
  const batch = `[{"jsonrpc":"2.0","method":"notifications/x"},${DONE}]`;
  const { channel, messages } = await converse(t, ({ message, response }) => {
    if (message.id === 7) return json(response, batch);
    stream(response, `data: ${batch.replace('7', '8')}\n\n`);
    response.end();
  });
  await channel.send(CALL);
  await waitFor(() => messages.length === 3);
  await channel.send({ ...CALL, id: 8 });
  await waitFor(() => messages.length === 5);
});

test('a cancelled request is cut, and the others go on', async (t) => {
  let gone = 0;
  const { channel, messages, losses, closes } = await converse(t, ({ message, response }) => {
    if (message.method === 'notifications/cancelled') return void response.writeHead(202).end();
    stream(response, ': begun\n\n');
    response.once('close', () => {
      gone += 1;
    });
  });
  await channel.send(CALL);
  await channel.send({ ...CALL, id: 8 });
  await channel.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 7 } });
  await waitFor(() => gone === 1);
  assert.deepEqual([messages.length, losses, closes], [1, [], []]);
});

test('the GET stream brings what the server says by itself, and is opened again where it ended', async (t) => {
  let opened = 0;
  const { channel, messages, upstream, closes } = await converse(
    t,
    ({ response }) => json(response, DONE),
    ({ response }) => {
      opened += 1;
      stream(response, `id: g${opened}\nretry: 100\ndata: {"jsonrpc":"2.0","method":"notifications/x${opened}"}\n\n`);
      if (opened === 1) response.end();
    },
  );
  await waitFor(() => opened === 2 && messages.length === 3);
  assert.deepEqual(
    messages.slice(1).map(({ message, relatedTo }) => [message['method'], relatedTo]),
    [
      ['notifications/x1', undefined],
      ['notifications/x2', undefined],
    ],
  );
  const gets = upstream.requests.filter(({ method }) => method === 'GET');
  assert.deepEqual(
    gets.map((get) => get.values('last-event-id')),
    [[], ['g1']],
  );
  await channel.close();
  await waitFor(async () => (await upstream.connectionCount()) <= 2);
  assert.equal(closes.length, 1);
});

test('a server without a GET stream is asked for it once', async (t) => {
  const { channel, response, upstream, remote } = await converse(t, ({ response: reply }) => json(reply, DONE));
  await channel.send(CALL);
  await response(7);
  assert.equal(upstream.requests.filter(({ method }) => method === 'GET').length, 1);
  assert.deepEqual(remote.diags, []);
});

test('closing fails what is on its way and is told once', async (t) => {
  let arrived = false;
  const { channel, closes } = await converse(t, () => {
    arrived = true;
  });
  const sent = assert.rejects(channel.send(CALL), (error: ProxyError) => {
    assert.equal(error.code, 'UPSTREAM_CLOSED');
    assert.equal(error.data, undefined, 'it may have run');
    return true;
  });
  await waitFor(() => arrived);
  await channel.close();
  await sent;
  await channel.close();
  assert.equal(closes.length, 1);
});
