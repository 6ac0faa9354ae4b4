import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorOf, namesOf, startWorld, tools, TWO } from '../support/gateway-world.ts';
import { configOf } from '../support/scripted-peer.ts';

test('a view of one server leaves names, unknown methods of it and errors as they are', async (t) => {
  const world = startWorld(t, configOf(TWO), { files: { tools: tools('read') } });
  const view = world.view('alice', 'files');
  assert.deepEqual(await namesOf(view), ['read']);
  world.peer('files').answer = ({ method }) =>
    method === 'tools/call' ? { kind: 'error', code: -32602, message: 'no', data: { uri: 'x:y' } } : undefined;
  const error = await errorOf(view, 'tools/call', { name: 'hidden' });
  assert.deepEqual([error.code, error.message, error.data], [-32602, 'no', { uri: 'x:y' }]);
  assert.equal((await errorOf(view, 'tasks/list')).code, -32601);
  assert.deepEqual(view.locate({ method: 'tools/call', params: { name: 'read' } }), {
    upstream: 'files',
    name: 'read',
  });
});
