/**
 * `mcproxy stdio` over its configuration, as a client launches it.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { readdirSync, readlinkSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, type TestContext } from 'node:test';
import type { Json } from '../support/downstream-clients.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { command, settingsFile, toldBy, usersFile } from '../support/message-app.ts';
import { readEntries, runCommand } from '../support/start-app.ts';
import { isRunning } from '../support/stdio-server.ts';
import { legacy, modern } from '../support/stdio-conversation.ts';
import { launchStdio, untilTools, type StdioProcess } from '../support/stdio-process.ts';
import { makeTempDir, writeFiles } from '../support/temp-dir.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor, within } from '../support/wait.ts';

after(() => checkNothingLeft());

const FILES = command('tells-who.mjs', 'files');
const MAIL = command('tells-who.mjs', 'mail');
const USERS = usersFile({
  alice: `{ files: { env: { WHO: alice } }, mail: {} }`,
  bob: '[mail]',
});

function directory(
  t: TestContext,
  servers: Readonly<Record<string, string>>,
  more: Record<string, string> = {},
): string {
  const dir = makeTempDir(t);
  writeFiles(dir, { 'mcproxy.yml': settingsFile(servers), ...more });
  return dir;
}

async function start(t: TestContext, dir: string, ...args: readonly string[]): Promise<StdioProcess> {
  const client = launchStdio(t, ['--config', dir, ...args]);
  const { result } = await client.initialize();
  assert.equal(result.serverInfo.name, 'mcproxy', client.stderr());
  return client;
}

async function work(client: StdioProcess, name: string): Promise<ReturnType<typeof toldBy>> {
  const response = await client.ask('tools/call', { name, arguments: { text: 'x' } });
  return toldBy({ response } as unknown as Parameters<typeof toldBy>[0]);
}

verifies('stdio.principal', 'without a name it is `local` with what all share, and the log says so', async (t) => {
  const dir = directory(t, { files: FILES, mail: MAIL }, { 'tokens.yml': USERS });
  const client = await start(t, dir);
  await untilTools(client, ['files', 'mail']);
  assert.equal((await work(client, 'files__work')).who, 'all');
  const entries = readEntries(join(dir, 'access.log'));
  assert.deepEqual(
    [...new Set(entries.map((entry) => `${String(entry['principal'])} ${String(entry['route'])}`))],
    ['local stdio'],
  );
  const call = entries.at(-1);
  assert.deepEqual([call?.['upstream'], call?.['rpc_name'], call?.['outcome']], ['files', 'work', 'ok']);
});

verifies('stdio.principal', 'a user has their own servers, environment and name in the log', async (t) => {
  const dir = directory(t, { files: FILES, mail: MAIL }, { 'tokens.yml': USERS });
  const alice = await start(t, dir, '--user', 'alice');
  const bob = await start(t, dir, '--user', 'bob');
  await untilTools(alice, ['files', 'mail']);
  await untilTools(bob, ['mail']);
  assert.equal((await work(alice, 'files__work')).who, 'alice');
  const principals = new Set(readEntries(join(dir, 'access.log')).map((entry) => entry['principal']));
  assert.deepEqual(principals, new Set(['alice', 'bob']));
});

const WRONG = [
  { name: 'an unknown user', args: ['--user', 'alise'], code: 64, says: /no user "alise"; did you mean "alice"\?/ },
  {
    name: 'an unknown server',
    args: ['--server', 'fils'],
    code: 64,
    says: /no server "fils" for local; did you mean "files"\?/,
  },
  {
    name: 'a server of somebody else',
    args: ['--user', 'bob', '--server', 'files'],
    code: 64,
    says: /no server "files" for bob/,
  },
  { name: 'options of both forms', args: ['--url', 'http://127.0.0.1:1/mcp'], code: 64, says: /leave out --config/ },
  { name: 'an option of the other form', args: ['--header', 'a:b'], code: 64, says: /--header is for --url/ },
];
for (const { name, args, code, says } of WRONG) {
  verifies('stdio.principal', `${name} is an error with exit code ${code} and an empty standard output`, async (t) => {
    const dir = directory(t, { files: FILES, mail: MAIL }, { 'tokens.yml': USERS });
    const finished = await runCommand(['stdio', '--config', dir, ...args]);
    assert.deepEqual([finished.code, finished.stdout], [code, '']);
    assert.match(finished.stderr, says);
  });
}

verifies(
  'stdio.principal',
  'a configuration with problems is exit code 78, and none at all says what to do',
  async (t) => {
    const dir = directory(t, { files: '{ commnd: x }' });
    const broken = await runCommand(['stdio', '--config', dir]);
    assert.deepEqual([broken.code, broken.stdout], [78, '']);
    const empty = await runCommand(['stdio'], { dir: makeTempDir(t), env: { XDG_CONFIG_HOME: dir } });
    assert.equal(empty.code, 64);
    assert.match(empty.stderr, /no configuration; name it with --config, or a server with --url/);
  },
);

verifies('stdio.one-server', 'one server is served alone, under its own names', async (t) => {
  const dir = directory(t, { files: FILES, mail: MAIL });
  const client = await start(t, dir, '--server', 'mail');
  assert.deepEqual(await client.toolNames(), ['work', 'crash', 'only-all']);
  assert.equal((await work(client, 'work')).server, 'mail');
  assert.equal(client.servers().length, 1);
});

verifies('stdio.reload', 'a saved file is applied while the client goes on, which hears of it', async (t) => {
  const dir = directory(t, { files: FILES });
  const client = await start(t, dir);
  await untilTools(client, ['files']);
  const { pid } = await work(client, 'files__work');
  writeFileSync(join(dir, 'mcproxy.yml'), settingsFile({ files: FILES, mail: MAIL }));
  await waitFor(() => client.messages.some(({ method }) => method === 'notifications/tools/list_changed'));
  await untilTools(client, ['files', 'mail']);
  writeFileSync(join(dir, 'mcproxy.yml'), 'servers: [');
  await waitFor(() => client.stderr().includes('the old one stays in force'));
  assert.equal((await work(client, 'files__work')).pid, pid);
  writeFileSync(join(dir, 'mcproxy.yml'), settingsFile({ mail: MAIL }));
  await untilTools(client, ['mail']);
  await waitFor(() => !isRunning(pid), { what: 'the end of the removed server' });
});

verifies('stdio.reload', 'a user who is removed has nothing any more', async (t) => {
  const dir = directory(t, { mail: MAIL }, { 'tokens.yml': usersFile({ alice: '[mail]' }) });
  const client = await start(t, dir, '--user', 'alice');
  await untilTools(client, ['mail']);
  writeFileSync(join(dir, 'tokens.yml'), usersFile({ bob: '[mail]' }));
  await waitFor(async () => (await client.toolNames()).length === 0);
  await waitFor(() => client.servers().length === 0);
});

verifies('stdio.no-door', 'no port and no socket is listened on', async (t) => {
  const dir = directory(t, { files: FILES });
  const client = await start(t, dir);
  await untilTools(client, ['files']);
  const inodes = new Set(
    readdirSync(`/proc/${client.pid}/fd`).flatMap((fd) => {
      const link = readLink(`/proc/${client.pid}/fd/${fd}`);
      return /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? [];
    }),
  );
  // State 0A is LISTEN; of Unix sockets the flag 00010000 says it.
  const tcp = ['tcp', 'tcp6'].flatMap((file) =>
    rowsOf(file).filter((row) => row[3] === '0A' && inodes.has(row[9] ?? '')),
  );
  const unix = rowsOf('unix').filter((row) => row[3] === '00010000' && inodes.has(row[6] ?? ''));
  assert.deepEqual([...tcp, ...unix], []);
  assert.ok(!readdirSync(dir).includes('admin.sock'));
});

function readLink(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

function rowsOf(file: string): string[][] {
  const text = readFileSync(`/proc/net/${file}`, 'utf8');
  return text.split('\n').map((line) => line.trim().split(/\s+/));
}

verifies(
  ['stdio.log', 'stdio.output'],
  'with `log.file: -` entries go to standard error, one for each request',
  async (t) => {
    const dir = makeTempDir(t);
    writeFiles(dir, { 'mcproxy.yml': `servers:\n  files: ${FILES}\n` });
    const client = await start(t, dir);
    await untilTools(client, ['files']);
    client.send(modern('last', 'tools/call', { name: 'files__work', arguments: { text: 'x' } }));
    await client.answer('last');
    const lines = client
      .stderr()
      .split('\n')
      .filter((line) => line.startsWith('{'));
    const entries = lines.map((line) => JSON.parse(line) as Json);
    assert.equal(entries.length, client.messages.filter((message) => !('method' in message)).length);
    assert.equal(entries.at(-1)?.['rpc_name'], 'work');
  },
);

verifies('stdio.output', 'what a server prints besides messages never reaches the client', async (t) => {
  const dir = directory(t, { loud: command('garbage-stdout.mjs'), files: FILES });
  const client = await start(t, dir);
  await untilTools(client, ['files']);
  await work(client, 'files__work');
  assert.ok(client.messages.every(({ jsonrpc }) => jsonrpc === '2.0'));
});

verifies('stdio.principal', 'a start is quick although a server never answers', async (t) => {
  const dir = directory(t, { silent: command('never-reads.mjs'), files: FILES });
  const startMs = performance.now();
  const client = await start(t, dir);
  assert.ok(performance.now() - startMs < 8_000);
  await untilTools(client, ['files']);
});

verifies('stdio.end', 'the end of input lets a call finish, and then it ends with 0', async (t) => {
  const dir = directory(t, { files: FILES });
  const client = await start(t, dir);
  await untilTools(client, ['files']);
  client.send(legacy('last', 'tools/call', { name: 'files__work', arguments: { text: 'x', delayMs: 500 } }));
  client.child.stdin.end();
  assert.ok('result' in (await client.answer('last')));
  assert.deepEqual(await within(client.exited), { code: 0, signal: null });
});
