import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { LOG_ASYNC_MS, LOG_SYNC_MS_MAX } from '../../src/limits.ts';
import { createSwiftWrite } from '../../src/log/swift-write.ts';
import { makeTempDir } from '../support/temp-dir.ts';

/** A clock that shows the given instants one after the other, then stays at the last. */
function clockOf(...instants: number[]): () => number {
  return () => (instants.length > 1 ? (instants.shift() ?? 0) : (instants[0] ?? 0));
}

function openFile(t: Parameters<typeof makeTempDir>[0]): { fd: number; path: string } {
  const path = join(makeTempDir(t), 'lines');
  return { fd: openSync(path, 'a'), path };
}

test('a write that is fast has happened when the call returns', (t) => {
  const { fd, path } = openFile(t);
  let told: number | undefined;
  createSwiftWrite(clockOf(0, 1))(fd, Buffer.from('one\n'), (error, count) => {
    assert.equal(error, null);
    told = count;
  });
  assert.equal(told, 4);
  assert.equal(readFileSync(path, 'utf8'), 'one\n');
  closeSync(fd);
});

test('after a slow write the next ones go through a thread, until the disk had time to recover', async (t) => {
  const { fd, path } = openFile(t);
  const slowEnd = LOG_SYNC_MS_MAX + 1;
  const recovered = slowEnd + LOG_ASYNC_MS;
  const write = createSwiftWrite(clockOf(0, slowEnd, slowEnd + 1, recovered, recovered));
  const sync: boolean[] = [];
  const writeOne = (text: string): Promise<void> => {
    let returned = false;
    return new Promise((resolve) => {
      write(fd, Buffer.from(text), () => {
        sync.push(!returned);
        resolve();
      });
      returned = true;
    });
  };
  await writeOne('slow\n');
  await writeOne('threaded\n');
  await writeOne('fast again\n');
  assert.deepEqual(sync, [true, false, true]);
  assert.equal(readFileSync(path, 'utf8'), 'slow\nthreaded\nfast again\n');
  closeSync(fd);
});

test('a failure reaches the callback and is not thrown', (t) => {
  const { fd } = openFile(t);
  closeSync(fd);
  let code: string | undefined;
  createSwiftWrite(clockOf(0))(fd, Buffer.from('x'), (error) => {
    code = error?.code;
  });
  assert.equal(code, 'EBADF');
});
