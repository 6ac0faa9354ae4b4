import assert from 'node:assert/strict';
import { test } from 'node:test';
import { namesOf, result, startWorld, tools, turns, TWO } from '../support/gateway-world.ts';
import { configOf, httpServer, stdioServer } from '../support/scripted-peer.ts';
import { waitFor } from '../support/wait.ts';

test('changes within a moment are told once each, after the list was marked as old', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const world = startWorld(t, configOf(TWO), { files: { tools: tools('a'), freshness: { ttlMs: 60_000 } } });
  const view = world.view();
  const seen: unknown[] = [];
  const stop = view.onChange((change) => seen.push(change));
  await namesOf(view);
  world.peer('files').offer = { tools: tools('b') };
  for (const name of ['files', 'mail']) world.peer(name).tell({ kind: 'tools' });
  world.peer('mail').tell({ kind: 'prompts' });
  assert.deepEqual(seen, []);
  t.mock.timers.tick(100);
  assert.deepEqual(seen, [{ kind: 'tools' }, { kind: 'prompts' }]);
  assert.deepEqual(await namesOf(view), ['files__b']);
  stop();
  world.peer('files').tell({ kind: 'tools' });
  t.mock.timers.tick(100);
  assert.equal(seen.length, 2);
});

test('an update reaches the views that subscribed, under their URI, also for a part of the resource', async (t) => {
  const config = configOf(TWO, { alice: '*', bob: '*' });
  const world = startWorld(t, config, {
    files: { resources: [{ uri: 'file:///x' }] },
    mail: { resources: [{ uri: 'file:///x' }] },
  });
  const seen: string[] = [];
  for (const id of ['alice', 'bob']) {
    const view = world.view(id);
    await result(view, 'resources/list');
    view.onChange((change) => seen.push(`${id} ${change.kind === 'resource' ? change.uri : change.kind}`));
  }
  const alice = world.view('alice');
  assert.equal(await alice.subscribe('mcproxy:mail/file:///x'), true);
  assert.equal(await alice.subscribe('mcproxy:mail/file:///x'), true);
  assert.deepEqual([...world.peer('mail').subscribed], ['file:///x']);
  world.peer('mail').tell({ kind: 'resource', uri: 'file:///x' });
  world.peer('mail').tell({ kind: 'resource', uri: 'file:///x/part' });
  world.peer('mail').tell({ kind: 'resource', uri: 'file:///xyz' });
  world.peer('files').tell({ kind: 'resource', uri: 'file:///x' });
  await waitFor(() => seen.length >= 2);
  assert.deepEqual(seen, ['alice mcproxy:mail/file:///x', 'alice file:///x/part']);
  await alice.unsubscribe('mcproxy:mail/file:///x');
  assert.equal(world.peer('mail').subscribed.size, 1);
  await alice.unsubscribe('mcproxy:mail/file:///x');
  assert.equal(world.peer('mail').subscribed.size, 0);
});

test('after a lost connection subscriptions are made again and everything is told as changed', async (t) => {
  const world = startWorld(t, configOf([stdioServer('files')]), { files: { resources: [{ uri: 'file:///x' }] } });
  const view = world.view();
  const seen = new Set<string>();
  view.onChange((change) => seen.add(change.kind === 'resource' ? change.uri : change.kind));
  await view.subscribe('file:///x');
  const peer = world.peer('files');
  peer.tell({ kind: 'lost', reason: 'exit' });
  peer.subscribed.clear();
  peer.tell({ kind: 'recovered' });
  await waitFor(() => seen.size === 4);
  assert.deepEqual([...seen].toSorted(), ['file:///x', 'prompts', 'resources', 'tools']);
  assert.deepEqual([...peer.subscribed], ['file:///x']);
});

test('subscriptions outlive a reload that replaces their server', async (t) => {
  const world = startWorld(t, configOf([stdioServer('files')]), { files: { resources: [{ uri: 'file:///x' }] } });
  const view = world.view();
  const seen = new Set<string>();
  view.onChange((change) => seen.add(change.kind === 'resource' ? change.uri : change.kind));
  await view.subscribe('file:///x');
  await world.reload(configOf([stdioServer('files', { args: ['new'] })]));
  await waitFor(() => seen.has('file:///x'));
  assert.deepEqual([...world.peer('files').subscribed], ['file:///x']);
});

test('a server that only answers when asked is asked again while somebody listens', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const world = startWorld(t, configOf([httpServer('github')]), { github: { tools: tools('a') } });
  const view = world.view();
  const seen: string[] = [];
  view.onChange(({ kind }) => seen.push(kind));
  const peer = world.peer('github', 'alice');
  peer.down = true;
  assert.deepEqual(await namesOf(view), []);
  t.mock.timers.tick(5_000);
  await turns();
  peer.down = false;
  t.mock.timers.tick(10_000);
  await turns();
  t.mock.timers.tick(100);
  assert.deepEqual(seen, ['tools', 'prompts', 'resources']);
  assert.deepEqual(await namesOf(view), ['github__a']);
});
