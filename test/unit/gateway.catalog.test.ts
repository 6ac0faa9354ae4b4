import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject, McpOutcome } from '../../src/mcp/waist.ts';
import { errorOf, namesOf, result, startWorld, tools, turns, TWO } from '../support/gateway-world.ts';
import { configOf, stdioServer, type Offer } from '../support/scripted-peer.ts';
import { waitFor } from '../support/wait.ts';
import { verifies } from '../support/verifies.ts';

test('a server that is down keeps its tools, says so when called and hides no other', async (t) => {
  const world = startWorld(t, configOf(TWO), { files: { tools: tools('read') }, mail: { tools: tools('send') } });
  const view = world.view();
  const before = await namesOf(view);
  world.peer('files').down = true;
  world.peer('files').tell({ kind: 'lost', reason: 'exit 1' });
  assert.deepEqual(await namesOf(view), before);
  assert.equal((await result(view, 'tools/list'))['ttlMs'], 0);
  const error = await errorOf(view, 'tools/call', { name: 'files__read' });
  assert.deepEqual([error.code, error.message], [503, 'server files is down since noon']);
  assert.equal((await result(view, 'tools/call', { name: 'mail__send' }))['by'], 'mail');
  const { instructions } = await view.discover();
  assert.match(instructions ?? '', /files: down since 1970-01-01T00:16:40.000Z: exit 1/);
});

test('a server that never answered is asked all the same when a call names it', async (t) => {
  const world = startWorld(t, configOf(TWO), { files: { tools: tools('read') } });
  world.peer('files').down = true;
  const error = await errorOf(world.view(), 'tools/call', { name: 'files__read' });
  assert.deepEqual([error.code, error.message], [503, 'server files is down since noon']);
  assert.deepEqual(error.data, { source: 'mcproxy', code: 'UPSTREAM_NOT_READY' });
});

test('a server that hangs delays a list by its deadline only, and is told as a change when it answers', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const world = startWorld(t, configOf(TWO), { files: { tools: tools('read') }, mail: { tools: tools('send') } });
  const view = world.view();
  const seen: unknown[] = [];
  view.onChange((change) => seen.push(change.kind));
  let free: () => void = () => assert.fail('never asked');
  const held = new Promise<undefined>((resolve) => (free = () => resolve(undefined)));
  world.peer('files').answer = ({ method }) => (method === 'tools/list' ? held : undefined);
  const listed = namesOf(view);
  await turns();
  t.mock.timers.tick(5_000);
  assert.deepEqual(await listed, ['mail__send']);
  free();
  await turns();
  t.mock.timers.tick(100);
  assert.deepEqual(seen, ['tools']);
  assert.deepEqual(await namesOf(view), ['files__read', 'mail__send']);
});

test('a server that hangs keeps the first who asks waiting for what it is, and nobody after', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const world = startWorld(t, configOf(TWO));
  const view = world.view();
  await turns();
  let free: () => void = () => assert.fail('never asked');
  const card = await world.peer('files').describe();
  world.peer('files').describe = () => new Promise((resolve) => (free = () => resolve(card)));
  let discovered = 0;
  const discover = async (): Promise<void> => {
    void view.discover().then(() => (discovered += 1));
    await turns();
  };
  await discover();
  assert.equal(discovered, 0);
  world.clock.advance(2_000);
  t.mock.timers.tick(2_000);
  await discover();
  t.mock.timers.tick(1);
  await turns();
  assert.equal(discovered, 2);
  free();
  await turns();
  await discover();
  t.mock.timers.tick(1_999);
  await turns();
  assert.equal(discovered, 2);
  free();
  await turns();
  assert.equal(discovered, 3);
});

test('a list is read again only after its time or a change, and readers at once share one reading', async (t) => {
  const files: Offer = { tools: tools('a'), freshness: { ttlMs: 1_000, cacheScope: 'public' } };
  const world = startWorld(t, configOf([stdioServer('files')]), { files });
  const view = world.view();
  const asked = (): number => world.peer('files').requests.filter(({ method }) => method === 'tools/list').length;
  const [first, second] = await Promise.all([result(view, 'tools/list'), result(view, 'tools/list')]);
  assert.deepEqual([first?.['ttlMs'], first?.['cacheScope'], second], [1_000, 'public', first]);
  assert.equal(asked(), 1);
  world.clock.advance(400);
  assert.equal((await result(view, 'tools/list'))['ttlMs'], 600);
  assert.equal(asked(), 1);
  world.peer('files').offer = { tools: tools('b') };
  world.peer('files').tell({ kind: 'tools' });
  assert.deepEqual(await namesOf(view), ['files__b']);
  assert.equal(asked(), 2);
  assert.equal((await result(view, 'tools/list'))['cacheScope'], 'private');
});

test('a change during a reading is followed by another reading for who asks afterwards', async (t) => {
  const world = startWorld(t, configOf([stdioServer('files')]), { files: { tools: tools('old') } });
  const view = world.view();
  const peer = world.peer('files');
  let free: () => void = () => assert.fail('never asked');
  const held = new Promise<McpOutcome>((resolve) => {
    free = () => resolve({ kind: 'complete', result: { tools: tools('old') } });
  });
  peer.answer = ({ method }) => (method === 'tools/list' ? held : undefined);
  const first = namesOf(view);
  await waitFor(() => peer.requests.length === 1);
  peer.answer = undefined;
  peer.offer = { tools: tools('new') };
  peer.tell({ kind: 'tools' });
  const second = namesOf(view);
  free();
  assert.deepEqual(await first, ['files__old']);
  assert.deepEqual(await second, ['files__new']);
});

verifies(
  ['protocol.case-82', 'protocol.case-83'],
  'all pages are read, an empty cursor is a cursor, and cursors without end are cut',
  async (t) => {
    const world = startWorld(t, configOf([stdioServer('files')]));
    const view = world.view();
    const peer = world.peer('files');
    peer.answer = ({ method, params }) => {
      if (method !== 'tools/list') return undefined;
      const { cursor } = params;
      if (cursor === undefined) return { kind: 'complete', result: { tools: tools('a'), nextCursor: '' } };
      return { kind: 'complete', result: { tools: tools('b') } };
    };
    assert.deepEqual(await namesOf(view), ['files__a', 'files__b']);
    let page = 0;
    peer.answer = ({ method }) => {
      page += 1;
      const end = { kind: 'complete', result: { tools: tools(`t${page}`), nextCursor: `c${page}` } } as const;
      return method === 'tools/list' ? end : undefined;
    };
    assert.equal((await namesOf(view)).length, 100);
    peer.answer = ({ method }) =>
      method === 'tools/list' ? { kind: 'complete', result: { tools: tools('x'), nextCursor: 'same' } } : undefined;
    assert.deepEqual(await namesOf(view), ['files__x']);
  },
);

test('a long list is cut into pages whose cursors end with the list', async (t) => {
  const many = Array.from({ length: 1_500 }, (_, at) => `t${at}`);
  const world = startWorld(t, configOf([stdioServer('files')]), { files: { tools: tools(...many) } });
  const view = world.view();
  const first = await result(view, 'tools/list');
  const cursor = first['nextCursor'];
  const second = await result(view, 'tools/list', { cursor });
  const names = [...(first['tools'] as JsonObject[]), ...(second['tools'] as JsonObject[])].map(({ name }) => name);
  assert.deepEqual(
    names,
    many.map((name) => `files__${name}`),
  );
  assert.equal(second['nextCursor'], undefined);
  for (const bad of ['', '1000', '1000.zz', '7.abc', 7, null]) {
    assert.equal((await errorOf(view, 'tools/list', { cursor: bad })).code, -32602, String(bad));
  }
  world.peer('files').offer = { tools: tools(...many, 'new') };
  await result(view, 'tools/list');
  assert.equal((await errorOf(view, 'tools/list', { cursor })).code, -32602);
});
