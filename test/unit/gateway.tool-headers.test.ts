import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorOf, namesOf, startWorld, tools, TWO } from '../support/gateway-world.ts';
import { configOf } from '../support/scripted-peer.ts';

const annotated = (header: string) => ({
  name: 'find',
  inputSchema: { type: 'object', properties: { region: { type: 'string', 'x-mcp-header': header } } },
});
const REGION = [{ name: 'Region', path: ['region'] }];

for (const [serverName, name] of [
  [undefined, 'files__find'],
  ['files', 'find'],
] as const) {
  const title = serverName === undefined ? 'all servers' : 'one server';
  test(`a view of ${title} knows the mirrored arguments of a tool before anybody listed it`, async (t) => {
    const world = startWorld(t, configOf(TWO), { files: { tools: [annotated('Region'), ...tools('read')] } });
    const view = world.view('alice', serverName);
    assert.deepEqual(await view.paramHeaders(name, false), REGION);
    assert.deepEqual(await view.paramHeaders(name.replace('find', 'read'), false), []);
    assert.deepEqual(await view.paramHeaders('nowhere', false), []);
  });
}

test('a list that has changed is read again only when that is asked for', async (t) => {
  const offer = { tools: [annotated('Region')] };
  const world = startWorld(t, configOf(TWO), { files: offer });
  const view = world.view('alice', 'files');
  assert.deepEqual(await view.paramHeaders('find', false), REGION);
  offer.tools = [annotated('Zone')];
  assert.deepEqual(await view.paramHeaders('find', false), REGION);
  world.clock.advance(10_000);
  assert.deepEqual(await view.paramHeaders('find', true), [{ name: 'Zone', path: ['region'] }]);
});

test('a server whose list cannot be read asks for no headers, and the call says why', async (t) => {
  const world = startWorld(t, configOf(TWO), { files: { tools: [annotated('Region')] } });
  const view = world.view('alice', 'files');
  assert.deepEqual(await namesOf(view), ['find']);
  world.peer('files').answer = () => ({ kind: 'error', code: -32603, message: 'broken', data: undefined });
  assert.deepEqual(await view.paramHeaders('find', false), []);
  assert.equal((await errorOf(view, 'tools/call', { name: 'find' })).message, 'broken');
});
