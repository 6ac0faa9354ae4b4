/**
 * Servers for which each user brings their own credential: who has none gets an error, and nothing of anybody else.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after } from 'node:test';
import { checkNothingLeft } from '../support/leaks.ts';
import {
  command,
  headersOf,
  openSession,
  peersOf,
  serversOf,
  settingsFile,
  toldBy,
  usersFile,
  waitForTools,
} from '../support/message-app.ts';
import { request } from '../support/downstream-clients.ts';
import { send } from '../support/http-client.ts';
import { startUpstream } from '../support/recording-upstream.ts';
import { runCommand, startApp } from '../support/start-app.ts';
import { writeFiles } from '../support/temp-dir.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor } from '../support/wait.ts';

after(() => checkNothingLeft());

const withEnv = (script: string, name: string, more: string): string =>
  command(script, name).replace(/ \}$/, `, ${more} }`);

const FILES = {
  mine: withEnv('tells-who.mjs', 'mine', 'env: { WHO: }'),
  plain: command('tells-who.mjs', 'plain'),
};

verifies(
  ['gateway.servers.own-credential', 'cli.status-action'],
  'who lacks what each user brings to a command is told so, and nothing is started for them',
  async (t) => {
    const users = {
      alice: '{ mine: { env: { WHO: alice } }, plain: {} }',
      bob: '{ mine: {}, plain: {} }',
      carol: '"*"',
    };
    const files = { 'mcproxy.yml': settingsFile(FILES), 'tokens.yml': usersFile(users) };
    const app = await startApp(t, { files });

    const alice = await openSession(app.url, 'alice');
    await waitForTools(alice, ['mine', 'plain']);
    const told = toldBy(await alice.ask('tools/call', { name: 'mine__work', arguments: { text: 'x' } }));
    assert.equal(told.who, 'alice');

    for (const user of ['bob', 'carol']) {
      const session = await openSession(app.url, user);
      assert.deepEqual(serversOf(await session.toolNames()), ['plain']);
      const { response } = await session.ask('tools/call', { name: 'mine__work', arguments: { text: 'x' } });
      const { error } = response as { error: { code: number; message: string; data: { code: string } } };
      assert.equal(error.data.code, 'CREDENTIAL_MISSING');
      assert.equal(
        error.message,
        `user ${user} has no env.WHO of their own for server mine; add users.${user}.servers.mine.env.WHO to tokens.yml`,
      );
    }
    const peers = await peersOf(app);
    assert.deepEqual(
      peers.flatMap((peer) => (peer.server === 'mine' ? [`${peer.user ?? 'all'} ${peer.state}`] : [])),
      ['all lacking', 'alice ready'],
    );
    const place = 'servers.mine.env.WHO to tokens.yml';
    const lacking = async (): Promise<string | null | undefined> =>
      (await peersOf(app)).find(({ state }) => state === 'lacking')?.action;
    assert.equal(await lacking(), `add users.NAME.${place} for bob, carol`);

    writeFiles(app.dir, { 'tokens.yml': usersFile({ ...users, bob: '{ mine: { env: { WHO: bob } }, plain: {} }' }) });
    const bob = await openSession(app.url, 'bob');
    await waitForTools(bob, ['mine', 'plain']);
    assert.equal(toldBy(await bob.ask('tools/call', { name: 'mine__work', arguments: { text: 'x' } })).who, 'bob');
    assert.equal(await lacking(), `add users.carol.${place}`);
  },
);

verifies(
  'gateway.servers.own-credential',
  'a command without a user advises --user where each user brings a credential',
  async (t) => {
    const tokens = usersFile({ alice: '{ mine: {}, plain: {} }' });
    const app = await startApp(t, { files: { 'mcproxy.yml': settingsFile(FILES), 'tokens.yml': tokens } });
    const files = ['--config', app.dir];
    const options = [...files, '--socket', join(app.dir, 'admin.sock')];
    const advice = /each user brings env\.WHO of their own for server mine; add --user NAME/;
    const own = /add users\.alice\.servers\.mine\.env\.WHO to tokens\.yml/;
    for (const words of [
      ['tools', ...options],
      ['call', 'mine__work', ...options],
      ['tools', '--no-service', ...files],
    ]) {
      // oxlint-disable-next-line no-await-in-loop -- one process at a time
      const { stdout, stderr } = await runCommand(words);
      assert.match(stdout + stderr, advice);
      assert.doesNotMatch(stdout + stderr, /users\.local/);
    }
    const { stdout } = await runCommand(['tools', '--user', 'alice', ...options]);
    assert.match(stdout, own);
  },
);

verifies('gateway.servers.own-credential', 'instructions name what is not available, and why', async (t) => {
  const app = await startApp(t, {
    files: { 'mcproxy.yml': settingsFile(FILES), 'tokens.yml': usersFile({ bob: '"*"' }) },
  });
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } };
  const answer = await send(`${app.url}/mcp`, { headers: headersOf('bob'), body: request(1, 'initialize', params) });
  assert.match(
    (answer.json() as { result: { instructions: string } }).result.instructions,
    /## Not available now\n\n- mine: user bob has no env\.WHO of their own for server mine/,
  );
});

verifies(
  'gateway.servers.own-credential',
  'who lacks the credential of a remote server gets 502, and the server hears nothing',
  async (t) => {
    const upstream = await startUpstream(t);
    const servers = { up: `{ url: "${upstream.url}/mcp", auth: bearer }` };
    const users = { alice: '{ up: { token: secret-of-alice } }', bob: '"*"' };
    const app = await startApp(t, { files: { 'mcproxy.yml': settingsFile(servers), 'tokens.yml': usersFile(users) } });
    const call = request(1, 'tools/call', { name: 'x' });

    const refused = await send(`${app.url}/up/mcp`, { headers: headersOf('bob'), body: call });
    assert.equal(refused.status, 502);
    assert.match(
      refused.text(),
      /user bob has no token of their own for server up; add users\.bob\.servers\.up\.token/,
    );
    assert.equal(upstream.requests.length, 0);
    await waitFor(() => app.entries().length === 1);
    assert.equal(app.entries()[0]?.['error_code'], 'CREDENTIAL_MISSING');

    const served = await send(`${app.url}/up/mcp`, { headers: headersOf('alice'), body: call });
    assert.equal(served.status, 200);
    assert.deepEqual(upstream.requests[0]?.values('authorization'), ['Bearer secret-of-alice']);
  },
);

verifies('gateway.servers.own-credential-check', 'check warns of users who lack something', async (t) => {
  const upstream = await startUpstream(t);
  const servers = { up: `{ url: "${upstream.url}/mcp", auth: bearer }` };
  const app = await startApp(t, {
    files: { 'mcproxy.yml': settingsFile(servers), 'tokens.yml': usersFile({ bob: '"*"' }) },
  });
  const { code, stderr } = await runCommand(['check', '--config', app.dir]);
  assert.equal(code, 0);
  assert.match(stderr, /warning.*each user brings token for the server "up", and these have not: bob/s);
});

verifies(
  'gateway.servers.share',
  'share: user gives each user a process, idle stops it, and the next use starts it',
  async (t) => {
    const servers = {
      each: withEnv('tells-who.mjs', 'each', 'share: user, idle: 1s, era: legacy'),
      all: withEnv('tells-who.mjs', 'all', 'share: all, idle: 1s, era: legacy'),
    };
    const app = await startApp(t, {
      files: { 'mcproxy.yml': settingsFile(servers), 'tokens.yml': usersFile({ alice: '"*"', bob: '"*"' }) },
    });
    const pidOf = async (user: string, server: string): Promise<number> => {
      const session = await openSession(app.url, user, { path: `/${server}/mcp` });
      return toldBy(await session.ask('tools/call', { name: 'work', arguments: { text: 'x' } })).pid;
    };
    const first = await pidOf('alice', 'each');
    assert.notEqual(await pidOf('bob', 'each'), first);
    const [one, other] = await Promise.all([pidOf('alice', 'all'), pidOf('bob', 'all')]);
    assert.equal(one, other);
    await waitFor(async () => (await peersOf(app)).every(({ since }) => since === null), { what: 'no process' });
    assert.notEqual(await pidOf('alice', 'each'), first);
  },
);
