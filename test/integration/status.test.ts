import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { ServerRow } from '../../src/admin/status.ts';
import { send } from '../support/http-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { runCommand, startApp } from '../support/start-app.ts';
import { tokenOf } from '../support/users.ts';
import { writeFiles } from '../support/temp-dir.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor } from '../support/wait.ts';

after(() => checkNothingLeft());

const PEER = fileURLToPath(new URL('../peers/notes-calls.mjs', import.meta.url));
const digest = (name: string): string => `sha256:${createHash('sha256').update(tokenOf(name)).digest('hex')}`;
const FILES = {
  'mcproxy.yml':
    'listen: 127.0.0.1:0\nlog: { file: access.log }\nadmin: { socket: admin.sock }\nservers:\n' +
    `  notes: { command: "${process.execPath}", args: ["${PEER}", /dev/null], env: { KEY: hidden-in-the-environment } }\n` +
    '  broken: { command: no-such-program }\n' +
    '  web: { url: "http://127.0.0.1:1/mcp?key=hidden-in-the-query", token: hidden-credential }\n',
  'tokens.yml':
    `users:\n  ops: { token: "${digest('ops')}", role: admin, servers: "*" }\n` +
    `  alice: { token: "${digest('alice')}", servers: "*" }\n`,
};

verifies(
  ['cli.status', 'cli.status-http'],
  'status shows commands that run and that do not, to the command line and to administrators alike',
  async (t) => {
    const app = await startApp(t, { files: FILES });
    const ask = (name: string) =>
      send(`${app.url}/status`, { method: 'GET', headers: { authorization: `Bearer ${tokenOf(name)}` } });
    const rowsOf = async (): Promise<ServerRow[]> => ((await ask('ops')).json() as { servers: ServerRow[] }).servers;
    await waitFor(async () => (await rowsOf()).some(({ state }) => state === 'ready'), {
      deadlineMs: 20_000,
      what: 'the server to be ready',
    });
    const [notes, broken, web] = await rowsOf();
    assert.deepEqual([notes?.server, notes?.transport, notes?.era], ['notes', 'stdio', 'legacy']);
    assert.ok((notes?.pid ?? 0) > 0);
    if (process.platform === 'linux') assert.ok((notes?.rss_bytes ?? 0) > 1_000_000);
    assert.deepEqual([broken?.state, broken?.last_error_code], ['down', 'UPSTREAM_UNREACHABLE']);
    assert.match(broken?.action ?? '', /correct "command" of broken/);
    assert.deepEqual([web?.state, web?.since], ['idle', null]);

    const refused = await ask('alice');
    assert.equal(refused.status, 403);
    assert.doesNotMatch(refused.body.toString(), /notes/);
    const command = await runCommand(['status', '--config', app.dir, '--json'], { dir: app.dir });
    assert.equal(command.code, 0, command.stderr);
    const text = await runCommand(['status', '--config', app.dir], { dir: app.dir });
    assert.match(text.stdout, /^notes {2,}stdio {2,}2025-11-25 {2,}ready/m);
    assert.match(text.stdout, /^broken: last error: .*no-such-program/m);
    for (const shown of [command.stdout, text.stdout, (await ask('ops')).body.toString()]) {
      assert.doesNotMatch(shown, /hidden/);
    }
    writeFiles(app.dir, { 'mcproxy.yml': `${FILES['mcproxy.yml']}  wrong: { comand: x }\n` });
    const meanwhile = await runCommand(['status', '--config', app.dir], { dir: app.dir });
    assert.equal(meanwhile.code, 0, `a broken file does not hide the service that runs: ${meanwhile.stderr}`);
    writeFiles(app.dir, { 'mcproxy.yml': 'servers: [' });
    const unreadable = await runCommand(['status', '--config', app.dir], { dir: app.dir });
    assert.equal(unreadable.code, 69);
    assert.match(unreadable.stderr, /the files have problems .*--socket PATH/);
    const entries = app.entries().filter(({ route }) => route === '/status');
    assert.equal(entries.at(-1)?.['principal'], 'ops');
    await app.stop();
  },
);
