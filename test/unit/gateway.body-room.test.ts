/**
 * Who has to give way when the messages of clients fill the room.
 */
import assert from 'node:assert/strict';
import type { ProxyError } from '../../src/errors.ts';
import { createBodyRoom, type BodyHold, type BodyRoom } from '../../src/gateway/body-room.ts';
import { GATEWAY_BODIES_BYTES_MAX, GATEWAY_BODIES_USER_BYTES_MAX } from '../../src/limits.ts';
import { verifies } from '../support/verifies.ts';

const HALF = GATEWAY_BODIES_USER_BYTES_MAX / 2;

interface Body extends BodyHold {
  readonly refusals: ProxyError[];
}

function open(room: BodyRoom, owner: string): Body {
  const refusals: ProxyError[] = [];
  return { ...room.open(owner, (error) => void refusals.push(error)), refusals };
}

verifies('gateway.front.body-room', 'the largest message of a user gives way to a small one of the same user', () => {
  const room = createBodyRoom();
  const [large, larger, small] = [open(room, 'a'), open(room, 'a'), open(room, 'a')];
  large.take(HALF - 1);
  larger.take(HALF + 1);
  small.take(1);
  assert.deepEqual(
    [large, larger, small].map(({ refusals }) => refusals.length),
    [0, 1, 0],
  );
  assert.equal(larger.refusals[0]?.code, 'OVERLOADED');
  assert.deepEqual(larger.refusals[0]?.headers, { 'retry-after': '1' });
  larger.take(HALF);
  small.take(HALF);
  assert.equal(small.refusals.length, 0, 'what is refused takes no room');
});

verifies('gateway.front.body-room', 'what is being answered keeps its room until nobody needs it', () => {
  const room = createBodyRoom();
  const held = open(room, 'a');
  held.take(GATEWAY_BODIES_USER_BYTES_MAX);
  held.complete();
  held.retain();
  held.release();
  const next = open(room, 'a');
  next.take(1);
  assert.deepEqual([held.refusals.length, next.refusals.length], [0, 1]);
  held.release();
  const last = open(room, 'a');
  last.take(GATEWAY_BODIES_USER_BYTES_MAX);
  assert.equal(last.refusals.length, 0);
});

verifies('gateway.front.body-room', 'where all together have too much, the user with most gives way', () => {
  const room = createBodyRoom();
  const users = GATEWAY_BODIES_BYTES_MAX / HALF;
  const bodies = Array.from({ length: users }, (_, index) => open(room, `user ${index}`));
  for (const body of bodies) body.take(HALF - 1);
  const greedy = open(room, 'user 2');
  greedy.take(4);
  assert.equal(greedy.refusals.length, 0);
  const newcomer = open(room, 'newcomer');
  newcomer.take(HALF / 2);
  assert.equal(newcomer.refusals.length, 0);
  assert.deepEqual(
    bodies.map(({ refusals }) => refusals.length),
    bodies.map((_, index) => (index === 2 ? 1 : 0)),
  );
});
