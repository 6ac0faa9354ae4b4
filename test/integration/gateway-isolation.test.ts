/**
 * Two users at once, with everything alike that could be mixed up: names, ids, progress tokens, servers.
 *
 * Every text says whose it is, and everything that comes back is searched for the other's name.
 */
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import type { Json } from '../support/downstream-clients.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import {
  command,
  openSession,
  peersOf,
  settingsFile,
  toldBy,
  usersFile,
  waitForTools,
  type Reply,
  type SessionClient,
} from '../support/message-app.ts';
import { startUpstream, type Answer } from '../support/recording-upstream.ts';
import { startApp, type RunningApp } from '../support/start-app.ts';
import { credentialOf } from '../support/users.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor } from '../support/wait.ts';

const USERS = ['alice', 'bob'] as const;
const CALL_COUNT = 1_000;
/** Calls of both users that are on their way together. */
const WAVE = 100;

const SERVERS = ['near', 'own', 'web'] as const;
let app: RunningApp;
let sessions: readonly (readonly [string, SessionClient])[];

// `after` inside a hook would belong to the hook.
const cleanups: (() => void | Promise<void>)[] = [];
const cleanup = { after: (fn: () => void | Promise<void>) => void cleanups.push(fn) };
after(async () => {
  // oxlint-disable-next-line no-await-in-loop -- in the order of their registration
  for (const clean of cleanups) await clean();
  await checkNothingLeft();
});

before(async () => {
  const upstream = await startUpstream(cleanup, { answer: tellWho });
  app = await startApp(cleanup, {
    files: {
      'mcproxy.yml': settingsFile({
        near: command('tells-who.mjs', 'near'),
        own: command('tells-who.mjs', 'own'),
        web: `{ url: "${upstream.url}/mcp" }`,
      }),
      'tokens.yml': usersFile(
        Object.fromEntries(
          USERS.map((user) => [
            user,
            `{ near: {}, own: { env: { WHO: ${user} } }, web: { token: ${credentialOf(user)} } }`,
          ]),
        ),
      ),
    },
  });
  sessions = await Promise.all(USERS.map(async (user) => [user, await openSession(app.url, user)] as const));
  await Promise.all(sessions.map(([, session]) => waitForTools(session, SERVERS)));
});

/** A legacy server over HTTP without sessions that tells with whose credential it was called. */
function tellWho({ request, response }: Parameters<Answer>[0]): void {
  if (request.method !== 'POST') return void response.writeHead(405).end();
  const { id, method, params } = request.json() as Json;
  if (id === undefined) return void response.writeHead(202).end();
  const who = /credential-of-(\w+)-/.exec(request.values('authorization')[0] ?? '')?.[1] ?? 'nobody';
  const results: Json = {
    initialize: {
      protocolVersion: '2025-11-25',
      capabilities: { tools: {} },
      serverInfo: { name: 'web', version: '1' },
    },
    'tools/list': { tools: ['work', `only-${who}`].map((name) => ({ name, inputSchema: { type: 'object' } })) },
    'tools/call': {
      content: [{ type: 'text', text: JSON.stringify({ server: 'web', who, text: params?.arguments?.text }) }],
    },
  };
  const result = results[String(method)] as Json | undefined;
  const body = result === undefined ? { error: { code: -32_601, message: 'no such method' } } : { result };
  const { progressToken } = (params?.['_meta'] ?? {}) as Json;
  if (method !== 'tools/call' || progressToken === undefined) {
    response.writeHead(200, { 'content-type': 'application/json' });
    return void response.end(JSON.stringify({ jsonrpc: '2.0', id, ...body }));
  }
  const progress = { progressToken, progress: 1, message: params.arguments.text };
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (const message of [
    { method: 'notifications/progress', params: progress },
    { id, ...body },
  ]) {
    response.write(`data: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`);
  }
  response.end();
}

/** The same for both users but for the text. */
function work(session: SessionClient, user: string, index: number): Promise<Reply> {
  const name = `${SERVERS[index % SERVERS.length] ?? ''}__work`;
  const params = {
    name,
    arguments: { text: `${user}-${index}`, delayMs: (index * 7) % 13 },
    _meta: { progressToken: index },
  };
  return session.ask('tools/call', params, index);
}

function check({ answer, messages, response }: Reply, user: string, index: number): void {
  const server = SERVERS[index % SERVERS.length];
  const text = `${user}-${index}`;
  assert.equal(answer.status, 200);
  assert.equal(response['id'], index);
  const told = toldBy({ answer, messages, response });
  assert.equal(told.server, server);
  assert.equal(told.text, text);
  assert.equal(told.who, server === 'near' ? 'all' : user);
  const progress = messages.slice(0, -1).map(({ params }) => params as Json);
  assert.deepEqual(progress, [{ progressToken: index, progress: 1, message: text }]);
  assert.doesNotMatch(answer.text(), new RegExp(user === 'alice' ? 'bob' : 'alice'));
}

verifies(
  'gateway.isolation.calls',
  `${CALL_COUNT} calls of two users with the same ids end where they began`,
  async () => {
    const pids = { near: new Set<number>(), alice: new Set<number>(), bob: new Set<number>() };
    let done = 0;
    for (let wave = 0; wave < CALL_COUNT / WAVE; wave += 1) {
      const indexes = Array.from({ length: WAVE / USERS.length }, (_, at) => wave * WAVE + at + 1);
      const calls = indexes.flatMap((index) =>
        sessions.map(async ([user, session]) => {
          const reply = await work(session, user, index);
          check(reply, user, index);
          const { server, pid } = toldBy(reply);
          if (server !== 'web') pids[server === 'near' ? 'near' : (user as 'alice' | 'bob')].add(pid);
          done += 1;
        }),
      );
      // oxlint-disable-next-line no-await-in-loop -- wave after wave
      await Promise.all(calls);
    }
    assert.equal(done, CALL_COUNT);
    assert.deepEqual([pids.near.size, pids.alice.size, pids.bob.size], [1, 1, 1]);
    assert.equal(
      new Set([...pids.near, ...pids.alice, ...pids.bob]).size,
      3,
      'one child for all, and one for each user',
    );
  },
);

verifies('gateway.isolation.lists', 'a list has only what the user has, and only that can be called', async () => {
  for (const [user, session] of sessions) {
    const other = user === 'alice' ? 'bob' : 'alice';
    // oxlint-disable-next-line no-await-in-loop -- one user after the other
    const names = await session.toolNames();
    for (const server of ['own', 'web']) {
      assert.ok(names.includes(`${server}__only-${user}`), names.join());
      // oxlint-disable-next-line no-await-in-loop
      const { response } = await session.ask('tools/call', { name: `${server}__only-${other}`, arguments: {} });
      assert.equal(response['error'].code, -32_602, JSON.stringify(response));
    }
    assert.doesNotMatch(names.join(), new RegExp(other));
  }
});

verifies('gateway.isolation.sessions', 'a session id of somebody else is 404, like one that never was', async () => {
  const [[, alice], [, bob]] = sessions as readonly [(typeof sessions)[0], (typeof sessions)[0]];
  const asked = await Promise.all(
    [alice.sessionId, `${alice.sessionId}x`, 'never-was'].map(async (sessionId) => {
      const thief = await openSession(app.url, 'bob', { sessionId });
      const { answer, response } = await thief.ask('tools/list');
      const { request_id: _, ...data } = response['error'].data as Json;
      return { status: answer.status, error: { ...response['error'], data } as Json };
    }),
  );
  assert.equal(asked[0]?.status, 404);
  assert.deepEqual(asked[1], asked[0]);
  assert.deepEqual(asked[2], asked[0]);
  // Neither theirs nor the owner's session has suffered.
  assert.equal((await alice.ask('ping')).answer.status, 200);
  assert.equal((await bob.ask('ping')).answer.status, 200);
});

verifies('gateway.isolation.cancel', "a cancellation reaches the user's own call only", async () => {
  const [[, alice], [, bob]] = sessions as readonly [(typeof sessions)[0], (typeof sessions)[0]];
  const call = (session: SessionClient, text: string, delayMs: number): Promise<Reply> =>
    session.ask('tools/call', { name: 'near__work', arguments: { text, delayMs } }, 77);
  const kept = call(bob, 'kept', 500);
  const dropped = call(alice, 'dropped', 60_000);
  const near = async (): Promise<number | undefined> =>
    (await peersOf(app)).find(({ server }) => server === 'near')?.calls;
  await waitFor(async () => (await near()) === 2, { what: 'both calls to arrive' });
  assert.equal((await alice.tell('notifications/cancelled', { requestId: 77 })).status, 202);
  assert.deepEqual((await dropped).messages, []);
  assert.equal(toldBy(await kept).text, 'kept');
});
