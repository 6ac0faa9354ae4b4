import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import type { StdioServerConfig } from '../../src/model.ts';
import { openStdioPeer } from '../../src/upstream/stdio-peer.ts';
import type { SupervisedPeer } from '../../src/upstream/supervisor.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import {
  ALL_CAPABILITIES,
  CLOCK,
  answering,
  ask,
  everythingServer,
  fixtureServer,
  questionOf,
  resultOf,
} from '../support/mcp-peers.ts';
import { isRunning, stdioServer } from '../support/stdio-server.ts';
import type { Cleanup } from '../support/temp-dir.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor, within } from '../support/wait.ts';

after(() => checkNothingLeft());

function open(cleanup: Cleanup, server: StdioServerConfig): { peer: SupervisedPeer; diag: string[]; events: string[] } {
  const diag: string[] = [];
  const events: string[] = [];
  const peer = openStdioPeer({
    server,
    ambientEnv: process.env,
    clock: CLOCK,
    onDiag: (_level, message, data) => diag.push(`${message} ${JSON.stringify(data)}`),
  });
  peer.onChange((event) => events.push(event.kind === 'resource' ? event.uri : event.kind));
  cleanup.after(() => peer.close());
  return { peer, diag, events };
}

test('a modern command is asked once and spoken to in its era', async (t) => {
  const { peer, events } = open(t, fixtureServer());

  await t.test('nothing runs before it is needed', () => {
    assert.equal(peer.state().state, 'idle');
    assert.equal(peer.state().pid, undefined);
  });

  await t.test('it describes itself', async () => {
    const card = await peer.describe();
    assert.equal(card.revision, '2026-07-28');
    assert.equal(card.serverInfo?.['name'], 'conformance-fixture');
    assert.deepEqual([peer.state().state, peer.state().era], ['ready', 'modern']);
  });

  await t.test('its lists keep their cache hints', async () => {
    const result = await resultOf(ask(peer, 'tools/list'));
    assert.equal(result['ttlMs'], 1_000);
    assert.equal(result['resultType'], undefined);
  });

  await t.test('progress increases and has no token', async () => {
    const params = { name: 'test_tool_with_progress', arguments: {} };
    const told = ask(peer, 'tools/call', params, { wantsProgress: true });
    await resultOf(told);
    assert.deepEqual(
      told.progress.map(({ progress }) => progress),
      [0, 50, 100],
    );
    assert.ok(told.progress.every((each) => !('progressToken' in each)));
  });

  await t.test('a question passes with its state, and the retry completes', async () => {
    const params = { name: 'test_input_required_result_elicitation', arguments: {} };
    const options = { capabilities: ALL_CAPABILITIES };
    const question = await questionOf(ask(peer, 'tools/call', params, options));
    assert.deepEqual(Object.keys(question.inputRequests), ['user_name']);
    const retry = answering(params, question, () => ({ action: 'accept', content: { name: 'Ada' } }));
    const result = await resultOf(ask(peer, 'tools/call', retry, options));
    assert.match(JSON.stringify(result), /Hello, Ada!/);
  });

  await t.test('log messages come when one request wants them', async () => {
    const params = { name: 'test_tool_with_logging', arguments: {} };
    const told = ask(peer, 'tools/call', params, { logLevel: 'info' });
    const silent = ask(peer, 'tools/call', params);
    await Promise.all([told.outcome, silent.outcome]);
    assert.equal(told.logs.length, 3);
    assert.deepEqual(silent.logs, []);
  });

  await t.test('a changed list is told', async () => {
    await resultOf(ask(peer, 'tools/call', { name: 'test_trigger_tool_change', arguments: {} }));
    await waitFor(() => events.includes('tools'), { what: 'the change' });
  });

  await t.test('a resource is watched', async () => {
    assert.equal(await peer.subscribe('test://watched-resource'), true);
    await peer.unsubscribe('test://watched-resource');
  });

  await t.test('closing leaves no process', async () => {
    const { pid } = peer.state();
    await peer.close();
    assert.ok(pid !== undefined && !isRunning(pid));
    const outcome = await ask(peer, 'tools/list').outcome;
    assert.equal(outcome.kind === 'error' && outcome.code, 503);
  });
});

test('a legacy command is found out, and comes back by itself after a crash', async (t) => {
  const { peer, events } = open(t, everythingServer());
  assert.equal((await peer.describe()).revision, '2025-11-25');
  assert.equal(peer.state().era, 'legacy');
  const uri = 'demo://resource/dynamic/text/1';
  assert.equal(await peer.subscribe(uri), true);
  const first = peer.state().pid as number;
  const slow = ask(peer, 'tools/call', { name: 'trigger-long-running-operation', arguments: { duration: 30 } });
  await resultOf(ask(peer, 'tools/call', { name: 'echo', arguments: { message: 'x' } }));
  process.kill(first, 'SIGKILL');
  const lost = await slow.outcome;
  assert.equal(lost.kind === 'error' && lost.code, 502);

  const down = await ask(peer, 'tools/list').outcome;
  assert.equal(down.kind === 'error' && down.code, 503);
  assert.match(down.kind === 'error' ? down.message : '', /^server everything is down since \d{4}-.*SIGKILL/);
  assert.deepEqual([peer.state().state, events.includes('lost')], ['down', true]);

  await waitFor(() => events.includes('recovered'), { deadlineMs: 15_000, what: 'the restart' });
  assert.equal(peer.state().restarts, 1);
  assert.notEqual(peer.state().pid, first);
  await resultOf(ask(peer, 'tools/call', { name: 'toggle-subscriber-updates', arguments: {} }));
  await waitFor(() => events.includes(uri), { deadlineMs: 10_000, what: 'an update of the resource' });
});

test('a parked call of an earlier life is not silently made again', async (t) => {
  const { peer, events } = open(t, everythingServer());
  const params = { name: 'trigger-elicitation-request', arguments: {} };
  const options = { capabilities: ALL_CAPABILITIES };
  const question = await questionOf(ask(peer, 'tools/call', params, options));
  process.kill(peer.state().pid as number, 'SIGKILL');
  await waitFor(() => events.includes('recovered'), { deadlineMs: 15_000 });
  const retry = answering(params, question, () => ({ action: 'accept', content: { name: 'Ada' } }));
  const outcome = await ask(peer, 'tools/call', retry, options).outcome;
  assert.equal(outcome.kind === 'error' && outcome.code, -32602);
});

const MINIMAL_LEGACY = `
  const rl = require('node:readline').createInterface({ input: process.stdin });
  const print = (value) => console.log(JSON.stringify({ jsonrpc: '2.0', ...value }));
  rl.on('line', (line) => {
    const { id, method, params } = JSON.parse(line);
    ON_DISCOVER
    if (method === 'initialize') print({ id, result: { protocolVersion: VERSION, capabilities: { tools: {} }, serverInfo: { name: 'm', version: '1' } } });
    else if (method === 'tools/list') print({ id, result: { tools: [] } });
    else if (id !== undefined) print({ id, error: { code: -32601, message: 'no' } });
  });
`;

const minimal = (onDiscover: string, version = 'params.protocolVersion'): StdioServerConfig =>
  stdioServer('', {
    args: ['-e', MINIMAL_LEGACY.replace('ON_DISCOVER', onDiscover).replace('VERSION', version)],
    startMs: 10_000,
  });

const LEGACY_CASES = [
  { name: 'refuses the question with any code', server: minimal('') },
  { name: 'ends on the question', server: minimal(`if (method === 'server/discover') process.exit(3);`) },
  { name: 'is silent on the question', server: minimal(`if (method === 'server/discover') return;`) },
  {
    name: 'names legacy revisions only',
    server: minimal(
      `if (method === 'server/discover') return print({ id, error: { code: -32022, message: 'v', data: { supported: ['2025-06-18'] } } });`,
      `'2025-06-18'`,
    ),
    revision: '2025-06-18',
  },
  { name: 'is of the oldest revision', server: minimal('', `'2024-11-05'`), revision: '2024-11-05' },
];

for (const { name, server, revision = '2025-11-25' } of LEGACY_CASES) {
  verifies('protocol.case-78', `a command is legacy when it ${name}`, async (t) => {
    const { peer } = open(t, server);
    assert.equal((await within(peer.describe(), { deadlineMs: 10_000 })).revision, revision);
    assert.deepEqual(await resultOf(ask(peer, 'tools/list')), { tools: [], ttlMs: 0, cacheScope: 'private' });
  });
}

verifies('gateway.servers.era', 'era: legacy spares a command the question', async (t) => {
  const server = minimal(`if (method === 'server/discover') process.exit(3);`);
  const { peer, diag } = open(t, { ...server, era: 'legacy' });
  assert.equal((await peer.describe()).revision, '2025-11-25');
  assert.equal(peer.state().restarts, 0);
  assert.deepEqual(diag, []);
});

verifies('gateway.servers.era', 'with era: modern neither an error nor silence is taken for legacy', async (t) => {
  const refusing = open(t, { ...minimal(''), era: 'modern' });
  await assert.rejects(refusing.peer.describe(), { code: 'UPSTREAM_PROTOCOL', message: /`era: modern`/ });
  const slow = `if (method === 'server/discover') return void setTimeout(print, 3_500, { id, result: { supportedVersions: ['2026-07-28'], capabilities: {} } });`;
  const late = open(t, { ...minimal(slow), era: 'modern' });
  assert.equal((await within(late.peer.describe(), { deadlineMs: 10_000 })).revision, '2026-07-28');
});

test('a command that cannot be spoken to says why and is tried again later', async (t) => {
  const { peer, events } = open(t, stdioServer('', { command: '/nonexistent/command' }));
  await assert.rejects(peer.describe(), { code: 'UPSTREAM_UNREACHABLE', message: /does not exist/ });
  assert.equal(peer.state().state, 'down');
  await assert.rejects(peer.describe(), { code: 'UPSTREAM_NOT_READY', message: /down since .*does not exist/ });
  assert.deepEqual(events, ['lost']);
});

test('a command that is never ready is stopped when its time is up', async (t) => {
  const { peer } = open(t, stdioServer('', { args: ['-e', 'process.stdin.resume()'], startMs: 300 }));
  await assert.rejects(peer.describe(), { code: 'UPSTREAM_TIMEOUT', message: /within 300 ms/ });
});

test('closing during the start leaves nothing behind', async (t) => {
  const { peer } = open(t, stdioServer('', { args: ['-e', 'process.stdin.resume()'], startMs: 60_000 }));
  const described = peer.describe();
  described.catch(() => undefined);
  await waitFor(() => peer.state().state === 'starting');
  await within(peer.close());
  await assert.rejects(within(described));
});
