import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import type { StdioServerConfig } from '../../src/model.ts';
import { spawnChild, type Child } from '../../src/upstream/child.ts';
import { openLegacyPeer, type MortalPeer } from '../../src/upstream/legacy-peer.ts';
import { openStdioChannel } from '../../src/upstream/stdio-channel.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import {
  ALL_CAPABILITIES,
  answering,
  ask,
  everythingServer,
  fixtureServer,
  questionOf,
  resultOf,
} from '../support/mcp-peers.ts';
import type { Cleanup } from '../support/temp-dir.ts';
import { waitFor, within } from '../support/wait.ts';

after(() => checkNothingLeft());

interface Opened {
  readonly peer: MortalPeer;
  readonly child: () => Child;
  readonly diag: string[];
}

function open(cleanup: Cleanup, server: StdioServerConfig): Opened {
  let child: Child | undefined;
  const diag: string[] = [];
  const peer = openLegacyPeer({
    serverName: server.name,
    timeouts: { connectMs: 5_000, firstByteMs: 20_000, idleMs: 20_000 },
    roots: true,
    startMs: server.startMs,
    onDiag: (_level, message, data) => diag.push(`${message} ${JSON.stringify(data)}`),
    async open(events) {
      child = await spawnChild({ server, ambientEnv: process.env, onStderr: () => undefined });
      const reader = { serverName: server.name, onDiag: () => undefined };
      return openStdioChannel(child, reader, events);
    },
  });
  cleanup.after(async () => {
    await peer.close();
    await child?.stop();
  });
  return { peer, child: () => child as Child, diag };
}

const textOf = (result: { [key: string]: unknown }): string =>
  (result['content'] as { text: string }[]).map(({ text }) => text).join('\n');

test('server-everything over stdio is a peer of the waist', async (t) => {
  const { peer, diag } = open(t, everythingServer());

  await t.test('it describes itself with its revision', async () => {
    const card = await peer.describe();
    assert.equal(card.revision, '2025-11-25');
    // It asks for roots once by itself; from then on it asks only within calls.
    await waitFor(() => diag.some((line) => /refused.*roots/.test(line)));
    assert.ok(card.capabilities['tools']);
    assert.equal(typeof card.instructions, 'string');
    assert.match(String(card.serverInfo?.['name']), /everything/);
  });

  await t.test('its tools are listed with cache hints, and none speaks of tasks', async () => {
    const result = await resultOf(ask(peer, 'tools/list'));
    const tools = result['tools'] as { name: string; execution?: unknown }[];
    assert.ok(tools.some(({ name }) => name === 'echo'));
    assert.ok(tools.some(({ name }) => name === 'trigger-elicitation-request'));
    assert.ok(tools.some(({ name }) => name === 'simulate-research-query'));
    assert.ok(!tools.some(({ execution }) => execution !== undefined));
    assert.equal(result['ttlMs'], 0);
    assert.equal(result['cacheScope'], 'private');
  });

  await t.test('a tool is called', async () => {
    const result = await resultOf(ask(peer, 'tools/call', { name: 'echo', arguments: { message: 'hi' } }));
    assert.equal(textOf(result), 'Echo: hi');
  });

  await t.test('progress arrives without token and increasing, and only when wanted', async () => {
    const params = { name: 'trigger-long-running-operation', arguments: { duration: 0.2, steps: 4 } };
    const wanted = ask(peer, 'tools/call', params, { wantsProgress: true });
    const unwanted = ask(peer, 'tools/call', params);
    await Promise.all([wanted.outcome, unwanted.outcome]);
    assert.deepEqual(
      wanted.progress.map(({ progress }) => progress),
      [1, 2, 3, 4],
    );
    assert.ok(wanted.progress.every((each) => !('progressToken' in each)));
    assert.deepEqual(unwanted.progress, []);
  });

  await t.test('an elicitation ends the request, and the answer resumes the same call', async () => {
    const params = { name: 'trigger-elicitation-request', arguments: {} };
    const question = await questionOf(ask(peer, 'tools/call', params, { capabilities: ALL_CAPABILITIES }));
    const [request] = Object.values(question.inputRequests);
    assert.equal(request?.method, 'elicitation/create');
    assert.ok(request.params['requestedSchema']);
    const retry = answering(params, question, () => ({ action: 'accept', content: { name: 'Ada' } }));
    const result = await resultOf(ask(peer, 'tools/call', retry, { capabilities: ALL_CAPABILITIES }));
    assert.match(textOf(result), /Name: Ada/);
    const again = await ask(peer, 'tools/call', retry).outcome;
    assert.equal(again.kind === 'error' && again.code, -32602);
  });

  await t.test('an answer left out is asked for again', async () => {
    const params = { name: 'trigger-elicitation-request', arguments: {} };
    const options = { capabilities: ALL_CAPABILITIES };
    const first = await questionOf(ask(peer, 'tools/call', params, options));
    const bare = { ...params, inputResponses: {}, requestState: first.requestState };
    const second = await questionOf(ask(peer, 'tools/call', bare, options));
    assert.deepEqual(second.inputRequests, first.inputRequests);
    assert.notEqual(second.requestState, first.requestState);
    const retry = answering(params, second, () => ({ action: 'decline' }));
    assert.match(textOf(await resultOf(ask(peer, 'tools/call', retry, options))), /declined/);
  });

  await t.test('sampling is a question too', async () => {
    const params = { name: 'trigger-sampling-request', arguments: { prompt: 'p', maxTokens: 5 } };
    const options = { capabilities: ALL_CAPABILITIES };
    const question = await questionOf(ask(peer, 'tools/call', params, options));
    const sampled = { role: 'assistant', model: 'm', content: { type: 'text', text: 'sampled' } };
    const retry = answering(params, question, () => sampled);
    assert.match(textOf(await resultOf(ask(peer, 'tools/call', retry, options))), /sampled/);
  });

  await t.test('roots are a question too', async () => {
    const params = { name: 'get-roots-list', arguments: {} };
    const options = { capabilities: ALL_CAPABILITIES };
    const question = await questionOf(ask(peer, 'tools/call', params, options));
    const retry = answering(params, question, (method) => {
      assert.equal(method, 'roots/list');
      return { roots: [{ uri: 'file:///srv/data', name: 'data' }] };
    });
    assert.match(textOf(await resultOf(ask(peer, 'tools/call', retry, options))), /file:\/\/\/srv\/data/);
  });

  await t.test('a page to visit in place of a result is a question, and the call is made again after it', async () => {
    const params = { name: 'trigger-url-elicitation', arguments: { url: 'https://a.example/x', errorPath: true } };
    const options = { capabilities: ALL_CAPABILITIES };
    const first = await questionOf(ask(peer, 'tools/call', params, options));
    assert.equal(Object.values(first.inputRequests)[0]?.params['url'], 'https://modelcontextprotocol.io');
    assert.equal(Object.values(first.inputRequests)[0]?.params['elicitationId'], undefined);
    const retry = answering(params, first, () => ({ action: 'accept' }));
    const second = await questionOf(ask(peer, 'tools/call', retry, options));
    assert.deepEqual(Object.values(second.inputRequests)[0]?.params['mode'], 'url');
    const last = answering(params, second, () => ({ action: 'accept' }));
    assert.equal((await ask(peer, 'tools/call', last, options).outcome).kind, 'complete');
  });

  await t.test('a client that cannot be asked is not, and the server finishes by itself', async () => {
    const params = { name: 'trigger-elicitation-request', arguments: {} };
    const outcome = await ask(peer, 'tools/call', params).outcome;
    assert.notEqual(outcome.kind, 'input_required');
    assert.ok(diag.some((line) => line.includes('a question of a server was refused')));
  });

  await t.test('with two calls in progress a question belongs to none of them', async () => {
    const options = { capabilities: ALL_CAPABILITIES };
    const busy = { name: 'trigger-long-running-operation', arguments: { duration: 1, steps: 2 } };
    const other = ask(peer, 'tools/call', busy, options);
    const outcome = await ask(peer, 'tools/call', { name: 'trigger-elicitation-request', arguments: {} }, options)
      .outcome;
    assert.notEqual(outcome.kind, 'input_required');
    assert.equal((await other.outcome).kind, 'complete');
  });

  await t.test('a resource that is subscribed to tells its changes', async () => {
    const changes: string[] = [];
    const stop = peer.onChange((event) => changes.push(event.kind === 'resource' ? event.uri : event.kind));
    const uri = 'demo://resource/dynamic/text/1';
    assert.equal(await peer.subscribe(uri), true);
    await resultOf(ask(peer, 'tools/call', { name: 'toggle-subscriber-updates', arguments: {} }));
    await waitFor(() => changes.includes(uri), { deadlineMs: 10_000 });
    await resultOf(ask(peer, 'tools/call', { name: 'toggle-subscriber-updates', arguments: {} }));
    await peer.unsubscribe(uri);
    stop();
  });

  await t.test('a method that the revision does not have is not sent', async () => {
    const outcome = await ask(peer, 'server/discover').outcome;
    assert.equal(outcome.kind === 'error' && outcome.code, -32601);
  });

  await t.test('a cancelled request ends at once and leaves the connection usable', async () => {
    const params = { name: 'trigger-long-running-operation', arguments: { duration: 30, steps: 2 } };
    const { call, outcome } = ask(peer, 'tools/call', params);
    await resultOf(ask(peer, 'tools/call', { name: 'echo', arguments: { message: 'x' } }));
    call.cancel('no longer wanted');
    const ended = await outcome;
    assert.equal(ended.kind === 'error' && ended.code, 499);
    await resultOf(ask(peer, 'tools/call', { name: 'echo', arguments: { message: 'x' } }));
  });
});

test('log messages reach the request that wants them, from its level on', async (t) => {
  const { peer } = open(t, fixtureServer());
  const params = { name: 'test_tool_with_logging', arguments: {} };
  const told = ask(peer, 'tools/call', params, { logLevel: 'info' });
  await resultOf(told);
  assert.equal(told.logs.length, 3);
  assert.equal(told.logs[0]?.['level'], 'info');
  const fewer = ask(peer, 'tools/call', params, { logLevel: 'error' });
  await resultOf(fewer);
  assert.deepEqual(fewer.logs, []);
  const none = ask(peer, 'tools/call', params);
  await resultOf(none);
  assert.deepEqual(none.logs, []);
});

test('a crash fails what is in progress at once and ends the peer', async (t) => {
  const { peer, child } = open(t, everythingServer());
  await peer.describe();
  const { outcome } = ask(peer, 'tools/call', { name: 'trigger-long-running-operation', arguments: { duration: 30 } });
  await resultOf(ask(peer, 'tools/call', { name: 'echo', arguments: { message: 'x' } }));
  process.kill(child().pid, 'SIGKILL');
  const ended = await outcome;
  assert.equal(ended.kind === 'error' && ended.code, 502);
  assert.match((await within(peer.ended)).message, /SIGKILL/);
  const later = await ask(peer, 'tools/list').outcome;
  assert.deepEqual(later.kind === 'error' && (later.data as { notProcessed: unknown }).notProcessed, true);
});

test('a server that never answers the handshake is given up in time', async (t) => {
  const { peer } = open(t, everythingServer({ args: ['-e', 'process.stdin.resume()'], startMs: 300 }));
  await assert.rejects(peer.describe(), { code: 'UPSTREAM_TIMEOUT', message: /within 300 ms/ });
  const outcome = await ask(peer, 'tools/list').outcome;
  assert.equal(outcome.kind === 'error' && outcome.code, 504);
});
