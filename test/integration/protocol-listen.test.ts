/**
 * `subscriptions/listen` of 2026-07-28 at `/mcp` of a real mcproxy, case by case as `protocol-cases.ts` numbers them.
 *
 * Two modern HTTP servers that the test steers have a resource each; a command of the legacy era has none.
 */
import assert from 'node:assert/strict';
import { after, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { eventsOf, readAll, type Json } from '../support/downstream-clients.ts';
import { readUntil, type StreamedAnswer } from '../support/http-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { peersOf, settingsFile, usersFile } from '../support/message-app.ts';
import { modernClient, type ModernClient } from '../support/modern-client.ts';
import { startModernUpstream, type ModernUpstream } from '../support/modern-upstream.ts';
import { startApp, type RunningApp } from '../support/start-app.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor, within } from '../support/wait.ts';

after(() => checkNothingLeft());

const SUBSCRIPTION = 'io.modelcontextprotocol/subscriptionId';
const ACKNOWLEDGED = 'notifications/subscriptions/acknowledged';
const ALL = { toolsListChanged: true, promptsListChanged: true, resourcesListChanged: true };

interface World {
  readonly app: RunningApp;
  readonly client: ModernClient;
  readonly first: ModernUpstream;
  readonly second: ModernUpstream;
}

async function start(t: TestContext, servers: Readonly<Record<string, string>> = {}, more = ''): Promise<World> {
  const first = await startModernUpstream(t, ['note://one']);
  const second = await startModernUpstream(t, ['note://two']);
  const remote = { first: `{ url: "${first.url}" }`, second: `{ url: "${second.url}" }` };
  const app = await startApp(t, {
    files: {
      'mcproxy.yml': settingsFile({ ...remote, ...servers }, more),
      'tokens.yml': usersFile({ alice: '"*"' }),
    },
  });
  const client = modernClient(`${app.url}/mcp`, 'alice');
  const count = Object.keys(servers).length + 2;
  const listed = async (): Promise<boolean> =>
    new Set((await client.toolNames()).map((name) => name.split('__')[0])).size === count;
  await waitFor(listed, { deadlineMs: 20_000, what: 'the tools of all servers' });
  return { app, client, first, second };
}

interface Heard {
  readonly stream: StreamedAnswer;
  /** What has come so far, comments left out. */
  readonly messages: Json[];
  /** Reads on until a message is as wanted. */
  until(what: string, wanted: (message: Json) => boolean): Promise<Json>;
}

async function listen(client: ModernClient, notifications: Json, id: string | number = 'l-1'): Promise<Heard> {
  const stream = await client.open('subscriptions/listen', { notifications }, { id });
  const messages: Json[] = [];
  let text = '';
  const iterator = stream.chunks[Symbol.asyncIterator]();
  async function until(what: string, wanted: (message: Json) => boolean): Promise<Json> {
    let found = messages.find(wanted);
    while (found === undefined) {
      // oxlint-disable-next-line no-await-in-loop -- one chunk after the other
      const next = await within(iterator.next(), { deadlineMs: 10_000, what });
      assert.ok(next.done !== true, `the stream ended before ${what}`);
      text += next.value.toString('utf8');
      const end = text.lastIndexOf('\n\n') + 2;
      messages.push(...eventsOf(text.slice(0, end)));
      text = text.slice(end);
      found = messages.find(wanted);
    }
    return found;
  }
  return { stream, messages, until };
}

const isMethod =
  (method: string) =>
  (message: Json): boolean =>
    message['method'] === method;

for (const id of [0, 'l-1', '0']) {
  verifies('protocol.case-35', `the confirmation comes first and has the id ${JSON.stringify(id)}`, async (t) => {
    const { client } = await start(t);
    const heard = await listen(client, ALL, id);
    await heard.until('the confirmation', isMethod(ACKNOWLEDGED));
    assert.equal(heard.messages[0]?.['method'], ACKNOWLEDGED);
    assert.strictEqual(heard.messages[0]?.['params']['_meta'][SUBSCRIPTION], id);
    heard.stream.close();
  });
}

verifies(
  'protocol.case-36',
  'what no server tells is not confirmed, and an empty confirmation stays open',
  async (t) => {
    const { client, first } = await start(t);
    const heard = await listen(client, { resourceSubscriptions: ['note://of-nobody'] });
    const { params } = await heard.until('the confirmation', isMethod(ACKNOWLEDGED));
    assert.deepEqual(params.notifications, {});
    const other = await listen(client, ALL);
    await other.until('the other confirmation', isMethod(ACKNOWLEDGED));
    await waitFor(() => first.filters.length > 0);
    first.tell('notifications/tools/list_changed');
    await other.until('the change', isMethod('notifications/tools/list_changed'));
    // The empty one has neither ended nor heard anything.
    assert.equal(heard.messages.length, 1);
    heard.stream.close();
    other.stream.close();
  },
);

verifies('protocol.case-37', 'who asked for prompts hears nothing of tools', async (t) => {
  const { client, first } = await start(t);
  const prompts = await listen(client, { promptsListChanged: true });
  const all = await listen(client, ALL);
  await prompts.until('a confirmation', isMethod(ACKNOWLEDGED));
  await all.until('a confirmation', isMethod(ACKNOWLEDGED));
  await waitFor(() => first.filters.length > 0);
  first.tell('notifications/tools/list_changed');
  await all.until('the change of tools', isMethod('notifications/tools/list_changed'));
  first.tell('notifications/prompts/list_changed');
  await prompts.until('the change of prompts', isMethod('notifications/prompts/list_changed'));
  assert.deepEqual(
    prompts.messages.map(({ method }) => method),
    [ACKNOWLEDGED, 'notifications/prompts/list_changed'],
  );
  prompts.stream.close();
  all.stream.close();
});

verifies('protocol.case-38', 'changes of two servers at once are one change, and the list is fresh', async (t) => {
  const { client, first, second } = await start(t);
  const heard = await listen(client, { toolsListChanged: true, promptsListChanged: true });
  await heard.until('the confirmation', isMethod(ACKNOWLEDGED));
  await waitFor(() => first.filters.length > 0 && second.filters.length > 0);
  const before = [first.asked('tools/list').length, second.asked('tools/list').length];
  for (const server of [first, second, first]) server.tell('notifications/tools/list_changed');
  await heard.until('the change', isMethod('notifications/tools/list_changed'));
  await client.toolNames();
  assert.ok(first.asked('tools/list').length > (before[0] ?? 0));
  assert.ok(second.asked('tools/list').length > (before[1] ?? 0));
  second.tell('notifications/prompts/list_changed');
  await heard.until('a later change', isMethod('notifications/prompts/list_changed'));
  assert.equal(heard.messages.filter(isMethod('notifications/tools/list_changed')).length, 1);
  heard.stream.close();
});

verifies('protocol.case-39', 'each server is asked for its own resources and tells of them', async (t) => {
  const { client, first, second } = await start(t);
  await client.resultOf('resources/list');
  const heard = await listen(client, { resourceSubscriptions: ['note://one', 'note://two'] });
  const { params } = await heard.until('the confirmation', isMethod(ACKNOWLEDGED));
  assert.deepEqual(params.notifications.resourceSubscriptions, ['note://one', 'note://two']);
  const urisAt = (server: ModernUpstream): string[] =>
    server.filters.flatMap((filter) => (filter['resourceSubscriptions'] ?? []) as string[]);
  assert.deepEqual(urisAt(first), ['note://one']);
  assert.deepEqual(urisAt(second), ['note://two']);
  second.tell('notifications/resources/updated', { uri: 'note://two/part' });
  const updated = await heard.until('the update', isMethod('notifications/resources/updated'));
  assert.equal(updated['params'].uri, 'note://two/part');
  assert.equal(updated['params']['_meta'][SUBSCRIPTION], 'l-1');
  heard.stream.close();
});

verifies('protocol.case-40', 'a stop ends a subscription with its closing result', async (t) => {
  const { app, client } = await start(t);
  const stream = await client.open('subscriptions/listen', { notifications: ALL }, { id: 'l-9' });
  await waitFor(() => stream.header('content-type') === 'text/event-stream');
  app.signal('SIGTERM');
  const messages = await within(readAll(stream), { deadlineMs: 10_000, what: 'the end of the stream' });
  const last = messages.at(-1);
  assert.equal(last?.['id'], 'l-9');
  assert.equal(last?.['result'].resultType, 'complete');
  assert.equal(last?.['result']['_meta'][SUBSCRIPTION], 'l-9');
  assert.equal((await app.exited).code, 0);
});

verifies(
  'protocol.case-42',
  'a server that was restarted is subscribed to again, and one change is told',
  async (t) => {
    const script = fileURLToPath(new URL('../peers/conformance-fixture.ts', import.meta.url));
    const args = `[--import, "${import.meta.resolve('tsx')}", ${script}, stdio]`;
    const { app, client } = await start(t, { fix: `{ command: ${process.execPath}, args: ${args} }` });
    await client.resultOf('resources/list');
    const heard = await listen(client, { toolsListChanged: true, resourceSubscriptions: ['test://watched-resource'] });
    const { params } = await heard.until('the confirmation', isMethod(ACKNOWLEDGED));
    assert.deepEqual(params.notifications.resourceSubscriptions, ['test://watched-resource']);
    const peer = (await peersOf(app)).find(({ server }) => server === 'fix');
    assert.ok(typeof peer?.pid === 'number');
    process.kill(peer.pid, 'SIGKILL');
    await heard.until('the change', isMethod('notifications/tools/list_changed'));
    await heard.until('the update that may have been missed', isMethod('notifications/resources/updated'));
    const before = heard.messages.length;
    await client.resultOf('tools/call', { name: 'fix__test_trigger_resource_update', arguments: {} });
    await heard.until('a new update', (message) => heard.messages.indexOf(message) >= before);
    heard.stream.close();
  },
);

verifies('protocol.case-43', 'a silent subscription gets comments', async (t) => {
  const { client } = await start(t, {}, 'heartbeat: 1s\n');
  const stream = await client.open('subscriptions/listen', { notifications: ALL });
  await readUntil(stream, (text) => text.split('\n: ').length >= 3);
  stream.close();
});
