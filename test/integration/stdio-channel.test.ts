import assert from 'node:assert/strict';
import { chmodSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';

import { ProxyError } from '../../src/errors.ts';
import { makeSecret } from '../../src/text/secret.ts';
import { spawnChild } from '../../src/upstream/child.ts';
import type { StdioServerConfig } from '../../src/model.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { converse, stdioServer } from '../support/stdio-server.ts';
import { makeTempDir, writeFiles } from '../support/temp-dir.ts';
import { waitFor, within } from '../support/wait.ts';

after(() => checkNothingLeft());

test('a request goes to the server and its answer comes back', async (t) => {
  const { ask, messages } = await converse(t, stdioServer('echo.mjs'));
  await ask(1, 'echo', { text: 'a\nb ü 😀 \u2028' });
  await waitFor(() => messages.length === 1);
  assert.deepEqual(messages, [{ jsonrpc: '2.0', id: 1, result: { text: 'a\nb ü 😀 \u2028' } }]);
});

test('a thousand requests at once arrive in order', async (t) => {
  const { ask, messages } = await converse(t, stdioServer('echo.mjs'));
  const ids = Array.from({ length: 1_000 }, (_, index) => index);
  await Promise.all(ids.map((id) => ask(id, 'echo', { filler: 'x'.repeat(500) })));
  await waitFor(() => messages.length === ids.length);
  assert.deepEqual(
    messages.map((message) => message['id']),
    ids,
  );
});

test('a message of eight megabytes goes both ways', async (t) => {
  const { ask, messages } = await converse(t, stdioServer('echo.mjs'));
  const text = 'é'.repeat(4 * 1024 * 1024);
  await ask(1, 'echo', { text });
  await waitFor(() => messages.length === 1);
  assert.deepEqual(messages[0]?.['result'], { text });
});

test('a batch is taken apart', async (t) => {
  const { ask, messages, channel } = await converse(t, stdioServer('echo.mjs'));
  await ask(1, 'batch');
  await waitFor(() => messages.length === 2);
  assert.deepEqual(messages, [
    { jsonrpc: '2.0', id: 1, result: 1 },
    { jsonrpc: '2.0', method: 'notifications/x' },
  ]);
  assert.equal(channel.droppedCount, 0);
});

test('a child gets the configured environment, a clean base and its working directory', async (t) => {
  const cwd = makeTempDir(t);
  const server = stdioServer('echo.mjs', { cwd, env: [['API_KEY', makeSecret('k-123456')]] });
  process.env['MCPROXY_TEST_LEAK'] = 'leak';
  t.after(() => delete process.env['MCPROXY_TEST_LEAK']);
  const { ask, messages } = await converse(t, server);
  await ask(1, 'environment');
  await waitFor(() => messages.length === 1);
  const { env, cwd: shown } = (messages[0] as { result: { env: Record<string, string>; cwd: string } }).result;
  assert.equal(shown, cwd);
  assert.equal(env['API_KEY'], 'k-123456');
  assert.equal(env['PATH'], process.env['PATH']);
  assert.equal(env['MCPROXY_TEST_LEAK'], undefined);
});

test('closing ends a well-behaved child by the end of its stdin', async (t) => {
  const { child, channel, ends, ask } = await converse(t, stdioServer('echo.mjs'));
  await ask(1, 'echo');
  await within(Promise.all([channel.close(), channel.close(), child.stop()]));
  assert.deepEqual(await child.exited, { code: 0, signal: null, cause: 'stopped' });
  assert.equal(ends.length, 1);
  assert.match(ends[0]?.message ?? '', /^server peer was stopped/);
  await assert.rejects(ask(2, 'echo'), { code: 'UPSTREAM_UNREACHABLE', message: /nothing was sent/ });
});

test('what a child wrote before it ended is delivered before the end is told', async (t) => {
  const { ask, messages, ends, child } = await converse(t, stdioServer('echo.mjs'));
  await ask(1, 'flush', { bytes: 300_000 });
  await waitFor(() => ends.length === 1);
  assert.equal((messages[0] as { result: string }).result.length, 300_000);
  assert.match(ends[0]?.message ?? '', /ended with exit code 3/);
  assert.equal((await child.exited).cause, 'crashed');
});

test('a child that closes its stdin is stopped, since nothing can be asked any more', async (t) => {
  const { ask, ends, messages, child } = await converse(t, stdioServer('echo.mjs'));
  await ask(1, 'deaf');
  await waitFor(() => messages.length === 1);
  await waitFor(() =>
    ask(2, 'echo').then(
      () => false,
      () => true,
    ),
  );
  await waitFor(() => ends.length === 1);
  assert.match(ends[0]?.message ?? '', /closed its input/);
  await within(child.exited);
});

test('a child that closes its stdout is stopped, since nothing can be answered any more', async (t) => {
  const { ask, ends, child } = await converse(t, stdioServer('echo.mjs'));
  await ask(1, 'mute');
  await waitFor(() => ends.length === 1);
  assert.match(ends[0]?.message ?? '', /closed its output/);
  assert.equal((await within(child.exited)).cause, 'stopped');
});

test('a line over the bound stops the child', async (t) => {
  const { ask, ends, messages, child } = await converse(t, stdioServer('echo.mjs'));
  await ask(1, 'long', { bytes: 17 * 1024 * 1024 });
  await waitFor(() => ends.length === 1);
  assert.equal((ends[0] as ProxyError).code, 'UPSTREAM_PROTOCOL');
  assert.deepEqual(messages, []);
  assert.equal((await within(child.exited)).cause, 'stopped');
});

test('a message over the bound is refused and the conversation goes on', async (t) => {
  const { ask, messages } = await converse(t, stdioServer('echo.mjs'));
  await assert.rejects(ask(1, 'echo', { text: 'x'.repeat(16 * 1024 * 1024) }), { code: 'BODY_TOO_LARGE' });
  await ask(2, 'echo');
  await waitFor(() => messages.length === 1);
});

test('many children at once leave each at the end of its own stdin', async (t) => {
  const all = await Promise.all(Array.from({ length: 5 }, () => converse(t, stdioServer('echo.mjs'))));
  for (const { ask, messages, channel, child } of all) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other: the later ones must not hold the earlier open
    await ask(1, 'echo');
    // oxlint-disable-next-line no-await-in-loop
    await waitFor(() => messages.length === 1);
    // oxlint-disable-next-line no-await-in-loop
    await channel.close();
    // oxlint-disable-next-line no-await-in-loop
    assert.deepEqual(await child.exited, { code: 0, signal: null, cause: 'stopped' });
  }
});

const FAILURES: readonly { name: string; changes: Partial<StdioServerConfig>; message: RegExp }[] = [
  {
    name: 'a command that is not in PATH',
    changes: { command: 'no-such-command' },
    message: /^server peer cannot be started: the command "no-such-command" was not found in PATH/,
  },
  { name: 'a path that does not exist', changes: { command: './none' }, message: /"\.\/none" does not exist/ },
  { name: 'a file that is not executable', changes: { command: './plain' }, message: /"\.\/plain" is not executable/ },
  { name: 'a directory as command', changes: { command: '/' }, message: /"\/" is not executable/ },
  {
    name: 'a script without its interpreter',
    changes: { command: './orphan' },
    message: /a script whose interpreter .* does not exist/,
  },
  {
    name: 'a missing working directory',
    changes: { cwd: '/no/such' },
    message: /directory "\/no\/such" does not exist/,
  },
  { name: 'a file as working directory', changes: { cwd: '/dev/null' }, message: /"\/dev\/null" is not a directory/ },
  { name: 'a circle of symbolic links', changes: { command: './circle' }, message: /the system refused it \(ELOOP\)/ },
  {
    name: 'a NUL in an argument',
    changes: { args: ['secret\0argument'] },
    message: /hold a NUL character/,
  },
];

for (const { name, changes, message } of FAILURES) {
  test(`${name} is UPSTREAM_UNREACHABLE with the reason`, async (t) => {
    const cwd = makeTempDir(t);
    writeFiles(cwd, { plain: 'no program', orphan: '#!/no/such/interpreter\n' });
    chmodSync(join(cwd, 'orphan'), 0o700);
    symlinkSync('circle', join(cwd, 'circle'));
    const spawned = spawnChild({
      server: stdioServer('echo.mjs', { cwd, ...changes }),
      ambientEnv: process.env,
      onStderr: () => undefined,
    });
    await assert.rejects(spawned, (error: unknown) => {
      assert.ok(error instanceof ProxyError);
      assert.equal(error.code, 'UPSTREAM_UNREACHABLE');
      assert.match(error.message, message);
      assert.doesNotMatch(`${error.message} ${String(error.cause)}`, /secret/);
      return true;
    });
  });
}
