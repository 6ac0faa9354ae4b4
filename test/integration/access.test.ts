/**
 * Who may do what, with real processes: rules on every URL and in both eras, tokens and their terms, the log, `why`.
 *
 * The server is the dual-era fixture over HTTP and a command; clients are plain ones, so that what comes over the wire
 * is in sight, and the official ones where nothing but what they show matters.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, type TestContext } from 'node:test';
import { eventsOf, modernBody, modernHeaders, type Json } from '../support/downstream-clients.ts';
import { openStream, readUntil, send } from '../support/http-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { command, headersOf, openSession, settingsFile, waitForTools } from '../support/message-app.ts';
import { connectClient1, connectClient2 } from '../support/official-clients.ts';
import { startConformanceFixture } from '../support/peers.ts';
import { digestOf } from '../support/proxied-app.ts';
import { runCommand, startApp, type RunningApp } from '../support/start-app.ts';
import { tokenOf } from '../support/users.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor, within } from '../support/wait.ts';

after(() => checkNothingLeft());

const RULES = `
    tools: ["web__test_simple_*", "web__test_error_handling", "!*_handling", "cmd__work"]
    prompts: ["web__test_simple_prompt"]
    resources: ["!test://watched*", "!test://template/*"]`;

/** `open` may use everything, `alice` what the rules allow. */
async function startRestricted(t: TestContext, more = ''): Promise<RunningApp> {
  const { url } = await startConformanceFixture(t);
  const settings = settingsFile(
    { web: `{ url: "${url}", token: shared-web-credential }`, cmd: command('tells-who.mjs', 'cmd') },
    more,
  );
  return startApp(t, { files: { 'mcproxy.yml': settings, 'tokens.yml': tokensFile() } });
}

function tokensFile(aliceMore = ''): string {
  return `roles:
  tester:
    servers: [web, cmd]${RULES}
users:
  open: { token: "${digestOf(tokenOf('open'))}", servers: "*" }
  alice:
    token: { sha256: "${digestOf(tokenOf('alice')).slice(7)}", label: laptop }
    role: tester${aliceMore}
`;
}

type Ask = (method: string, params?: Json) => Promise<Json>;

async function asking(url: string, path: string, era: 'legacy' | 'modern'): Promise<Ask> {
  if (era === 'legacy') {
    const session = await openSession(url, 'alice', { path });
    return async (method, params) => (await session.ask(method, params)).response;
  }
  return async (method, params = {}) => {
    const headers = { ...headersOf('alice'), ...modernHeaders(method, params['name'] ?? params['uri']) };
    const answer = await send(url + path, { headers, body: modernBody(method, params) });
    const isStream = (answer.header('content-type') ?? '').startsWith('text/event-stream');
    return (isStream ? eventsOf(answer.text()).at(-1) : answer.json()) as Json;
  };
}

const DENIED_TOOL = 'test_image_content';
const DENIED_URI = 'test://watched-resource';

for (const era of ['legacy', 'modern'] as const) {
  for (const [path, prefix] of [
    ['/mcp', 'web__'],
    ['/web/mcp', ''],
  ] as const) {
    verifies(
      ['access.everywhere', 'access.log'],
      `a ${era} client at ${path} sees and uses nothing that the rules deny`,
      async (t) => {
        const app = await startRestricted(t);
        const ask = await asking(app.url, path, era);
        const listed = async (method: string, member: string, key: string): Promise<string[]> =>
          ((await ask(method))['result'][member] as Json[]).map((item) => item[key] as string).toSorted();
        const cmd = path === '/mcp' ? ['cmd__work'] : [];
        assert.deepEqual(await listed('tools/list', 'tools', 'name'), [...cmd, `${prefix}test_simple_text`]);
        assert.deepEqual(await listed('prompts/list', 'prompts', 'name'), [`${prefix}test_simple_prompt`]);
        assert.ok(
          !(await listed('resources/list', 'resources', 'uri')).some((uri) => uri.startsWith('test://watched')),
        );
        assert.deepEqual(await listed('resources/templates/list', 'resourceTemplates', 'uriTemplate'), []);

        const allowed = await ask('tools/call', { name: `${prefix}test_simple_text`, arguments: {} });
        assert.ok(allowed['result'] !== undefined, JSON.stringify(allowed));
        const before = app.entries().length;
        const refused: [string, Json][] = [
          ['tools/call', { name: prefix + DENIED_TOOL, arguments: {} }],
          ['tools/call', { name: `${prefix}test_error_handling`, arguments: {} }],
          ['prompts/get', { name: `${prefix}test_prompt_with_arguments`, arguments: { arg1: 'a', arg2: 'b' } }],
          [
            'completion/complete',
            {
              ref: { type: 'ref/prompt', name: `${prefix}test_prompt_with_arguments` },
              argument: { name: 'arg1', value: 't' },
            },
          ],
          [
            'completion/complete',
            { ref: { type: 'ref/resource', uri: 'test://template/{id}/data' }, argument: { name: 'id', value: '1' } },
          ],
          ['resources/read', { uri: DENIED_URI }],
          ['resources/read', { uri: 'test://template/1/data' }],
          ...(era === 'legacy' ? [['resources/subscribe', { uri: DENIED_URI }] as [string, Json]] : []),
        ];
        for (const [method, params] of refused) {
          // oxlint-disable-next-line no-await-in-loop -- entries in order
          const { error } = await ask(method, params);
          assert.ok(
            [-32602, -32002].includes(error?.code),
            `${method} ${JSON.stringify(params)}: ${JSON.stringify(error)}`,
          );
          assert.doesNotMatch(JSON.stringify(error), /denied|forbidden|not allow|rule/i);
        }
        const unknown = await ask('tools/call', { name: `${prefix}test_no_such`, arguments: {} });
        const denied = await ask('tools/call', { name: prefix + DENIED_TOOL, arguments: {} });
        assert.equal(
          denied['error'].message.replace(DENIED_TOOL, 'X'),
          unknown['error'].message.replace('test_no_such', 'X'),
        );
        await waitFor(() => app.entries().length >= before + refused.length + 2);
        const entries = app.entries().slice(before);
        const truth = entries.slice(0, refused.length).map((entry) => [entry['error_code'], entry['outcome']]);
        assert.deepEqual(
          truth,
          refused.map(() => ['ACCESS_DENIED', 'client_error']),
        );
        assert.deepEqual(
          [entries[0]?.['upstream'], entries[0]?.['rpc_name'], entries[0]?.['principal']],
          ['web', DENIED_TOOL, 'alice'],
        );
        assert.match(String(entries[0]?.['error']), /the rules of this user do not allow test_image_content/);
        assert.equal(entries[refused.length]?.['error_code'], 'RPC_PARAMS');
      },
    );
  }
}

verifies(
  'access.everywhere',
  'official clients over every transport see and call the same restricted list',
  async (t) => {
    const app = await startRestricted(t);
    const connections = [
      connectClient1({ url: `${app.url}/mcp`, transport: 'streamable', token: tokenOf('alice') }),
      connectClient1({ url: `${app.url}/sse`, transport: 'sse', token: tokenOf('alice') }),
      connectClient2({ url: `${app.url}/mcp`, transport: 'streamable', token: tokenOf('alice') }),
      connectClient1({ url: `${app.url}/web/mcp`, transport: 'streamable', token: tokenOf('alice') }),
      connectClient1({ url: `${app.url}/web/sse`, transport: 'sse', token: tokenOf('alice') }),
    ];
    for (const [at, connecting] of connections.entries()) {
      // oxlint-disable-next-line no-await-in-loop
      const client = await connecting;
      const prefix = at < 3 ? 'web__' : '';
      try {
        // oxlint-disable-next-line no-await-in-loop
        const { tools } = (await client.client.listTools()) as { tools: { name: string }[] };
        const names = tools.map(({ name }) => name).toSorted();
        assert.deepEqual(names, [...(at < 3 ? ['cmd__work'] : []), `${prefix}test_simple_text`]);
        // oxlint-disable-next-line no-await-in-loop
        await assert.rejects(
          Promise.resolve(client.callTool({ name: prefix + DENIED_TOOL, arguments: {} })),
          /Unknown tool/,
        );
      } finally {
        // oxlint-disable-next-line no-await-in-loop
        await client.close();
      }
    }
  },
);

verifies('access.everywhere', 'a listening client hears nothing of a resource that the rules deny', async (t) => {
  const app = await startRestricted(t);
  for (const path of ['/mcp', '/web/mcp']) {
    const headers = { ...headersOf('alice'), ...modernHeaders('subscriptions/listen') };
    const notifications = { toolsListChanged: true, resourceSubscriptions: [DENIED_URI] };
    // oxlint-disable-next-line no-await-in-loop
    const stream = await openStream(app.url + path, {
      headers,
      body: modernBody('subscriptions/listen', { notifications }),
    });
    // oxlint-disable-next-line no-await-in-loop
    const text = await readUntil(stream, (so) => so.includes('acknowledged'));
    assert.doesNotMatch(text, /watched-resource/);
    stream.close();
  }
});

const TERMS = [
  { name: 'expired', terms: 'expires: 2020-01-31', reason: /the token old of alice expired at 2020-02-01T00:00:00Z/ },
  { name: 'not valid yet', terms: 'not_before: 2090-01-01', reason: /is valid from 2090-01-01T00:00:00Z on/ },
  {
    name: 'of another network',
    terms: 'networks: [192.0.2.0/24, "2001:db8::/32"]',
    reason: /may not be used from 127\.0\.0\.1/,
  },
];
for (const { name, terms, reason } of TERMS) {
  verifies(['access.terms', 'access.check'], `a token that is ${name} is answered like an unknown one`, async (t) => {
    const own = `{ sha256: "${digestOf('old-token-of-alice').slice(7)}", label: old, ${terms} }`;
    const here = `{ sha256: "${digestOf(tokenOf('alice')).slice(7)}", networks: [127.0.0.0/8] }`;
    const tokens = `users:\n  alice:\n    servers: "*"\n    token: [${own}, ${here}]\n`;
    const app = await startApp(t, {
      files: { 'mcproxy.yml': settingsFile({ cmd: command('tells-who.mjs', 'cmd') }), 'tokens.yml': tokens },
    });
    const post = (token: string) =>
      send(`${app.url}/mcp`, { headers: { authorization: `Bearer ${token}`, accept: 'application/json' }, body: {} });
    const [refused, unknown] = [await post('old-token-of-alice'), await post('nobody-has-this-token')];
    const shape = (answer: typeof refused): unknown => {
      const body = answer.json() as Json;
      delete body['error'].data.request_id;
      return [answer.status, answer.header('www-authenticate'), body];
    };
    assert.equal(refused.status, 401);
    assert.deepEqual(shape(refused), shape(unknown));
    const [entry, other] = app.entries();
    assert.deepEqual(
      [entry?.['error_code'], entry?.['principal'], entry?.['http_status']],
      ['AUTH_INVALID', null, 401],
    );
    assert.match(String(entry?.['error']), reason);
    assert.doesNotMatch(String(other?.['error']), /alice/);
    await waitFor(() => reason.test(app.stderr()));
    assert.equal((await openSession(app.url, 'alice')).sessionId === '', false);
    const check = await runCommand(['check', '--config', app.dir]);
    assert.equal(check.code, 0);
    assert.equal(
      /warning: the token "old" of "alice" expired at/.test(check.stderr + check.stdout),
      name === 'expired',
    );
  });
}

verifies('access.expiry', 'a token that expires while a stream is open ends the stream without a reload', async (t) => {
  const digest = digestOf(tokenOf('alice')).slice(7);
  const tokens = (expires: string): string =>
    `users:\n  alice:\n    servers: "*"\n    token: { sha256: "${digest}", expires: "${expires}" }\n`;
  const files = {
    'mcproxy.yml': settingsFile({ cmd: command('tells-who.mjs', 'cmd') }),
    'tokens.yml': tokens('2090-01-31'),
  };
  const app = await startApp(t, { files });
  const sse = await openStream(`${app.url}/sse`, { headers: headersOf('alice') });
  assert.equal(sse.status, 200);
  // From now on, so that it does not matter how long the start took. The reload itself keeps a stream whose token is good.
  writeFileSync(join(app.dir, 'tokens.yml'), tokens(new Date(Date.now() + 3_000).toISOString()));
  const drained = (async () => {
    for await (const _ of sse.chunks);
  })();
  await within(drained, { deadlineMs: 20_000, what: 'the end of the stream' });
  const late = await send(`${app.url}/mcp`, { headers: headersOf('alice'), body: {} });
  assert.equal(late.status, 401);
});

verifies(
  'access.token-edit',
  'token add gives a user who is there one more token, and revoke takes it away',
  async (t) => {
    const app = await startApp(t, {
      files: {
        'mcproxy.yml': settingsFile({ cmd: command('tells-who.mjs', 'cmd') }),
        'tokens.yml': `users:\n  alice: { token: "${digestOf(tokenOf('alice'))}", servers: "*" }\n`,
      },
    });
    const files = ['--config', app.dir, '--socket', join(app.dir, 'admin.sock')];
    const late = await runCommand(['token', 'add', 'alice', '--label', 'old', '--expires', '2020-01-31', ...files]);
    assert.deepEqual([late.code, late.stdout], [64, '']);
    assert.match(late.stderr, /--expires is over already \(2020-01-31\)/);
    const added = await runCommand([
      'token',
      'add',
      'alice',
      '--label',
      'phone',
      '--expires',
      '2090-01-31',
      '--network',
      '127.0.0.0/8',
      ...files,
    ]);
    assert.equal(added.code, 0, added.stderr);
    const phone = added.stdout.trim();
    const status = async (token: string): Promise<number> =>
      (await send(`${app.url}/health`, { headers: { authorization: `Bearer ${token}` } })).text().includes('"cmd"')
        ? 200
        : 401;
    assert.deepEqual([await status(phone), await status(tokenOf('alice'))], [200, 200]);
    const listed = await runCommand(['token', 'list', ...files.slice(0, 2)]);
    assert.match(
      listed.stdout,
      /alice {2}user {2}all servers\n {4}token phone, expires 2090-01-31, only 127\.0\.0\.0\/8\n/,
    );
    assert.doesNotMatch(listed.stdout, /[\da-f]{64}|mcp_/);
    const revoked = await runCommand(['token', 'revoke', 'alice', '--label', 'phone', ...files]);
    assert.equal(revoked.code, 0, revoked.stderr);
    assert.deepEqual([await status(phone), await status(tokenOf('alice'))], [401, 200]);
  },
);

async function why(app: { readonly dir: string }, ...words: string[]) {
  return runCommand(['why', ...words, '--config', app.dir, '--socket', join(app.dir, 'admin.sock')]);
}

verifies(['why.answers', 'why.exit'], 'why says who, which rule, which credential and how the server is', async (t) => {
  const app = await startRestricted(t);
  const session = await openSession(app.url, 'alice');
  await session.toolNames();
  const denied = await why(app, 'alice', `web__${DENIED_TOOL}`);
  assert.equal(denied.code, 1, denied.stderr);
  for (const line of [
    /^user {8}alice, role user, tester$/m,
    /^token {7}laptop: valid$/m,
    /^answer {6}DENIED: there is a list of tools for this user, and none of its patterns matches$/m,
    /^is {10}test_image_content at server web$/m,
    /^credential {2}Authorization: Bearer \*{4} \(shared, \/.*mcproxy\.yml:\d+:\d+\)$/m,
    /^upstream {4}up$/m,
  ])
    assert.match(denied.stdout, line);
  assert.doesNotMatch(denied.stdout, /shared-web-credential/);

  const handling = await why(app, 'alice', 'test_error_handling', '--json');
  assert.equal(handling.code, 1);
  const [match] = (JSON.parse(handling.stdout) as Json)['matches'];
  assert.deepEqual(
    [match.exposed_name, match.tool, match.exists],
    ['web__test_error_handling', 'test_error_handling', true],
  );
  assert.deepEqual([match.rule.pattern, match.rule.from], ['*_handling', 'role tester']);
  assert.match(match.rule.at, /tokens\.yml:4:\d+$/);

  assert.equal((await why(app, 'alice', 'web__test_simple_text')).code, 0);
  assert.equal((await why(app, 'alice', 'web')).code, 0);
  const nobody = await why(app, 'alcie', 'web');
  assert.deepEqual([nobody.code, nobody.stderr], [1, 'mcproxy: there is no user "alcie"; did you mean "alice"?\n']);
  const nothing = await why(app, 'alice', 'web__test_simple_txt');
  assert.equal(nothing.code, 1);
  assert.match(
    nothing.stderr,
    /there is no server or tool "web__test_simple_txt"; did you mean "web__test_simple_text"/,
  );
});

verifies('why.unknown', 'a name that nobody listed is unknown while a server is down, not allowed', async (t) => {
  const servers = { cmd: command('tells-who.mjs', 'cmd'), dead: '{ command: /nowhere/at-all }' };
  const denied = `alice: { token: "${digestOf(tokenOf('alice'))}", servers: [cmd] }`;
  const users = `users:\n  open: { token: "${digestOf(tokenOf('open'))}", servers: "*" }\n  ${denied}\n`;
  const app = await startApp(t, { files: { 'mcproxy.yml': settingsFile(servers), 'tokens.yml': users } });
  await waitForTools(await openSession(app.url, 'open'), ['cmd']);
  const asked = await why(app, 'open', 'nosuch__x');
  assert.equal(asked.code, 1, asked.stdout);
  assert.match(asked.stdout, /^answer {6}UNKNOWN: unknown while server dead is down; nobody has listed/m);
  assert.doesNotMatch(asked.stdout, /ALLOWED|server cmd/);
  const { allowed, matches } = JSON.parse((await why(app, 'open', 'nosuch__x', '--json')).stdout) as Json;
  assert.deepEqual([allowed, matches[0].allowed, matches[0].exists], [false, null, null]);
  assert.equal((await why(app, 'open', 'cmd__work')).code, 0);
  assert.match((await why(app, 'alice', 'nosuch__x')).stderr, /there is no server or tool/);
});

verifies('why.files', 'why answers from the files alone when nothing runs', async (t) => {
  const app = await startRestricted(t);
  await app.stop();
  const denied = await why(app, 'alice', 'web__anything');
  assert.equal(denied.code, 1, denied.stderr);
  assert.match(denied.stdout, /^tool {8}web__anything \(whether the server has it is not known\)$/m);
  assert.match(denied.stdout, /^upstream {4}not running$/m);
  assert.equal((await why(app, 'open', 'web__anything')).code, 0);
  writeFileSync(join(app.dir, 'tokens.yml'), 'users: [');
  assert.equal((await why(app, 'open', 'web')).code, 78);
});
