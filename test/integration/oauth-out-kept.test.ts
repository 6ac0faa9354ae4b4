/**
 * Tokens for servers over restarts, crashes and changes of the configuration: what is kept, where, and for whom.
 */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, type TestContext } from 'node:test';
import { SECRET_OF_CLIENT, startAuthorizationServer } from '../support/authorization-server.ts';
import { entryOf, PATHS, refreshEntryOf, who } from '../support/guarded-app.ts';
import { startGuarded, type GuardedServer } from '../support/guarded-server.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { settingsFile, usersFile } from '../support/message-app.ts';
import { runCommand, startApp, type RunningApp } from '../support/start-app.ts';
import { makeTempDir, writeFiles } from '../support/temp-dir.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor } from '../support/wait.ts';

const issuer = await startAuthorizationServer({ after });
after(() => checkNothingLeft());

const tokenRequests = (): number => issuer.asked.filter((path) => path === '/token').length;

interface Place {
  readonly dir: string;
  readonly env: Readonly<Record<string, string>>;
  start(): Promise<RunningApp>;
  /** Names of the files with tokens. */
  kept(): string[];
}

function makePlace(t: TestContext, servers: Readonly<Record<string, string>>): Place {
  const dir = makeTempDir(t);
  writeFiles(dir, { 'mcproxy.yml': settingsFile(servers), 'tokens.yml': usersFile({ alice: '"*"' }) });
  const env = { STATE_DIRECTORY: join(dir, 'state') };
  return {
    dir,
    env,
    start: () => startApp(t, { dir, env }),
    kept: () => readdirSync(join(dir, 'state/oauth')),
  };
}

async function expectServed(app: RunningApp): Promise<void> {
  for (const path of PATHS) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const answer = await who(app, path);
    assert.match(answer.text(), /client (?:alice|public|gateway)/);
  }
}

for (const client of ['alice', 'public'] as const) {
  verifies(
    ['oauth-out.refresh', 'oauth-out.files'],
    `the refresh tokens of the client ${client} are good once, and follow each other over restarts and kill -9`,
    async (t) => {
      const server = await startGuarded(t, { issuer });
      const first = await issuer.refreshToken({ client, resource: server.url });
      const place = makePlace(t, { up: refreshEntryOf(server, first, client) });
      const one = await place.start();
      await expectServed(one);
      one.signal('SIGKILL');
      await one.exited;

      const before = tokenRequests();
      const two = await place.start();
      await expectServed(two);
      assert.equal(tokenRequests(), before, 'the access token is kept too');
      server.refuse();
      await expectServed(two);
      assert.equal(tokenRequests(), before + 1);
      await two.stop();
      server.refuse();
      const three = await place.start();
      await expectServed(three);
      assert.equal(tokenRequests(), before + 2);

      const [name = '', ...more] = place.kept();
      assert.deepEqual(more, []);
      assert.match(name, /^[\da-f]{32}\.json$/);
      const path = join(place.dir, 'state/oauth', name);
      assert.equal(statSync(path).mode & 0o777, 0o600);
      assert.equal(statSync(join(path, '..')).mode & 0o777, 0o700);
      const { refreshToken, accessToken } = JSON.parse(readFileSync(path, 'utf8')) as Record<string, string>;
      assert.notEqual(refreshToken, first);
      const said = [one, two, three].map((app) => app.stdout() + app.stderr() + JSON.stringify(app.entries())).join('');
      for (const secret of [first, refreshToken, accessToken, ...server.tokens()])
        assert.ok(!said.includes(secret ?? ''));
      assert.doesNotMatch(three.stderr(), /are lost with this process/);
    },
  );
}

verifies('oauth-out.refresh', 'two processes with one client take over what the other has got', async (t) => {
  const server = await startGuarded(t, { issuer });
  const first = await issuer.refreshToken({ client: 'alice', resource: server.url });
  const place = makePlace(t, { up: refreshEntryOf(server, first) });
  const app = await place.start();
  await expectServed(app);
  const before = tokenRequests();
  const { code, stdout } = await runCommand(['check', '--connect', '--config', place.dir], place);
  assert.equal(code, 0, stdout);
  assert.match(stdout, /ok {4} up: reachable, MCP 2026-07-28/);
  assert.equal(tokenRequests(), before);
  server.refuse();
  const call = ['call', 'up__who', '--no-service', '--config', place.dir];
  const called = await runCommand(call, place);
  assert.match(called.stdout, /client alice/, called.stderr);
  assert.equal(tokenRequests(), before + 1);
  await expectServed(app);
  assert.equal(tokenRequests(), before + 1);
});

verifies('oauth-out.refresh', 'without a state directory that is said, and no command uses the token up', async (t) => {
  const server = await startGuarded(t, { issuer });
  const first = await issuer.refreshToken({ client: 'alice', resource: server.url });
  const { dir } = makePlace(t, { up: refreshEntryOf(server, first) });
  const app = await startApp(t, { dir });
  assert.match(app.stderr(), /warn refresh tokens that are replaced are lost with this process/);
  await expectServed(app);
  const before = tokenRequests();
  const { code, stdout } = await runCommand(['check', '--connect', '--config', dir]);
  assert.equal(code, 0);
  assert.match(stdout, /up: not asked: its refresh token may be good once only/);
  assert.equal(tokenRequests(), before);
});

async function reload(app: RunningApp, files: Readonly<Record<string, string>>): Promise<void> {
  const count = (): number => app.stderr().split('configuration reloaded').length;
  const before = count();
  writeFiles(app.dir, files);
  await waitFor(() => count() > before, { what: 'the reload' });
}

verifies(
  ['oauth-out.reload', 'oauth-out.files'],
  'a reload keeps what has not changed, starts afresh where it has, and removes what nobody needs',
  async (t) => {
    const server = await startGuarded(t, { issuer });
    const place = makePlace(t, { up: entryOf(server), other: entryOf(server, ', scopes: [other]') });
    mkdirSync(join(place.dir, 'state/oauth'), { recursive: true });
    const foreign = { format: 1, owner: '/elsewhere.yml', digest: 'x', accessToken: 'y', lifeMs: 1, expiresMs: 1 };
    const path = join(place.dir, 'state/oauth/0123456789abcdef0123456789abcdef.json');
    writeFileSync(path, JSON.stringify(foreign), { mode: 0o600 });
    const app = await place.start();
    await expectServed(app);
    const before = tokenRequests();
    const reordered = { up: entryOf(server).replace('{ url', '{ timeout: 9s, url') };
    await reload(app, { 'mcproxy.yml': settingsFile(reordered) });
    await expectServed(app);
    assert.equal(tokenRequests(), before);

    await reload(app, { 'mcproxy.yml': settingsFile({ up: entryOf(server, ', scopes: [mcp, other]') }) });
    await expectServed(app);
    assert.equal(tokenRequests(), before + 1);
    assert.match(app.stderr(), /server up: credential changed/);

    await reload(app, { 'mcproxy.yml': settingsFile({ up: entryOf(server, '', 'bob') }) });
    assert.match((await who(app)).text(), /client bob/);
    await waitFor(() => place.kept().length === 2, { what: 'the removal' });
    await reload(app, { 'mcproxy.yml': settingsFile({ up: `{ url: "${server.url}" }` }) });
    await waitFor(() => place.kept().join() === '0123456789abcdef0123456789abcdef.json', { what: 'the removal' });
  },
);

verifies('oauth-out.reload', 'a reload keeps tokens also where there is no state directory', async (t) => {
  const server = await startGuarded(t, { issuer });
  const { dir } = makePlace(t, { up: entryOf(server) });
  const app = await startApp(t, { dir });
  await expectServed(app);
  const before = tokenRequests();
  await reload(app, { 'mcproxy.yml': settingsFile({ up: entryOf(server).replace('{ url', '{ timeout: 9s, url') }) });
  await expectServed(app);
  assert.equal(tokenRequests(), before);
});

verifies('oauth-out.files', 'a file that others can read, or that is no such file, is not used', async (t) => {
  const server = await startGuarded(t, { issuer });
  const place = makePlace(t, { up: entryOf(server) });
  const one = await place.start();
  await expectServed(one);
  await one.stop();
  const path = join(place.dir, 'state/oauth', place.kept()[0] ?? '');
  const before = tokenRequests();
  chmodSync(path, 0o644);
  const two = await place.start();
  await expectServed(two);
  assert.match(two.stderr(), /kept tokens cannot be used .*others can read it; run: chmod 600/);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  await two.stop();
  writeFileSync(path, `{"accessToken": ${SECRET_OF_CLIENT}`);
  const three = await place.start();
  await expectServed(three);
  assert.match(three.stderr(), /kept tokens cannot be used .*it is no JSON/);
  assert.ok(!three.stderr().includes(SECRET_OF_CLIENT));
  assert.equal(tokenRequests(), before + 2);
});

verifies('oauth-out.refresh', 'where nothing can be kept the process goes on', async (t) => {
  const server: GuardedServer = await startGuarded(t, { issuer });
  const first = await issuer.refreshToken({ client: 'alice', resource: server.url });
  const place = makePlace(t, { up: refreshEntryOf(server, first) });
  mkdirSync(join(place.dir, 'state'));
  writeFileSync(join(place.dir, 'state/oauth'), 'no directory');
  const app = await place.start();
  await expectServed(app);
  assert.match(app.stderr(), /tokens cannot be kept for a restart/);
  server.refuse();
  await expectServed(app);
});
