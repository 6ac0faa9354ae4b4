import assert from 'node:assert/strict';
import { after, test, type TestContext } from 'node:test';

import { openStreamableChannel, type RemoteChannel } from '../../src/upstream/streamable-channel.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { startConformanceFixture, startEverything } from '../support/peers.ts';
import { recordEvents, remoteAt, shakeHands, type Recorded, type Remote } from '../support/remote-server.ts';

after(() => checkNothingLeft());

interface Conversing extends Recorded {
  readonly channel: RemoteChannel;
  readonly remote: Remote;
}

async function converse(t: TestContext, url: string): Promise<Conversing> {
  const remote = await remoteAt(t, url);
  const recorded = recordEvents();
  const channel = openStreamableChannel(remote, recorded.events);
  t.after(() => channel.close());
  await shakeHands(channel, recorded, '2025-11-25');
  return { ...recorded, channel, remote };
}

const callTool = (id: number, name: string, meta: object = {}): Record<string, unknown> => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name, arguments: {}, _meta: meta },
});

test('the conformance fixture is spoken to in a legacy session', async (t) => {
  const { url } = await startConformanceFixture(t);
  const { channel, messages, response, losses, closes } = await converse(t, url);

  await channel.send(callTool(2, 'test_simple_text'));
  assert.match(JSON.stringify(await response(2)), /simple text response/);

  await channel.send(callTool(3, 'test_tool_with_progress', { progressToken: 'p3' }));
  await response(3);
  const progress = messages.filter(({ message }) => message['method'] === 'notifications/progress');
  assert.deepEqual(
    progress.map(({ relatedTo }) => relatedTo),
    [3, 3, 3],
  );

  // The server cuts this stream on purpose; the rest comes over GET with Last-Event-ID.
  await channel.send(callTool(4, 'test_reconnection'));
  assert.match(JSON.stringify(await response(4)), /completed successfully/);
  assert.deepEqual([losses, closes], [[], []]);
});

test('server-everything is spoken to, and its own messages come over the GET stream', async (t) => {
  const { url } = await startEverything(t, 'streamableHttp');
  const { channel, response, remote, closes } = await converse(t, url);
  await channel.send({ jsonrpc: '2.0', id: 2, method: 'tools/list' });
  const { result } = (await response(2)) as { result: { tools: unknown[] } };
  assert.ok(result.tools.length > 5);
  await channel.send({ ...callTool(3, 'echo'), params: { name: 'echo', arguments: { message: 'hällo' } } });
  assert.match(JSON.stringify(await response(3)), /hällo/);
  assert.deepEqual(remote.diags, []);
  await channel.close();
  assert.equal(closes.length, 1);
});
