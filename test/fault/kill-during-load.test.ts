import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import { Agent } from 'node:http';
import { join } from 'node:path';
import { after } from 'node:test';
import { askSocket } from '../../src/app/admin-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { echo, startUpstream, type Answer } from '../support/recording-upstream.ts';
import { startApp } from '../support/start-app.ts';
import { makeTempDir, writeFiles } from '../support/temp-dir.ts';
import { call, callKept, callOf, tokensFile } from '../support/users.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor } from '../support/wait.ts';

after(() => checkNothingLeft());

const USERS = ['json0', 'json1', 'json2', 'sse0', 'sse1', 'sse2'];
const ANSWERED_COUNT_MIN = 600;

/** JSON for some users; for the others a stream with a notification, the response, and an end long after it. */
const answer: Answer = (conversation) => {
  const { request, response } = conversation;
  const { id, params } = request.json() as { id: number; params: { arguments: { user: string } } };
  if (params.arguments.user.startsWith('json')) return echo(conversation);
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const note = { jsonrpc: '2.0', method: 'notifications/progress', params: { progress: 1 } };
  response.write(`data: ${JSON.stringify(note)}\n\n`);
  response.write(`data: ${JSON.stringify({ jsonrpc: '2.0', id, result: { content: [] } })}\n\n`);
  setImmediate(() => response.end(': the end\n\n'));
};

verifies('log.kill-nine', 'after kill -9 under load every answer that arrived has its line', async (t) => {
  const upstream = await startUpstream(t, { answer });
  const app = await startApp(t, { files: { 'tokens.yml': tokensFile(USERS, upstream.url) } });
  const answered: string[] = [];
  const killed = new AbortController();

  const run = async (user: string): Promise<void> => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (let n = 0; !killed.signal.aborted; n += 1) {
      const requestId = `${user}-${n}`;
      let text = '';
      const kept = { url: app.url, user, agent, requestId, body: JSON.stringify(callOf(n, { user })) };
      // An answer on a stream has arrived with the event that holds the response, whatever becomes of the stream.
      const onBytes = (chunk: Buffer): void => {
        const before = text;
        text += chunk.toString('utf8');
        if (isResponse(text) && !isResponse(before)) answered.push(requestId);
      };
      // oxlint-disable-next-line no-await-in-loop -- a user waits for each answer
      const answerOf = await callKept(kept, user.startsWith('sse') ? onBytes : undefined).catch(() => undefined);
      if (answerOf !== undefined && user.startsWith('json')) answered.push(requestId);
    }
    agent.destroy();
  };
  const running = USERS.map(run);
  await waitFor(() => answered.length >= ANSWERED_COUNT_MIN, { deadlineMs: 10_000, what: 'answers' });
  app.signal('SIGKILL');
  await app.exited;
  killed.abort();
  await Promise.all(running);

  // The kernel may stop in the middle of the last write; whoever was answered is in a whole line before it.
  const lines = readFileSync(join(app.dir, 'access.log'), 'utf8').split('\n').slice(0, -1);
  const logged = lines.map((line) => (JSON.parse(line) as { request_id: string }).request_id);
  const known = new Set(logged);
  assert.equal(known.size, logged.length, 'no entry twice');
  assert.deepEqual(
    answered.filter((id) => !known.has(id)),
    [],
  );
  for (const kind of ['json', 'sse']) assert.ok(answered.filter((id) => id.startsWith(kind)).length > 50, kind);
});

function isResponse(text: string): boolean {
  return /^data: .*"result":.*\n\n/m.test(text);
}

verifies('log.kill-nine', 'the end of an answer waits until its line is in the file', async (t) => {
  const upstream = await startUpstream(t, { answer });
  const dir = makeTempDir(t);
  const pipe = join(dir, 'pipe');
  execFileSync('mkfifo', [pipe]);
  // Both ends, so that neither the open here nor the one of mcproxy waits for the other.
  const fd = openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK);
  t.after(() => closeSync(fd));
  writeFiles(dir, {
    'mcproxy.yml': 'listen: 127.0.0.1:0\nlog: { file: pipe }\nadmin: { socket: admin.sock }\n',
    'tokens.yml': tokensFile(USERS, upstream.url),
  });
  const app = await startApp(t, { dir });
  fill(fd);

  let arrivedCount = 0;
  const calls = ['json0', 'sse0'].map(async (user) => {
    const answered = await call(app.url, user, { requestId: user, body: callOf(1, { user }) });
    arrivedCount += 1;
    return answered.text();
  });
  await waitFor(() => upstream.requests.length === 2, { what: 'both calls upstream' });
  // Time enough for the answers, measured in questions that are not logged.
  for (let n = 0; n < 30; n += 1) {
    // oxlint-disable-next-line no-await-in-loop
    await askSocket(join(dir, 'admin.sock'), { method: 'GET', target: '/status' });
  }
  assert.equal(arrivedCount, 0, 'answers before their lines');

  let lines = '';
  await waitFor(() => {
    lines += drain(fd);
    return lines.includes('"json0"') && lines.includes('"sse0"');
  });
  for (const text of await Promise.all(calls)) assert.match(text, /"result"/);
});

/** Fills a pipe to the last byte. */
function fill(fd: number): void {
  for (const size of [4_096, 1]) {
    try {
      for (;;) writeSync(fd, 'x'.repeat(size));
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'EAGAIN');
    }
  }
}

/** What is in a pipe now. */
function drain(fd: number): string {
  const buffer = Buffer.alloc(1 << 20);
  try {
    return buffer.toString('utf8', 0, readSync(fd, buffer));
  } catch {
    return '';
  }
}
