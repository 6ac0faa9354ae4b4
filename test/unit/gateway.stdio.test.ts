/**
 * The gateway's side of a pipe, line by line.
 */
import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';

import { ProxyError } from '../../src/errors.ts';
import { SESSION_CALL_COUNT_MAX, STDIO_LINE_BYTES_MAX, STREAM_QUEUE_BYTES_MAX } from '../../src/limits.ts';
import { META, TASKS_EXTENSION } from '../../src/mcp/protocol.ts';
import type { JsonObject } from '../../src/mcp/waist.ts';
import { scriptView } from '../support/downstream-server.ts';
import { initialize, legacy, modern, notice, openPiped, seen } from '../support/stdio-conversation.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor, within } from '../support/wait.ts';

const DONE = { kind: 'complete', result: { content: [] } } as const;
const CALL = { name: 'read', arguments: {} };

const GARBAGE = [
  { name: 'no JSON', line: 'Hello!', id: null, code: -32700 },
  { name: 'half a message', line: '{"jsonrpc":"2.0","id":1', id: null, code: -32700 },
  { name: 'a number', line: '17', id: null, code: -32600 },
  { name: 'another version', line: '{"jsonrpc":"1.0","id":4,"method":"ping"}', id: 4, code: -32600 },
  { name: 'an id that is none', line: '{"jsonrpc":"2.0","id":{},"method":"ping"}', id: null, code: -32600 },
  { name: 'an empty batch', line: '[]', id: null, code: -32600 },
  { name: 'a batch before anything', line: '[{"jsonrpc":"2.0","id":1,"method":"ping"}]', id: null, code: -32600 },
  { name: 'a call before initialize', line: '{"jsonrpc":"2.0","id":"x","method":"tools/list"}', id: 'x', code: -32600 },
];

for (const { name, line, id, code } of GARBAGE) {
  verifies(
    ['stdio.garbage', 'stdio.log'],
    `${name} is answered with ${code}, and the next request is served`,
    async () => {
      const piped = openPiped(scriptView(() => DONE));
      piped.send(line);
      const answer = await seen(() => piped.lines[0]);
      assert.equal(answer['id'], id);
      assert.equal(answer['error'].code, code);
      assert.deepEqual(
        piped.entries.map((entry) => [entry.route, entry.httpStatus, entry.clientIp, entry.rpcError, entry.outcome]),
        [['stdio', null, null, code, 'client_error']],
      );
      piped.send(modern(2, 'tools/call', CALL));
      assert.equal((await piped.answer(2))['result'].resultType, 'complete');
    },
  );
}

verifies('stdio.garbage', 'an answer to nothing and an unknown notification are passed over in silence', async () => {
  const piped = openPiped(scriptView(() => DONE));
  piped.send({ jsonrpc: '2.0', id: 'mcproxy-1', result: {} });
  piped.send(notice('notifications/unheard-of'));
  piped.send(notice('notifications/cancelled', { requestId: 'nothing' }));
  piped.send(legacy(1, 'ping'));
  assert.deepEqual((await piped.answer(1))['result'], {});
  assert.deepEqual([piped.lines.length, piped.entries.length], [1, 1]);
});

verifies('stdio.eras', 'both eras are served side by side', async () => {
  const view = scriptView(() => DONE);
  const piped = openPiped(view);
  piped.send(modern(1, 'server/discover'));
  assert.deepEqual((await piped.answer(1))['result'].supportedVersions, ['2026-07-28']);
  const { result } = await initialize(piped);
  assert.equal(result.protocolVersion, '2025-11-25');
  piped.send(legacy(2, 'tools/call', CALL));
  piped.send(modern(3, 'tools/call', CALL));
  assert.deepEqual((await piped.answer(2))['result'], { content: [] });
  assert.equal((await piped.answer(3))['result'].resultType, 'complete');
  assert.deepEqual(
    view.calls.map(({ request }) => request.clientCapabilities),
    // A task of an older client is driven here, so that it is declared for it.
    [{ extensions: { [TASKS_EXTENSION]: {} } }, { elicitation: { form: {} } }],
  );
});

const ENVELOPES = [
  { name: 'an unknown version', meta: { [META.protocolVersion]: '2027-01-01' }, code: -32022 },
  { name: 'no capabilities', meta: { [META.clientCapabilities]: undefined }, code: -32602 },
  { name: 'a method of the older revisions', method: 'logging/setLevel', code: -32601 },
  { name: 'no name', params: { arguments: {} }, code: -32602 },
];
for (const { name, meta = {}, method = 'tools/call', params = CALL, code } of ENVELOPES) {
  verifies('stdio.eras', `a modern request with ${name} is refused with ${code}`, async () => {
    const view = scriptView(() => DONE);
    const piped = openPiped(view);
    piped.send(modern(1, method, { ...params, _meta: meta }));
    assert.equal((await piped.answer(1))['error'].code, code);
    assert.equal(view.calls.length, 0);
    assert.equal(piped.entries[0]?.rpcMethod, method);
  });
}

verifies('stdio.batch', 'a batch of 2025-03-26 is answered as one, with an entry for each request', async () => {
  const piped = openPiped(scriptView(() => DONE));
  await initialize(piped, '2025-03-26');
  piped.send([legacy(1, 'ping'), notice('notifications/initialized'), legacy(2, 'tools/call', CALL)]);
  const answers = await seen(() => piped.lines.find((line) => Array.isArray(line)));
  assert.deepEqual(new Set((answers as unknown as { id: number }[]).map(({ id }) => id)), new Set([1, 2]));
  assert.deepEqual(
    piped.entries.map(({ rpcMethod }) => rpcMethod),
    ['initialize', 'ping', 'tools/call'],
  );
  assert.equal(piped.order.at(-1), 'line batch');
});

verifies(
  'stdio.batch',
  'a batch is refused in any other conversation, and one with `initialize` everywhere',
  async () => {
    for (const [revision, method] of [
      ['2025-06-18', 'ping'],
      ['2025-03-26', 'initialize'],
    ] as const) {
      const piped = openPiped(scriptView(() => DONE));
      await initialize(piped, revision);
      piped.send([legacy(1, method)]);
      assert.equal((await seen(() => piped.lines[1]))['error'].code, -32600);
    }
  },
);

for (const { era, request } of [
  { era: 'legacy', request: legacy },
  { era: 'modern', request: modern },
]) {
  verifies(
    'stdio.cancel',
    `a cancelled call of a ${era} client is cancelled at the server and gets no answer`,
    async () => {
      const view = scriptView();
      const piped = openPiped(view);
      await initialize(piped);
      piped.send(request(7, 'tools/call', { ...CALL, _meta: { progressToken: 1 } }));
      const asked = await seen(() => view.calls[0]);
      piped.send(notice('notifications/cancelled', { requestId: 7, reason: 'enough' }));
      await waitFor(() => piped.entries.length === 2);
      asked.events.onProgress({ progress: 1 });
      asked.end(DONE);
      await turn();
      assert.equal(asked.cancelled, 'enough');
      assert.equal(piped.lines.length, 1);
      assert.deepEqual(
        piped.entries.map(({ outcome, errorCode }) => [outcome, errorCode]),
        [
          ['ok', null],
          ['cancelled', 'CLIENT_GONE'],
        ],
      );
      piped.send(request(7, 'tools/list'));
      await seen(() => view.calls[1]);
    },
  );

  verifies('stdio.tells', `progress and logs of a call reach a ${era} client in its way`, async () => {
    const view = scriptView((_request, events) => {
      events.onProgress({ progressToken: 'theirs', progress: 1 });
      events.onLog({ level: 'error', data: 'x' });
      events.onLog({ level: 'debug', data: 'y' });
      return DONE;
    });
    const piped = openPiped(view);
    await initialize(piped);
    piped.send(request(1, 'tools/call', { ...CALL, _meta: { progressToken: 'own', [META.logLevel]: 'error' } }));
    await piped.answer(1);
    assert.deepEqual(piped.lines.slice(1, -1), [
      notice('notifications/progress', { progressToken: 'own', progress: 1 }),
      notice('notifications/message', { level: 'error', data: 'x' }),
    ]);
    const told = piped.lines.slice(1).reduce((sum, line) => sum + JSON.stringify(line).length + 1, 0);
    assert.equal(piped.entries[1]?.bytesOut, told);
  });
}

verifies('stdio.cancel', 'a second request with the id of one in progress is refused, which goes on', async () => {
  const view = scriptView();
  const piped = openPiped(view);
  piped.send(modern(1, 'tools/call', CALL));
  piped.send(modern(1, 'tools/call', CALL));
  assert.equal((await piped.answer(1))['error'].code, -32600);
  view.calls[0]?.end(DONE);
  await waitFor(() => piped.lines.length === 2);
  assert.equal(view.calls.length, 1);
  assert.equal(piped.lines[1]?.['result'].resultType, 'complete');
});

verifies('stdio.asks', 'an older client is asked on the pipe, and the call goes on with its answer', async () => {
  const view = scriptView(({ params }) =>
    params['inputResponses'] === undefined
      ? {
          kind: 'input_required',
          inputRequests: { who: { method: 'elicitation/create', params: { mode: 'form', message: 'Who?' } } },
          requestState: 's',
        }
      : { kind: 'complete', result: params['inputResponses'] as JsonObject },
  );
  const piped = openPiped(view);
  await initialize(piped, '2025-11-25', { elicitation: {} });
  piped.send(legacy(1, 'tools/call', CALL));
  const question = await seen(() => piped.lines.find((line) => line['method'] === 'elicitation/create'));
  piped.send({ jsonrpc: '2.0', id: question['id'], result: { action: 'accept', content: { name: 'Ada' } } });
  assert.deepEqual((await piped.answer(1))['result'], { who: { action: 'accept', content: { name: 'Ada' } } });
  assert.equal(view.calls[1]?.request.params['requestState'], 's');
  assert.equal(piped.entries.length, 2);
});

verifies(
  'stdio.tells',
  'an older client hears of changes once it is there, and of resources that it subscribed to',
  async () => {
    const view = scriptView(() => DONE);
    const piped = openPiped(view);
    await initialize(piped);
    await waitFor(() => view.listenerCount === 1);
    view.change({ kind: 'resource', uri: 'file:///a' });
    piped.send(legacy(1, 'resources/subscribe', { uri: 'file:///a' }));
    await piped.answer(1);
    view.change({ kind: 'tools' });
    view.change({ kind: 'resource', uri: 'file:///a' });
    assert.deepEqual(piped.lines.slice(2), [
      { jsonrpc: '2.0', method: 'notifications/tools/list_changed' },
      notice('notifications/resources/updated', { uri: 'file:///a' }),
    ]);
    piped.conversation.close(new ProxyError('CLIENT_GONE', 'gone'));
    assert.equal(view.listenerCount, 0);
    assert.equal(view.subscribed.get('file:///a'), 0);
  },
);

verifies('stdio.listen', 'two subscriptions on one pipe are told apart, and ending one leaves the other', async () => {
  const view = scriptView(() => DONE);
  const piped = openPiped(view);
  piped.send(modern('l-1', 'subscriptions/listen', { notifications: { toolsListChanged: true } }));
  piped.send(modern(2, 'subscriptions/listen', { notifications: { resourceSubscriptions: ['file:///a'] } }));
  await waitFor(() => piped.lines.length === 2);
  const idsOf = (): unknown[] => piped.lines.map((line) => line['params']?.['_meta']?.[META.subscriptionId]);
  assert.deepEqual(new Set(idsOf()), new Set(['l-1', 2]));
  view.change({ kind: 'tools' });
  view.change({ kind: 'resource', uri: 'file:///a' });
  assert.deepEqual(idsOf().slice(2), ['l-1', 2]);
  piped.send(notice('notifications/cancelled', { requestId: 'l-1' }));
  view.change({ kind: 'tools' });
  view.change({ kind: 'resource', uri: 'file:///a' });
  assert.deepEqual(idsOf().slice(4), [2]);
  await waitFor(() => piped.entries.length === 1);
  // It has no answer to wait for, so that leaving it is its regular end.
  assert.deepEqual([piped.entries[0]?.rpcMethod, piped.entries[0]?.outcome], ['subscriptions/listen', 'ok']);
});

verifies('stdio.listen', 'a stop ends a subscription with its cancellation and its result, in this order', async () => {
  const view = scriptView(() => DONE);
  const piped = openPiped(view);
  piped.send(modern(1, 'subscriptions/listen', { notifications: { toolsListChanged: true } }));
  await waitFor(() => piped.lines.length === 1);
  piped.conversation.drain();
  await piped.conversation.idle();
  assert.deepEqual(piped.lines[1], notice('notifications/cancelled', { requestId: 1 }));
  assert.equal(piped.lines[2]?.['result']['_meta'][META.subscriptionId], 1);
  assert.deepEqual([piped.lines.length, view.listenerCount], [3, 0]);
});

verifies('stdio.log', 'an entry is in the file before its response is written, with what it was about', async () => {
  const piped = openPiped(scriptView(() => ({ kind: 'complete', result: { content: [], isError: true } })));
  piped.send(modern(1, 'tools/call', CALL));
  await piped.answer(1);
  assert.deepEqual(piped.order, ['entry tools/call', 'line 1']);
  const [entry] = piped.entries;
  assert.deepEqual(
    [entry?.principal, entry?.upstream, entry?.rpcName, entry?.toolError, entry?.outcome],
    ['alice', 'files', 'read', true, 'ok'],
  );
  assert.equal(entry?.bytesIn, JSON.stringify(modern(1, 'tools/call', CALL)).length + 1);
});

verifies('stdio.bounds', 'a client with too many requests in progress is refused the next one', async () => {
  const view = scriptView();
  const piped = openPiped(view);
  for (let id = 0; id < SESSION_CALL_COUNT_MAX; id += 1) piped.send(modern(id, 'tools/call', CALL));
  piped.send(modern('one more', 'tools/call', CALL));
  assert.equal((await piped.answer('one more'))['error'].data.code, 'OVERLOADED');
  assert.equal(view.calls.length, SESSION_CALL_COUNT_MAX);
});

verifies(
  'stdio.bounds',
  'a client whose requests in progress are too long together is refused the next one',
  async () => {
    const view = scriptView();
    const piped = openPiped(view);
    const long = { ...CALL, arguments: { text: 'x'.repeat(STDIO_LINE_BYTES_MAX - 1_000) } };
    for (const id of [1, 2, 3, 4]) piped.send(modern(id, 'tools/call', long));
    piped.send(modern('refused', 'tools/call', long));
    assert.equal((await piped.answer('refused'))['error'].data.code, 'OVERLOADED');
    view.calls[0]?.end(DONE);
    await piped.answer(1);
    piped.send(modern(5, 'tools/call', long));
    await seen(() => view.calls[4]);
  },
);

verifies(
  'stdio.bounds',
  'what can be done without is dropped while the client does not read, an answer is not',
  async () => {
    const view = scriptView();
    const piped = openPiped(view);
    await initialize(piped);
    piped.send(legacy(1, 'tools/call', { ...CALL, _meta: { progressToken: 1 } }));
    const asked = await seen(() => view.calls[0]);
    piped.waitingBytes = STREAM_QUEUE_BYTES_MAX + 1;
    asked.events.onProgress({ progress: 1 });
    view.change({ kind: 'tools' });
    asked.end(DONE);
    await piped.answer(1);
    assert.equal(piped.lines.length, 2);
  },
);

verifies(
  'stdio.end',
  'after the grace what is in progress is answered with the reason, and nothing new is begun',
  async () => {
    const view = scriptView();
    const piped = openPiped(view);
    await initialize(piped);
    piped.send(legacy(1, 'tools/call', CALL));
    piped.send(modern(2, 'tools/call', CALL));
    await seen(() => view.calls[1]);
    piped.conversation.drain();
    piped.send(modern(3, 'tools/call', CALL));
    piped.conversation.close(new ProxyError('SHUTTING_DOWN', 'mcproxy is stopping'));
    await piped.conversation.idle();
    const codes = await Promise.all([1, 2, 3].map(async (id) => (await piped.answer(id))['error'].data.code));
    assert.deepEqual(codes, ['SHUTTING_DOWN', 'SHUTTING_DOWN', 'SHUTTING_DOWN']);
    assert.deepEqual(
      view.calls.map(({ cancelled }) => cancelled),
      ['mcproxy is stopping', 'mcproxy is stopping'],
    );
    await turn();
    await within(piped.conversation.idle(), { what: 'each request ended once' });
  },
);

verifies('stdio.log', 'requests are refused while the operator wants no request without an entry', async () => {
  const piped = openPiped(scriptView(() => DONE));
  piped.refusal = new ProxyError('LOG_UNWRITABLE', 'no log');
  piped.send(modern(1, 'tools/call', CALL));
  assert.equal((await piped.answer(1))['error'].data.code, 'LOG_UNWRITABLE');
  piped.refusal = undefined;
  piped.send(modern(2, 'tools/call', CALL));
  assert.equal((await piped.answer(2))['result'].resultType, 'complete');
});
