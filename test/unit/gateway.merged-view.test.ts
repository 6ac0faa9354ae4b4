import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject, McpOutcome } from '../../src/mcp/waist.ts';
import { errorOf, namesOf, result, SILENT, startWorld, tools, TWO } from '../support/gateway-world.ts';
import { configOf, httpServer, request, stdioServer } from '../support/scripted-peer.ts';
import { verifies } from '../support/verifies.ts';

verifies(
  'protocol.case-84',
  'a view lists the tools of all its servers in the configured order and calls the right one',
  async (t) => {
    const world = startWorld(t, configOf(TWO), {
      files: { tools: tools('read', 'write') },
      mail: { tools: tools('read') },
    });
    const view = world.view();
    const names = ['files__read', 'files__write', 'mail__read'];
    for (let round = 0; round < 3; round += 1) assert.deepEqual(await namesOf(view), names);
    const { echo, by } = await result(view, 'tools/call', { name: 'mail__read', arguments: { a: 1 } });
    assert.deepEqual([echo, by], [{ name: 'read', arguments: { a: 1 } }, 'mail']);
  },
);

test('an unknown name is -32602, a method that is not served -32601, and no server hears of either', async (t) => {
  const world = startWorld(t, configOf(TWO), { files: { tools: tools('read') }, mail: { tools: tools('read') } });
  const view = world.view();
  for (const name of ['files__none', 'read', 'nobody__read', '']) {
    assert.equal((await errorOf(view, 'tools/call', { name })).code, -32602, name);
  }
  assert.equal((await errorOf(view, 'tools/call', {})).code, -32602);
  assert.equal((await errorOf(view, 'sampling/createMessage')).code, -32601);
  const calls = world.peers.flatMap((peer) => peer.requests.filter(({ method }) => method === 'tools/call'));
  assert.deepEqual(calls, []);
});

test('prompts are named as tools are, and completions find their server', async (t) => {
  const world = startWorld(t, configOf(TWO), {
    files: { prompts: [{ name: 'plan' }], resourceTemplates: [{ uriTemplate: 'file:///{p}', name: 'f' }] },
    mail: { prompts: [{ name: 'plan' }] },
  });
  const view = world.view();
  assert.deepEqual(await namesOf(view, 'prompts'), ['files__plan', 'mail__plan']);
  assert.equal((await result(view, 'prompts/get', { name: 'mail__plan' }))['by'], 'mail');
  const ofPrompt = await result(view, 'completion/complete', { ref: { type: 'ref/prompt', name: 'mail__plan' } });
  assert.deepEqual(ofPrompt['echo'], { ref: { type: 'ref/prompt', name: 'plan' } });
  const ref = { type: 'ref/resource', uri: 'file:///{p}' };
  const ofTemplate = await result(view, 'completion/complete', { ref });
  assert.deepEqual([ofTemplate['by'], ofTemplate['echo']], ['files', { ref }]);
  assert.equal((await errorOf(view, 'completion/complete', { ref: { type: 'x' } })).code, -32602);
});

test('resources pass through when unique, are wrapped when they collide, and every URI leads home', async (t) => {
  const world = startWorld(t, configOf(TWO), {
    files: {
      resources: [{ uri: 'file:///a' }, { uri: 'file:///both' }],
      resourceTemplates: [{ uriTemplate: 'db:{id}' }],
    },
    mail: { resources: [{ uri: 'file:///both' }, { uri: 'mail:1' }], resourceTemplates: [{ uriTemplate: 'db:{x}' }] },
  });
  const view = world.view();
  const wrapped = 'mcproxy:mail/file:///both';
  assert.deepEqual(await namesOf(view, 'resources'), ['file:///a', 'file:///both', wrapped, 'mail:1']);
  assert.deepEqual(await namesOf(view, 'templates'), ['db:{id}', 'mcproxy:mail/db:{x}']);
  const cases = [
    { uri: 'file:///both', by: 'files', at: 'file:///both' },
    { uri: wrapped, by: 'mail', at: 'file:///both' },
    { uri: 'mail:1', by: 'mail', at: 'mail:1' },
    { uri: 'db:7', by: 'files', at: 'db:7' },
    { uri: 'mcproxy:mail/db:7', by: 'mail', at: 'db:7' },
  ];
  for (const { uri, by, at } of cases) {
    const read = await result(view, 'resources/read', { uri });
    assert.deepEqual([read['by'], read['echo']], [by, { uri: at }], uri);
    assert.deepEqual(view.locate({ method: 'resources/read', params: { uri } }), { upstream: by, name: at });
  }
  const error = await errorOf(view, 'resources/read', { uri: 'other:1' });
  assert.deepEqual([error.code, error.data], [-32602, { uri: 'other:1', source: 'mcproxy', code: 'RPC_PARAMS' }]);
  assert.equal((await errorOf(view, 'resources/read', { uri: 'mcproxy:nobody/x:1' })).code, -32602);
});

test('a link in a result that is in no list leads back to its server', async (t) => {
  const world = startWorld(t, configOf(TWO), { files: { tools: tools('find') }, mail: { tools: tools('find') } });
  const view = world.view();
  const link = { type: 'resource_link', uri: 'db:9', name: 'nine' };
  const answer = (): McpOutcome => ({ kind: 'complete', result: { content: [link, { type: 'text', text: 'db:9' }] } });
  for (const peer of world.peers) peer.answer = ({ method }) => (method === 'tools/call' ? answer() : undefined);
  const [one, two] = [
    await result(view, 'tools/call', { name: 'mail__find' }),
    await result(view, 'tools/call', { name: 'files__find' }),
  ];
  assert.deepEqual(one['content'], [link, { type: 'text', text: 'db:9' }]);
  assert.deepEqual((two['content'] as JsonObject[])[0]?.['uri'], 'mcproxy:files/db:9');
  assert.equal((await result(view, 'resources/read', { uri: 'db:9' }))['by'], 'mail');
  assert.equal((await result(view, 'resources/read', { uri: 'mcproxy:files/db:9' }))['by'], 'files');
});

test('a user sees only their servers', async (t) => {
  const [files, mail] = TWO;
  assert.ok(files && mail);
  const world = startWorld(t, configOf(TWO, { alice: [files], bob: '*' }), {
    files: { tools: tools('a') },
    mail: { tools: tools('b') },
  });
  assert.deepEqual(await namesOf(world.view('alice')), ['files__a']);
  assert.equal((await errorOf(world.view('alice'), 'tools/call', { name: 'mail__b' })).code, -32602);
  assert.equal((await errorOf(world.view('alice', 'mail'), 'tools/list')).code, 404);
  world.peer('files').offer = { tools: tools('a'), freshness: { ttlMs: 9, cacheScope: 'public' } };
  assert.equal((await result(world.view('alice'), 'tools/list'))['cacheScope'], 'private');
});

test('a merged discovery has the instructions of all, and one of a single server is that server’s', async (t) => {
  const capabilities = { tools: {}, logging: {}, tasks: {}, experimental: { x: {} } };
  const world = startWorld(t, configOf(TWO), {
    files: { instructions: 'Read files.', capabilities },
    mail: { capabilities: { tools: {} } },
  });
  const { capabilities: merged, instructions } = await world.view().discover();
  assert.deepEqual(merged, {
    tools: { listChanged: true },
    prompts: { listChanged: true },
    resources: { listChanged: true },
    logging: {},
  });
  assert.equal(instructions, '## files (its names begin with files__)\n\nRead files.');
  assert.deepEqual(await world.view('alice', 'files').discover(), {
    capabilities: { tools: { listChanged: true }, logging: {}, experimental: { x: {} } },
    instructions: 'Read files.',
  });
  world.peer('files').down = true;
  await assert.rejects(world.view('alice', 'files').discover(), { code: 'UPSTREAM_NOT_READY' });
});

test('disabled servers and those that need the client’s own token are in no view', async (t) => {
  const servers = [stdioServer('off', { enabled: false }), httpServer('pass', { credential: { type: 'passthrough' } })];
  const world = startWorld(t, configOf([...servers, stdioServer('files')]), { files: { tools: tools('a') } });
  assert.deepEqual(await namesOf(world.view()), ['files__a']);
  assert.deepEqual(
    world.peers.map(({ name }) => name),
    ['files'],
  );
});

test('log messages say which server they are from', async (t) => {
  const world = startWorld(t, configOf(TWO), { files: { tools: tools('a') } });
  const view = world.view();
  await namesOf(view);
  const logs: unknown[] = [];
  const peer = world.peer('files');
  const call = peer.call.bind(peer);
  peer.call = (asked, events) => {
    events.onLog({ level: 'info', data: 'x' });
    events.onLog({ level: 'info', logger: 'db', data: 'y' });
    return call(asked, events);
  };
  await view.call(request('tools/call', { name: 'files__a' }), { ...SILENT, onLog: (log) => logs.push(log['logger']) })
    .outcome;
  assert.deepEqual(logs, ['files', 'files/db']);
});
