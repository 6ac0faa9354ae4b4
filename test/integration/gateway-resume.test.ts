/**
 * Streams of older sessions that break and are taken up again (`Last-Event-ID`), on a real socket.
 */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { REPLAY_RETRY_MS, REPLAY_SESSION_BYTES_MAX } from '../../src/limits.ts';
import type { McpOutcome } from '../../src/mcp/waist.ts';
import type { Entry } from '../../src/model.ts';
import {
  DONE,
  callOf,
  connect,
  endsWith,
  eventsOf,
  lastIdOf,
  readAll,
  request,
  serving,
  type LegacyClient,
} from '../support/downstream-clients.ts';
import { scriptView, type Asked, type DownstreamServer, type ScriptedView } from '../support/downstream-server.ts';
import { readUntil, type StreamedAnswer } from '../support/http-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { connectClient1, connectClient2, type OfficialClient } from '../support/official-clients.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor } from '../support/wait.ts';

after(() => checkNothingLeft());

const CALL = { name: 'a', _meta: { progressToken: 'p' } };

interface Broken {
  readonly client: LegacyClient;
  readonly call: Asked;
  /** The id of the last event that came. */
  readonly lastId: string;
}

/** Begins a call, reads one progress notification and leaves. */
async function breakCall(server: DownstreamServer, view: ScriptedView, client: LegacyClient): Promise<Broken> {
  const index = view.calls.length;
  const streaming = client.stream(request(index, 'tools/call', CALL));
  const call = await callOf(view, index);
  call.events.onProgress({ progress: 1 });
  const stream = await streaming;
  const text = await readUntil(stream, (sofar) => sofar.includes('"progress":1'));
  const left = server.entries.length;
  stream.close();
  await waitFor(() => server.entries.length > left);
  return { client, call, lastId: lastIdOf(text) };
}

function entriesOf(server: DownstreamServer, method: string): Entry[] {
  return server.entries.filter(({ rpcMethod }) => rpcMethod === method);
}

async function textOf(stream: StreamedAnswer): Promise<string> {
  let text = '';
  for await (const chunk of stream.chunks) text += chunk.toString('utf8');
  return text;
}

verifies('gateway.front.case-60', 'a stream of 2025-11-25 begins with an id, a pause and no data', async () => {
  const view = scriptView();
  await serving(view, async (server) => {
    const client = await connect(server);
    const ids = new Set<string>();
    for (const open of [() => client.listen(), () => client.stream(request(1, 'tools/call', CALL))]) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const stream = await open();
      // oxlint-disable-next-line no-await-in-loop
      const text = await readUntil(stream, (sofar) => sofar.endsWith('\n\n'));
      assert.match(text, new RegExp(`^id: [\\x21-\\x7e]+\\nretry: ${REPLAY_RETRY_MS}\\ndata: \\n\\n$`));
      ids.add(lastIdOf(text));
      stream.close();
    }
    assert.equal(ids.size, 2);
  });
});

for (const revision of ['2024-11-05', '2025-03-26', '2025-06-18']) {
  test(`a stream of ${revision} is not primed, and has ids where the revision has them`, async () => {
    const view = scriptView();
    await serving(view, async (server) => {
      const client = await connect(server, { revision });
      const streaming = client.stream(request(1, 'tools/call', CALL));
      const call = await callOf(view, 0);
      call.events.onProgress({ progress: 1 });
      call.end(DONE);
      const text = await textOf(await streaming);
      assert.doesNotMatch(text, /data: \n/);
      assert.equal([...text.matchAll(/^id: /gm)].length, revision === '2024-11-05' ? 0 : 2);
    });
  });
}

for (const revision of ['2025-03-26', '2025-06-18', '2025-11-25']) {
  verifies(
    ['gateway.front.case-59', 'gateway.front.replay-log'],
    `a call of ${revision} whose connection breaks goes on, and its later events are replayed`,
    async () => {
      const view = scriptView();
      await serving(view, async (server) => {
        const { client, call, lastId } = await breakCall(server, view, await connect(server, { revision }));
        const other = client.stream(request('other', 'tools/call', CALL));
        const second = await callOf(view, 1);
        second.events.onProgress({ progress: 77 });
        call.events.onProgress({ progress: 2 });
        assert.equal(call.cancelled, undefined);

        const resumed = await client.listen(lastId);
        const replayed = await readUntil(resumed, (text) => text.includes('"progress":2'));
        call.events.onProgress({ progress: 3 });
        call.end(DONE);
        const text = replayed + (await textOf(resumed));
        const told = eventsOf(text).map((event) => event['params']?.progress ?? event['id']);
        assert.deepEqual(told, [2, 3, 0]);
        assert.equal(eventsOf(text).at(-1)?.['result'].content[0].text, 'done');
        second.end(DONE);
        await readAll(await other);
        const [dropped, taken] = entriesOf(server, 'tools/call');
        assert.deepEqual([dropped?.outcome, dropped?.errorCode], ['cancelled', 'CLIENT_GONE']);
        assert.deepEqual([taken?.outcome, taken?.errorCode, taken?.rpcName], ['ok', null, 'a']);
        assert.equal(entriesOf(server, 'tools/call').length, 3);
      });
    },
  );
}

verifies(
  ['gateway.front.case-59', 'gateway.front.replay-log'],
  'an answer that came while nobody was there is replayed, with its outcome, as often as it breaks again',
  async () => {
    const view = scriptView();
    await serving(view, async (server) => {
      const { client, call, lastId } = await breakCall(server, view, await connect(server));
      call.end({ kind: 'error', code: -32602, message: 'no', data: undefined });
      for (const _ of [1, 2]) {
        // oxlint-disable-next-line no-await-in-loop -- one after the other
        const events = await readAll(await client.listen(lastId));
        assert.equal(events.at(-1)?.['error'].code, -32602);
      }
      const [, first, second] = entriesOf(server, 'tools/call');
      for (const entry of [first, second])
        assert.deepEqual([entry?.outcome, entry?.rpcError], ['client_error', -32602]);
    });
  },
);

verifies(
  'gateway.front.case-59',
  'a stream that is taken up while it seems open leaves its old connection',
  async () => {
    const view = scriptView();
    await serving(view, async (server) => {
      const client = await connect(server);
      const stream = await client.stream(request(1, 'tools/call', CALL));
      const call = await callOf(view, 0);
      const id = lastIdOf(await readUntil(stream, (text) => text.includes('\n\n')));
      const resumed = await client.listen(id);
      assert.deepEqual(await readAll(stream), []);
      call.end(DONE);
      assert.equal((await readAll(resumed)).at(-1)?.['id'], 1);
      assert.deepEqual(
        entriesOf(server, 'tools/call').map(({ outcome }) => outcome),
        ['cancelled', 'ok'],
      );
    });
  },
);

verifies('gateway.front.case-61', 'an id of another session, of another user or of none replays nothing', async () => {
  const view = scriptView();
  await serving(view, async (server) => {
    const { client, call, lastId } = await breakCall(server, view, await connect(server));
    const others = [await connect(server), await connect(server, { user: 'bob' })];
    // They have streams of their own, in the same place of their sessions.
    for (const other of others) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      (await breakCall(server, view, other)).call.events.onProgress({ progress: 9 });
    }
    call.events.onProgress({ progress: 2 });
    const [prefix = ''] = lastId.split('.');
    const general = lastIdOf(await readUntil(await client.listen(), (text) => text.includes('\n\n')));
    const [, stream = ''] = general.split('.');
    // Nothing is there to come back to.
    for (const other of others) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      assert.equal((await other.listen(lastId)).status, 405);
    }
    for (const id of [`${prefix}.r99.0`, lastId.replace(/\d+$/, '99')]) {
      // oxlint-disable-next-line no-await-in-loop
      assert.equal((await client.listen(id)).status, 405);
    }
    // A general stream goes on, without anything that was before.
    for (const id of ['garbage', 'x'.repeat(2_000), `${prefix}.g99.0`, `${prefix}.${stream}.99`, `abc.${stream}.0`]) {
      // oxlint-disable-next-line no-await-in-loop
      const fresh = await client.listen(id);
      view.change({ kind: 'tools' });
      // oxlint-disable-next-line no-await-in-loop
      const events = eventsOf(await readUntil(fresh, (text) => text.includes('list_changed')));
      assert.deepEqual(
        events.map(({ method }) => method),
        ['notifications/tools/list_changed'],
      );
      fresh.close();
    }
    assert.equal(call.cancelled, undefined);
  });
});

test('a stream that has said everything is over: 405 for who comes back, and no error in the log', async () => {
  const view = scriptView(() => DONE);
  await serving(view, async (server) => {
    const client = await connect(server);
    const text = await textOf(await client.stream(request(1, 'tools/call', CALL)));
    const answer = await client.listen(lastIdOf(text));
    assert.equal(answer.status, 405);
    assert.equal(answer.header('allow'), 'GET, POST, DELETE');
    assert.equal((await readAll(await client.listen(lastIdOf(text.split('\n\n')[0] ?? '')))).length, 1);
    const entry = server.entries.find(({ httpStatus }) => httpStatus === 405);
    assert.equal(entry?.outcome, 'ok');
  });
});

verifies('gateway.front.replay-general', 'a general stream brings each change that was missed, once', async () => {
  const view = scriptView();
  await serving(view, async (server) => {
    const client = await connect(server);
    await client.post(request(1, 'resources/subscribe', { uri: 'file:///a' }));
    const stream = await client.listen();
    view.change({ kind: 'tools' });
    const id = lastIdOf(await readUntil(stream, (text) => text.includes('tools/list_changed')));
    stream.close();
    await waitFor(() => server.entries.length === 3);
    for (const kind of ['tools', 'prompts', 'tools', 'prompts'] as const) view.change({ kind });
    view.change({ kind: 'resource', uri: 'file:///a/b' });
    view.change({ kind: 'resource', uri: 'file:///b' });
    const resumed = await client.listen(id);
    const missed = eventsOf(await readUntil(resumed, (text) => text.includes('resources/updated')));
    assert.deepEqual(
      missed.map(({ method }) => method),
      ['notifications/tools/list_changed', 'notifications/prompts/list_changed', 'notifications/resources/updated'],
    );
    view.change({ kind: 'tools' });
    await readUntil(resumed, (text) => text.includes('tools/list_changed'));
    assert.equal(view.listenerCount, 1);
    await client.end();
    assert.equal(view.listenerCount, 0);
  });
});

const ASKED: McpOutcome = {
  kind: 'input_required',
  inputRequests: { where: { method: 'roots/list', params: {} } },
  requestState: undefined,
};

verifies('gateway.front.replay-questions', 'a question waits for the client to come back to its stream', async () => {
  const view = scriptView();
  await serving(view, async (server) => {
    const begun = await connect(server, { capabilities: { roots: {} } });
    const { client, call, lastId } = await breakCall(server, view, begun);
    call.end(ASKED);
    const resumed = await client.listen(lastId);
    const [asked] = eventsOf(await readUntil(resumed, (text) => text.includes('roots/list')));
    await client.post({ jsonrpc: '2.0', id: asked?.['id'], result: { roots: [{ uri: 'file:///r' }] } });
    (await callOf(view, 1)).end(DONE);
    const [answer] = eventsOf(await readUntil(resumed, endsWith(0)));
    assert.equal(answer?.['result'].content[0].text, 'done');
    assert.deepEqual(view.calls[1]?.request.params['inputResponses'], { where: { roots: [{ uri: 'file:///r' }] } });
  });
});

verifies(
  'gateway.front.replay-bounds',
  'an answer that is too long to be kept is an error for who comes back',
  async () => {
    const view = scriptView();
    await serving(view, async (server) => {
      const { client, call, lastId } = await breakCall(server, view, await connect(server));
      const content = [{ type: 'text', text: 'x'.repeat(REPLAY_SESSION_BYTES_MAX) }];
      call.end({ kind: 'complete', result: { content } });
      const [answer] = await readAll(await client.listen(lastId));
      assert.ok(answer);
      assert.equal(answer['id'], 0);
      assert.equal(answer['error'].data.code, 'OVERLOADED');
      assert.equal(answer['error'].data.request_id, entriesOf(server, 'tools/call')[0]?.requestId);
      const whole = client.stream(request('whole', 'tools/call', CALL));
      (await callOf(view, 1)).end({ kind: 'complete', result: { content } });
      assert.equal((await readAll(await whole)).at(-1)?.['result'].content[0].text.length, REPLAY_SESSION_BYTES_MAX);
    });
  },
);

test('a session that ends lets go of the streams that nobody came back to', async () => {
  const view = scriptView();
  await serving(view, async (server) => {
    const { client, call, lastId } = await breakCall(server, view, await connect(server));
    await client.end();
    assert.equal(call.cancelled, 'the client ended the session');
    assert.equal((await client.listen(lastId)).status, 404);
  });
});

test('the stop of the process answers a call that was taken up again', async () => {
  const view = scriptView();
  await serving(view, async (server) => {
    const { client, lastId } = await breakCall(server, view, await connect(server));
    const resumed = await client.listen(lastId);
    for (const exchange of server.open) exchange.stop?.('shutdown');
    const [answer] = await readAll(resumed);
    assert.equal(answer?.['error'].data.code, 'SHUTTING_DOWN');
  });
});

const OFFICIAL: readonly {
  readonly name: string;
  /** How often it comes back after one error and one cancellation: version 1 takes neither for a response. */
  readonly overCount: number;
  connect(url: string): Promise<OfficialClient>;
}[] = [
  {
    name: 'client 1',
    overCount: 2,
    connect: (url) => connectClient1({ url: `${url}/mcp`, transport: 'streamable' }),
  },
  {
    name: 'client 2',
    overCount: 1,
    connect: (url) => connectClient2({ url: `${url}/mcp`, transport: 'streamable', negotiation: { mode: 'legacy' } }),
  },
];

for (const { name, overCount, connect: connectClient } of OFFICIAL) {
  verifies('gateway.front.replay-official', `the official ${name} gets an answer whose connection broke`, async () => {
    const view = scriptView();
    await serving(view, async (server) => {
      const client = await connectClient(server.url);
      try {
        const progress: unknown[] = [];
        const calling = client.callTool({
          name: 'a',
          arguments: {},
          onprogress: (told: unknown) => void progress.push(told),
        });
        const call = await callOf(view, 0);
        call.events.onProgress({ progress: 1 });
        await waitFor(() => progress.length === 1);
        for (const {
          request: { method = '' },
          response,
        } of server.open)
          if (method === 'POST') response.destroy();
        await waitFor(() => server.entries.some(({ errorCode }) => errorCode === 'CLIENT_GONE'));
        call.events.onProgress({ progress: 2 });
        call.end(DONE);
        const result = (await calling) as { content: unknown };
        assert.deepEqual(result.content, [{ type: 'text', text: 'done' }]);
        assert.equal(progress.length, 2);
      } finally {
        await client.close();
      }
    });
  });

  test(`the official ${name} does not come back for ever after an error or a cancellation`, async () => {
    const no: McpOutcome = { kind: 'error', code: -32602, message: 'no', data: undefined };
    const view = scriptView(({ params }) => (params['name'] === 'slow' ? undefined : no));
    await serving(view, async (server) => {
      const client = await connectClient(server.url);
      try {
        await assert.rejects(client.callTool({ name: 'bad', arguments: {} }));
        const giveUp = new AbortController();
        const slow = client.callTool({ name: 'slow', arguments: {}, signal: giveUp.signal });
        const call = await callOf(view, 1);
        giveUp.abort();
        await assert.rejects(slow);
        await waitFor(() => call.cancelled !== undefined);
        const over = (): number => server.entries.filter(({ httpStatus }) => httpStatus === 405).length;
        await waitFor(() => over() === overCount);
        await waitFor(() => server.open.size === 1, { what: 'the general stream alone' });
      } finally {
        await client.close();
      }
    });
  });
}
