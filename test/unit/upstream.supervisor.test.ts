import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';

import { ProxyError } from '../../src/errors.ts';
import { RESTART_HEALTHY_MS } from '../../src/limits.ts';
import type { ChangeEvent, JsonObject, McpOutcome } from '../../src/mcp/waist.ts';
import type { MortalPeer } from '../../src/upstream/legacy-peer.ts';
import { failureOutcome } from '../../src/upstream/peer-outcome.ts';
import { NO_TASK_LISTEN } from '../../src/upstream/task-listen.ts';
import { supervise, type Life, type SupervisedPeer } from '../../src/upstream/supervisor.ts';
import { settle } from '../support/scripted-channel.ts';

interface Fake {
  readonly peer: SupervisedPeer;
  readonly lives: FakeLife[];
  readonly events: string[];
  /** What the next beginning fails with. */
  failure: ProxyError | undefined;
  readonly advance: (ms: number) => Promise<void>;
}

interface FakeLife {
  readonly subscribed: string[];
  stopped: boolean;
  outcome: McpOutcome;
  end(error: Error): void;
  calls: number;
}

const CARD = { revision: '2025-11-25', capabilities: {}, instructions: undefined, serverInfo: undefined };
const CRASH = new ProxyError('UPSTREAM_CLOSED', 'it crashed');
const REQUEST = {
  method: 'tools/call',
  params: {},
  clientCapabilities: {},
  clientInfo: undefined,
  logLevel: undefined,
  wantsProgress: false,
};

function fake(t: TestContext): Fake {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let nowMs = 1_000;
  const lives: FakeLife[] = [];
  const events: string[] = [];
  const peer = supervise({
    serverName: 's',
    clock: { wallMs: () => nowMs, monotonicMs: () => nowMs, random: () => 1 },
    onDiag: () => undefined,
    jitter: false,
    async begin() {
      if (made.failure !== undefined) throw made.failure;
      return makeLife(lives);
    },
  });
  peer.onChange((event: ChangeEvent) => events.push(event.kind));
  const made: Fake = {
    peer,
    lives,
    events,
    failure: undefined,
    async advance(ms) {
      nowMs += ms;
      t.mock.timers.tick(ms);
      await settle();
    },
  };
  return made;
}

function makeLife(lives: FakeLife[]): Life {
  let end: (error: Error) => void = () => undefined;
  const ended = new Promise<Error>((resolve) => (end = resolve));
  const life: FakeLife = {
    subscribed: [],
    stopped: false,
    outcome: { kind: 'complete', result: { life: lives.length + 1 } },
    end,
    calls: 0,
  };
  lives.push(life);
  const peer: MortalPeer = {
    ended,
    describe: async () => CARD,
    call: () => {
      life.calls += 1;
      return { outcome: Promise.resolve(life.outcome), cancel: () => undefined };
    },
    onChange: () => () => undefined,
    subscribe: async (uri) => life.subscribed.push(uri) > 0,
    listenTasks: async () => NO_TASK_LISTEN,
    unsubscribe: async () => undefined,
    close: async () => undefined,
  };
  return { peer, card: CARD, era: 'legacy', pid: lives.length, stop: async () => void (life.stopped = true) };
}

const callOnce = (peer: SupervisedPeer): Promise<McpOutcome> =>
  peer.call(REQUEST, { onProgress: () => undefined, onLog: () => undefined }).outcome;

test('many requests at once begin one life', async (t) => {
  const { peer, lives } = fake(t);
  assert.equal(lives.length, 0);
  await Promise.all([peer.describe(), callOnce(peer), peer.subscribe('a')]);
  assert.equal(lives.length, 1);
  assert.deepEqual([peer.state().state, peer.state().revision, peer.state().pid], ['ready', '2025-11-25', 1]);
});

test('a crash is followed by a new life after a growing pause, with its subscriptions', async (t) => {
  const { peer, lives, events, advance } = fake(t);
  await peer.subscribe('a');
  for (const [count, pauseMs] of [1_000, 2_000, 4_000].entries()) {
    lives.at(-1)?.end(CRASH);
    await settle(); // oxlint-disable-line no-await-in-loop
    assert.equal(peer.state().state, 'down');
    assert.equal(lives.at(-1)?.stopped, true);
    await advance(pauseMs - 1); // oxlint-disable-line no-await-in-loop
    assert.equal(lives.length, count + 1);
    await advance(1); // oxlint-disable-line no-await-in-loop
    assert.equal(lives.length, count + 2);
  }
  assert.deepEqual(events, ['lost', 'recovered', 'lost', 'recovered', 'lost', 'recovered']);
  assert.deepEqual(lives.at(-1)?.subscribed, ['a']);
  await advance(RESTART_HEALTHY_MS);
  lives.at(-1)?.end(CRASH);
  await settle();
  await advance(1_000);
  assert.equal(lives.length, 5, 'after a healthy minute the pause is the first again');
});

test('requests while it is down fail at once, with the time since and the reason', async (t) => {
  const made = fake(t);
  await made.peer.describe();
  made.failure = CRASH;
  made.lives[0]?.end(CRASH);
  await settle();
  await made.advance(1_000);
  const outcome = await callOnce(made.peer);
  assert.equal(outcome.kind === 'error' && outcome.code, 503);
  assert.equal(made.peer.state().restarts, 1, 'a restart that failed is one too');
  assert.match(
    outcome.kind === 'error' ? outcome.message : '',
    /^server s is down since 1970-01-01T00:00:01.000Z: it cra/,
  );
  assert.equal(outcome.kind === 'error' && (outcome.data as JsonObject)['retry_after_ms'], 2_000);
});

test('a session that the server has ended is replaced at once, and the refused request is made again once', async (t) => {
  const { peer, lives, events, advance } = fake(t);
  await peer.describe();
  await advance(1_000);
  const data = { sessionLost: true, notProcessed: true };
  const lost = new ProxyError('UPSTREAM_CLOSED', 'session lost', { data });
  const [life] = lives as [FakeLife];
  life.outcome = failureOutcome(lost);
  const asked = callOnce(peer);
  await settle();
  life.end(lost);
  assert.deepEqual(await asked, { kind: 'complete', result: { life: 2 } });
  assert.deepEqual(events, ['recovered']);
  assert.equal(life.calls, 1);
});

test('a request whose fate is unknown is not made again', async (t) => {
  const { peer, lives } = fake(t);
  await peer.describe();
  const [life] = lives as [FakeLife];
  life.outcome = failureOutcome(CRASH);
  const asked = callOnce(peer);
  life.end(CRASH);
  const outcome = await asked;
  assert.equal(outcome.kind === 'error' && outcome.code, 502);
});

test('a session that never lasts is a crash', async (t) => {
  const { peer, lives } = fake(t);
  await peer.describe();
  lives[0]?.end(new ProxyError('UPSTREAM_CLOSED', 'session lost', { data: { sessionLost: true } }));
  await settle();
  assert.equal(peer.state().state, 'down');
});

test('a refused credential is not tried again until somebody asks', async (t) => {
  const made = fake(t);
  made.failure = new ProxyError('UPSTREAM_CREDENTIAL', 'refused');
  await assert.rejects(made.peer.describe(), { code: 'UPSTREAM_CREDENTIAL' });
  await made.advance(60_000);
  assert.equal(made.peer.state().state, 'down');
  made.failure = undefined;
  await made.peer.describe();
  assert.equal(made.lives.length, 1);
});

test('closing stops the life and the next one', async (t) => {
  const { peer, lives, advance } = fake(t);
  await peer.describe();
  lives[0]?.end(CRASH);
  await settle();
  await peer.close();
  await advance(60_000);
  assert.equal(lives.length, 1);
  await assert.rejects(peer.describe(), { code: 'UPSTREAM_NOT_READY' });
});
