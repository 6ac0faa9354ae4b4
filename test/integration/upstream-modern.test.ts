import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import type { ChangeEvent, JsonObject, McpOutcome, McpPeer, McpRequest } from '../../src/mcp/waist.ts';
import { openModernHttp } from '../../src/upstream/modern-http.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { startConformanceFixture } from '../support/peers.ts';
import { remoteAt } from '../support/remote-server.ts';
import { waitFor } from '../support/wait.ts';
import { verifies } from '../support/verifies.ts';

after(() => checkNothingLeft());

const FORMS = { elicitation: { form: {} } };

interface Asked {
  readonly progress: JsonObject[];
  readonly logs: JsonObject[];
  readonly outcome: McpOutcome;
}

async function ask(peer: McpPeer, request: Partial<McpRequest> & { method: string }): Promise<Asked> {
  const progress: JsonObject[] = [];
  const logs: JsonObject[] = [];
  const whole = {
    params: {},
    clientCapabilities: {},
    clientInfo: { name: 'test', version: '1' },
    logLevel: undefined,
    wantsProgress: false,
    ...request,
  };
  const call = peer.call(whole, {
    onProgress: (params) => progress.push(params),
    onLog: (params) => logs.push(params),
  });
  return { outcome: await call.outcome, progress, logs };
}

const tool = (name: string, rest: JsonObject = {}): { method: string; params: JsonObject } => ({
  method: 'tools/call',
  params: { name, arguments: {}, ...rest },
});

test('the conformance fixture is spoken to in the modern era', async (t) => {
  const { url } = await startConformanceFixture(t);
  const peer = openModernHttp(await remoteAt(t, url));
  t.after(() => peer.close());

  const card = await peer.describe();
  assert.equal(card.revision, '2026-07-28');
  assert.equal(card.serverInfo?.['name'], 'conformance-fixture');

  const plain = await ask(peer, tool('test_simple_text'));
  assert.deepEqual(plain.outcome, {
    kind: 'complete',
    result: { content: [{ type: 'text', text: 'This is a simple text response for testing.' }] },
  });

  const noisy = await ask(peer, { ...tool('test_tool_with_progress'), wantsProgress: true });
  assert.deepEqual(noisy.progress, [
    { progress: 0, total: 100 },
    { progress: 50, total: 100 },
    { progress: 100, total: 100 },
  ]);
  assert.equal((await ask(peer, tool('test_tool_with_logging'))).logs.length, 0);
  assert.equal((await ask(peer, { ...tool('test_tool_with_logging'), logLevel: 'info' })).logs.length, 3);

  const unknown = await ask(peer, { method: 'no/such' });
  assert.equal(unknown.outcome.kind === 'error' && unknown.outcome.code, -32601);

  // Names that a header cannot carry plainly.
  const read = await ask(peer, { method: 'resources/read', params: { uri: 'test://template/ü 1/data' } });
  assert.notEqual(read.outcome.kind === 'error' && read.outcome.code, -32020, JSON.stringify(read.outcome));
});

test('a question comes back as one and its answer completes the call', async (t) => {
  const { url } = await startConformanceFixture(t);
  const peer = openModernHttp(await remoteAt(t, url));
  t.after(() => peer.close());
  const name = 'test_input_required_result_request_state';
  const { outcome } = await ask(peer, { ...tool(name), clientCapabilities: FORMS });
  assert.equal(outcome.kind, 'input_required');
  if (outcome.kind !== 'input_required') return;
  assert.equal(outcome.inputRequests['confirm']?.method, 'elicitation/create');
  const inputResponses = { confirm: { action: 'accept', content: { ok: true, confirm: true } } };
  const retry = tool(name, { inputResponses, requestState: outcome.requestState });
  const done = await ask(peer, { ...retry, clientCapabilities: FORMS });
  assert.match(JSON.stringify(done.outcome), /state-ok/);
});

verifies('protocol.case-72', 'a call refused for its headers learns them and is made again', async (t) => {
  const { url } = await startConformanceFixture(t);
  const peer = openModernHttp(await remoteAt(t, url));
  t.after(() => peer.close());
  const { outcome } = await ask(peer, tool('test_x_mcp_header', { arguments: { region: 'Zürich ' } }));
  assert.match(JSON.stringify(outcome), /region=Zürich /);
});

test('changes are heard, and a stream that breaks is opened again', async (t) => {
  const { url } = await startConformanceFixture(t);
  const remote = await remoteAt(t, url);
  const peer = openModernHttp(remote);
  t.after(() => peer.close());
  const changes: ChangeEvent[] = [];
  const stop = peer.onChange((event) => changes.push(event));
  await waitFor(async () => {
    await ask(peer, tool('test_trigger_tool_change'));
    return changes.some(({ kind }) => kind === 'tools');
  });
  assert.equal(await peer.subscribe('test://watched-resource'), true);
  stop();
  await peer.unsubscribe('test://watched-resource');
});
