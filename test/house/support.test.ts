import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { after, test } from 'node:test';
import { Readable } from 'node:stream';
import { openStream, readUntil, send, sendRaw } from '../support/http-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { findClosedPort, isListener } from '../support/ports.ts';
import { startUpstream } from '../support/recording-upstream.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { makeTempDir, writeFiles } from '../support/temp-dir.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor, within } from '../support/wait.ts';

after(() => checkNothingLeft());

test('a test of an unknown requirement throws when it is registered', () => {
  // Not called by its name, because the house reads the ids of those calls.
  const register = (): unknown => Reflect.apply(verifies, undefined, ['log.misspelt', 'never runs', () => undefined]);
  assert.throws(register, /unknown requirement log\.misspelt/);
});

test('waiting gives the first truthy value and takes errors for "not yet"', async () => {
  let count = 0;
  const value = await waitFor(() => {
    count += 1;
    if (count === 1) throw new Error('too early');
    return count === 3 ? 'there' : '';
  });
  assert.equal(value, 'there');
});

test('a port belongs to who listens on it, not to who only knows it', async (t) => {
  const port = await findClosedPort();
  const child = spawn(process.execPath, ['-e', 'process.stdin.resume()'], { stdio: ['pipe', 'ignore', 'ignore'] });
  t.after(() => void child.kill('SIGKILL'));
  assert.equal(isListener(process.pid, port), false);
  const server = createServer().listen(port, '127.0.0.1');
  t.after(() => void server.close());
  await waitFor(() => server.listening);
  assert.deepEqual([isListener(process.pid, port), isListener(child.pid ?? 0, port)], [true, false]);
});

test('waiting in vain says what for and why', async () => {
  const vain = waitFor(() => Promise.reject(new Error('the reason')), { deadlineMs: 30, what: 'rain' });
  await assert.rejects(vain, (error: Error) => {
    assert.match(error.message, /in vain for rain/);
    return String(error.cause) === 'Error: the reason';
  });
  await assert.rejects(within(new Promise(() => undefined), { deadlineMs: 10, what: 'snow' }), /in vain for snow/);
});

test('a temporary directory is gone after its test', async (t) => {
  let dir = '';
  await t.test('with files', (inner) => {
    dir = makeTempDir(inner);
    writeFiles(dir, { 'a/b.txt': 'text' });
    assert.ok(existsSync(`${dir}/a/b.txt`));
  });
  assert.ok(!existsSync(dir));
});

test('the same seed gives the same numbers and another seed others', () => {
  const draw = (seed: number): number[] => {
    const random = seededRandom(seed);
    return Array.from({ length: 8 }, () => random.integer(1000));
  };
  assert.deepEqual(draw(1), draw(1));
  assert.notDeepEqual(draw(1), draw(2));
});

test('a closed port refuses connections', async () => {
  const port = await findClosedPort();
  await assert.rejects(send(`http://127.0.0.1:${port}/`), { code: 'ECONNREFUSED' });
});

test('an upstream records what the client sent and echoes it', async (t) => {
  const upstream = await startUpstream(t);
  const headers = ['X-Twice', 'a', 'x-twice', 'b', 'Content-Type', 'application/json'];
  const body = { jsonrpc: '2.0', id: 7, method: 'ping', params: { a: 1 } };
  const answer = await send(`${upstream.url}/mcp?q=1`, { headers, body });
  assert.deepEqual(answer.json(), { jsonrpc: '2.0', id: 7, result: { method: 'ping', params: { a: 1 } } });
  const [request] = upstream.requests;
  assert.equal(request?.url, '/mcp?q=1');
  assert.deepEqual(request?.values('x-TWICE'), ['a', 'b']);
  assert.deepEqual(request?.json(), body);
  assert.deepEqual(upstream.failures, []);
});

test('an upstream can answer before the body is there and the client can leave', async (t) => {
  const upstream = await startUpstream(t, {
    streamed: true,
    answer: ({ incoming, response }) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      incoming.on('data', (chunk: Buffer) => response.write(chunk));
    },
  });
  const source = new Readable({ read: () => undefined });
  source.push('first;');
  const stream = await openStream(upstream.url, { method: 'POST', body: source });
  assert.equal(await readUntil(stream, (text) => text.endsWith(';')), 'first;');
  stream.close();
  await waitFor(async () => (await upstream.connectionCount()) === 0);
});

test('a raw socket shows the answer to what no client would send', async (t) => {
  const upstream = await startUpstream(t);
  const text = await sendRaw('GARBAGE\r\n\r\n', { port: upstream.port });
  assert.match(text, /^HTTP\/1\.1 400 /);
});

test('a raw socket gives up on a peer that never closes', async (t) => {
  const upstream = await startUpstream(t);
  const silent = sendRaw('GET / HTTP/1.1\r\n', { port: upstream.port, keepOpen: true, deadlineMs: 30 });
  await assert.rejects(silent, /did not close within 30 ms/);
});

test('the leak check reports a listener', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await assert.rejects(checkNothingLeft(50), /TCPServerWrap/);
  server.close();
  await checkNothingLeft();
});

test('the leak check reports a grandchild whose parent has ended', async () => {
  const script = `const { spawn } = require('node:child_process');
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 60000)'], { stdio: 'ignore', detached: true });
    process.stdout.write(String(child.pid)); child.unref();`;
  const parent = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'ignore'] });
  const [printed] = (await once(parent.stdout, 'data')) as [Buffer];
  await once(parent, 'close');
  await assert.rejects(checkNothingLeft(50), /left behind.*setInterval/);
  process.kill(Number(printed.toString()), 'SIGKILL');
  await checkNothingLeft();
});

test('the leak check reports a child, also one that is not waited for', async () => {
  const child = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60000)'], { stdio: 'ignore' });
  child.unref();
  await assert.rejects(checkNothingLeft(50), /left behind/);
  child.kill('SIGKILL');
  await checkNothingLeft();
});
