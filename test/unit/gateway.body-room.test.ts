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

verifies(
  'gateway.front.body-room',
  'the message of a user that arrives for longest gives way to others of theirs',
  () => {
    const room = createBodyRoom();
    const [idle, oldest, newer, small] = [open(room, 'a'), open(room, 'a'), open(room, 'a'), open(room, 'a')];
    oldest.take(HALF - 1);
    newer.take(HALF + 1);
    small.take(1);
    assert.deepEqual(
      [idle, oldest, newer, small].map(({ refusals }) => refusals.length),
      [0, 1, 0, 0],
    );
    assert.equal(oldest.refusals[0]?.code, 'OVERLOADED');
    assert.deepEqual(oldest.refusals[0]?.headers, { 'retry-after': '1' });
    oldest.take(HALF);
    assert.equal(newer.refusals.length, 0, 'what is refused takes no room');
  },
);

verifies('gateway.front.body-room', 'many slow messages keep out none that comes at once', () => {
  const room = createBodyRoom();
  const count = 4_096;
  const slow = Array.from({ length: count }, () => open(room, 'a'));
  for (const body of slow) body.take(GATEWAY_BODIES_USER_BYTES_MAX / count);
  const quick = open(room, 'a');
  quick.take(HALF);
  quick.complete();
  assert.equal(quick.refusals.length, 0);
  assert.equal(slow.filter(({ refusals }) => refusals.length === 1).length, count / 2);
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
