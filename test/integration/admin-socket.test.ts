import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { createServer as createNetServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

import { askSocket } from '../../src/app/admin-client.ts';
import { firstUsable, openAdminSocket, type AdminActions, type AdminSocket } from '../../src/app/admin-socket.ts';
import { ADMIN_BODY_BYTES_MAX } from '../../src/limits.ts';

const root = mkdtempSync(join(tmpdir(), 'mcproxy-admin-'));
after(() => rmSync(root, { recursive: true }));
const freshPath = (): string => join(mkdtempSync(join(root, 'd')), 'run', 'admin.sock');

const actions: AdminActions = {
  reload: async ({ dryRun }) => ({ ok: true, dryRun, changes: ['user "alice" added'], problems: [] }),
  status: () => ({ url: 'http://127.0.0.1:1' }),
  ask: () => assert.fail('nobody asks here'),
  why: ({ user, target }) => ({ user, target }),
};

async function withSocket(path: string, use: (socket: AdminSocket) => Promise<void>, own = actions): Promise<string[]> {
  const problems: string[] = [];
  const socket = await openAdminSocket({ path, actions: own, onProblem: (text) => problems.push(text) });
  assert.ok(socket !== undefined, problems.join());
  try {
    await use(socket);
  } finally {
    const closed = socket.close();
    socket.abort();
    await closed;
  }
  assert.ok(!existsSync(path), 'the socket is removed');
  return problems;
}

test('reload and status are answered, and the socket is for owner and group only', async () => {
  const path = freshPath();
  await withSocket(path, async () => {
    assert.equal(statSync(path).mode & 0o777, 0o660);
    const reload = await askSocket(path, { method: 'POST', target: '/reload?dry_run=1' });
    assert.deepEqual(reload, {
      kind: 'answer',
      status: 200,
      body: { ok: true, dryRun: true, changes: ['user "alice" added'], problems: [] },
    });
    const status = await askSocket(path, { method: 'GET', target: '/status' });
    assert.deepEqual(status, { kind: 'answer', status: 200, body: { url: 'http://127.0.0.1:1' } });
    const other = await askSocket(path, { method: 'GET', target: '/reload' });
    assert.equal(other.kind === 'answer' && other.status, 404);
  });
});

test('an action that fails is a 500 without its reason, which goes to the diagnostic log', async () => {
  const path = freshPath();
  const problems = await withSocket(
    path,
    async () => {
      const answer = await askSocket(path, { method: 'POST', target: '/reload' });
      assert.equal(answer.kind === 'answer' && answer.status, 500);
      assert.doesNotMatch(JSON.stringify(answer), /disk on fire/);
    },
    { ...actions, reload: () => Promise.reject(new Error('disk on fire')) },
  );
  assert.match(problems.join(), /disk on fire/);
});

test('a body over the bound is refused', async () => {
  const path = freshPath();
  await withSocket(path, async () => {
    const status = await new Promise((done) => {
      const sent = request({ socketPath: path, method: 'POST', path: '/reload' }, (response) => {
        response.resume();
        done(response.statusCode);
      });
      sent.on('error', (error: NodeJS.ErrnoException) => done(error.code));
      sent.end(Buffer.alloc(ADMIN_BODY_BYTES_MAX + 1));
    });
    assert.equal(status, 413);
  });
});

test('a socket that a killed process left behind is replaced', async () => {
  const path = freshPath();
  mkdirSync(join(path, '..'));
  const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
  assert.throws(() => execFileSync(process.execPath, ['-e', script], { stdio: 'ignore' }));
  assert.ok(existsSync(path));
  const problems = await withSocket(path, async () => {
    const answer = await askSocket(path, { method: 'GET', target: '/status' });
    assert.equal(answer.kind, 'answer');
  });
  assert.deepEqual(problems, []);
});

test('a socket that somebody answers is left alone', async () => {
  const path = freshPath();
  await withSocket(path, async () => {
    const problems: string[] = [];
    const second = await openAdminSocket({ path, actions, onProblem: (text) => problems.push(text) });
    assert.equal(second, undefined);
    assert.match(problems.join(), /another mcproxy answers at/);
    const answer = await askSocket(path, { method: 'GET', target: '/status' });
    assert.equal(answer.kind, 'answer');
  });
});

const impossible = [
  { name: 'a path that is a file', path: () => fileAt(freshPath()), text: /is not a socket/ },
  { name: 'a path that is too long', path: () => join(freshPath(), 'x'.repeat(100)), text: /set a shorter one/ },
  { name: 'a directory that is a file', path: () => join(fileAt(freshPath()), 'admin.sock'), text: /no admin socket/ },
];
function fileAt(path: string): string {
  mkdirSync(join(path, '..'));
  writeFileSync(path, 'precious');
  return path;
}
for (const { name, path, text } of impossible) {
  test(`${name} gives no socket and a reason`, async () => {
    const problems: string[] = [];
    const socket = await openAdminSocket({ path: path(), actions, onProblem: (problem) => problems.push(problem) });
    assert.equal(socket, undefined);
    assert.match(problems.join(), text);
  });
}

test('the first place that exists or may be made is chosen', async () => {
  const directory = mkdtempSync(join(root, 'd'));
  const absent = join(directory, 'a', 'b', 'admin.sock');
  const makeable = join(directory, 'mcproxy', 'admin.sock');
  assert.equal(await firstUsable([absent, makeable]), makeable);
  assert.equal(await firstUsable([absent]), undefined);
});

test('asking where nobody listens says so', async () => {
  const answer = await askSocket(freshPath(), { method: 'GET', target: '/status' });
  assert.ok(answer.kind === 'none' && answer.absent);
  assert.match(answer.text, /no service is running/);
});

test('an answer that is not JSON, and one that breaks off, are told apart from a service', async () => {
  for (const end of [true, false]) {
    const path = join(mkdtempSync(join(root, 'd')), 's');
    const server = createServer((_request, response) => {
      response.write('<html>');
      if (end) response.end();
      else setImmediate(() => response.destroy());
    });
    await new Promise<void>((done) => void server.listen(path, done));
    const answer = await askSocket(path, { method: 'GET', target: '/status' });
    assert.ok(answer.kind === 'none' && !answer.absent);
    assert.match(answer.text, end ? /is not mcproxy/ : /broke off/);
    server.closeAllConnections();
    server.close();
  }
  const path = join(mkdtempSync(join(root, 'd')), 's');
  const hangsUp = createNetServer((socket) => socket.destroy());
  await new Promise<void>((done) => void hangsUp.listen(path, done));
  const answer = await askSocket(path, { method: 'GET', target: '/status' });
  assert.ok(answer.kind === 'none' && !answer.absent);
  hangsUp.close();
});
