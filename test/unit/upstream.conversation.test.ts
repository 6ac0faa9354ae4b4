import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ProxyError } from '../../src/errors.ts';
import { PEER_CALL_COUNT_MAX } from '../../src/limits.ts';
import { Conversation, askOnce } from '../../src/upstream/conversation.ts';
import { scriptedChannel, settle, type ScriptedChannel } from '../support/scripted-channel.ts';

function open(): { channel: ScriptedChannel; conversation: Conversation; diag: string[] } {
  const channel = scriptedChannel();
  const diag: string[] = [];
  const conversation = new Conversation({
    serverName: 's',
    open: channel.open,
    onDiag: (_level, message) => diag.push(message),
    onRequest: () => undefined,
    onNotification: () => undefined,
  });
  return { channel, conversation, diag };
}

test('answers find their requests by id, in any order', async () => {
  const { channel, conversation } = open();
  const first = askOnce(conversation, 'a', {});
  const second = askOnce(conversation, 'b', {});
  await settle();
  assert.deepEqual(
    channel.sent.map(({ id }) => id),
    [1, 2],
  );
  channel.say({ id: 2, result: { n: 2 } });
  channel.say({ id: 1, error: { code: 5, message: 'no' } });
  assert.deepEqual(await second, { kind: 'result', result: { n: 2 } });
  assert.deepEqual(await first, { kind: 'error', code: 5, message: 'no', data: undefined });
});

test('an id of another type is another id', async () => {
  const { channel, conversation } = open();
  let answered = false;
  conversation.ask('a', () => ({}), () => (answered = true)); // prettier-ignore
  await settle();
  channel.say({ id: '1', result: {} });
  assert.equal(answered, false);
});

test('a malformed answer fails its request, and others are dropped with one line', async () => {
  const { channel, conversation, diag } = open();
  const asked = askOnce(conversation, 'a', {});
  await settle();
  channel.say({ id: 1, result: [] });
  const answer = await asked;
  assert.equal(answer.kind === 'failed' && answer.error.code, 'UPSTREAM_PROTOCOL');
  channel.say({ error: { code: 1, message: 'about nothing' } });
  channel.say({ method: 7 });
  assert.equal(diag.length, 1);
});

test('the end fails everything at once, and nothing is sent after it', async () => {
  const { channel, conversation } = open();
  const asked = askOnce(conversation, 'a', {});
  await settle();
  channel.events.onClose(new ProxyError('UPSTREAM_CLOSED', 'gone'));
  const answer = await asked;
  assert.equal(answer.kind === 'failed' && answer.error.code, 'UPSTREAM_CLOSED');
  const later = await askOnce(conversation, 'b', {});
  assert.deepEqual(later.kind === 'failed' && later.error.data, { notProcessed: true });
  assert.equal(channel.sent.length, 1);
  assert.equal((await conversation.ended).message, 'gone');
});

test('that a message was refused is said of that message only', async () => {
  const { channel, conversation } = open();
  const lost = new ProxyError('UPSTREAM_CLOSED', 'session lost', { data: { sessionLost: true, notProcessed: true } });
  const accepted = askOnce(conversation, 'accepted', {});
  await settle();
  let cut: (error: Error) => void = () => undefined;
  channel.onSend = (message) =>
    new Promise((_, reject) => {
      if (message['method'] === 'refused') queueMicrotask(() => reject(lost));
      else cut = reject;
    });
  const onItsWay = askOnce(conversation, 'cut', {});
  const refused = askOnce(conversation, 'refused', {});
  const answer = await refused;
  channel.events.onClose(lost);
  cut(lost);
  assert.equal(answer.kind === 'failed' && answer.error.data?.['notProcessed'], true);
  for (const other of [await accepted, await onItsWay]) {
    assert.deepEqual(other.kind === 'failed' && other.error.data, { sessionLost: true });
  }
});

test('requests in progress are bounded', async () => {
  const { conversation } = open();
  for (let count = 0; count < PEER_CALL_COUNT_MAX; count += 1) void askOnce(conversation, 'a', {});
  const answer = await askOnce(conversation, 'a', {});
  assert.equal(answer.kind === 'failed' && answer.error.code, 'OVERLOADED');
});

test('a channel that cannot be opened is an end', async () => {
  const error = new ProxyError('UPSTREAM_UNREACHABLE', 'no');
  const conversation = new Conversation({
    serverName: 's',
    open: () => Promise.reject(error),
    onDiag: () => undefined,
    onRequest: () => undefined,
    onNotification: () => undefined,
  });
  const answer = await askOnce(conversation, 'a', {});
  assert.equal(answer.kind === 'failed' && answer.error, error);
  assert.equal(await conversation.ended, error);
});
