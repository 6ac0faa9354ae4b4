/**
 * The gateway core with real servers behind it: the published everything server (legacy) and the dual-era fixture of
 * the conformance suite, as commands and over HTTP.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { outgoingCredential } from '../../src/auth/credentials.ts';
import { makeSealer } from '../../src/auth/seal.ts';
import { createGateway } from '../../src/gateway/gateway.ts';
import type { Gateway, GatewayView } from '../../src/gateway/view.ts';
import type { JsonObject } from '../../src/mcp/waist.ts';
import type { Clock, Config, Principal } from '../../src/model.ts';
import { createUpstreamPool } from '../../src/upstream/pool.ts';
import { openRemotePeer } from '../../src/upstream/remote-peer.ts';
import { openStdioPeer } from '../../src/upstream/stdio-peer.ts';
import { errorOf, namesOf, result, SILENT } from '../support/gateway-world.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { startConformanceFixture } from '../support/peers.ts';
import { configOf, httpServer, request, stdioServer } from '../support/scripted-peer.ts';
import { waitFor } from '../support/wait.ts';

after(() => checkNothingLeft());

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const EVERYTHING = join(ROOT, 'node_modules/@modelcontextprotocol/server-everything/dist/index.js');
const FIXTURE = join(ROOT, 'test/peers/conformance-fixture.ts');
const TIMEOUTS = { connectMs: 5_000, firstByteMs: 20_000, idleMs: 20_000 };
const node = (name: string, ...args: string[]) =>
  stdioServer(name, { command: process.execPath, args, cwd: ROOT, startMs: 20_000 });

const CLOCK: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  random: () => 0.5,
};

async function open(t: TestContext, config: Config): Promise<{ gateway: Gateway; view: GatewayView }> {
  const pool = createUpstreamPool();
  await pool.prepare([...config.servers.values()].filter((server) => server.kind === 'http'));
  const onDiag = (): void => undefined;
  const gateway = createGateway({
    config,
    clock: CLOCK,
    sealer: makeSealer(Buffer.alloc(32, 1)),
    onDiag,
    openPeer(server) {
      if (server.kind === 'stdio') return openStdioPeer({ server, ambientEnv: process.env, clock: CLOCK, onDiag });
      const credential = outgoingCredential(server, { clock: CLOCK, grants: { outgoing: () => assert.fail() } });
      return openRemotePeer({ server, upstream: pool.get(server), credential, clock: CLOCK, onDiag });
    },
  });
  t.after(async () => {
    await gateway.close();
    pool.close();
  });
  const [alice] = config.principals;
  return { gateway, view: gateway.view(alice as Principal, undefined) };
}

async function listWhenReady(view: GatewayView, first: string): Promise<unknown[]> {
  const found = await waitFor(
    async () => {
      const names = await namesOf(view);
      return names.includes(first) ? names : undefined;
    },
    { deadlineMs: 20_000, what: first },
  );
  return found ?? [];
}

test('servers of both eras, as commands and over HTTP, are one catalog', async (t) => {
  const remote = await startConformanceFixture(t);
  const servers = [
    node('every', EVERYTHING),
    node('dual', '--import', 'tsx', FIXTURE, 'stdio'),
    httpServer('remote', { url: remote.url, timeouts: TIMEOUTS }),
  ];
  const { view, gateway } = await open(t, configOf(servers));
  await listWhenReady(view, 'every__echo');
  await listWhenReady(view, 'dual__test_simple_text');
  const names = await listWhenReady(view, 'remote__test_simple_text');
  assert.deepEqual(names.map(String).toSorted(), [...new Set(names.map(String))].toSorted());

  const echo = await result(view, 'tools/call', { name: 'every__echo', arguments: { message: 'hi' } });
  assert.match(JSON.stringify(echo['content']), /Echo: hi/);
  for (const server of ['dual', 'remote']) {
    const { content } = await result(view, 'tools/call', { name: `${server}__test_simple_text`, arguments: {} });
    assert.ok(Array.isArray(content) && content.length > 0);
  }
  assert.equal((await errorOf(view, 'tools/call', { name: 'every__none' })).code, -32602);
  const { resources } = await result(view, 'resources/list');
  const listed = (resources as JsonObject[]).map(({ uri }) => String(uri));
  assert.equal(new Set(listed).size, listed.length);
  for (const uri of [listed[0], listed.find((each) => each.startsWith('mcproxy:'))]) {
    const { contents } = await result(view, 'resources/read', { uri });
    assert.equal((contents as JsonObject[])[0]?.['uri'], uri);
  }
  const { instructions } = await view.discover();
  assert.match(instructions ?? '', /## every/);
  assert.ok(gateway.status().every(({ state }) => state === 'ready'));
});

test('a legacy server that asks something in a call gets its answer by a retry through the seal', async (t) => {
  const { view } = await open(t, configOf([node('every', EVERYTHING)]));
  const can = { clientCapabilities: { elicitation: { form: {} } } };
  await listWhenReady(view, 'every__echo');
  const name = (await namesOf(view)).map(String).find((each) => /elicitation/.test(each));
  assert.ok(name, 'the server has a tool that asks');
  const asked = await view.call(request('tools/call', { name, arguments: {} }, can), SILENT).outcome;
  assert.ok(asked.kind === 'input_required', JSON.stringify(asked));
  const [key = ''] = Object.keys(asked.inputRequests);
  assert.match(String(asked.inputRequests[key]?.params['message']), /^\[every\] /);
  const inputResponses = { [key]: { action: 'decline' } };
  const { requestState } = asked;
  const params = { name, arguments: {}, inputResponses, requestState };
  const done = await view.call(request('tools/call', params, can), SILENT).outcome;
  assert.ok(done.kind === 'complete', JSON.stringify(done));
});

test('a reload keeps the process of a server that did not change', async (t) => {
  const { view, gateway } = await open(t, configOf([node('every', EVERYTHING)]));
  await listWhenReady(view, 'every__echo');
  const before = gateway.status();
  await gateway.reload(configOf([node('every', EVERYTHING), stdioServer('broken', { command: '/does/not/exist' })]));
  await listWhenReady(view, 'every__echo');
  assert.deepEqual(gateway.status()[0], before[0]);
  const { instructions } = await view.discover();
  assert.match(instructions ?? '', /- broken: down since /);
  assert.equal((await errorOf(view, 'tools/call', { name: 'broken__x' })).code, 503);
});
