/**
 * `mcproxy stdio --url`: a client that launches a command before a server that is somewhere else.
 *
 * What passes between a bridge and another mcproxy is part of the matrix (`test/contract`); here are servers of
 * others, and what happens when they go, come back or are not there.
 */
import assert from 'node:assert/strict';
import { after, type TestContext } from 'node:test';
import { connectClient1, connectClient2, type Launch, type OfficialClient } from '../support/official-clients.ts';
import { EVERYTHING_PROGRAM, FIXTURE_PROGRAM, type Call, type Program } from '../support/matrix-programs.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { command, settingsFile, usersFile } from '../support/message-app.ts';
import { startConformanceFixture, startEverything } from '../support/peers.ts';
import { findClosedPort } from '../support/ports.ts';
import { startUpstream } from '../support/recording-upstream.ts';
import { runCommand, PROGRAM_ARGS, startApp } from '../support/start-app.ts';
import { modern } from '../support/stdio-conversation.ts';
import { launchStdio } from '../support/stdio-process.ts';
import { tokenOf } from '../support/users.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor } from '../support/wait.ts';

after(() => checkNothingLeft());

interface Remote {
  readonly name: string;
  readonly program: Program;
  readonly args: readonly string[];
  start(t: TestContext): Promise<{ readonly url: string }>;
}

const REMOTES: readonly Remote[] = [
  {
    name: 'Streamable HTTP with sessions',
    program: EVERYTHING_PROGRAM,
    args: [],
    start: (t) => startEverything(t, 'streamableHttp'),
  },
  { name: 'HTTP+SSE', program: EVERYTHING_PROGRAM, args: [], start: (t) => startEverything(t, 'sse') },
  {
    name: 'HTTP+SSE, as told',
    program: EVERYTHING_PROGRAM,
    args: ['--transport', 'sse'],
    start: (t) => startEverything(t, 'sse'),
  },
  { name: '2026-07-28', program: FIXTURE_PROGRAM, args: [], start: (t) => startConformanceFixture(t) },
];

for (const { name, program, args, start } of REMOTES) {
  for (const version of [1, 2] as const) {
    verifies(
      'stdio.remote',
      `the official client ${version} uses a server of ${name} through the bridge`,
      async (t) => {
        const { url } = await start(t);
        const client = await connect(t, version, { args: ['--url', url, ...args] });
        const call = (tool: Call, more: object = {}): Promise<unknown> =>
          client.callTool({ name: tool.name, arguments: tool.arguments, ...more });
        assert.match(JSON.stringify(await call(program.call)), program.call.says);
        const steps: unknown[] = [];
        await call(program.progress, { onprogress: (step: unknown) => steps.push(step) });
        // The clients forget a step that arrives in one piece with the result; the matrix counts them.
        assert.ok(steps.length >= 1, 'no progress');
        assert.match(JSON.stringify(await call(program.elicitation)), program.elicitation.says);
        assert.match(JSON.stringify(await call(program.sampling)), program.sampling.says);
        const { resources } = (await client.client.listResources()) as { resources: { uri: string }[] };
        assert.ok(resources.some(({ uri }) => uri === program.uri));
        const controller = new AbortController();
        const cancelled = call(program.slow, {
          signal: controller.signal,
          onprogress: () => controller.abort('enough'),
        });
        await assert.rejects(cancelled, /enough|abort/i);
        assert.match(JSON.stringify(await call(program.call)), program.call.says);
      },
    );
  }
}

async function connect(
  t: TestContext,
  version: 1 | 2,
  how: { readonly args: readonly string[]; readonly token?: string },
): Promise<OfficialClient> {
  const launch: Launch = {
    transport: 'stdio',
    command: process.execPath,
    args: [...PROGRAM_ARGS, 'stdio', ...how.args],
    ...(how.token === undefined ? {} : { env: { MCPROXY_TOKEN: how.token } }),
  };
  const client = await (version === 1
    ? connectClient1(launch)
    : connectClient2({ ...launch, negotiation: { mode: 'auto' } }));
  t.after(() => client.close());
  return client;
}

for (const version of [1, 2] as const) {
  verifies(
    'stdio.remote-recovers',
    `client ${version} goes on when the mcproxy behind the bridge was started anew`,
    async (t) => {
      const port = await findClosedPort();
      const files = {
        'mcproxy.yml': settingsFile({ files: command('tells-who.mjs', 'files') }).replace(':0', `:${port}`),
        'tokens.yml': usersFile({ alice: '"*"' }),
      };
      const first = await startApp(t, { files });
      const client = await connect(t, version, { args: ['--url', `${first.url}/files/mcp`], token: tokenOf('alice') });
      const work = () => client.callTool({ name: 'work', arguments: { text: 'x' } });
      assert.match(JSON.stringify(await work()), /files/);
      await first.stop();
      await assert.rejects(work(), /server remote|remote/);
      await startApp(t, { files });
      await waitFor(async () => JSON.stringify(await work()).includes('files'), { deadlineMs: 20_000 });
      // In the modern era a client hears only what it asked for.
      if (version === 1)
        await waitFor(() => client.changes.some(({ method }) => method === 'notifications/tools/list_changed'));
    },
  );
}

verifies(
  'stdio.remote-down',
  'nobody there is an error that says so, and the bridge serves once somebody is',
  async (t) => {
    const port = await findClosedPort();
    const client = launchStdio(t, ['--url', `http://127.0.0.1:${port}/files/mcp`], {
      env: { MCPROXY_TOKEN: tokenOf('alice') },
    });
    const { error } = await client.initialize();
    assert.match(error.message, /cannot be reached: the connection was refused/);
    client.send(modern('one', 'server/discover'));
    assert.match((await client.answer('one'))['error'].message, /the connection was refused/);
    const servers = { files: command('tells-who.mjs', 'files') };
    await startApp(t, {
      files: {
        'mcproxy.yml': settingsFile(servers).replace(':0', `:${port}`),
        'tokens.yml': usersFile({ alice: '"*"' }),
      },
    });
    await waitFor(async () => 'result' in (await client.initialize()), { deadlineMs: 20_000 });
    assert.deepEqual(await client.toolNames(), ['work', 'crash', 'only-all']);
  },
);

verifies(
  'stdio.remote-secret',
  'token and headers reach the server; a refused token is an error that does not show it',
  async (t) => {
    const token = 'bridge-secret-0123456789';
    const upstream = await startUpstream(t, {
      answer: ({ response }) => void response.writeHead(401, { 'www-authenticate': 'Bearer' }).end(),
    });
    const client = launchStdio(
      t,
      ['--url', `${upstream.url}/mcp`, '--header', 'X-Team:${TEAM}', '--header', 'X-Plain: a b'],
      {
        env: { MCPROXY_TOKEN: token, TEAM: 'blue' },
      },
    );
    const { error } = await client.initialize();
    assert.match(error.message, /refused|credential/);
    const [request] = upstream.requests;
    assert.deepEqual(request?.values('authorization'), [`Bearer ${token}`]);
    assert.deepEqual(request?.values('x-team'), ['blue']);
    assert.deepEqual(request?.values('x-plain'), ['a b']);
    assert.ok(!JSON.stringify([client.messages, client.stderr()]).includes(token));
  },
);

verifies('stdio.remote-secret', 'without --log nothing is logged, with it each request on standard error', async () => {
  const asked = JSON.stringify(modern(1, 'tools/list'));
  const url = `http://127.0.0.1:${await findClosedPort()}/mcp`;
  const silent = await runCommand(['stdio', '--url', url], { input: `${asked}\n` });
  assert.ok(!silent.stderr.includes('"rpc_method"'));
  const logged = await runCommand(['stdio', '--url', url, '--log'], { input: `${asked}\n` });
  assert.equal(logged.stderr.split('"rpc_method":"tools/list"').length, 2);
  assert.deepEqual([silent.code, logged.code], [0, 0]);
});

const WRONG = [
  { args: ['--url', 'ftp://x'], says: /"url" is not valid/ },
  { args: ['--url', 'http://x', '--transport', 'pigeon'], says: /transport/ },
  { args: ['--url', 'http://x', '--header', 'no colon'], says: /header/i },
];
for (const { args, says } of WRONG) {
  verifies('stdio.remote', `${args.slice(2).join(' ') || args.join(' ')} is refused with exit code 64`, async () => {
    const finished = await runCommand(['stdio', ...args]);
    assert.deepEqual([finished.code, finished.stdout], [64, '']);
    assert.match(finished.stderr, says);
  });
}
