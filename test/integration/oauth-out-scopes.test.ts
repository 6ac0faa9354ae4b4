/**
 * A server that lets a token in and refuses it all the same, because a scope is missing: what is asked for, how often, and
 * what the client, the log and the operator are told. The authorization server is a real one and knows `mcp` and `other`.
 */
import assert from 'node:assert/strict';
import { after, type TestContext } from 'node:test';
import { OAUTH_SCOPE_COUNT_MAX } from '../../src/limits.ts';
import { startAuthorizationServer } from '../support/authorization-server.ts';
import { entryOf, PATHS, refreshEntryOf, who } from '../support/guarded-app.ts';
import { startGuarded, type GuardedServer } from '../support/guarded-server.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { settingsFile, usersFile } from '../support/message-app.ts';
import { runCommand, startApp, type RunningApp } from '../support/start-app.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor } from '../support/wait.ts';

const issuer = await startAuthorizationServer({ after });
after(() => checkNothingLeft());

const tokenRequests = (): number => issuer.asked.filter((path) => path === '/token').length;

/** The app before it, with a token that the server takes. */
async function startContent(
  t: TestContext,
  entry: (server: GuardedServer) => string = entryOf,
): Promise<{ server: GuardedServer; app: RunningApp }> {
  const server = await startGuarded(t, { issuer });
  const app = await startApp(t, {
    files: { 'mcproxy.yml': settingsFile({ up: entry(server) }), 'tokens.yml': usersFile({ alice: '"*"' }) },
  });
  for (const path of PATHS) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    assert.match((await who(app, path)).text(), /client/);
  }
  return { server, app };
}

const callsOf = ({ upstream }: GuardedServer): number =>
  upstream.requests.filter(({ body }) => body.includes('tools/call')).length;

for (const path of PATHS) {
  verifies('oauth-out.step-up', `a scope that is wanted at ${path} is asked for once, for all who wait`, async (t) => {
    const { server, app } = await startContent(t);
    const before = tokenRequests();
    server.wants = 'other';
    const answers = await Promise.all(Array.from({ length: 10 }, () => who(app, path)));
    for (const answer of answers) assert.match(answer.text(), /client gateway/);
    assert.equal(tokenRequests() - before, 1);
    const facts = await issuer.introspect(server.tokens()[1] ?? '');
    assert.deepEqual(facts?.scope?.split(' ').toSorted(), ['mcp', 'other'], 'the union');
    assert.match(app.stderr(), /info an access token has scopes that its server wanted for="server up" scopes="?other/);
    server.refuse();
    assert.match((await who(app, path)).text(), /client gateway/, 'the next token has it too');
  });

  verifies(
    'oauth-out.step-up',
    `a server that is never content at ${path} is asked twice, and told about`,
    async (t) => {
      const { server, app } = await startContent(t);
      const [tokens, calls] = [tokenRequests(), callsOf(server)];
      server.wants = 'mcp never-there';
      const first = await who(app, path);
      assert.match(
        first.text(),
        /server up wants the scope mcp never-there, which the credential configured for .* lacks/,
      );
      assert.equal(callsOf(server) - calls, 2);
      const asked = tokenRequests() - tokens;
      assert.equal(asked, 1);
      await Promise.all(Array.from({ length: 20 }, () => who(app, path)));
      assert.ok(tokenRequests() - tokens <= 2, 'a pause, or nothing new to ask for');
      await waitFor(() => app.entries().length === 23);
      const entry = app.entries().at(-1);
      assert.deepEqual([entry?.['error_code'], entry?.['outcome']], ['UPSTREAM_CREDENTIAL', 'upstream_error']);
      assert.match(String(entry?.['error']), /wants the scope mcp never-there/);
      const { stdout } = await runCommand(['status', '--config', app.dir], { dir: app.dir });
      assert.match(stdout, /^! up: the server wants the scope mcp never-there, which the access token lacks/m);
      server.wants = undefined;
      assert.match((await who(app, path)).text(), /client gateway/, 'the token in use is still there');
    },
  );
}

verifies(
  'oauth-out.step-up',
  'a server that wants another scope each time gets a bounded number of tokens',
  async (t) => {
    const { server, app } = await startContent(t);
    const before = tokenRequests();
    for (let count = 0; count < OAUTH_SCOPE_COUNT_MAX * 2; count += 1) {
      server.wants = `invented-${count}`;
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      assert.equal((await who(app)).status, 502);
    }
    assert.ok(tokenRequests() - before <= OAUTH_SCOPE_COUNT_MAX, `${tokenRequests() - before} times`);
    assert.ok(callsOf(server) <= 2 + OAUTH_SCOPE_COUNT_MAX * 4);
  },
);

for (const { name, scope, told } of [
  { name: 'a huge scope', scope: 'x'.repeat(20_000), told: /a scope that it does not name/ },
  {
    name: 'more scopes than anybody has',
    scope: Array.from({ length: 500 }, (_, at) => `s${at}`).join(' '),
    told: /does not name/,
  },
  { name: 'a tab', scope: 'a\tb', told: /does not name/ },
  { name: 'what is beyond ASCII', scope: 'caf\u00e9', told: /does not name/ },
  { name: 'an escape sequence in Latin-1', scope: '\u009b2J', told: /does not name/ },
]) {
  verifies('oauth-out.scope-missing', `${name} is asked for nowhere and shown nowhere`, async (t) => {
    const { server, app } = await startContent(t);
    const before = tokenRequests();
    server.wants = scope;
    for (const path of PATHS) {
      // oxlint-disable-next-line no-await-in-loop
      const answer = await who(app, path);
      assert.match(answer.text(), told);
    }
    assert.equal(tokenRequests(), before);
    const { stdout } = await runCommand(['status', '--config', app.dir], { dir: app.dir });
    assert.match(stdout, /wants a scope that it does not name/);
    await waitFor(() => app.entries().length === 4);
    for (const text of [stdout, app.stderr(), JSON.stringify(app.entries())]) assert.ok(!text.includes(scope));
  });
}

verifies('oauth-out.scope-missing', 'a scope that quotes the token shows it to nobody', async (t) => {
  const { server, app } = await startContent(t);
  const [token = ''] = server.tokens();
  server.wants = token;
  const said = [(await who(app)).text(), (await who(app, '/mcp')).text()];
  await waitFor(() => app.entries().length === 4);
  for (const args of [['status'], ['status', '--json'], ['why', 'alice', 'up']]) {
    // oxlint-disable-next-line no-await-in-loop
    const { stdout } = await runCommand([...args, '--config', app.dir], { dir: app.dir });
    assert.match(stdout, /redacted/, args.join(' '));
    said.push(stdout);
  }
  for (const text of [...said, app.stderr(), JSON.stringify(app.entries())]) assert.ok(!text.includes(token));
});

for (const { name, entry, told, action } of [
  {
    name: 'a limit',
    entry: (server: GuardedServer) => entryOf(server, ', scopes: [mcp]'),
    told: /wants the scope other, .*; \\"scopes\\" of its auth is the limit/,
    action:
      /wants the scope other, .*; if it may be used, write it to scopes under servers\.up\.auth \(.*mcproxy\.yml:\d+:\d+\)$/m,
  },
  {
    name: 'a refresh token',
    entry: (server: GuardedServer, token: string) => refreshEntryOf(server, token),
    told: /wants the scope other, .*; log in with it, and write the new refresh_token/,
    action: /wants the scope other, .*; log in with it and write the new refresh_token under servers\.up\.auth \(/,
  },
]) {
  verifies(
    'oauth-out.scope-missing',
    `with ${name} no other token is asked for, and it is said what to do`,
    async (t) => {
      const server = await startGuarded(t, { issuer });
      const token = await issuer.refreshToken({ client: 'alice', resource: server.url });
      const files = {
        'mcproxy.yml': settingsFile({ up: entry(server, token) }),
        'tokens.yml': usersFile({ alice: '"*"' }),
      };
      const app = await startApp(t, { files });
      assert.equal((await who(app)).status, 200);
      const [tokens, calls] = [tokenRequests(), callsOf(server)];
      server.wants = 'other';
      const answer = await who(app);
      assert.equal(answer.status, 502);
      assert.equal(answer.header('www-authenticate'), undefined);
      assert.match(answer.text(), told);
      assert.deepEqual([tokenRequests(), callsOf(server)], [tokens, calls + 1]);
      const { stdout } = await runCommand(['status', '--config', app.dir], { dir: app.dir });
      assert.match(stdout, action);
      const checked = await runCommand(['check', '--connect', '--config', app.dir], { dir: app.dir });
      if (name === 'a limit')
        assert.match(checked.stdout, /FAILED up: wants a scope that the credential lacks \(HTTP 403\)/);
    },
  );
}
