/**
 * What an operator hears of access tokens for servers without reading the log: `status`, `status --json` and `why` of a
 * real mcproxy with tokens of a real authorization server.
 */
import assert from 'node:assert/strict';
import { after } from 'node:test';
import type { TokenRow } from '../../src/admin/token-rows.ts';
import { SECRET_OF_CLIENT, startAuthorizationServer } from '../support/authorization-server.ts';
import { entryOf, refreshEntryOf, who } from '../support/guarded-app.ts';
import { startGuarded } from '../support/guarded-server.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { settingsFile, usersFile } from '../support/message-app.ts';
import { runCommand, startApp, type RunningApp } from '../support/start-app.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor } from '../support/wait.ts';

const issuer = await startAuthorizationServer({ after });
after(() => checkNothingLeft());

const run = (app: RunningApp, ...args: string[]) => runCommand([...args, '--config', app.dir], { dir: app.dir });

async function rowsOf(app: RunningApp): Promise<readonly TokenRow[]> {
  const { stdout } = await run(app, 'status', '--json');
  return (JSON.parse(stdout) as { access_tokens: TokenRow[] }).access_tokens;
}

verifies('oauth-out.status', 'a good token, a refresh token that is refused, and whose it is', async (t) => {
  const server = await startGuarded(t, { issuer });
  const good = await issuer.refreshToken({ client: 'alice', resource: server.url });
  const app = await startApp(t, {
    files: {
      'mcproxy.yml': settingsFile({ up: entryOf(server) }),
      'tokens.yml': usersFile({
        alice: '"*"',
        ann: `{ up: ${refreshEntryOf(server, 'spent-refresh-token-0123', 'alice')} }`,
        bob: `{ up: ${refreshEntryOf(server, good, 'alice')} }`,
      }),
    },
  });
  assert.deepEqual(
    (await rowsOf(app)).map(({ from, clients, good: count, failing }) => [from, clients, count, failing]),
    [
      ['shared', 1, 0, 0],
      ['user', 2, 0, 0],
    ],
  );
  const statuses = await Promise.all(
    ['alice', 'ann', 'bob'].map(async (user) => (await who(app, '/up/mcp', { user })).status),
  );
  assert.deepEqual(statuses, [200, 502, 200]);

  const [shared, own] = await rowsOf(app);
  const lifeMs = Date.parse(shared?.good_until ?? '') - Date.now();
  assert.ok(lifeMs > 500_000 && lifeMs <= 600_000, shared?.good_until ?? 'none');
  assert.deepEqual([own?.clients, own?.good, own?.failing], [2, 1, 1]);
  const [failure] = own?.failures ?? [];
  assert.deepEqual(
    [failure?.users, failure?.oauth_error, failure?.code],
    [['ann'], 'invalid_grant', 'UPSTREAM_CREDENTIAL'],
  );

  const { stdout } = await run(app, 'status');
  assert.match(stdout, /^up: access token: good until [\d-]+T[\d:]+Z \(in \d+m\)$/m);
  assert.match(
    stdout,
    /^! up: refresh token refused \(invalid_grant\) since [\d-]+T[\d:]+Z \(\d+s ago\) for user ann: .*; write a new refresh_token under users\.ann\.servers\.up\.auth \(.*tokens\.yml:\d+:\d+\)$/m,
  );
  const why = await run(app, 'why', 'ann', 'up');
  assert.match(why.stdout, /^token now {3}none now, .*; refresh token refused \(invalid_grant\) since /m);
  assert.match((await run(app, 'why', 'bob', 'up')).stdout, /^token now {3}good until /m);
  const said = stdout + why.stdout + JSON.stringify(await rowsOf(app));
  for (const secret of [SECRET_OF_CLIENT, good, 'spent-refresh-token-0123', ...server.tokens()])
    assert.ok(!said.includes(secret));
});

verifies('oauth-out.status', 'an authorization server that is away, until it answers again', async (t) => {
  const own = await startAuthorizationServer(t);
  const server = await startGuarded(t, { issuer: own });
  const app = await startApp(t, {
    files: { 'mcproxy.yml': settingsFile({ up: entryOf(server) }), 'tokens.yml': usersFile({ alice: '"*"' }) },
  });
  own.answers = false;
  assert.equal((await who(app)).status, 503);
  const [down] = await rowsOf(app);
  assert.equal(down?.failing, 1);
  assert.deepEqual([down.failures[0]?.code, down.failures[0]?.action], ['ISSUER_UNREACHABLE', null]);
  own.answers = true;
  await waitFor(async () => (await who(app)).status === 200, { deadlineMs: 20_000, what: 'an answer' });
  const [up] = await rowsOf(app);
  assert.deepEqual([up?.good, up?.failing], [1, 0]);
});
