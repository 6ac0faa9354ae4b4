import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import { ProxyError } from '../../src/errors.ts';
import { openSseChannel } from '../../src/upstream/sse-channel.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { startEverything } from '../support/peers.ts';
import { startUpstream, type Answer } from '../support/recording-upstream.ts';
import { recordEvents, remoteAt, shakeHands } from '../support/remote-server.ts';
import { waitFor } from '../support/wait.ts';
import { verifies } from '../support/verifies.ts';

after(() => checkNothingLeft());

test('server-everything is spoken to over HTTP+SSE', async (t) => {
  const { url } = await startEverything(t, 'sse');
  const recorded = recordEvents();
  const channel = await openSseChannel(await remoteAt(t, url), recorded.events);
  t.after(() => channel.close());
  await shakeHands(channel, recorded, '2024-11-05');
  const echo = { name: 'echo', arguments: { message: 'hällo' } };
  await channel.send({ jsonrpc: '2.0', id: 2, method: 'tools/call', params: echo });
  assert.match(JSON.stringify(await recorded.response(2)), /hällo/);
  await channel.close();
  assert.equal(recorded.closes.length, 1);
});

/** A stream that begins with these bytes; POSTs are answered with a status. */
function sseServer(first: string, postStatus = 202): Answer {
  return ({ request, response }) => {
    if (request.method === 'POST') return void response.writeHead(postStatus).end('Accepted');
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(first);
  };
}

const REFUSED = [
  {
    name: 'another origin',
    first: 'event: endpoint\ndata: http://evil.example/messages\n\n',
    wanted: /another origin/,
  },
  { name: 'another port', first: 'event: endpoint\ndata: http://127.0.0.1:1/m\n\n', wanted: /another origin/ },
  { name: 'another scheme', first: 'event: endpoint\ndata: //evil.example/m\n\n', wanted: /another origin/ },
  { name: 'no URL', first: 'event: endpoint\ndata: http://[\n\n', wanted: /no URL/ },
] as const;

for (const { name, first, wanted } of REFUSED) {
  verifies('protocol.case-77', `an endpoint with ${name} is refused and nothing is sent there`, async (t) => {
    const upstream = await startUpstream(t, { answer: sseServer(first) });
    const { events, closes } = recordEvents();
    const remote = await remoteAt(t, `${upstream.url}/sse`, { fields: ['Authorization', 'Bearer s3cret'] });
    await assert.rejects(
      openSseChannel(remote, events),
      (error) => error instanceof ProxyError && error.code === 'UPSTREAM_PROTOCOL' && wanted.test(error.message),
    );
    assert.equal(upstream.requests.length, 1);
    assert.deepEqual(closes, []);
  });
}

test('a relative endpoint is resolved, and POSTs carry the credential', async (t) => {
  const upstream = await startUpstream(t, { answer: sseServer('event: endpoint\ndata: messages?sessionId=a b\n\n') });
  const { events } = recordEvents();
  const remote = await remoteAt(t, `${upstream.url}/deep/sse?x=1`, { fields: ['Authorization', 'Bearer s3cret'] });
  const channel = await openSseChannel(remote, events);
  t.after(() => channel.close());
  await channel.send({ jsonrpc: '2.0', method: 'notifications/initialized' });
  const [opened, posted] = upstream.requests;
  assert.equal(opened?.url, '/deep/sse?x=1');
  assert.equal(posted?.url, '/deep/messages?sessionId=a%20b');
  assert.deepEqual(posted?.values('authorization'), ['Bearer s3cret']);
  assert.deepEqual(posted?.json(), { jsonrpc: '2.0', method: 'notifications/initialized' });
});

test('the end of the stream is the end of the conversation, told once', async (t) => {
  const upstream = await startUpstream(t);
  upstream.answerWith(({ request, response, incoming }) => {
    if (request.method === 'POST') {
      response.writeHead(202).end();
      streams.forEach((stream) => stream.end());
      return;
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('event: endpoint\ndata: /m\n\n');
    streams.push(response);
    assert.equal(incoming.complete, true);
  });
  const streams: { end(): void }[] = [];
  const { events, closes } = recordEvents();
  const channel = await openSseChannel(await remoteAt(t, `${upstream.url}/sse`), events);
  await channel.send({ jsonrpc: '2.0', id: 1, method: 'tools/call' });
  await waitFor(() => closes.length === 1);
  assert.equal((closes[0] as ProxyError).code, 'UPSTREAM_CLOSED');
  await assert.rejects(channel.send({ jsonrpc: '2.0', id: 2, method: 'ping' }), /ended the event stream/);
  await channel.close();
  assert.equal(closes.length, 1);
});

test('a POST that the server answers 404 did not run and ends the session', async (t) => {
  const upstream = await startUpstream(t, { answer: sseServer('event: endpoint\ndata: /m\n\n', 404) });
  const { events, closes } = recordEvents();
  const channel = await openSseChannel(await remoteAt(t, `${upstream.url}/sse`), events);
  await assert.rejects(channel.send({ jsonrpc: '2.0', id: 1, method: 'tools/call' }), (error: ProxyError) => {
    assert.deepEqual(error.data, { sessionLost: true, notProcessed: true });
    return true;
  });
  await waitFor(() => closes.length === 1);
});
