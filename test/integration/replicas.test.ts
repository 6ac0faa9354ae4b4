import assert from 'node:assert/strict';
import { after, type TestContext } from 'node:test';
import type { JsonObject } from '../../src/mcp/waist.ts';
import type { HttpServerConfig } from '../../src/model.ts';
import { openPeer } from '../../src/upstream/open-peer.ts';
import { createUpstreamPool } from '../../src/upstream/pool.ts';
import type { ReplicaPeer } from '../../src/upstream/replica-peer.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { ALL_CAPABILITIES, answering, ask, CLOCK, questionOf, resultOf, type Told } from '../support/mcp-peers.ts';
import { startReplica, type ReplicaServer } from '../support/replica-server.ts';
import { httpServer } from '../support/scripted-peer.ts';
import { isRunning, stdioServer } from '../support/stdio-server.ts';
import type { Cleanup } from '../support/temp-dir.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor } from '../support/wait.ts';

after(() => checkNothingLeft());

interface World {
  readonly servers: readonly ReplicaServer[];
  readonly peer: ReplicaPeer;
  /** What was told: `tools`, `resource a://b`, … */
  readonly told: string[];
  /** Another user of the same addresses. */
  another(): ReplicaPeer;
  advance(ms: number): void;
}

async function startWorld(t: TestContext, names: readonly string[] = ['a', 'b', 'c']): Promise<World> {
  const servers: ReplicaServer[] = [];
  for (const name of names) servers.push(await startReplica(t, name));
  const [url = '', ...otherUrls] = servers.map((server) => server.url);
  const server: HttpServerConfig = httpServer('up', { url, otherUrls, retries: 3 });
  const pool = createUpstreamPool();
  await pool.prepare([server]);
  let skewMs = 0;
  const clock = { ...CLOCK, monotonicMs: () => performance.now() + skewMs };
  const open = (): ReplicaPeer => {
    const options = {
      pool,
      credentialFor: () => ({ fields: () => [], signature: undefined }),
      ambientEnv: {},
      clock,
      onDiag: () => undefined,
    };
    const peer = openPeer(server, options) as ReplicaPeer;
    t.after(() => peer.close());
    return peer;
  };
  const peer = open();
  t.after(() => pool.close());
  const told: string[] = [];
  peer.onChange((event) => told.push(event.kind === 'resource' ? `resource ${event.uri}` : event.kind));
  return { servers, peer, told, another: open, advance: (ms) => void (skewMs += ms) };
}

const work = (peer: ReplicaPeer): Told => ask(peer, 'tools/call', { name: 'work', arguments: {} });

async function textOf(told: Told): Promise<string> {
  const { content } = (await resultOf(told)) as { content: { text: string }[] };
  return content[0]?.text ?? '';
}

async function toolsOf(peer: ReplicaPeer): Promise<string> {
  const { tools } = (await resultOf(ask(peer, 'tools/list'))) as { tools: JsonObject[] };
  return String(tools[0]?.['name']);
}

/** Uses every replica once, so that each is ready. */
async function warm({ peer, servers }: World): Promise<void> {
  await waitFor(async () => {
    await textOf(work(peer));
    return servers.every(({ asked }) => asked.includes('tools/call'));
  });
  for (const { asked } of servers) asked.length = 0;
}

verifies('gateway.replicas.spread', 'each of three calls at once has a replica of its own', async (t) => {
  const world = await startWorld(t);
  await warm(world);
  for (const server of world.servers) server.hold = true;
  const calls = [1, 2, 3].map(() => textOf(work(world.peer)));
  await waitFor(() => world.servers.every(({ asked }) => asked.length === 1));
  // One is free again, so the next call is its.
  world.servers[1]?.release();
  await waitFor(() => world.peer.state().replicas.some((replica) => replica['calls'] === 0));
  calls.push(textOf(work(world.peer)));
  await waitFor(() => world.servers[1]?.asked.length === 2);
  for (const server of world.servers) server.release();
  assert.deepEqual((await Promise.all(calls)).toSorted(), ['a', 'b', 'b', 'c']);
});

for (const [title, fail] of [
  ['refuses connections', (server: ReplicaServer) => server.stop()],
  ['answers 503', (server: ReplicaServer) => void (server.mode = 503)],
] as const) {
  verifies('gateway.replicas.move', `a call moves on from a replica that ${title}`, async (t) => {
    const world = await startWorld(t, ['a', 'b']);
    await warm(world);
    const [a] = world.servers;
    assert.ok(a !== undefined);
    await fail(a);
    for (let round = 0; round < 4; round += 1) assert.equal(await textOf(work(world.peer)), 'b');
    assert.ok(a.asked.filter((method) => method === 'tools/call').length <= 1, 'it is not asked again');
    assert.deepEqual(
      world.peer.state().replicas.map((replica) => replica['resting']),
      [true, false],
    );
  });
}

verifies('gateway.replicas.move', 'a call that may have run does not move, one that only reads does', async (t) => {
  const world = await startWorld(t, ['a', 'b']);
  await warm(world);
  for (const server of world.servers) server.mode = 'reset';
  const outcome = await work(world.peer).outcome;
  assert.equal(outcome.kind === 'error' && outcome.code, 502);
  assert.equal(world.servers.flatMap(({ asked }) => asked).length, 1);
  const lead = world.servers.find((_, at) => world.peer.state().replicas[at]?.['lead']);
  for (const server of world.servers) server.mode = server === lead ? 'reset' : 'well';
  assert.match(await toolsOf(world.peer), /^only-/);
});

verifies(
  'gateway.replicas.health',
  'the last replica never rests: each call asks it, and it answers when it can',
  async (t) => {
    const world = await startWorld(t, ['a', 'b']);
    await warm(world);
    await Promise.all(world.servers.map((server) => server.stop()));
    for (let round = 0; round < 3; round += 1) {
      const outcome = await work(world.peer).outcome;
      assert.equal(outcome.kind === 'error' && outcome.code, 502);
    }
    assert.ok(world.told.includes('lost'));
    await Promise.all(world.servers.map((server) => server.start()));
    assert.match(await textOf(work(world.peer)), /^[ab]$/);
    assert.ok(world.told.includes('recovered'));
  },
);

verifies(
  'gateway.replicas.health',
  'what one user found out of a replica is known to all, and one of them asks',
  async (t) => {
    const world = await startWorld(t, ['a', 'b']);
    await warm(world);
    const other = world.another();
    const [a] = world.servers;
    assert.ok(a !== undefined);
    await a.stop();
    await waitFor(async () => {
      assert.equal(await textOf(work(world.peer)), 'b');
      return world.peer.state().replicas[0]?.['resting'];
    });
    assert.equal(await textOf(work(other)), 'b');
    assert.equal(other.state().replicas[0]?.['resting'], true);
    a.asked.length = 0;
    await a.start();
    // Nobody calls: it is asked when its rest is over.
    await waitFor(() => a.asked.includes('server/discover'), { deadlineMs: 10_000, what: 'a question to the replica' });
    assert.ok(!a.asked.includes('tools/call'));
    assert.equal(other.state().replicas[0]?.['resting'], false);
  },
);

verifies('gateway.replicas.stay', 'the answer to a question goes to the replica that asked', async (t) => {
  const world = await startWorld(t);
  await warm(world);
  const params = { name: 'ask', arguments: {} };
  const options = { capabilities: ALL_CAPABILITIES };
  for (let round = 0; round < 3; round += 1) {
    const question = await questionOf(ask(world.peer, 'tools/call', params, options));
    const retry = answering(params, question, () => ({ action: 'decline' }));
    const [who, state] = (await textOf(ask(world.peer, 'tools/call', retry, options))).split(' ');
    assert.equal(state, `state-of-${who}`);
  }
  const foreign = { ...params, requestState: 'elsewhere:x', inputResponses: {} };
  const outcome = await ask(world.peer, 'tools/call', foreign, options).outcome;
  assert.equal(outcome.kind === 'error' && outcome.code, -32602);
});

verifies(
  ['gateway.replicas.stay', 'gateway.replicas.lists'],
  'lists and updates come from one replica until it fails',
  async (t) => {
    const world = await startWorld(t);
    await warm(world);
    const first = await toolsOf(world.peer);
    for (let round = 0; round < 5; round += 1) assert.equal(await toolsOf(world.peer), first);
    assert.equal(await world.peer.subscribe('a://b'), true);
    const isLead = (at: number): boolean => world.peer.state().replicas[at]?.['lead'] === true;
    const lead = world.servers.find((_, at) => isLead(at));
    assert.ok(lead !== undefined);
    await waitFor(() => world.servers.every((server) => server.hasListener('toolsListChanged')));
    await waitFor(() => lead.hasListener('a://b'));
    world.told.length = 0;
    for (const server of world.servers) {
      server.tell('toolsListChanged', 'notifications/tools/list_changed');
      server.tell('a://b', 'notifications/resources/updated', { uri: 'a://b' });
    }
    await waitFor(() => world.told.length === 2);
    assert.deepEqual(world.told.toSorted(), ['resource a://b', 'tools']);

    world.told.length = 0;
    await lead.stop();
    const second = await toolsOf(world.peer);
    assert.notEqual(second, first);
    assert.equal(await toolsOf(world.peer), second);
    await waitFor(() => world.told.includes('resource a://b'));
    assert.deepEqual(world.told.toSorted(), ['prompts', 'resource a://b', 'resources', 'tools']);
    const next = world.servers.find((_, at) => isLead(at));
    assert.ok(next !== undefined && next !== lead);
    await waitFor(() => next.hasListener('a://b'));
    world.told.length = 0;
    next.tell('a://b', 'notifications/resources/updated', { uri: 'a://b' });
    await waitFor(() => world.told.includes('resource a://b'));
  },
);

function openCommand(cleanup: Cleanup, replicas: number): ReplicaPeer {
  const server = stdioServer('tells-who.mjs', { name: 'files', replicas, era: 'legacy' });
  const options = {
    pool: createUpstreamPool(),
    credentialFor: () => ({ fields: () => [], signature: undefined }),
    ambientEnv: process.env,
    clock: CLOCK,
    onDiag: () => undefined,
  };
  const peer = openPeer(server, options) as ReplicaPeer;
  cleanup.after(() => peer.close());
  return peer;
}

verifies(
  ['gateway.replicas.spread', 'gateway.replicas.health'],
  'a command with replicas runs so often, and goes on without one that crashed',
  async (t) => {
    const peer = openCommand(t, 3);
    const pidOf = async (): Promise<number> => {
      const call = ask(peer, 'tools/call', { name: 'work', arguments: { text: 'x', delayMs: 20 } });
      return (JSON.parse(await textOf(call)) as { pid: number }).pid;
    };
    const pids = new Set<number>();
    await waitFor(async () => {
      for (const pid of await Promise.all([pidOf(), pidOf(), pidOf()])) pids.add(pid);
      return pids.size === 3;
    });
    assert.equal(peer.state().replicas.length, 3);
    const outcome = await ask(peer, 'tools/call', { name: 'crash', arguments: {} }).outcome;
    assert.equal(outcome.kind === 'error' && outcome.code, 502);
    await waitFor(() => [...pids].filter(isRunning).length === 2);
    for (let round = 0; round < 4; round += 1) assert.ok(pids.has(await pidOf()));
    await peer.close();
    assert.deepEqual([...pids].filter(isRunning), []);
  },
);
