/**
 * Three real instances with one key behind Debian's HAProxy and nginx, on the configurations that are shipped.
 *
 * The official clients of both eras work through the balancer, in turns over all instances; instances are killed and
 * restarted under them. Which instance had a request says its access log.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, type TestContext } from 'node:test';
import { askSocket } from '../../src/app/admin-client.ts';
import {
  missing,
  startHaproxy,
  startNginx,
  type Balancer,
  type BalancerKind,
  type Piece,
} from '../support/balancer.ts';
import { modernBody, modernHeaders } from '../support/downstream-clients.ts';
import { holdSocket } from '../support/held-socket.ts';
import { send, type Answer } from '../support/http-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { command, settingsFile, usersFile } from '../support/message-app.ts';
import { connectClient1, connectClient2, type OfficialClient } from '../support/official-clients.ts';
import { startConformanceFixture } from '../support/peers.ts';
import { startUpstream, type Conversation } from '../support/recording-upstream.ts';
import { startApp, type LoggedEntry, type RunningApp } from '../support/start-app.ts';
import { tokenOf } from '../support/users.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor, within } from '../support/wait.ts';

const fixture = await startConformanceFixture({ after });
const held: Conversation[] = [];
const holding = await startUpstream({ after }, { answer: (conversation) => void held.push(conversation) });

const MODERN_ONLY = { mode: { pin: '2026-07-28' } } as const;
const SIMPLE = { name: 'both__test_simple_text', arguments: {} };
const KEY = 'MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=';
const start = { haproxy: startHaproxy, nginx: startNginx };
const STICKY = {
  haproxy: [
    ['#balance hdr(Authorization)', 'balance hdr(Authorization)'],
    ['#hash-type', 'hash-type'],
    ['balance roundrobin', ''],
  ],
  nginx: [['#hash', 'hash']],
} as const;

function startInstance(again: { dir?: string; port?: number; descriptor?: number } = {}): Promise<RunningApp> {
  const more = 'trusted_proxies: [127.0.0.1]\ndrain: 2s\ncluster: { key: "${CLUSTER_KEY}" }\n';
  const notes = command('notes-calls.mjs', '/dev/null');
  const servers = { both: `{ url: "${fixture.url}" }`, notes, held: `{ url: "${holding.url}/mcp", era: modern }` };
  return startApp(
    { after },
    {
      files: {
        'mcproxy.yml': settingsFile(servers, more),
        'tokens.yml': usersFile({ alice: '[both]', carol: '[both]', bob: '[held]', dave: '[notes]' }),
      },
      env: { CLUSTER_KEY: KEY },
      args: again.port === undefined ? [] : ['--port', String(again.port)],
      ...(again.dir === undefined ? {} : { dir: again.dir }),
      descriptor: again.descriptor,
    },
  );
}

const apps = await Promise.all([startInstance(), startInstance(), startInstance()]);
after(() => checkNothingLeft());

/** Starts those that were killed, as they were. */
async function revive(): Promise<void> {
  for (const [index, { pid, dir, port }] of apps.entries()) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    if (!existsSync(`/proc/${pid}`)) apps[index] = await startInstance({ dir, port });
  }
}

/** A balancer of its own before the three, which are all there. Undefined where it cannot be installed. */
async function startBalancer(
  t: TestContext,
  kind: BalancerKind,
  pieces: readonly Piece[] = [],
): Promise<Balancer | undefined> {
  const reason = missing(kind);
  if (reason !== undefined) {
    t.skip(reason);
    return undefined;
  }
  await revive();
  return start[kind](t, { ports: apps.map(({ port }) => port), pieces });
}

/** The entries of a client at each instance. */
const entriesOf = (ids: readonly string[]): LoggedEntry[][] =>
  apps.map((app) => app.entries().filter((entry) => ids.includes(String(entry['request_id']))));

const legacyClient = ({ url }: Balancer, user: string): Promise<OfficialClient> =>
  connectClient1({ url: `${url}/mcp`, transport: 'streamable', token: tokenOf(user) });
const modernClient = ({ url }: Balancer, user: string): Promise<OfficialClient> =>
  connectClient2({ url: `${url}/mcp`, transport: 'streamable', token: tokenOf(user), negotiation: MODERN_ONLY });

/** A call of which nothing is heard any more ends too, before the clients give it up after a minute. */
async function callSimple(client: OfficialClient): Promise<void> {
  const signal = AbortSignal.timeout(15_000);
  assert.match(JSON.stringify(await client.callTool({ ...SIMPLE, signal })), /simple text response/);
}

for (const kind of ['haproxy', 'nginx'] as const) {
  verifies(
    ['instances.sessions', 'instances.spread', 'instances.key'],
    `${kind}: a session goes on at every instance`,
    async (t) => {
      const balancer = await startBalancer(t, kind);
      if (balancer === undefined) return;
      const client = await legacyClient(balancer, 'alice');
      const callCount = 9;
      for (let n = 0; n < callCount; n += 1) {
        // oxlint-disable-next-line no-await-in-loop -- in turns
        await callSimple(client);
      }
      const ids = client.requestIds.slice();
      await client.close();
      const places = entriesOf(ids);
      assert.ok(
        places.every(({ length }) => length > 0),
        'every instance had some',
      );
      const entries = places.flat();
      assert.equal(entries.filter((entry) => entry['rpc_method'] === 'initialize').length, 1);
      const calls = entries.filter((entry) => entry['rpc_method'] === 'tools/call' && entry['outcome'] === 'ok');
      assert.equal(calls.length, callCount);
      assert.ok(entries.every((entry) => entry['client_ip'] === '127.0.0.1'));
    },
  );

  verifies('instances.request-state', `${kind}: a question of one instance is answered at another`, async (t) => {
    const balancer = await startBalancer(t, kind);
    if (balancer === undefined) return;
    const client = await modernClient(balancer, 'alice');
    const result = await client.callTool({ name: 'both__test_input_required_result_request_state', arguments: {} });
    assert.doesNotMatch(JSON.stringify(result), /"isError":true/);
    assert.deepEqual(client.answered, ['elicitation/create']);
    const asked = entriesOf(client.requestIds).map(
      (entries) => entries.filter((entry) => entry['rpc_method'] === 'tools/call').length,
    );
    await client.close();
    assert.deepEqual(
      asked.toSorted((a, b) => a - b),
      [0, 1, 1],
      'the question and its answer, at two instances',
    );
  });

  verifies('instances.spread', `${kind}: told to go by the token, it gives each to one instance`, async (t) => {
    const balancer = await startBalancer(t, kind, STICKY[kind]);
    if (balancer === undefined) return;
    const clients = await Promise.all([legacyClient(balancer, 'alice'), modernClient(balancer, 'carol')]);
    for (const client of clients) {
      for (let n = 0; n < 4; n += 1) {
        // oxlint-disable-next-line no-await-in-loop -- in turns
        await callSimple(client);
      }
      const ids = client.requestIds.slice();
      // oxlint-disable-next-line no-await-in-loop
      await client.close();
      assert.equal(entriesOf(ids).filter(({ length }) => length > 0).length, 1);
    }
  });

  verifies('instances.read-again', `${kind}: what an instance dies over is asked again only if it reads`, async (t) => {
    const balancer = await startBalancer(t, kind);
    if (balancer === undefined) return;
    const listed = await killOver(balancer, 'tools/list');
    assert.deepEqual([listed.askedCount, listed.answer?.status], [2, 200]);
    // One of two that are left.
    const called = await killOver(balancer, 'tools/call');
    assert.equal(called.askedCount, 1);
    assert.equal(called.answer?.status, 502);
  });

  verifies('instances.killed', `${kind}: killing an instance loses only calls that were in flight there`, async (t) => {
    const balancer = await startBalancer(t, kind);
    if (balancer === undefined) return;
    const work = await startWork(balancer);
    await work.more(60);
    const [first] = apps;
    first?.signal('SIGKILL');
    await first?.exited;
    const killedMs = performance.now();
    await work.more(60);
    const done = await work.end();
    const failed = done.filter(({ error }) => error !== undefined);
    assert.ok(failed.length <= work.clientCount, `${failed.length} of ${done.length} failed`);
    for (const { startedMs, endedMs, kind: what, error } of failed) {
      assert.ok(startedMs < killedMs && endedMs > killedMs - 5_000, `${what}: ${String(error)}`);
      assert.notEqual(what, 'modern tools/list', String(error));
    }
  });
}

verifies('instances.killed', 'the SDK 1 client of a call that was cut is told at once, and goes on', async (t) => {
  const balancer = await startBalancer(t, 'haproxy');
  if (balancer === undefined) return;
  const client = await legacyClient(balancer, 'dave');
  let isRunning = false;
  const onprogress = (): void => void (isRunning = true);
  const call = client.callTool({ name: 'notes__waits', arguments: {}, onprogress });
  call.catch(() => undefined);
  await waitFor(() => isRunning, { deadlineMs: 20_000, what: 'progress of the call' });
  // The call, and maybe the general stream of the session at another one.
  const open = await Promise.all(apps.map(openCount));
  assert.ok(open.includes(0) && open.some((count) => count > 0), open.join());
  const busy = apps.filter((_, index) => open[index] !== 0);
  for (const app of busy) app.signal('SIGKILL');
  await Promise.all(busy.map((app) => app.exited));
  await within(assert.rejects(call, /may have been done or not/), { deadlineMs: 15_000, what: 'the end of the call' });
  const answered = await client.callTool({ name: 'notes__answers', arguments: { path: 'x' } });
  assert.match(JSON.stringify(answered), /path/);
  const entries = entriesOf(client.requestIds).flat();
  assert.deepEqual(entries.filter((entry) => entry['error_code'] === 'UPSTREAM_CLOSED').length, 1);
  await client.close();
});

verifies('instances.rolling-restart', 'haproxy: restarting one after the other loses nothing', async (t) => {
  const balancer = await startBalancer(t, 'haproxy');
  if (balancer === undefined) return;
  const work = await startWork(balancer);
  for (const [index, app] of [...apps].entries()) {
    /* oxlint-disable no-await-in-loop -- one after the other */
    app.signal('SIGTERM');
    assert.deepEqual(await app.exited, { code: 0, signal: null });
    await work.more(20);
    apps[index] = await startInstance({ dir: app.dir, port: app.port });
    await balancer.untilUp([0, 1, 2]);
    await work.more(20);
    /* oxlint-enable no-await-in-loop */
  }
  const done = await work.end();
  const failed = done.filter(({ error }) => error !== undefined);
  assert.deepEqual(failed, []);
});

verifies(
  'instances.rolling-restart',
  'nginx: restarting one after the other loses nothing where the service manager holds the socket',
  async (t) => {
    const reason = missing('nginx');
    if (reason !== undefined) return t.skip(reason);
    const sockets = [holdSocket(t), holdSocket(t), holdSocket(t)];
    const own = await Promise.all(sockets.map(({ descriptor }) => startInstance({ descriptor })));
    const balancer = await startNginx(t, { ports: sockets.map(({ port }) => port) });
    const work = await startWork(balancer);
    for (const [index, app] of [...own].entries()) {
      /* oxlint-disable no-await-in-loop -- one after the other */
      app.signal('SIGTERM');
      assert.deepEqual(await app.exited, { code: 0, signal: null });
      own[index] = await startInstance({ dir: app.dir, descriptor: sockets[index]?.descriptor ?? 0 });
      await work.more(40);
      /* oxlint-enable no-await-in-loop */
    }
    const failed = (await work.end()).filter(({ error }) => error !== undefined);
    // Before the hook of the first ones, which removes the directory.
    await Promise.all(own.map((app) => app.stop()));
    assert.deepEqual(failed, []);
  },
);

/** Asks the server that answers nothing by itself, and kills the instance that asks it. */
async function killOver(
  balancer: Balancer,
  method: string,
): Promise<{ askedCount: number; answer: Answer | undefined }> {
  held.length = 0;
  const params = method === 'tools/call' ? { name: 'work', arguments: {} } : {};
  const headers = { ...modernHeaders(method, params.name), authorization: `Bearer ${tokenOf('bob')}` };
  const answer = send(`${balancer.url}/held/mcp`, { headers, body: modernBody(method, params) });
  await waitFor(() => held.length === 1, { what: `${method} at the server` });
  const open = await Promise.all(apps.map(openCount));
  const app = apps[open.indexOf(1)];
  app?.signal('SIGKILL');
  await app?.exited;
  if (method !== 'tools/call') {
    await waitFor(() => held.length === 2, { what: `${method} at the server once more` });
    const result = { resultType: 'complete', tools: [], ttlMs: 0, cacheScope: 'private' };
    held[1]?.response.writeHead(200, { 'content-type': 'application/json' });
    held[1]?.response.end(JSON.stringify({ jsonrpc: '2.0', id: 'r-1', result }));
  }
  return { answer: await answer, askedCount: held.length };
}

/** Exchanges in progress; 0 at an instance that is gone. */
async function openCount({ dir }: RunningApp): Promise<number> {
  const answer = await askSocket(join(dir, 'admin.sock'), { method: 'GET', target: '/status' });
  return answer.kind === 'answer' ? (answer.body as { open_exchanges: number }).open_exchanges : 0;
}

interface Done {
  readonly kind: string;
  readonly startedMs: number;
  readonly endedMs: number;
  readonly error: unknown;
}

interface Work {
  readonly clientCount: number;
  /** Waits until so many requests more are answered. */
  more(count: number): Promise<void>;
  end(): Promise<readonly Done[]>;
}

/** Clients of both eras that ask without a pause. */
async function startWork(balancer: Balancer): Promise<Work> {
  const done: Done[] = [];
  const ending = new AbortController();
  const clients = await Promise.all([
    legacyClient(balancer, 'alice'),
    legacyClient(balancer, 'carol'),
    modernClient(balancer, 'alice'),
    modernClient(balancer, 'carol'),
  ]);
  const run = async (client: OfficialClient, index: number): Promise<void> => {
    const era = index < 2 ? 'legacy' : 'modern';
    for (let n = 0; !ending.signal.aborted; n += 1) {
      const isCall = n % 2 === 0;
      const startedMs = performance.now();
      // oxlint-disable-next-line no-await-in-loop -- without a pause
      const error = await (isCall ? callSimple(client) : client.client.listTools()).then(
        () => undefined,
        (thrown: unknown) => thrown ?? 'failed',
      );
      done.push({
        kind: `${era} ${isCall ? 'tools/call' : 'tools/list'}`,
        startedMs,
        endedMs: performance.now(),
        error,
      });
    }
  };
  const running = clients.map(run);
  return {
    clientCount: clients.length,
    async more(count) {
      const wanted = done.length + count;
      await waitFor(() => done.length >= wanted, { deadlineMs: 30_000, what: `${count} answers` });
    },
    async end() {
      ending.abort();
      await Promise.all(running);
      await Promise.all(clients.map((client) => client.close()));
      return done;
    },
  };
}
