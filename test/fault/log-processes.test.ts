import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { join } from 'node:path';
import { after, type TestContext } from 'node:test';
import { closeFile, openAppend } from '../../src/log/append-file.ts';
import { openLineWriter } from '../../src/log/ndjson.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor } from '../support/wait.ts';

after(() => checkNothingLeft());

const PEER = join(import.meta.dirname, '../peers/appends-log-lines.ts');

interface Line {
  readonly name: string;
  readonly n: number;
}

interface Appender {
  readonly child: ChildProcess;
  /** Numbers of the lines that were said to be in the file; each was received here as a client receives an answer. */
  told(): number[];
  readonly closed: Promise<unknown>;
}

function start(context: TestContext, ...args: readonly string[]): Appender {
  const child = spawn(process.execPath, ['--import', 'tsx', PEER, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  context.after(() => child.kill('SIGKILL'));
  let report = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (report += text));
  const told = (): number[] => Array.from(report.matchAll(/^ok (\d+)\n/gm), (match) => Number(match[1]));
  return { child, told, closed: once(child, 'close') };
}

function parse(text: string): Line[] {
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Line);
}

verifies('log.many-writers', 'three processes that append at once tear and lose no line', async (t) => {
  const path = join(makeTempDir(t), 'access.log');
  const names = ['a', 'b', 'c'];
  const appenders = names.map((name) => start(t, path, name, '1000', '5000'));
  await Promise.all(appenders.map((appender) => appender.closed));
  const lines = parse(fs.readFileSync(path, 'utf8'));
  const all = Array.from({ length: 1_000 }, (_, n) => n);
  for (const [index, name] of names.entries()) {
    assert.deepEqual(
      lines.filter((line) => line.name === name).map((line) => line.n),
      all,
    );
    assert.deepEqual(appenders[index]?.told(), all);
  }
  assert.equal(lines.length, 3_000);
});

verifies('log.many-writers', 'a write of another process is no torn line to who opens the log meanwhile', async (t) => {
  const path = join(makeTempDir(t), 'access.log');
  fs.writeFileSync(path, '');
  // Readers see a file grow page by page, so long before the newline of such a line.
  const appender = start(t, path, 'long', '400', '200000');
  let openCount = 0;
  while (appender.child.exitCode === null) {
    const file = openAppend(path);
    closeFile(file);
    assert.equal(file.torn, false, `after ${openCount} times`);
    openCount += 1;
    // oxlint-disable-next-line no-await-in-loop -- the end of the process is an event
    if (openCount % 100 === 0) await new Promise(setImmediate);
  }
  assert.ok(openCount > 100);
  assert.equal(parse(fs.readFileSync(path, 'utf8')).length, 400);
});

verifies('log.many-writers', 'ten users with a thousand requests each give ten thousand whole lines', async (t) => {
  const path = join(makeTempDir(t), 'access.log');
  const writer = openLineWriter({ path, onLost: (lines) => assert.fail(lines) });
  const user = async (name: string): Promise<void> => {
    for (let n = 0; n < 1_000; n += 1) {
      const line = `${JSON.stringify({ name, n })}\n`;
      // oxlint-disable-next-line no-await-in-loop -- a user waits for each answer
      assert.ok(await new Promise((resolve) => writer.append(line, resolve)));
    }
  };
  const names = Array.from({ length: 10 }, (_, index) => `user${index}`);
  await Promise.all(names.map(user));
  await writer.close();
  const lines = parse(fs.readFileSync(path, 'utf8'));
  assert.equal(lines.length, 10_000);
  assert.equal(new Set(lines.map((line) => `${line.name} ${line.n}`)).size, 10_000);
});

verifies('log.kill-nine', 'after kill -9 every line that was said to be written is there', async (t) => {
  const path = join(makeTempDir(t), 'access.log');
  for (let round = 0; round < 3; round += 1) {
    const before = fs.existsSync(path) ? fs.statSync(path).size : 0;
    const appender = start(t, path, `round${round}`, '1000000', '200');
    // oxlint-disable-next-line no-await-in-loop -- one process after the other
    await waitFor(() => appender.told().length > 300 * (round + 1), { deadlineMs: 20_000 });
    appender.child.kill('SIGKILL');
    // oxlint-disable-next-line no-await-in-loop
    await appender.closed;
    const told = appender.told();
    const content = fs.readFileSync(path).subarray(before).toString();
    const seen = new Set(parse(content).map((line) => line.n));
    assert.deepEqual(
      told.filter((n) => !seen.has(n)),
      [],
    );
    assert.ok(content.endsWith('\n'));
  }
});

verifies('log.kill-nine', 'a piece that a killed process left is ended before the next line', async (t) => {
  const path = join(makeTempDir(t), 'access.log');
  fs.writeFileSync(path, '{"n":1}\n{"n":');
  const writer = openLineWriter({ path, onLost: (lines) => assert.fail(lines) });
  writer.append('{"n":2}\n');
  writer.append('{"n":3}\n');
  await writer.close();
  assert.equal(fs.readFileSync(path, 'utf8'), '{"n":1}\n{"n":\n{"n":2}\n{"n":3}\n');
});
