import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { after, test, type TestContext } from 'node:test';

import type { ChangeEvent } from '../../src/mcp/waist.ts';
import { createListening, type Listening } from '../../src/upstream/modern-listen.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { startUpstream, type RecordingUpstream } from '../support/recording-upstream.ts';
import { remoteAt, type Remote } from '../support/remote-server.ts';
import { waitFor } from '../support/wait.ts';

after(() => checkNothingLeft());

interface Filter {
  readonly toolsListChanged?: boolean;
  readonly resourceSubscriptions?: readonly string[];
}

/** One subscription as the server sees it. */
interface Stream {
  readonly filter: Filter;
  readonly response: ServerResponse;
  tell(method: string, params?: object): void;
}

interface Setup {
  readonly listening: Listening;
  readonly upstream: RecordingUpstream;
  readonly remote: Remote;
  readonly changes: ChangeEvent[];
  readonly streams: Stream[];
  /** Streams that are open now. */
  readonly open: () => Stream[];
}

type Honour = (filter: Filter, response: ServerResponse, id: number) => object | undefined;

const honourAll: Honour = (filter) => filter;

async function setUp(t: TestContext, honour: Honour = honourAll): Promise<Setup> {
  const streams: Stream[] = [];
  const upstream = await startUpstream(t, {
    answer({ request, response }) {
      const { id, params } = request.json() as { id: number; params: { notifications: Filter } };
      const filter = params.notifications;
      const honoured = honour(filter, response, id);
      if (honoured === undefined) return;
      const tell = (method: string, more: object = {}): void => {
        const meta = { _meta: { 'io.modelcontextprotocol/subscriptionId': id } };
        response.write(`data: ${JSON.stringify({ jsonrpc: '2.0', method, params: { ...more, ...meta } })}\n\n`);
      };
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      tell('notifications/subscriptions/acknowledged', { notifications: honoured });
      streams.push({ filter, response, tell });
    },
  });
  const remote = await remoteAt(t, `${upstream.url}/mcp`);
  const changes: ChangeEvent[] = [];
  let lastId = 0;
  const listening = createListening(
    remote,
    () => (lastId += 1),
    (event) => changes.push(event),
  );
  t.after(() => listening.close());
  const open = (): Stream[] => streams.filter(({ response }) => !response.closed);
  return { listening, upstream, remote, changes, streams, open };
}

const LISTS = { toolsListChanged: true, promptsListChanged: true, resourcesListChanged: true };

test('changes of lists are told while somebody wants to know', async (t) => {
  const { listening, changes, streams, open } = await setUp(t);
  listening.setListsWanted(true);
  await waitFor(() => streams.length === 1);
  assert.deepEqual(streams[0]?.filter, LISTS);
  for (const kind of ['tools', 'prompts', 'resources']) streams[0]?.tell(`notifications/${kind}/list_changed`);
  streams[0]?.tell('notifications/unheard');
  await waitFor(() => changes.length === 3);
  assert.deepEqual(changes, [{ kind: 'tools' }, { kind: 'prompts' }, { kind: 'resources' }]);
  listening.setListsWanted(false);
  await waitFor(() => open().length === 0);
});

test('another resource means a new stream, and the old one is cut when the new one stands', async (t) => {
  const { listening, changes, streams, open } = await setUp(t);
  listening.setListsWanted(true);
  assert.equal(await listening.watch('a://1'), true);
  assert.equal(await listening.watch('a://2'), true);
  assert.equal(await listening.watch('a://2'), true, 'asked again it is watched already');
  await waitFor(() => open().length === 1);
  assert.deepEqual(streams.at(-1)?.filter, { ...LISTS, resourceSubscriptions: ['a://1', 'a://2'] });
  streams.at(-1)?.tell('notifications/resources/updated', { uri: 'a://2/sub' });
  await waitFor(() => changes.length === 1);
  assert.deepEqual(changes, [{ kind: 'resource', uri: 'a://2/sub' }]);
  listening.unwatch('a://1');
  await waitFor(() => streams.at(-1)?.filter.resourceSubscriptions?.length === 1);
  await waitFor(() => open().length === 1);
});

test('several resources at once are asked for together', async (t) => {
  const { listening, upstream } = await setUp(t);
  const watched = await Promise.all(['a://1', 'a://2', 'a://3'].map((uri) => listening.watch(uri)));
  assert.deepEqual(watched, [true, true, true]);
  assert.equal(upstream.requests.length, 1);
});

test('a resource that the server does not watch is said so and forgotten', async (t) => {
  const { listening, streams, open } = await setUp(t, (filter) => ({
    ...filter,
    resourceSubscriptions: (filter.resourceSubscriptions ?? []).filter((uri) => uri !== 'a://no'),
  }));
  assert.equal(await listening.watch('a://yes'), true);
  assert.equal(await listening.watch('a://no'), false);
  assert.equal(await listening.watch('a://more'), true);
  assert.deepEqual(streams.at(-1)?.filter.resourceSubscriptions, ['a://yes', 'a://more']);
  await waitFor(() => open().length === 1);
});

test('a stream that breaks is opened again, and everything may have changed', async (t) => {
  const { listening, changes, streams } = await setUp(t);
  assert.equal(await listening.watch('a://1'), true);
  streams[0]?.response.destroy();
  await waitFor(() => streams.length === 2);
  await waitFor(() => changes.length === 1);
  assert.deepEqual(changes, [{ kind: 'recovered' }]);
  assert.deepEqual(streams[1]?.filter, { resourceSubscriptions: ['a://1'] });
});

test('a server that is gone is lost once, and recovered when it is back', async (t) => {
  let isDown = false;
  const { listening, changes, streams, upstream } = await setUp(t, (filter, response) => {
    if (!isDown) return filter;
    return void response.writeHead(502).end();
  });
  listening.setListsWanted(true);
  await waitFor(() => streams.length === 1);
  isDown = true;
  streams[0]?.response.end();
  await waitFor(() => changes.length === 1);
  assert.equal(changes[0]?.kind, 'lost');
  const before = upstream.requests.length;
  await waitFor(() => upstream.requests.length > before);
  isDown = false;
  await waitFor(() => changes.length === 2, { deadlineMs: 8_000 });
  assert.deepEqual(changes[1], { kind: 'recovered' });
});

test('a server without subscriptions is left alone', async (t) => {
  const { listening, upstream, remote } = await setUp(t, (_filter, response, id) => {
    const error = { code: -32601, message: 'no such method' };
    response.writeHead(404, { 'content-type': 'application/json' });
    return void response.end(JSON.stringify({ jsonrpc: '2.0', id, error }));
  });
  assert.equal(await listening.watch('a://1'), false);
  listening.setListsWanted(true);
  assert.equal(await listening.watch('a://2'), false);
  assert.equal(upstream.requests.length, 1);
  assert.equal(remote.diags.length, 1);
});

test('a stream on which nothing will come is not kept', async (t) => {
  const { listening, streams, open } = await setUp(t, () => ({}));
  listening.setListsWanted(true);
  await waitFor(() => streams.length === 1 && open().length === 0);
  assert.equal(await listening.watch('a://1'), false);
});
