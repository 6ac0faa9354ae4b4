/**
 * Clients of `mcproxy stdio` that hang up, die, send rubbish or do not read.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, type TestContext } from 'node:test';

import { STDIO_LINE_BYTES_MAX, STREAM_QUEUE_BYTES_MAX } from '../../src/limits.ts';
import type { Json } from '../support/downstream-clients.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { command, settingsFile } from '../support/message-app.ts';
import { readEntries, PROGRAM_ARGS } from '../support/start-app.ts';
import { isRunning } from '../support/stdio-server.ts';
import { legacy, modern } from '../support/stdio-conversation.ts';
import { launchStdio, untilTools, type StdioProcess } from '../support/stdio-process.ts';
import { makeTempDir, writeFiles } from '../support/temp-dir.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor, within } from '../support/wait.ts';

after(() => checkNothingLeft());

/** What a client waits between closing the pipe and SIGKILL, by the reference SDK. */
const CLIENT_PATIENCE_MS = 4_000;
const FILES = command('tells-who.mjs', 'files');

function directory(t: TestContext, servers: Readonly<Record<string, string>>): string {
  const dir = makeTempDir(t);
  writeFiles(dir, { 'mcproxy.yml': settingsFile(servers) });
  return dir;
}

async function start(t: TestContext, servers: Readonly<Record<string, string>>) {
  const dir = directory(t, servers);
  const client = launchStdio(t, ['--config', dir]);
  await client.initialize();
  await untilTools(client, ['files']);
  await waitFor(() => client.servers().length === Object.keys(servers).length);
  return { client, dir, servers: client.servers() };
}

const callFor = (delayMs: number) => ({ name: 'files__work', arguments: { text: 'x', delayMs } });

async function endsWith(client: StdioProcess, servers: readonly number[], code = 0): Promise<void> {
  assert.deepEqual(await within(client.exited, { deadlineMs: CLIENT_PATIENCE_MS }), { code, signal: null });
  assert.deepEqual(servers.filter(isRunning), []);
}

verifies(
  ['stdio.end', 'stdio.no-orphans'],
  'a client that hangs up leaves nothing, not even a stubborn server',
  async (t) => {
    const { client, servers } = await start(t, { files: FILES, stubborn: command('ignores-sigterm.mjs') });
    client.child.stdin.end();
    await endsWith(client, servers);
  },
);

verifies('stdio.end', 'a client that hangs up and then signals does not wait for a long call', async (t) => {
  const { client, dir, servers } = await start(t, { files: FILES });
  client.send(legacy('long', 'tools/call', callFor(60_000)));
  client.child.stdin.end();
  // It goes on as long as nobody is in a hurry; the process is asked what it does.
  await assert.rejects(within(client.exited, { deadlineMs: 300 }));
  client.child.kill('SIGTERM');
  await endsWith(client, servers);
  assert.equal((await client.answer('long'))['error'].data.code, 'CLIENT_GONE');
  assert.equal(readEntries(join(dir, 'access.log')).at(-1)?.['outcome'], 'cancelled');
});

verifies('stdio.end', 'a signal lets a call finish', async (t) => {
  const { client, servers } = await start(t, { files: FILES });
  client.send(legacy('last', 'tools/call', callFor(400)));
  client.send(modern('asked', 'server/discover'));
  await client.answer('asked');
  client.child.kill('SIGTERM');
  assert.ok('result' in (await client.answer('last')));
  await endsWith(client, servers);
});

verifies('stdio.end', 'a client that closes only its reading end ends it with the next answer', async (t) => {
  const { client, servers } = await start(t, { files: FILES });
  client.child.stdout.destroy();
  client.send(legacy('last', 'ping'));
  await endsWith(client, servers);
});

verifies('stdio.no-orphans', 'servers leave when the command is killed', async (t) => {
  const { client, servers } = await start(t, { files: FILES });
  client.child.kill('SIGKILL');
  await waitFor(() => !servers.some(isRunning), { what: 'the end of the servers' });
});

verifies('stdio.no-orphans', 'the command and its servers leave when the client is killed', async (t) => {
  const dir = directory(t, { files: FILES });
  const args = JSON.stringify([...PROGRAM_ARGS, 'stdio', '--config', dir]);
  const script = `const child = require('node:child_process').spawn(process.execPath, ${args}, { stdio: 'pipe' });
    child.stderr.resume();
    child.stdin.write(JSON.stringify(${JSON.stringify(modern(1, 'tools/call', callFor(0)))}) + '\\n');
    child.stdout.once('data', () => console.log(child.pid));`;
  const holder = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => holder.kill('SIGKILL'));
  const [line] = (await once(createInterface({ input: holder.stdout }), 'line')) as [string];
  const children = readFileSync(`/proc/${line}/task/${line}/children`, 'utf8').trim().split(' ').map(Number);
  const pids = [Number(line), ...children];
  assert.ok(pids.length >= 2 && pids.every(isRunning));
  holder.kill('SIGKILL');
  await waitFor(() => !pids.some(isRunning), { what: 'the end of all' });
});

verifies('stdio.garbage', 'rubbish is answered line by line, and what makes sense is served', async (t) => {
  const { client } = await start(t, { files: FILES });
  const before = client.messages.length;
  for (let round = 0; round < 20; round += 1) {
    client.child.stdin.write(Buffer.from(randomBytes(2_000).map((byte) => (byte === 10 || byte === 13 ? 1 : byte))));
    client.send('\n\r\n\n');
  }
  assert.ok('result' in (await client.ask('ping')));
  const answers = client.messages.slice(before, -1);
  assert.equal(answers.length, 20);
  assert.ok(answers.every((answer) => answer['id'] === null && answer['error'].code === -32700));
});

verifies('stdio.long-line', 'a line over the bound ends it with a word on standard error', async (t) => {
  const { client, servers } = await start(t, { files: FILES });
  client.send('x'.repeat(STDIO_LINE_BYTES_MAX + 1));
  await endsWith(client, servers, 76);
  assert.match(client.stderr(), /what the client sends cannot be read on. A line is longer than 16777216 bytes/);
});

verifies('stdio.bounds', 'a client that does not read is not asked for more, and gets all once it reads', async (t) => {
  const url = 'http://127.0.0.1:1/mcp';
  const client = launchStdio(t, ['--url', url], { unread: true });
  // A response has the id of its request, and `ping` is answered here.
  const ids = Array.from({ length: 3_000 }, (_, index) => `${index}-${'x'.repeat(10_000)}`);
  for (const id of ids) client.send(legacy(id, 'ping'));
  const total = client.child.stdin.writableLength;
  // It takes what fills its queue and then nothing any more, for as long as nobody reads.
  const unsent = await waitUntilStill(() => client.child.stdin.writableLength);
  assert.ok(total - unsent < 3 * STREAM_QUEUE_BYTES_MAX, `${total - unsent} bytes taken`);
  const read: unknown[] = [];
  createInterface({ input: client.child.stdout }).on('line', (line) => read.push((JSON.parse(line) as Json)['id']));
  await waitFor(() => read.length === ids.length, { deadlineMs: 20_000, what: 'all answers' });
  assert.deepEqual(read, ids);
  client.child.stdin.end();
  await within(client.exited);
});

/** The value once it has moved, and then not any more for a while. */
async function waitUntilStill(value: () => number): Promise<number> {
  const firstValue = value();
  let last = { value: firstValue, atMs: performance.now() };
  await waitFor(
    () => {
      if (value() !== last.value) last = { value: value(), atMs: performance.now() };
      return last.value !== firstValue && performance.now() - last.atMs > 1_500;
    },
    { deadlineMs: 20_000, what: 'quiet' },
  );
  return last.value;
}
