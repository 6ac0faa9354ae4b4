import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { join } from 'node:path';
import { after } from 'node:test';
import { ProxyError } from '../../src/errors.ts';
import { openLineWriter } from '../../src/log/ndjson.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { verifies } from '../support/verifies.ts';

after(() => checkNothingLeft());

const PEER = join(import.meta.dirname, '../peers/appends-log-lines.ts');

verifies('log.unwritable-while-running', 'a full device loses lines loudly and traffic goes on', async (t) => {
  const lost: string[] = [];
  const states: (string | undefined)[] = [];
  const writer = openLineWriter({
    path: '/dev/full',
    onLost: (lines) => lost.push(lines),
    onStateChange: (_healthy, reason) => states.push(reason),
  });
  t.after(() => writer.close());
  const told = await Promise.all(
    ['a', 'b'].map((line) => new Promise((resolve) => writer.append(`${line}\n`, resolve))),
  );
  assert.deepEqual([told, lost, writer.lostCount, writer.healthy], [[false, false], ['a\nb\n'], 2, false]);
  assert.deepEqual(states, ['the disk is full (ENOSPC)']);
});

/** Makes `dir` a file system of 64 KiB; false where mounting is not allowed. */
function mountSmallDisk(dir: string): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', dir], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

verifies('log.unwritable-while-running', 'a disk that fills up and is freed leaves only whole lines', async (t) => {
  const dir = makeTempDir(t);
  if (!mountSmallDisk(dir)) {
    t.skip('mounting is not allowed here');
    return;
  }
  try {
    await fillAndFree(join(dir, 'access.log'));
  } finally {
    execFileSync('umount', ['--lazy', dir]);
  }
});

async function fillAndFree(path: string): Promise<void> {
  let lost = '';
  const writer = openLineWriter({ path, onLost: (lines) => (lost += lines) });
  const written: number[] = [];
  const append = (n: number): void =>
    writer.append(`${JSON.stringify({ n, filler: 'x'.repeat(1_000) })}\n`, (ok) => {
      if (ok) written.push(n);
    });
  const numbers = (text: string): number[] =>
    text
      .split('\n')
      .slice(0, -1)
      .map((line) => (JSON.parse(line) as { n: number }).n);
  for (let n = 0; n < 150; n += 1) {
    append(n);
    // oxlint-disable-next-line no-await-in-loop -- batches of seven
    if (n % 7 === 0) await writer.flush();
  }
  await writer.flush();
  assert.equal(writer.healthy, false);
  const full = fs.readFileSync(path, 'utf8');
  assert.ok(full.endsWith('\n'));
  assert.deepEqual(numbers(full), written);
  assert.ok(written.length > 50 && written.length < 70, `${written.length} lines fit`);
  fs.truncateSync(path);
  append(150);
  await writer.close();
  assert.deepEqual([writer.healthy, numbers(fs.readFileSync(path, 'utf8'))], [true, [150]]);
  assert.deepEqual(
    [...written, ...numbers(lost)].toSorted((a, b) => a - b),
    Array.from({ length: 151 }, (_, n) => n),
  );
}

verifies(
  'log.unwritable-while-running',
  'a file at the size limit of the process is left with whole lines',
  async (t) => {
    const path = join(makeTempDir(t), 'access.log');
    // The limit is in blocks of 512 bytes; the process must survive SIGXFSZ.
    const script = `ulimit -f 20 && exec "$@"`;
    const args = ['-c', script, 'sh', process.execPath, '--import', 'tsx', PEER, path, 'a', '50', '1000'];
    const child = spawn('sh', args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let report = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (report += text));
    const [code] = (await once(child, 'close')) as [number | null];
    assert.equal(code, 0);
    const content = fs.readFileSync(path, 'utf8');
    assert.ok(content.endsWith('\n'));
    const inFile = content
      .split('\n')
      .slice(0, -1)
      .map((line) => (JSON.parse(line) as { n: number }).n);
    const told = report
      .split('\n')
      .filter((line) => line.startsWith('ok '))
      .map((line) => Number(line.slice(3)));
    assert.ok(inFile.length > 5 && inFile.length < 50, `${inFile.length} lines fit`);
    assert.deepEqual(inFile, told);
  },
);

verifies(
  'log.unwritable-at-start',
  'a directory without write permission is said with path, reason and remedy',
  (t) => {
    const dir = makeTempDir(t);
    fs.chmodSync(dir, 0o555);
    const { seteuid } = process;
    if (seteuid === undefined) return;
    // Permissions do not bind root, so the test becomes somebody else for a moment.
    const isRoot = process.geteuid?.() === 0;
    if (isRoot) seteuid(65_534);
    try {
      assert.throws(
        () => openLineWriter({ path: join(dir, 'log', 'access.log'), onLost: () => undefined }),
        (error) =>
          error instanceof ProxyError &&
          error.code === 'LOG_UNWRITABLE' &&
          error.message.includes(join(dir, 'log', 'access.log')) &&
          /permission denied. Give the user .* write access .*\(EACCES\)/.test(error.message),
      );
    } finally {
      if (isRoot) seteuid(0);
    }
  },
);
