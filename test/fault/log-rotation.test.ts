import assert from 'node:assert/strict';
import fs from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { openLineWriter, type LineWriter } from '../../src/log/ndjson.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { verifies } from '../support/verifies.ts';

interface Fixture {
  readonly writer: LineWriter;
  readonly path: string;
  readonly lost: string[];
  readonly states: (string | undefined)[];
  write(line: string): Promise<boolean>;
}

function open(context: TestContext, path = join(makeTempDir(context), 'log', 'access.log')): Fixture {
  const lost: string[] = [];
  const states: (string | undefined)[] = [];
  const writer = openLineWriter({
    path,
    onLost: (lines) => lost.push(lines),
    onStateChange: (_healthy, reason) => states.push(reason),
  });
  context.after(() => writer.close());
  const write = (line: string): Promise<boolean> => new Promise((resolve) => writer.append(`${line}\n`, resolve));
  return { writer, path, lost, states, write };
}

function read(path: string): string {
  return fs.readFileSync(path, 'utf8');
}

function openDescriptors(path: string): number {
  const links = fs.readdirSync('/proc/self/fd').map((fd) => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return '';
    }
  });
  return links.filter((link) => link.startsWith(path)).length;
}

verifies('log.append', 'a second writer of the same path appends', async (t) => {
  const first = open(t);
  await first.write('a');
  await first.writer.close();
  const second = open(t, first.path);
  await second.write('b');
  assert.equal(read(first.path), 'a\nb\n');
});

verifies(
  'log.rotation-rename',
  'after a rename the next line is in a new file at the path, without a signal',
  async (t) => {
    const log = open(t);
    for (let turn = 0; turn < 5; turn += 1) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other is the point
      await log.write(`before ${turn}`);
      fs.renameSync(log.path, `${log.path}.${turn}`);
      // oxlint-disable-next-line no-await-in-loop
      await log.write(`after ${turn}`);
      assert.equal(read(log.path), `after ${turn}\n`);
      assert.ok(read(`${log.path}.${turn}`).endsWith(`before ${turn}\n`));
      fs.rmSync(log.path);
    }
    assert.deepEqual([log.lost, log.states, openDescriptors(log.path)], [[], [], 1]);
  },
);

verifies('log.rotation-rename', 'a rename with a new file made by logrotate goes on in that file', async (t) => {
  const log = open(t);
  await log.write('a');
  fs.renameSync(log.path, `${log.path}.1`);
  fs.writeFileSync(log.path, '', { mode: 0o600 });
  await log.write('b');
  assert.deepEqual([read(`${log.path}.1`), read(log.path)], ['a\n', 'b\n']);
  assert.equal(fs.statSync(log.path).mode & 0o777, 0o600);
});

verifies('log.rotation-rename', 'no line is lost or torn while files are renamed under load', async (t) => {
  const log = open(t);
  const count = 3_000;
  let files = 0;
  let writtenCount = 0;
  const user = async (from: number): Promise<void> => {
    for (let n = from; n < count; n += 10) {
      // oxlint-disable-next-line no-await-in-loop -- a user waits for each answer
      if (await log.write(JSON.stringify({ n }))) writtenCount += 1;
      if (n % 100 === 0) {
        fs.renameSync(log.path, `${log.path}.${files}`);
        files += 1;
        log.writer.reopen();
      }
    }
  };
  await Promise.all(Array.from({ length: 10 }, (_, from) => user(from)));
  assert.equal(writtenCount, count);
  const dir = join(log.path, '..');
  const lines = fs.readdirSync(dir).flatMap((name) => read(join(dir, name)).split('\n').slice(0, -1));
  const seen = lines.map((line) => (JSON.parse(line) as { n: number }).n).toSorted((a, b) => a - b);
  assert.deepEqual(
    seen,
    Array.from({ length: count }, (_, n) => n),
  );
  assert.equal(openDescriptors(log.path), 1);
});

verifies('log.rotation-copytruncate', 'after a copytruncate lines go on at the start of the file', async (t) => {
  const log = open(t);
  await log.write('a');
  fs.copyFileSync(log.path, `${log.path}.1`);
  fs.truncateSync(log.path);
  await log.write('b');
  assert.deepEqual([read(`${log.path}.1`), read(log.path)], ['a\n', 'b\n']);
});

verifies('log.file-removed', 'a removed file is made again for the very next line, with its directory', async (t) => {
  const log = open(t);
  await log.write('a');
  fs.rmSync(log.path);
  await log.write('b');
  assert.equal(read(log.path), 'b\n');
  fs.rmSync(join(log.path, '..'), { recursive: true });
  await log.write('c');
  assert.equal(read(log.path), 'c\n');
  assert.deepEqual([log.lost, openDescriptors(log.path)], [[], 1]);
});

verifies('log.sighup-reopen', 'reopen lets go of the renamed file at once, without another line', async (t) => {
  const log = open(t);
  await log.write('a');
  fs.renameSync(log.path, `${log.path}.1`);
  log.writer.reopen();
  assert.equal(openDescriptors(`${log.path}.1`), 0);
  assert.equal(read(log.path), '');
});

verifies(
  'log.sighup-reopen',
  'a reopen that fails keeps the old file and says why until the path works again',
  async (t) => {
    const log = open(t);
    await log.write('a');
    fs.renameSync(log.path, `${log.path}.1`);
    fs.mkdirSync(log.path);
    log.writer.reopen();
    assert.equal(log.writer.healthy, false);
    assert.match(String(log.states[0]), /access\.log cannot be opened again: it is a directory.*EISDIR/);
    assert.equal(await log.write('b'), true);
    assert.deepEqual([log.writer.healthy, log.lost, read(`${log.path}.1`)], [false, [], 'a\nb\n']);
    fs.rmdirSync(log.path);
    await log.write('c');
    assert.deepEqual([log.writer.healthy, read(log.path), log.states.length], [true, 'c\n', 2]);
  },
);

verifies(
  'log.unwritable-while-running',
  'a removed file that cannot be made again loses lines loudly, then recovers',
  async (t) => {
    const log = open(t);
    await log.write('a');
    fs.rmSync(log.path);
    fs.mkdirSync(log.path);
    assert.equal(await log.write('b'), false);
    assert.equal(await log.write('c'), false);
    assert.deepEqual([log.lost, log.writer.lostCount, log.writer.healthy], [['b\n', 'c\n'], 2, false]);
    fs.rmdirSync(log.path);
    assert.equal(await log.write('d'), true);
    assert.deepEqual([read(log.path), log.writer.healthy, log.states.at(-1)], ['d\n', true, undefined]);
  },
);
