import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after } from 'node:test';
import { send } from '../support/http-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { startUpstream } from '../support/recording-upstream.ts';
import { runCommand, startApp, type LoggedEntry, type RunningApp } from '../support/start-app.ts';
import { makeTempDir, writeFiles, type Cleanup } from '../support/temp-dir.ts';
import { call, tokensFile } from '../support/users.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor } from '../support/wait.ts';

after(() => checkNothingLeft());

const SETTINGS = 'listen: 127.0.0.1:0\nadmin: { socket: admin.sock }\n';

async function start(t: Cleanup, log: string): Promise<{ app: RunningApp; path: string }> {
  const upstream = await startUpstream(t);
  const app = await startApp(t, {
    files: { 'mcproxy.yml': `${SETTINGS}${log}`, 'tokens.yml': tokensFile(['alice'], upstream.url) },
  });
  return { app, path: join(app.dir, 'access.log') };
}

/** Entries among the diagnostic lines. */
function told(app: RunningApp): LoggedEntry[] {
  return app
    .stderr()
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as LoggedEntry);
}

const readiness = async (app: RunningApp): Promise<{ status: number; text: string }> => {
  const answer = await send(`${app.url}/readyz`);
  return { status: answer.status, text: answer.text() };
};

const IMPOSSIBLE = [
  { name: 'a directory', file: 'taken', reason: /it is a directory/ },
  { name: 'below a file', file: 'mcproxy.yml/access.log', reason: /a part of the path is a file/ },
  { name: 'on no file system', file: '/proc/nowhere/access.log', reason: /cannot be made|permission|not permitted/ },
];
for (const { name, file, reason } of IMPOSSIBLE) {
  verifies('log.unwritable-at-start', `a log that is ${name} is exit 73 with path and reason`, async (t) => {
    const dir = makeTempDir(t);
    writeFiles(dir, { 'mcproxy.yml': `${SETTINGS}log: { file: ${file} }\n`, 'tokens.yml': 'users: {}\n' });
    mkdirSync(join(dir, 'taken'));
    const ended = await runCommand(['serve', '--config', dir]);
    assert.equal(ended.code, 73, ended.stderr);
    assert.ok(ended.stderr.includes(file), ended.stderr);
    assert.match(ended.stderr, reason);
    assert.doesNotMatch(ended.stderr, /listening/);
  });
}

verifies('log.unwritable-at-start', 'a missing directory of the log is made', async (t) => {
  const { app } = await start(t, 'log: { file: a/b/access.log }\n');
  await call(app.url, 'alice', { requestId: 'one' });
  assert.equal(app.entries('a/b/access.log').length, 1);
  assert.equal(statSync(join(app.dir, 'a/b')).mode & 0o007, 0);
});

verifies(
  'log.unwritable-while-running',
  'while the log cannot be written entries go to standard error, /readyz is 503 and traffic goes on; then it recovers',
  async (t) => {
    const { app, path } = await start(t, 'log: { file: access.log }\n');
    assert.equal((await readiness(app)).status, 200);
    rmSync(path);
    mkdirSync(path);
    for (const requestId of ['lost-1', 'lost-2']) {
      // oxlint-disable-next-line no-await-in-loop -- their order is compared
      assert.equal((await call(app.url, 'alice', { requestId })).status, 200);
    }
    const { status, text } = await readiness(app);
    assert.equal(status, 503);
    assert.match(text, /access log cannot be written/);
    await waitFor(() => told(app).length >= 3, { what: 'the entries on standard error' });
    assert.deepEqual(
      told(app)
        .slice(0, 2)
        .map((entry) => entry['request_id']),
      ['lost-1', 'lost-2'],
    );
    assert.match(app.stderr(), /error the access log cannot be written .*access\.log/);

    rmdirSync(path);
    assert.equal((await call(app.url, 'alice', { requestId: 'kept' })).status, 200);
    assert.equal((await readiness(app)).status, 200);
    assert.equal(app.entries()[0]?.['request_id'], 'kept');
    await waitFor(() => app.stderr().includes('the access log can be written again'));
  },
);

verifies(
  'log.unwritable-while-running',
  'with on_failure: refuse nobody is served while the log cannot be written',
  async (t) => {
    const { app, path } = await start(t, 'log: { file: access.log, on_failure: refuse }\n');
    assert.equal((await call(app.url, 'alice')).status, 200);
    renameSync(path, `${path}.1`);
    mkdirSync(path);
    // SIGHUP opens the path anew, which tells before the next request does. The renamed file still takes entries.
    app.signal('SIGHUP');
    await waitFor(async () => (await readiness(app)).status === 503, { what: '/readyz to be 503' });
    const refused = await call(app.url, 'alice', { requestId: 'refused' });
    assert.equal(refused.status, 503);
    assert.match(refused.text(), /"LOG_UNWRITABLE"/);
    assert.equal((await send(`${app.url}/healthz`)).status, 200);
    rmdirSync(path);
    await waitFor(async () => (await readiness(app)).status === 200, { what: '/readyz to be 200' });
    assert.equal((await call(app.url, 'alice')).status, 200);
  },
);
