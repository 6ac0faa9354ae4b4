import assert from 'node:assert/strict';
import fs from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { ProxyError } from '../../src/errors.ts';
import { LOG_QUEUE_BYTES_MAX, LOG_STALL_MS_MAX } from '../../src/limits.ts';
import { openLineWriter, type LineWriter } from '../../src/log/ndjson.ts';
import type { WriteCall } from '../../src/log/swift-write.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait.ts';

/** `meanwhile` stands for another process. */
type Outcome =
  | { readonly error: string; readonly meanwhile?: (path: string) => void }
  | { readonly bytes: number }
  | 'all'
  | 'hold'
  | 'hold, then 1 byte';

interface Fixture {
  readonly writer: LineWriter;
  readonly path: string;
  /** The bytes of each call to write. */
  readonly calls: string[];
  readonly lost: string[];
  readonly states: (string | undefined)[];
  /** What `done` was told, in order: `a+`, `b-`. */
  readonly dones: string[];
  append(name: string): void;
  content(): string;
  /** Lets the held write go on. */
  release(): void;
  /** Resolves when a write has called back. */
  cameBack(): Promise<void>;
}

/** A writer whose n-th write ends as the n-th outcome says; later ones succeed. */
function open(context: TestContext, ...outcomes: Outcome[]): Fixture {
  const path = join(makeTempDir(context), 'access.log');
  const calls: string[] = [];
  const lost: string[] = [];
  const states: (string | undefined)[] = [];
  const dones: string[] = [];
  let release = (): void => assert.fail('no write is held');
  let called = (): void => undefined;
  const back = new Promise<void>((resolve) => {
    called = resolve;
  });
  const write: WriteCall = (fd, bytes, tell) => {
    const callback: typeof tell = (error, count) => {
      tell(error, count);
      called();
    };
    const outcome = outcomes[calls.length] ?? 'all';
    calls.push(bytes.toString());
    if (outcome === 'all') fs.write(fd, bytes, callback);
    else if (outcome === 'hold') release = () => fs.write(fd, bytes, callback);
    else if (outcome === 'hold, then 1 byte') release = () => fs.write(fd, bytes.subarray(0, 1), callback);
    else if ('bytes' in outcome) fs.write(fd, bytes.subarray(0, outcome.bytes), callback);
    else {
      outcome.meanwhile?.(path);
      setImmediate(() => callback(Object.assign(new Error('made up'), { code: outcome.error }), 0));
    }
  };
  const writer = openLineWriter({
    path,
    write,
    onLost: (lines) => lost.push(lines),
    onStateChange: (_healthy, reason) => states.push(reason),
  });
  context.after(() => writer.close());
  return {
    writer,
    path,
    calls,
    lost,
    states,
    dones,
    append: (name) => writer.append(`${name}\n`, (written) => dones.push(name + (written ? '+' : '-'))),
    content: () => fs.readFileSync(path, 'utf8'),
    release: () => release(),
    cameBack: () => back,
  };
}

test('lines appended in one turn leave in one write, in order', async (t) => {
  const log = open(t);
  for (const name of ['a', 'b', 'c']) log.append(name);
  assert.deepEqual(log.dones, []);
  await log.writer.flush();
  assert.deepEqual(log.calls, ['a\nb\nc\n']);
  assert.deepEqual(log.dones, ['a+', 'b+', 'c+']);
  assert.equal(log.content(), 'a\nb\nc\n');
});

test('lines appended during a write leave together in the next one', async (t) => {
  const log = open(t, 'hold');
  log.append('a');
  await waitFor(() => log.calls.length === 1);
  log.append('b');
  log.append('c');
  log.release();
  await log.writer.flush();
  assert.deepEqual(log.calls, ['a\n', 'b\nc\n']);
});

test('done is called only after the line is in the file', async (t) => {
  const log = open(t);
  let seen = '';
  log.writer.append('a\n', () => {
    seen = log.content();
  });
  await log.writer.flush();
  assert.equal(seen, 'a\n');
});

test('a line appended by another line’s done is written before close resolves', async (t) => {
  const log = open(t);
  log.writer.append('a\n', () => log.append('b'));
  await log.writer.close();
  assert.equal(log.content(), 'a\nb\n');
});

test('a partial write continues with the rest, within a line or a character', async (t) => {
  const log = open(t, { bytes: 3 }, { bytes: 1 });
  log.append('aé');
  log.append('b');
  await log.writer.flush();
  assert.equal(log.calls.length, 3);
  assert.equal(log.content(), 'aé\nb\n');
  assert.deepEqual(log.dones, ['aé+', 'b+']);
});

test('a full pipe is tried again', async (t) => {
  const log = open(t, { error: 'EAGAIN' }, { bytes: 1 }, { error: 'EAGAIN' });
  log.append('a');
  await log.writer.flush();
  assert.deepEqual(log.calls, ['a\n', 'a\n', '\n', '\n']);
  assert.deepEqual([log.content(), log.writer.healthy, log.states], ['a\n', true, []]);
});

test('a failed write hands over its lines, and the next append recovers', async (t) => {
  const log = open(t, { error: 'ENOSPC' });
  log.append('a');
  log.append('b');
  await log.writer.flush();
  assert.deepEqual([log.lost, log.writer.lostCount, log.writer.healthy], [['a\nb\n'], 2, false]);
  assert.deepEqual(log.dones, ['a-', 'b-']);
  log.append('c');
  await log.writer.flush();
  assert.deepEqual([log.content(), log.writer.lostCount, log.writer.healthy], ['c\n', 2, true]);
  assert.deepEqual(log.states, ['the disk is full (ENOSPC)', undefined]);
});

test('a reason that stays is reported once', async (t) => {
  const log = open(t, { error: 'EIO' }, { error: 'EIO' }, { error: 'ENOSPC' });
  for (const name of ['a', 'b', 'c']) {
    log.append(name);
    // oxlint-disable-next-line no-await-in-loop -- one batch each
    await log.writer.flush();
  }
  assert.deepEqual(log.states, ['the disk reports an error (EIO)', 'the disk is full (ENOSPC)']);
});

test('when the disk fills up inside a line, whole lines count and the piece is taken back', async (t) => {
  const log = open(t, { bytes: 6 }, { error: 'ENOSPC' });
  for (const name of ['aaa', 'bbb', 'ccc']) log.append(name);
  await log.writer.flush();
  assert.deepEqual(log.dones, ['aaa+', 'bbb-', 'ccc-']);
  assert.deepEqual([log.lost, log.writer.lostCount], [['bbb\nccc\n'], 2]);
  assert.equal(log.content(), 'aaa\n');
  log.append('ddd');
  await log.writer.flush();
  assert.equal(log.content(), 'aaa\nddd\n');
});

test('a piece that another process has appended to stays and is ended by a newline', async (t) => {
  const log = open(t, { bytes: 6 }, { error: 'ENOSPC', meanwhile: (path) => fs.appendFileSync(path, '!') });
  log.append('aaa');
  log.append('bbb');
  await log.writer.flush();
  log.append('ccc');
  await log.writer.flush();
  assert.equal(log.content(), 'aaa\nbb!\nccc\n');
});

test('lines beyond the queue bound are handed over at once', async (t) => {
  const log = open(t, 'hold');
  log.append('a');
  await waitFor(() => log.calls.length === 1);
  const big = 'x'.repeat(LOG_QUEUE_BYTES_MAX - 3);
  log.append(big);
  log.append('b');
  assert.deepEqual(log.lost, []);
  log.append('c');
  assert.deepEqual([log.lost, log.writer.lostCount, log.dones], [['c\n'], 1, ['c-']]);
  log.release();
  await log.writer.flush();
  assert.deepEqual(
    log.dones.map((done) => done.slice(-2)),
    ['c-', 'a+', 'x+', 'b+'],
  );
});

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a write that does not come back is given up, and the log recovers when it does', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const log = open(t, 'hold');
  log.append('a');
  await turn();
  log.append('b');
  t.mock.timers.tick(LOG_STALL_MS_MAX);
  assert.deepEqual([log.lost, log.dones, log.writer.healthy], [['a\n', 'b\n'], ['a-', 'b-'], false]);
  log.append('c');
  assert.deepEqual(log.dones, ['a-', 'b-', 'c-']);
  log.release();
  await log.cameBack();
  log.append('d');
  await log.writer.flush();
  assert.deepEqual([log.content(), log.dones.at(-1), log.writer.healthy], ['a\nd\n', 'd+', true]);
});

test('the piece of a write that came back too late is ended by a newline', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const log = open(t, 'hold, then 1 byte');
  log.append('abc');
  await turn();
  t.mock.timers.tick(LOG_STALL_MS_MAX);
  log.release();
  await log.cameBack();
  log.append('d');
  await log.writer.flush();
  assert.equal(log.content(), 'a\nd\n');
});

test('a reopen during a write lets go of the renamed file after it', async (t) => {
  const log = open(t, 'hold');
  log.append('a');
  await turn();
  fs.renameSync(log.path, `${log.path}.1`);
  log.writer.reopen();
  log.release();
  await log.writer.flush();
  assert.deepEqual([log.content(), fs.readFileSync(`${log.path}.1`, 'utf8')], ['', 'a\n']);
});

test('a pipe that stays full is given up, and later lines do not wait for it', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const full = Array.from({ length: 2_000 }, () => ({ error: 'EAGAIN' }));
  const log = open(t, ...full);
  log.append('a');
  while (log.dones.length === 0) {
    t.mock.timers.tick(100);
    await turn(); // oxlint-disable-line no-await-in-loop
  }
  const calls = log.calls.length;
  log.append('b');
  await log.writer.flush();
  assert.deepEqual([log.dones, log.calls.length, log.lost], [['a-', 'b-'], calls + 1, ['a\n', 'b\n']]);
});

test('close flushes, and later appends are handed over', async (t) => {
  const log = open(t);
  log.append('a');
  await log.writer.close();
  assert.equal(log.content(), 'a\n');
  log.append('b');
  assert.deepEqual([log.lost, log.dones], [['b\n'], ['a+', 'b-']]);
  await log.writer.close();
  await log.writer.flush();
});

test('the file is made with its directory, readable by owner and group only', async (t) => {
  const path = join(makeTempDir(t), 'a', 'b', 'access.log');
  const writer = openLineWriter({ path, onLost: () => undefined });
  await writer.close();
  assert.equal(fs.statSync(path).mode & 0o777, 0o640 & ~process.umask());
  assert.equal(fs.statSync(join(path, '..')).mode & 0o777, 0o750 & ~process.umask());
});

test('an unwritable path is LOG_UNWRITABLE with path and reason', (t) => {
  const dir = makeTempDir(t);
  fs.writeFileSync(join(dir, 'file'), '');
  const cases = [
    { path: dir, reason: /it is a directory.*EISDIR/ },
    { path: join(dir, 'file', 'access.log'), reason: /is a file, not a directory.*ENOTDIR/ },
    { path: join(dir, 'file', 'deeper', 'access.log'), reason: /is a file, not a directory.*ENOTDIR/ },
    { path: '/proc/nowhere/access.log', reason: /cannot be opened: .+\(ENOENT\)/ },
  ];
  for (const c of cases) {
    assert.throws(
      () => openLineWriter({ path: c.path, onLost: () => undefined }),
      (error) => {
        assert.ok(error instanceof ProxyError);
        assert.equal(error.code, 'LOG_UNWRITABLE');
        assert.ok(error.message.includes(c.path), error.message);
        assert.match(error.message, c.reason);
        return true;
      },
    );
  }
});

test('a callback that throws keeps nobody else from its answer, and is not swallowed', async (t) => {
  const log = open(t);
  const thrown: unknown[] = [];
  process.setUncaughtExceptionCaptureCallback((error) => thrown.push(error));
  t.after(() => process.setUncaughtExceptionCaptureCallback(null));
  const bug = new Error('a bug');
  log.writer.append('a\n', () => {
    throw bug;
  });
  log.append('b');
  await log.writer.flush();
  await waitFor(() => thrown.length > 0);
  log.append('c');
  await log.writer.flush();
  assert.deepEqual([log.dones, thrown, log.content()], [['b+', 'c+'], [bug], 'a\nb\nc\n']);
});
