import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { McpOutcome } from '../../src/mcp/waist.ts';
import { errorOf, namesOf, result, SILENT, startWorld, tools, turns, TWO } from '../support/gateway-world.ts';
import { configOf, httpServer, request, stdioServer } from '../support/scripted-peer.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor } from '../support/wait.ts';

test('a command that is the same for all runs once; what is a user’s own is theirs alone', async (t) => {
  const shared = stdioServer('files');
  const remote = httpServer('github');
  const own = stdioServer('files', { cwd: '/bob' });
  const world = startWorld(t, configOf([shared, remote], { alice: '*', carol: '*', bob: [own, remote] }));
  assert.deepEqual(
    world.peers.map(({ name }) => name),
    ['files'],
    'only what all share starts by itself',
  );
  for (const id of ['alice', 'bob', 'carol']) await result(world.view(id), 'tools/list');
  const opened = world.peers.map(({ name, principalId }) => `${name} ${principalId ?? 'all'}`);
  assert.deepEqual(opened.toSorted(), ['files all', 'files bob', 'github alice', 'github bob', 'github carol']);
});

test('a reload keeps equal servers, replaces changed ones, drops removed ones and tells all who listen', async (t) => {
  const offers = { files: { tools: tools('a') }, mail: { tools: tools('b') }, chat: { tools: tools('c') } };
  const world = startWorld(t, configOf(TWO), offers);
  const view = world.view();
  const seen = new Set<string>();
  view.onChange(({ kind }) => seen.add(kind));
  await namesOf(view);
  const [files, mail] = [world.peer('files'), world.peer('mail')];
  await world.reload(configOf([stdioServer('files'), stdioServer('mail', { args: ['-v'] }), stdioServer('chat')]));
  assert.deepEqual(await namesOf(view), ['files__a', 'mail__b', 'chat__c']);
  assert.equal(world.peer('files'), files);
  assert.notEqual(world.peer('mail'), mail);
  await waitFor(() => mail.closed);
  await waitFor(() => seen.size === 3);

  await world.reload(configOf([stdioServer('files')]));
  assert.deepEqual(await namesOf(view), ['files__a']);
  await waitFor(() => world.peers.filter(({ closed }) => !closed).length === 1);
  assert.equal(world.peer('files'), files);

  await world.reload(configOf([stdioServer('files')], { bob: '*' }));
  assert.deepEqual(await namesOf(view), [], 'a user who was removed has nothing any more');
});

test('a reload lets calls in progress end before it closes their server', async (t) => {
  const world = startWorld(t, configOf(TWO), { files: { tools: tools('slow') } });
  const peer = world.peer('files');
  let free: (outcome: McpOutcome) => void = () => undefined;
  peer.answer = ({ method }) => (method === 'tools/call' ? new Promise((resolve) => (free = resolve)) : undefined);
  const call = world.view().call(request('tools/call', { name: 'files__slow' }), SILENT);
  await waitFor(() => peer.requests.some(({ method }) => method === 'tools/call'));
  await world.reload(configOf([stdioServer('mail')]));
  assert.equal(peer.closed, false);
  free({ kind: 'complete', result: { done: true } });
  assert.deepEqual(await call.outcome, { kind: 'complete', result: { done: true } });
  await waitFor(() => peer.closed);
});

test('a peer of one user is closed when nobody used it for a while, and opened again', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const world = startWorld(t, configOf([httpServer('github'), stdioServer('files')]));
  const view = world.view();
  await result(view, 'tools/list');
  const peer = world.peer('github', 'alice');
  const stop = view.onChange(() => undefined);
  for (let round = 0; round < 3; round += 1) {
    world.clock.advance(10 * 60_000);
    t.mock.timers.tick(10 * 60_000);
  }
  assert.equal(peer.closed, false, 'somebody listens');
  stop();
  world.clock.advance(16 * 60_000);
  t.mock.timers.tick(16 * 60_000);
  await turns();
  assert.equal(peer.closed, true);
  assert.equal(world.peer('files').closed, false);
  await result(view, 'tools/list');
  assert.notEqual(world.peer('github', 'alice'), peer);
});

test('the status names every open peer, and nothing is left after the end', async (t) => {
  const world = startWorld(t, configOf([...TWO, httpServer('github')]));
  await result(world.view(), 'tools/list');
  const [first] = world.gateway.status();
  assert.deepEqual([first?.['server'], first?.['principal'], first?.['state']], ['files', null, 'ready']);
  assert.equal(world.gateway.status().length, 3);
  await world.gateway.close();
  assert.ok(world.peers.every(({ closed }) => closed));
  assert.equal((await errorOf(world.view(), 'tools/call', { name: 'files__a' })).code, 503);
});

verifies('gateway.servers.share', 'share and idle of a server say who has it together and until when', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const one = httpServer('one', { share: 'all' });
  const each = stdioServer('each', { share: 'user' });
  const short = stdioServer('short', { idleMs: 60_000 });
  const ever = httpServer('ever', { idleMs: 0 });
  const own = httpServer('one', { share: 'all', url: 'https://bob.example/mcp' });
  const world = startWorld(t, configOf([one, each, short, ever], { alice: '*', carol: '*', bob: [own, each] }));
  for (const id of ['alice', 'bob', 'carol']) await result(world.view(id), 'tools/list');
  const opened = world.peers.map(({ name, principalId }) => `${name} ${principalId ?? 'all'}`);
  const expected = [
    'each alice',
    'each bob',
    'each carol',
    'ever alice',
    'ever carol',
    'one all',
    'one bob',
    'short all',
  ];
  assert.deepEqual(opened.toSorted(), expected);
  const tick = async (ms: number): Promise<string[]> => {
    world.clock.advance(ms);
    t.mock.timers.tick(ms);
    await turns();
    return world.peers.flatMap(({ closed, name }) => (closed ? [name] : []));
  };
  assert.deepEqual(await tick(61_000), ['short']);
  await tick(10 * 60_000);
  assert.deepEqual((await tick(10 * 60_000)).toSorted(), ['each', 'each', 'each', 'one', 'short']);
});

verifies('gateway.servers.own-credential', 'nothing is opened for who lacks what each user brings', async (t) => {
  const mine = stdioServer('mine', { lacks: ['env.TOKEN'] });
  const world = startWorld(t, configOf([mine, stdioServer('files')], { alice: '*', bob: [stdioServer('mine')] }));
  const error = await errorOf(world.view('alice'), 'tools/call', { name: 'mine__x' });
  assert.equal(error.kind === 'error' && error.code, 502);
  await result(world.view('bob'), 'tools/list');
  const opened = world.peers.map(({ name, principalId }) => `${name} ${principalId ?? 'all'}`);
  assert.deepEqual(opened.toSorted(), ['files all', 'mine bob']);
});
