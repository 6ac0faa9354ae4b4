/**
 * How much is allowed, with real processes: users at the door, servers and tools in calls, failed logins by address.
 */
import assert from 'node:assert/strict';
import { after, type TestContext } from 'node:test';
import { request, type Json } from '../support/downstream-clients.ts';
import { send, type Answer } from '../support/http-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { command, headersOf, openSession, settingsFile } from '../support/message-app.ts';
import { startUpstream } from '../support/recording-upstream.ts';
import { digestOf } from '../support/proxied-app.ts';
import { startApp, type RunningApp } from '../support/start-app.ts';
import { tokenOf } from '../support/users.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor } from '../support/wait.ts';

after(() => checkNothingLeft());

async function start(
  t: TestContext,
  options: { servers: Record<string, string>; more?: string; alice?: string },
): Promise<RunningApp> {
  const { servers, more = '', alice = '' } = options;
  const user = (name: string, own: string): string =>
    `  ${name}:\n    token: ${digestOf(tokenOf(name))}\n    servers: "*"\n${own}`;
  const tokens = `users:\n${user('alice', alice)}${user('bob', '')}`;
  return startApp(t, { files: { 'mcproxy.yml': settingsFile(servers, more), 'tokens.yml': tokens } });
}

const PING = request(1, 'ping');

function checkRefused(answer: Answer): void {
  assert.equal(answer.status, 429, answer.text());
  const { error } = answer.json() as { error: Json };
  assert.deepEqual([error['code'], error['data'].code, error['data'].source], [429, 'RATE_LIMITED', 'mcproxy']);
  const ms = error['data'].retry_after_ms as number;
  assert.ok(ms > 0);
  assert.equal(answer.header('retry-after'), String(Math.max(1, Math.ceil(ms / 1_000))));
}

verifies('limits.user', 'a user over the rate is 429 until the time has come, and others do not notice', async (t) => {
  const app = await start(t, {
    servers: { cmd: command('tells-who.mjs', 'cmd') },
    more: 'limits: { rate: 1000/h, burst: 3 }\n',
    alice: '    limits: { rate: 1/h, burst: 2 }\n',
  });
  const post = (user: string): Promise<Answer> => send(`${app.url}/mcp`, { headers: headersOf(user), body: PING });
  const statuses: number[] = [];
  for (let count = 0; count < 3; count += 1) {
    // oxlint-disable-next-line no-await-in-loop
    statuses.push((await post('alice')).status);
  }
  assert.deepEqual(statuses, [200, 200, 429]);
  const refused = await post('alice');
  checkRefused(refused);
  assert.match(refused.text(), /user alice has used up the limit of 1\/h/);
  assert.equal((await post('bob')).status, 200);
  await waitFor(() => app.entries().length >= 5);
  const mine = app.entries().filter((entry) => entry['principal'] === 'alice');
  assert.deepEqual(
    mine.map((entry) => [entry['http_status'], entry['error_code'], entry['outcome']]).slice(2),
    [1, 2].map(() => [429, 'RATE_LIMITED', 'client_error']),
  );
});

verifies('limits.user', 'the messages of a batch count one by one', async (t) => {
  const app = await start(t, { servers: { cmd: command('tells-who.mjs', 'cmd') }, more: 'limits: { rate: 10/h }\n' });
  const headers = headersOf('alice');
  const params = { protocolVersion: '2025-03-26', capabilities: {}, clientInfo: { name: 'test', version: '1' } };
  const first = await send(`${app.url}/mcp`, { headers, body: request(0, 'initialize', params) });
  const session = { ...headers, 'mcp-session-id': first.header('mcp-session-id') ?? '' };
  const batch = Array.from({ length: 8 }, (_, id) => request(id, 'ping'));
  assert.equal((await send(`${app.url}/mcp`, { headers: session, body: batch })).status, 200);
  checkRefused(await send(`${app.url}/mcp`, { headers: session, body: batch }));
});

verifies(
  'limits.calls',
  'limits of servers and tools are errors in the conversation, on every URL, by one entry each',
  async (t) => {
    const limits = 'limits: { rate: 4/h, tools: { "only-*": { rate: 1/h } } }';
    const app = await start(t, { servers: { cmd: command('tells-who.mjs', 'cmd').replace(' }', `, ${limits} }`) } });
    const all = await openSession(app.url, 'alice');
    const one = await openSession(app.url, 'bob', { path: '/cmd/mcp' });
    const call = async (name: string): Promise<Json> => {
      const session = name.startsWith('cmd__') ? all : one;
      return (await session.ask('tools/call', { name, arguments: { text: 'x' } })).response;
    };
    assert.ok((await call('cmd__only-all'))['result'] !== undefined);
    const { error } = await call('only-all');
    assert.deepEqual([error.code, error.data.code], [429, 'RATE_LIMITED']);
    assert.ok(error.data.retry_after_ms > 3_500_000 && error.data.retry_after_ms <= 3_600_000);
    assert.match(error.message, /^server cmd, tools only-\*, has used up the limit of 1\/h/);
    for (const name of ['cmd__work', 'work', 'cmd__work']) {
      // oxlint-disable-next-line no-await-in-loop
      assert.ok((await call(name))['result'] !== undefined);
    }
    for (const name of ['cmd__work', 'work']) {
      // oxlint-disable-next-line no-await-in-loop
      assert.match((await call(name))['error'].message, /^server cmd has used up the limit of 4\/h/);
    }
    await waitFor(() => app.entries().filter((entry) => entry['error_code'] === 'RATE_LIMITED').length === 3);
    const [first] = app.entries().filter((entry) => entry['error_code'] === 'RATE_LIMITED');
    assert.deepEqual(
      [first?.['http_status'], first?.['rpc_error'], first?.['upstream'], first?.['rpc_name']],
      [200, 429, 'cmd', 'only-all'],
    );
  },
);

verifies('limits.calls', 'calls in progress are counted over all sessions of a user, until they end', async (t) => {
  const app = await start(t, {
    servers: { cmd: command('tells-who.mjs', 'cmd') },
    alice: '    limits: { concurrent: 1 }\n',
  });
  const [one, other, bob] = await Promise.all([
    openSession(app.url, 'alice'),
    openSession(app.url, 'alice', { path: '/cmd/mcp' }),
    openSession(app.url, 'bob'),
  ]);
  await one.toolNames();
  const slow = one.ask('tools/call', { name: 'cmd__work', arguments: { text: 'slow', delayMs: 1_500 } });
  await waitFor(async () => {
    const { response } = await other.ask('tools/call', { name: 'work', arguments: { text: 'x' } });
    return response['error']?.data?.code === 'RATE_LIMITED';
  });
  const free = await bob.ask('tools/call', { name: 'cmd__work', arguments: { text: 'x' } });
  assert.ok(free.response['result'] !== undefined);
  assert.ok((await slow).response['result'] !== undefined);
  assert.ok(
    (await other.ask('tools/call', { name: 'work', arguments: { text: 'x' } })).response['result'] !== undefined,
  );
});

verifies('limits.relay', 'the rate of a server that is relayed holds at the door', async (t) => {
  const upstream = await startUpstream(t);
  const server = `{ url: "${upstream.url}/mcp", transport: streamable, limits: { rate: 2/h } }`;
  const app = await start(t, { servers: { up: server } });
  const post = (user: string): Promise<Answer> =>
    send(`${app.url}/up/mcp`, { headers: headersOf(user), body: request(1, 'tools/list') });
  assert.notEqual((await post('alice')).status, 429);
  assert.notEqual((await post('bob')).status, 429);
  checkRefused(await post('alice'));
  assert.equal(upstream.requests.length, 2);
});

verifies(
  'limits.logins',
  'who guesses tokens waits longer and longer, and a valid token is let in meanwhile',
  async (t) => {
    const app = await start(t, {
      servers: { cmd: command('tells-who.mjs', 'cmd') },
      more: 'trusted_proxies: [127.0.0.1]\n',
    });
    const guess = (from: string, token = 'a-guess'): Promise<Answer> =>
      send(`${app.url}/mcp`, {
        headers: { authorization: `Bearer ${token}`, accept: 'application/json', 'x-forwarded-for': from },
        body: PING,
      });
    const statuses: number[] = [];
    for (let count = 0; count < 11; count += 1) {
      // oxlint-disable-next-line no-await-in-loop
      statuses.push((await guess('2001:db8::1', `guess-${count}`)).status);
    }
    assert.deepEqual(
      statuses,
      Array.from({ length: 11 }, () => 401),
    );
    // On a slow machine a wait may be over before the next guess comes; each failure doubles it.
    const refusedFrom = async (from: string): Promise<Answer> => {
      let answer: Answer | undefined;
      await waitFor(
        async () => {
          answer = await guess(from);
          return answer.status === 429;
        },
        { deadlineMs: 30_000 },
      );
      return answer ?? assert.fail();
    };
    checkRefused(await refusedFrom('2001:db8::1'));
    checkRefused(await refusedFrom('2001:db8::2'));
    assert.equal((await guess('2001:db8:0:1::1')).status, 401, 'another network');
    assert.equal((await guess('2001:db8::1', tokenOf('alice'))).status, 200, 'a valid token from the same address');
    checkRefused(await refusedFrom('2001:db8::1'));
    await waitFor(() => app.entries().some((entry) => entry['http_status'] === 429));
    const refused = app.entries().filter((entry) => entry['http_status'] === 429);
    assert.deepEqual([...new Set(refused.map((entry) => entry['error_code']))], ['RATE_LIMITED']);
    assert.match(app.stderr(), /failed logins are slowed.*2001:db8:0:0::\/64/);
    assert.doesNotMatch(app.stderr() + JSON.stringify(app.entries()), /guess-\d/);
  },
);
