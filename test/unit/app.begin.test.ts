import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { test } from 'node:test';

import { beginExchange, createRegistry, emptyEntry } from '../../src/app/begin.ts';
import type { Exchange } from '../../src/http/exchange.ts';
import { REQUEST_ID_CHARS_MAX } from '../../src/limits.ts';
import type { Entry } from '../../src/model.ts';

interface Begun {
  readonly exchange: Exchange;
  readonly appended: { entry: Entry; done: (ok: boolean) => void }[];
  readonly advance: (ms: number) => void;
}

function begin(headers: Record<string, string> = {}, socket: EventEmitter = new EventEmitter()): Begun {
  let nowMs = 1_000;
  const appended: Begun['appended'] = [];
  const request = { headers, socket } as unknown as IncomingMessage;
  const response = Object.assign(new EventEmitter(), {
    socket: null,
    closed: false,
    destroy: () => undefined,
  }) as unknown as ServerResponse;
  const exchange = beginExchange(request, response, {
    clock: { wallMs: () => 5, monotonicMs: () => nowMs, random: () => 0 },
    trusted: undefined,
    append: (entry, done) => void appended.push({ entry, done }),
  });
  return { exchange, appended, advance: (ms) => void (nowMs += ms) };
}

test('an entry is written once, with the latency of the first commit, and all who commit learn of it in order', () => {
  const { exchange, appended, advance } = begin();
  const told: string[] = [];
  advance(7);
  exchange.commit((ok) => told.push(`first ${ok}`));
  advance(50);
  exchange.commit((ok) => told.push(`second ${ok}`));
  assert.deepEqual([appended.length, exchange.entry.latencyMs, told], [1, 7, []]);
  appended[0]?.done(false);
  exchange.commit((ok) => told.push(`third ${ok}`));
  assert.deepEqual([appended.length, told], [1, ['first false', 'second false', 'third false']]);
});

const REQUEST_IDS = [
  { sent: 'a.B_1-2:3/4+5=@', kept: true },
  { sent: 'x'.repeat(REQUEST_ID_CHARS_MAX), kept: true },
  { sent: 'x'.repeat(REQUEST_ID_CHARS_MAX + 1), kept: false },
  { sent: '', kept: false },
  { sent: 'two, ids', kept: false },
  { sent: 'line\nbreak', kept: false },
  { sent: 'ümlaut', kept: false },
];
for (const { sent, kept } of REQUEST_IDS) {
  test(`the request id ${JSON.stringify(sent.slice(0, 20))} (${sent.length}) is ${kept ? 'kept' : 'replaced'}`, () => {
    const { requestId } = begin({ 'x-request-id': sent }).exchange.entry;
    assert.equal(requestId === sent, kept);
    if (!kept) assert.match(requestId, /^[\da-f-]{36}$/);
  });
}

test('a valid traceparent travels on, any other begins a trace that is not sampled', () => {
  const valid = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
  assert.equal(begin({ traceparent: valid }).exchange.traceparent, valid);
  for (const sent of ['', 'nonsense', `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`]) {
    assert.match(begin({ traceparent: sent }).exchange.traceparent, /^00-[\da-f]{32}-[\da-f]{16}-00$/);
  }
});

test('an entry of which nothing is known has null for it, and an id of its own', () => {
  const clock = { wallMs: () => 5, monotonicMs: () => 0, random: () => 0 };
  const entry = emptyEntry(clock);
  assert.deepEqual([entry.tsMs, entry.principal, entry.httpStatus, entry.outcome], [5, null, null, 'ok']);
  assert.notEqual(entry.requestId, emptyEntry(clock).requestId);
});

test('the register holds an exchange until its answer closes, and says when none is left', async () => {
  const registry = createRegistry();
  await registry.idle();
  const socket = new EventEmitter();
  const [first, second] = [begin({}, socket).exchange, begin({}, socket).exchange];
  registry.add(first);
  registry.add(second);
  assert.deepEqual(registry.on(first.request.socket), [first, second]);
  let idle = false;
  const becomesIdle = registry.idle().then(() => (idle = true));
  first.response.emit('close');
  await Promise.resolve();
  assert.deepEqual([idle, registry.open.size, registry.on(second.request.socket)], [false, 1, [second]]);
  second.response.emit('close');
  await becomesIdle;
  assert.equal(registry.open.size, 0);
  assert.equal(socket.listenerCount('close'), 1, 'one listener for a connection, however many requests');
});

test('an answer that waits for its turn on a connection that ends is closed, one that has its turn is left to Node', () => {
  const registry = createRegistry();
  const socket = new EventEmitter();
  const [current, queued] = [begin({}, socket).exchange, begin({}, socket).exchange];
  Object.assign(current.response, { socket });
  registry.add(current);
  registry.add(queued);
  socket.emit('close');
  assert.deepEqual([...registry.open], [current]);
});
