/**
 * Users who bring nothing but a refresh token to a client that the server's entry describes, at a real authorization
 * server; and users who bring none.
 */
import assert from 'node:assert/strict';
import { after } from 'node:test';
import { SECRET_OF_CLIENT, startAuthorizationServer } from '../support/authorization-server.ts';
import { entryOf, PATHS, who } from '../support/guarded-app.ts';
import { startGuarded } from '../support/guarded-server.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { settingsFile, usersFile } from '../support/message-app.ts';
import { runCommand, startApp } from '../support/start-app.ts';
import { writeFiles } from '../support/temp-dir.ts';
import { verifies } from '../support/verifies.ts';

const issuer = await startAuthorizationServer({ after });
after(() => checkNothingLeft());

verifies(
  ['oauth-out.inherit', 'oauth-out.brought'],
  'a refresh token alone is enough, on both paths, and who has none sends nothing to anybody',
  async (t) => {
    const server = await startGuarded(t, { issuer });
    const [ann, bob] = await Promise.all(
      [1, 2].map(() => issuer.refreshToken({ client: 'alice', resource: server.url })),
    );
    const files = {
      'mcproxy.yml': settingsFile({ up: entryOf(server, `, issuer: "${issuer.issuer}", refresh_token: `, 'alice') }),
      'tokens.yml': usersFile({
        ann: `{ up: { auth: { refresh_token: ${ann} } } }`,
        bob: `{ up: { auth: { type: oauth, refresh_token: ${bob} } } }`,
        cara: '"*"',
      }),
    };
    const app = await startApp(t, { files });
    const before = [server.upstream.requests.length, issuer.asked.length];
    for (const path of PATHS) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const refused = await who(app, path, { user: 'cara' });
      assert.doesNotMatch(refused.text(), /client alice/);
    }
    const lacking = await who(app, '/up/mcp', { user: 'cara' });
    assert.match(
      lacking.text(),
      /no auth\.refresh_token .* add users\.cara\.servers\.up\.auth\.refresh_token to tokens\.yml/,
    );
    assert.deepEqual([server.upstream.requests.length, issuer.asked.length], before, 'nobody was asked');

    for (const user of ['ann', 'bob']) {
      for (const path of PATHS) {
        // oxlint-disable-next-line no-await-in-loop
        const answer = await who(app, path, { user });
        assert.match(answer.text(), /client alice/, `${user} at ${path}`);
      }
    }
    assert.equal(server.tokens().length, 2, 'each has tokens of their own');
    const nobody = await runCommand(['why', 'cara', 'up', '--config', app.dir], { dir: app.dir });
    assert.match(nobody.stdout, /^answer {6}DENIED: .*\n(?:.*\n)*credential {2}nothing/m);
    const { stdout } = await runCommand(['why', 'ann', 'up', '--config', app.dir], { dir: app.dir });
    assert.match(stdout, /by a refresh token of the client alice\) \(user, .*tokens\.yml:\d+:\d+\)/);
    const said = stdout + app.stderr() + JSON.stringify(app.entries());
    for (const secret of [SECRET_OF_CLIENT, ann, bob, ...server.tokens()]) assert.ok(!said.includes(secret ?? ''));
  },
);

verifies(
  'oauth-out.inherit',
  'an entry that would lead a shared secret elsewhere changes nothing that runs',
  async (t) => {
    const server = await startGuarded(t, { issuer });
    const thief = await startAuthorizationServer(t);
    const app = await startApp(t, {
      files: {
        'mcproxy.yml': settingsFile({ up: entryOf(server, `, issuer: "${issuer.issuer}"`, 'alice') }),
        'tokens.yml': usersFile({ ann: '"*"' }),
      },
    });
    const bad = `{ up: { auth: { refresh_token: refresh-0123, token_url: "${thief.issuer}/token" } } }`;
    writeFiles(app.dir, { 'tokens.yml': usersFile({ ann: bad }) });
    const { code, stdout, stderr } = await runCommand(['reload', '--config', app.dir], { dir: app.dir });
    assert.equal(code, 78, stdout + stderr);
    assert.match(stdout + stderr, /"token_url" is not that of the server, whose client_secret would leave its path/);
    assert.ok(!(stdout + stderr + app.stderr()).includes(SECRET_OF_CLIENT));
    assert.match((await who(app, '/up/mcp', { user: 'ann' })).text(), /client alice/);
    assert.equal(thief.asked.length, 0);
  },
);

verifies(
  'oauth-out.inherit',
  'who has the very client of all is not named to others, in whatever order they come',
  async (t) => {
    const server = await startGuarded(t, { issuer });
    const wrong = entryOf(server, `, issuer: "${issuer.issuer}"`, 'alice').replace(
      SECRET_OF_CLIENT,
      'wrong-secret-0123456',
    );
    const app = await startApp(t, {
      files: {
        'mcproxy.yml': settingsFile({ up: wrong }),
        'tokens.yml': usersFile({ zoe: '{ up: { auth: { type: oauth } } }', ann: '"*"' }),
      },
    });
    for (const user of ['zoe', 'ann']) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const answer = await who(app, '/up/mcp', { user });
      assert.match(answer.text(), /no access token for server up: /);
    }
  },
);
