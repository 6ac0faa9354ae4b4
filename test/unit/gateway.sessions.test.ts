/**
 * Sealed sessions: who may open an id, for how long, and what is left of it after a restart or an end.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeSealer } from '../../src/auth/seal.ts';
import { claimsOf } from '../../src/gateway/downstream-request.ts';
import { createSessions, type Sessions } from '../../src/gateway/sessions.ts';
import type { GatewayView } from '../../src/gateway/view.ts';
import { SESSION_COUNT_MAX, SESSION_ENDED_COUNT_MAX, SESSION_IDLE_MS, SESSION_MS_MAX } from '../../src/limits.ts';
import type { LegacyRevision } from '../../src/mcp/protocol.ts';
import { verifies } from '../support/verifies.ts';

const ALICE = { principalId: 'alice', scope: '' };
const CLAIMS = { revision: '2025-06-18', capabilities: { roots: {} }, clientInfo: { name: 'c' } } as const;

function holdStill(key = 'key'): { clock: { nowMs: number }; make: () => Sessions } {
  const clock = { nowMs: 1_000_000 };
  const make = (): Sessions =>
    createSessions({
      sealer: makeSealer(Buffer.from(key)),
      clock: { wallMs: () => clock.nowMs, monotonicMs: () => clock.nowMs, random: () => 0 },
    });
  return { clock, make };
}

test('an id opens for its owner alone, and keeps the state while it is in memory', () => {
  const { make } = holdStill();
  const sessions = make();
  const { id, session } = sessions.open(ALICE, CLAIMS);
  assert.match(id, /^[\x21-\x7e]+$/);
  assert.equal(sessions.find(id, ALICE), session);
  assert.equal(sessions.find(id, { principalId: 'bob', scope: '' }), undefined);
  assert.equal(sessions.find(id, { principalId: 'alice', scope: 'files' }), undefined);
  assert.equal(sessions.find(`${id.slice(0, -2)}AA`, ALICE), undefined);
  assert.equal(sessions.find('', ALICE), undefined);
});

test('another process with the same key knows the session from its id, one with another key does not', () => {
  const { id } = holdStill().make().open(ALICE, CLAIMS);
  assert.deepEqual(holdStill().make().find(id, ALICE)?.claims, CLAIMS);
  assert.equal(holdStill('other').make().find(id, ALICE), undefined);
});

test('an id ends with its expiry', () => {
  const { clock, make } = holdStill();
  const sessions = make();
  const { id } = sessions.open(ALICE, CLAIMS);
  clock.nowMs += SESSION_MS_MAX;
  assert.ok(sessions.find(id, ALICE));
  clock.nowMs += 1;
  assert.equal(sessions.find(id, ALICE), undefined);
});

test('an ended session is refused, cancels its calls and leaves its subscriptions', () => {
  const sessions = holdStill().make();
  const { id, session } = sessions.open(ALICE, CLAIMS);
  const left: string[] = [];
  const view = { unsubscribe: (uri: string) => Promise.resolve(void left.push(uri)) } as unknown as GatewayView;
  session.subscriptions.set('file:///a', view);
  session.calls.set(1, { cancel: () => void left.push('call') });
  sessions.end(id, ALICE);
  assert.equal(sessions.find(id, ALICE), undefined);
  assert.deepEqual(left.toSorted(), ['call', 'file:///a']);
});

test('a session that is not used loses its state and not its id; a busy one keeps both', () => {
  const { clock, make } = holdStill();
  const sessions = make();
  const idle = sessions.open(ALICE, CLAIMS);
  const busy = sessions.open(ALICE, CLAIMS);
  busy.session.calls.set(1, { cancel: () => assert.fail('a busy session was given up') });
  clock.nowMs += SESSION_IDLE_MS + 1;
  sessions.open(ALICE, CLAIMS);
  const again = sessions.find(idle.id, ALICE);
  assert.ok(again);
  assert.notEqual(again, idle.session);
  assert.equal(sessions.find(busy.id, ALICE), busy.session);
});

test('more sessions than the bound push out the longest unused', () => {
  const sessions = holdStill().make();
  const busy = sessions.open(ALICE, CLAIMS);
  busy.session.calls.set(1, { cancel: () => assert.fail('a busy session was given up') });
  const first = sessions.open(ALICE, CLAIMS);
  const second = sessions.open(ALICE, CLAIMS);
  assert.equal(sessions.find(first.id, ALICE), first.session);
  for (let i = 2; i < SESSION_COUNT_MAX; i += 1) sessions.open(ALICE, CLAIMS);
  assert.equal(sessions.find(first.id, ALICE), first.session);
  assert.equal(sessions.find(busy.id, ALICE), busy.session);
  assert.notEqual(sessions.find(second.id, ALICE), second.session);
});

const BOB = { principalId: 'bob', scope: '' };

verifies('gateway.front.fair-share', 'a user who opens many sessions pushes out only their own', () => {
  const sessions = holdStill().make();
  const bobs = [sessions.open(BOB, CLAIMS), sessions.open(BOB, CLAIMS)];
  const first = sessions.open(ALICE, CLAIMS);
  for (let i = 0; i < 2 * SESSION_COUNT_MAX; i += 1) sessions.open(ALICE, CLAIMS);
  for (const { id, session } of bobs) assert.equal(sessions.find(id, BOB), session);
  assert.notEqual(sessions.find(first.id, ALICE), first.session);
});

verifies('gateway.front.fair-share', 'a user who ends many sessions does not bring ended ones of others back', () => {
  const sessions = holdStill().make();
  const bob = sessions.open(BOB, CLAIMS);
  sessions.end(bob.id, BOB);
  const alice = sessions.open(ALICE, CLAIMS);
  for (let i = 0; i <= SESSION_ENDED_COUNT_MAX; i += 1) sessions.end(i === 0 ? alice.id : `any text ${i}`, ALICE);
  assert.equal(sessions.find(bob.id, BOB), undefined);
  assert.ok(sessions.find(alice.id, ALICE), 'the oldest of the user who ended most');
});

const DECLARED = {
  roots: { listChanged: true },
  sampling: { tools: {}, context: {} },
  elicitation: { form: {}, url: {} },
  tasks: {},
  experimental: {},
  extensions: { 'io.modelcontextprotocol/tasks': {}, 'io.modelcontextprotocol/ui': { a: 1 } },
};
const UI = { 'io.modelcontextprotocol/ui': { a: 1 } };

const CAPABILITIES: { revision: LegacyRevision; expected: unknown }[] = [
  { revision: '2025-03-26', expected: { roots: {}, sampling: {}, extensions: UI } },
  { revision: '2025-06-18', expected: { roots: {}, sampling: {}, elicitation: {}, extensions: UI } },
  {
    revision: '2025-11-25',
    expected: {
      roots: {},
      sampling: { context: {}, tools: {} },
      elicitation: { form: {}, url: {} },
      extensions: UI,
    },
  },
];

for (const { revision, expected } of CAPABILITIES) {
  test(`a client of ${revision} is only asked what its revision has`, () => {
    assert.deepEqual(claimsOf({ capabilities: DECLARED }, revision).capabilities, expected);
  });
}

test('what a client says of itself stays short enough for a header', () => {
  const long = 'x'.repeat(100_000);
  const params = { capabilities: { roots: {}, extensions: { [long]: {} } }, clientInfo: { name: long, version: 1 } };
  const claims = claimsOf(params, '2025-11-25');
  const { id } = holdStill()
    .make()
    .open(ALICE, { revision: '2025-11-25', ...claims });
  assert.ok(id.length < 1_000);
  assert.deepEqual(claims.capabilities, { roots: {} });
});
