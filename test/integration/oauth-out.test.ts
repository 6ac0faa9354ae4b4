/**
 * OAuth towards servers: access tokens of a real authorization server, got by a real mcproxy for a server that asks about
 * every token. Where tokens come from is in `oauth-out-discovery.test.ts`, what outlives a restart in
 * `oauth-out-kept.test.ts`.
 */
import assert from 'node:assert/strict';
import { after } from 'node:test';
import { SECRET_OF_CLIENT, startAuthorizationServer } from '../support/authorization-server.ts';
import { entryOf, PATHS, who } from '../support/guarded-app.ts';
import { startGuarded } from '../support/guarded-server.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { settingsFile, usersFile } from '../support/message-app.ts';
import { startApp } from '../support/start-app.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor } from '../support/wait.ts';

const issuer = await startAuthorizationServer({ after });
after(() => checkNothingLeft());

const tokenRequests = (): number => issuer.asked.filter((path) => path === '/token').length;

verifies(
  'oauth-out.client-credentials',
  'both paths send an access token for this very server, and get one for all users',
  async (t) => {
    const server = await startGuarded(t, { issuer });
    const before = tokenRequests();
    const app = await startApp(t, {
      files: {
        'mcproxy.yml': settingsFile({ up: entryOf(server) }),
        'tokens.yml': usersFile({ alice: '"*"', bob: '"*"' }),
      },
    });
    for (const user of ['alice', 'bob']) {
      for (const path of PATHS) {
        // oxlint-disable-next-line no-await-in-loop -- one after the other
        const answer = await who(app, path, { user });
        assert.equal(answer.status, 200, answer.text());
        assert.match(answer.text(), /client gateway/, path);
      }
    }
    assert.equal(tokenRequests() - before, 1);
    assert.equal(server.tokens().length, 1);
    const facts = await issuer.introspect(server.tokens()[0] ?? '');
    assert.equal(facts?.aud, server.url);
    assert.equal(facts?.scope, 'mcp', 'the scope of the challenge');
    const said = app.stderr() + JSON.stringify(app.entries());
    for (const secret of [SECRET_OF_CLIENT, ...server.tokens()]) assert.ok(!said.includes(secret));
  },
);

verifies('oauth-out.collapsed', 'fifty requests at once are one question for a token', async (t) => {
  const server = await startGuarded(t, { issuer });
  const before = tokenRequests();
  const app = await startApp(t, {
    files: { 'mcproxy.yml': settingsFile({ up: entryOf(server) }), 'tokens.yml': usersFile({ alice: '"*"' }) },
  });
  const answers = await Promise.all(Array.from({ length: 50 }, (_, at) => who(app, PATHS[at % 2])));
  assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
  assert.equal(tokenRequests() - before, 1);
});

for (const path of PATHS) {
  verifies('oauth-out.refused-once', `a token that ${path} is refused with is replaced, once`, async (t) => {
    const server = await startGuarded(t, { issuer });
    const app = await startApp(t, {
      files: { 'mcproxy.yml': settingsFile({ up: entryOf(server) }), 'tokens.yml': usersFile({ alice: '"*"' }) },
    });
    assert.equal((await who(app, path)).status, 200);
    const before = tokenRequests();
    server.refuse();
    const answers = await Promise.all(Array.from({ length: 20 }, () => who(app, path)));
    for (const answer of answers) assert.match(answer.text(), /client gateway/);
    assert.equal(tokenRequests() - before, 1);
    assert.equal(server.tokens().length, 2);
    await waitFor(() => app.entries().length === 21);
    assert.ok(app.entries().some((line) => line['attempts'] === 2));
    // The new one too: now it is the server that refuses us, and nobody is asked again and again.
    server.refuse();
    for (let count = 0; count < 5; count += 1) {
      // oxlint-disable-next-line no-await-in-loop
      const { status } = await who(app, path);
      assert.equal(status, path === '/mcp' ? 200 : 502);
    }
    assert.equal(tokenRequests() - before, 1);
    await waitFor(() => app.entries().length === 26);
    assert.equal(app.entries().at(-1)?.['error_code'], 'UPSTREAM_CREDENTIAL');
  });
}

verifies(
  'oauth-out.refused-once',
  'a body that is used up is not sent again, and the next request has another token',
  async (t) => {
    const server = await startGuarded(t, { issuer });
    const app = await startApp(t, {
      files: { 'mcproxy.yml': settingsFile({ up: entryOf(server) }), 'tokens.yml': usersFile({ alice: '"*"' }) },
    });
    assert.equal((await who(app)).status, 200);
    server.refuse();
    const before = tokenRequests();
    const long = await who(app, '/up/mcp', { text: 'x'.repeat(300 * 1024) });
    assert.equal(long.status, 502, long.text());
    await waitFor(() => tokenRequests() === before + 1, { what: 'another token' });
    assert.equal((await who(app)).status, 200);
    assert.equal(server.tokens().length, 2);
  },
);

verifies('oauth-out.renewed', 'a token is replaced before its end, beside the requests', async (t) => {
  const server = await startGuarded(t, { issuer });
  const app = await startApp(t, {
    files: { 'mcproxy.yml': settingsFile({ up: entryOf(server) }), 'tokens.yml': usersFile({ alice: '"*"' }) },
  });
  issuer.lifetime = 6;
  t.after(() => void (issuer.lifetime = 600));
  // A tenth of a second between requests, none of which meets a token that has ended.
  await waitFor(
    async () => {
      const answer = await who(app);
      assert.equal(answer.status, 200, answer.text());
      return server.tokens().length === 2;
    },
    { deadlineMs: 10_000, what: 'a second token' },
  );
  assert.equal(
    server.upstream.requests.filter(({ rawHeaders }) => rawHeaders.includes('Authorization')).length > 3,
    true,
  );
  assert.equal(app.entries().filter((line) => line['attempts'] !== 1).length, 0);
});

verifies(
  'oauth-out.down',
  'without the authorization server only its own servers fail, at once and with the reason, and come back',
  async (t) => {
    const own = await startAuthorizationServer(t);
    const server = await startGuarded(t, { issuer: own });
    const other = await startGuarded(t, { issuer });
    const files = {
      'mcproxy.yml': settingsFile({ up: entryOf(server), other: entryOf(other) }),
      'tokens.yml': usersFile({ alice: '"*"' }),
    };
    const app = await startApp(t, { files });
    own.answers = false;
    const failed = await who(app);
    assert.equal(failed.status, 503);
    assert.match(failed.text(), /no access token for server up: http:\/\/127\.0\.0\.1:\d+ cannot be asked/);
    assert.match(failed.header('retry-after') ?? '1', /^\d+$/);
    await Promise.all(Array.from({ length: 20 }, () => who(app)));
    assert.equal((await who(app, '/other/mcp')).status, 200);
    assert.match((await who(app, '/mcp')).text(), /no access token for server up/);
    // The connection of the failed question was cut; those in the pause after it are none.
    const asked = server.upstream.requests.filter(({ url }) => url.includes('well-known')).length;
    assert.ok(asked < 6, `${asked} times`);
    own.answers = true;
    for (const path of PATHS) {
      // oxlint-disable-next-line no-await-in-loop
      await waitFor(async () => (await who(app, path)).text().includes('client gateway'), {
        deadlineMs: 20_000,
        what: `an answer at ${path}`,
      });
    }
    assert.match(app.stderr(), /warn an access token cannot be got/);
    assert.match(app.stderr(), /info access tokens can be got again for="server up"/);
  },
);

verifies('oauth-out.refusal', 'what the authorization server refuses is said, with what to do', async (t) => {
  const server = await startGuarded(t, { issuer });
  const app = await startApp(t, {
    files: {
      'mcproxy.yml': settingsFile({ up: entryOf(server).replace(SECRET_OF_CLIENT, 'wrong-secret-0123456789') }),
      'tokens.yml': usersFile({
        alice: `{ up: {} }`,
        bob: `{ up: { auth: { type: oauth, client_id: bob, refresh_token: no-such-refresh-token, client_secret: ${SECRET_OF_CLIENT}, allow_private: true } } }`,
      }),
    },
  });
  const shared = await who(app);
  assert.equal(shared.status, 502);
  assert.match(shared.text(), /no access token for server up: .* refuses it \(invalid_client\); correct client_id/);
  const own = await who(app, '/up/mcp', { user: 'bob' });
  assert.match(own.text(), /for server up of user bob: .* refuses it \(invalid_grant\); the refresh token is not good/);
  await waitFor(() => app.entries().length === 2);
  assert.deepEqual([...new Set(app.entries().map((line) => line['error_code']))], ['UPSTREAM_CREDENTIAL']);
});

verifies('oauth-out.own', 'a user with a client of their own has tokens of their own', async (t) => {
  const server = await startGuarded(t, { issuer });
  const own = entryOf(server, '', 'bob').replace(/^\{ url: "[^"]*", /, '{ ');
  const app = await startApp(t, {
    files: {
      'mcproxy.yml': settingsFile({ up: entryOf(server) }),
      'tokens.yml': usersFile({ alice: '"*"', bob: `{ up: ${own} }`, carol: '"*"' }),
    },
  });
  for (const path of PATHS) {
    for (const [user, client] of [
      ['alice', 'gateway'],
      ['bob', 'bob'],
      ['carol', 'gateway'],
    ] as const) {
      // oxlint-disable-next-line no-await-in-loop
      assert.match((await who(app, path, { user })).text(), new RegExp(`client ${client}`), `${user} at ${path}`);
    }
  }
  assert.equal(server.tokens().length, 2);
});
