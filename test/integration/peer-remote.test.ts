import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';

import { openRemotePeer } from '../../src/upstream/remote-peer.ts';
import type { SupervisedPeer } from '../../src/upstream/supervisor.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { ALL_CAPABILITIES, answering, ask, questionOf, resultOf } from '../support/mcp-peers.ts';
import { startConformanceFixture, startEverything } from '../support/peers.ts';
import { remoteAt } from '../support/remote-server.ts';
import type { Cleanup } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait.ts';
import { verifies } from '../support/verifies.ts';

after(() => checkNothingLeft());

interface Opened {
  readonly peer: SupervisedPeer;
  readonly events: string[];
  /** Lets the peer believe that time has passed. */
  readonly advance: (ms: number) => void;
}

async function open(cleanup: Cleanup, url: string): Promise<Opened> {
  let skewMs = 0;
  const remote = await remoteAt(cleanup, url, { name: 'remote' });
  const monotonicMs = (): number => performance.now() + skewMs;
  const peer = openRemotePeer({ ...remote, clock: { ...remote.clock, monotonicMs } });
  const events: string[] = [];
  peer.onChange((event) => events.push(event.kind === 'resource' ? event.uri : event.kind));
  cleanup.after(() => peer.close());
  return { peer, events, advance: (ms) => void (skewMs += ms) };
}

interface Forgetful {
  readonly url: string;
  /** Methods that were processed, each with its session. */
  readonly served: string[];
  readonly forget: () => void;
}

/** A legacy server that can lose its sessions. */
async function startForgetful(cleanup: Cleanup): Promise<Forgetful> {
  const served: string[] = [];
  let sessionCount = 0;
  let current: string | undefined;
  const server = createServer((request, reply) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      if (request.method !== 'POST') return reply.writeHead(405).end();
      const { id, method } = JSON.parse(Buffer.concat(chunks).toString()) as { id?: number; method: string };
      const session = request.headers['mcp-session-id'];
      if (method === 'initialize') current = `s${(sessionCount += 1)}`;
      else if (session === undefined) return reply.writeHead(400).end();
      else if (session !== current) return reply.writeHead(404).end();
      served.push(`${method} ${current}`);
      if (id === undefined) return reply.writeHead(202).end();
      const initialized = { protocolVersion: '2025-06-18', capabilities: { resources: { subscribe: true } } };
      const result = method === 'initialize' ? initialized : { content: [] };
      reply.writeHead(200, { 'content-type': 'application/json', 'mcp-session-id': current });
      return reply.end(JSON.stringify({ jsonrpc: '2.0', id, result }));
    })();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanup.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/mcp`, served, forget: () => void (current = undefined) };
}

const ECHO = { name: 'echo', arguments: { message: 'x' } };

for (const transport of ['streamableHttp', 'sse'] as const) {
  test(`a legacy server over ${transport} is found out and answers`, async (t) => {
    const { url } = await startEverything(t, transport);
    const { peer } = await open(t, url);
    assert.equal((await peer.describe()).revision, '2025-11-25');
    assert.equal(peer.state().era, 'legacy');
    await resultOf(ask(peer, 'tools/list'));

    const params = { name: 'trigger-elicitation-request', arguments: {} };
    const options = { capabilities: ALL_CAPABILITIES };
    const question = await questionOf(ask(peer, 'tools/call', params, options));
    const retry = answering(params, question, () => ({ action: 'accept', content: { name: 'Ada' } }));
    assert.match(JSON.stringify(await resultOf(ask(peer, 'tools/call', retry, options))), /Name: Ada/);

    const slow = { name: 'trigger-long-running-operation', arguments: { duration: 0.2, steps: 2 } };
    const told = ask(peer, 'tools/call', slow, { wantsProgress: true });
    await resultOf(told);
    assert.deepEqual(
      told.progress.map(({ progress }) => progress),
      [1, 2],
    );
  });
}

test('over Streamable HTTP a question is tied to its call, however many there are', async (t) => {
  const { url } = await startEverything(t, 'streamableHttp');
  const { peer } = await open(t, url);
  const options = { capabilities: ALL_CAPABILITIES };
  const slow = { name: 'trigger-long-running-operation', arguments: { duration: 1, steps: 2 } };
  // The server also asks for roots in the background; this client has none to be asked for.
  const other = ask(peer, 'tools/call', slow);
  const params = { name: 'trigger-elicitation-request', arguments: {} };
  const question = await questionOf(ask(peer, 'tools/call', params, options));
  const retry = answering(params, question, () => ({ action: 'decline' }));
  assert.match(JSON.stringify(await resultOf(ask(peer, 'tools/call', retry, options))), /declined/);
  assert.equal((await other.outcome).kind, 'complete');
});

test('a modern server over HTTP is found out and answers', async (t) => {
  const { url } = await startConformanceFixture(t);
  const { peer } = await open(t, url);
  assert.equal((await peer.describe()).revision, '2026-07-28');
  assert.deepEqual([peer.state().state, peer.state().era], ['ready', 'modern']);
  const result = await resultOf(ask(peer, 'tools/call', { name: 'test_simple_text', arguments: {} }));
  assert.match(JSON.stringify(result), /simple text response/);
});

verifies(
  'protocol.case-79',
  'a server that has forgotten the session gets a new one, and what it refused is made again once',
  async (t) => {
    const { url, served, forget } = await startForgetful(t);
    const { peer, events, advance } = await open(t, url);
    assert.equal(await peer.subscribe('a://b'), true);
    await resultOf(ask(peer, 'tools/call', ECHO));
    forget();
    advance(5_000);
    served.length = 0;
    await Promise.all([resultOf(ask(peer, 'tools/call', ECHO)), resultOf(ask(peer, 'tools/call', ECHO))]);
    await waitFor(() => events.includes('recovered'));
    assert.equal(served.filter((each) => each.startsWith('tools/call')).length, 2);
    assert.ok(
      served.some((each) => each.startsWith('resources/subscribe')),
      'subscriptions move along',
    );
    assert.ok(!events.includes('lost'));
    assert.equal(peer.state().restarts, 1);
  },
);

test('a server that cannot be reached is down at once, and so are requests to it', async (t) => {
  const { peer } = await open(t, 'http://127.0.0.1:9/mcp');
  await assert.rejects(peer.describe(), { code: 'UPSTREAM_UNREACHABLE' });
  const outcome = await ask(peer, 'tools/list').outcome;
  assert.equal(outcome.kind === 'error' && outcome.code, 503);
  assert.match(outcome.kind === 'error' ? outcome.message : '', /^server remote is down since /);
});
