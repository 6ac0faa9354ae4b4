/**
 * What is kept of streams without a connection: how much, for whom, for how long.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createReplays, type SessionReplay } from '../../src/gateway/replay.ts';
import type { ResumableStream } from '../../src/gateway/resumable-stream.ts';
import {
  REPLAY_EVENT_COUNT_MAX,
  REPLAY_MS_MAX,
  REPLAY_SESSION_BYTES_MAX,
  REPLAY_TOTAL_BYTES_MAX,
} from '../../src/limits.ts';
import { verifies } from '../support/verifies.ts';

const CLOCK = { monotonicMs: () => performance.now() };
const LABEL = { requestId: 'r', rpcMethod: 'tools/call', rpcName: 'a', upstream: 'files' };
const HINT = { jsonrpc: '2.0', method: 'notifications/progress', params: {} };
const QUESTION = { jsonrpc: '2.0', id: 'q', method: 'roots/list', params: {} };

function answer(bytes: number): { jsonrpc: '2.0'; id: number; result: { text: string } } {
  return { jsonrpc: '2.0', id: 1, result: { text: 'x'.repeat(bytes) } };
}

function hint(bytes: number): object {
  return { ...HINT, params: { text: 'x'.repeat(bytes) } };
}

/** Whether anything of the stream can be replayed. */
function isKept(stream: ResumableStream): boolean {
  return stream.hasAfter(0);
}

function openOne(user = 'alice', primed = true): SessionReplay {
  return createReplays(CLOCK).open(user, { primed, sessionId: 's' });
}

verifies('gateway.front.replay-bounds', 'hints give way to answers, and the oldest answers to newer ones', () => {
  const replay = openOne();
  const answered = Array.from({ length: 3 }, () => replay.open(LABEL));
  const chatty = replay.open(LABEL);
  assert.equal(chatty.offer(QUESTION), true);
  for (let i = 0; i < 8; i += 1) assert.equal(chatty.offer(hint(REPLAY_SESSION_BYTES_MAX / 8)), true);
  for (const stream of answered) stream.finish(answer(REPLAY_SESSION_BYTES_MAX / 4));
  assert.deepEqual(answered.map(isKept), [true, true, true]);
  const later = Array.from({ length: 3 }, () => replay.open(LABEL));
  for (const stream of later) stream.finish(answer(REPLAY_SESSION_BYTES_MAX / 4));
  assert.deepEqual(answered.map(isKept), [false, false, false]);
  assert.deepEqual(later.map(isKept), [true, true, true]);
  assert.equal(chatty.dropHint(), false, 'no hint is left');
  replay.close();
});

verifies('gateway.front.replay-bounds', 'no more events are kept than the bound', () => {
  const replay = openOne();
  const stream = replay.open(LABEL);
  for (let i = 0; i < REPLAY_EVENT_COUNT_MAX + 10; i += 1) assert.equal(stream.offer({ ...HINT, i }), true);
  let keptCount = 0;
  while (stream.dropHint()) keptCount += 1;
  assert.equal(keptCount, REPLAY_EVENT_COUNT_MAX);
  for (let i = 0; i < REPLAY_EVENT_COUNT_MAX; i += 1) assert.equal(stream.offer(QUESTION), true);
  assert.equal(stream.offer(QUESTION), false, 'a question that cannot be kept is not asked');
  replay.close();
});

verifies('gateway.front.replay-bounds', 'the user who keeps most gives way to all others', () => {
  const replays = createReplays(CLOCK);
  const fill = (user: string, megabytes: number): ResumableStream[] =>
    Array.from({ length: megabytes }, () => {
      const stream = replays.open(user, { primed: true, sessionId: 's' }).open(LABEL);
      stream.finish(answer(REPLAY_SESSION_BYTES_MAX - 1_000));
      return stream;
    });
  const mebibytes = REPLAY_TOTAL_BYTES_MAX / REPLAY_SESSION_BYTES_MAX;
  const bob = fill('bob', 1);
  const mallory = fill('mallory', mebibytes - 1);
  assert.ok([...bob, ...mallory].every(isKept));
  const more = fill('mallory', mebibytes);
  assert.deepEqual(bob.map(isKept), [true]);
  assert.equal(mallory.some(isKept), false);
  assert.equal(more.filter(isKept).length, mebibytes - 1);
  const alice = fill('alice', 1);
  assert.deepEqual([...alice, ...bob].map(isKept), [true, true]);
  assert.equal(more.filter(isKept).length, mebibytes - 2);
  for (const stream of [...bob, ...more, ...alice]) stream.forget();
});

verifies('gateway.front.replay-bounds', 'an answer that nobody fetches is forgotten after a time', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let nowMs = 0;
  const pass = (ms: number): void => {
    nowMs += ms;
    t.mock.timers.tick(ms);
  };
  const replay = createReplays({ monotonicMs: () => nowMs }).open('alice', { primed: true, sessionId: 's' });
  const [running, answered] = [replay.open(LABEL), replay.open(LABEL)];
  running.offer(HINT);
  answered.finish(answer(1));
  pass(REPLAY_MS_MAX - 1);
  assert.equal(isKept(answered), true);
  pass(1);
  assert.equal(isKept(answered), false);
  assert.equal(isKept(running), true, 'a call in progress keeps its stream');
  running.finish(answer(1));
  pass(REPLAY_MS_MAX);
  assert.equal(isKept(running), false);
});

test('the end of a session forgets its streams, and what is said later is not kept', () => {
  const replay = openOne();
  const stream = replay.open(LABEL);
  stream.offer(HINT);
  let overCount = 0;
  stream.onOver(() => {
    overCount += 1;
  });
  replay.close();
  assert.equal(overCount, 1);
  assert.equal(stream.offer(HINT), false);
  stream.finish(answer(1));
  assert.equal(isKept(stream), false);
});

test('an event id finds its stream in its own session only', () => {
  const replays = createReplays(CLOCK);
  const [mine, other] = [
    replays.open('alice', { primed: true, sessionId: 's' }),
    replays.open('alice', { primed: true, sessionId: 's' }),
  ];
  assert.equal(mine.find('').kind, 'unknown');
  assert.equal(mine.find('a.r1.0').kind, 'over');
  assert.equal(mine.find('a.g1.0').kind, 'unknown');
  assert.equal(other.find('\0').kind, 'unknown');
});
