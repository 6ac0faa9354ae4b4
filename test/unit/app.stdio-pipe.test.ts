/**
 * The two ends of a pipe: lines, their bounds, and how it ends.
 */
import assert from 'node:assert/strict';
import { PassThrough, Writable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';

import { StdioPipe } from '../../src/app/stdio-pipe.ts';
import {
  CLIENT_WRITE_IDLE_MS_MAX,
  PIPED_OUTPUT_BYTES_MAX,
  STDIO_LINE_BYTES_MAX,
  STREAM_QUEUE_BYTES_MAX,
} from '../../src/limits.ts';
import { verifies } from '../support/verifies.ts';
import { within } from '../support/wait.ts';

/** A client that takes a chunk when the test says so. */
function slowReader() {
  const taken: string[] = [];
  const waiting: (() => void)[] = [];
  const output = new Writable({
    write(chunk: Buffer, _encoding, done) {
      waiting.push(() => {
        taken.push(chunk.toString());
        done();
      });
    },
  });
  return { output, taken, take: () => waiting.shift()?.() };
}

function open(output: Writable = new PassThrough()) {
  const input = new PassThrough();
  const pipe = new StdioPipe(input, output);
  const lines: string[] = [];
  pipe.read((line) => lines.push(line));
  return { input, pipe, lines };
}

verifies('stdio.end', 'the last line counts without its end, and what comes after a stop is not taken', async () => {
  const { input, pipe, lines } = open();
  input.write('one\r\n\ntwo\nthr');
  input.end('ee');
  assert.deepEqual(await pipe.ended, { cause: 'hungup', complaint: undefined });
  assert.deepEqual(lines, ['one', 'two', 'three']);
  const other = open();
  other.pipe.stopReading();
  other.input.write('late\n');
  await turn();
  assert.deepEqual(other.lines, []);
});

verifies('stdio.long-line', 'after a line over the bound nothing more is taken', async () => {
  const { input, pipe, lines } = open();
  input.write('x'.repeat(STDIO_LINE_BYTES_MAX + 1));
  input.write('\nfine\n');
  const { cause, complaint } = await pipe.ended;
  assert.equal(cause, 'hungup');
  assert.match(complaint ?? '', /longer than/);
  assert.deepEqual(lines, []);
});

verifies('stdio.bounds', 'while answers are not read no line is taken, and it goes on afterwards', async () => {
  const { output, take } = slowReader();
  const { input, pipe, lines } = open(output);
  pipe.write('x'.repeat(STREAM_QUEUE_BYTES_MAX + 1));
  input.write('first\n');
  await turn();
  input.write('second\n');
  await turn();
  assert.deepEqual(lines, ['first']);
  take();
  await turn();
  await turn();
  assert.deepEqual(lines, ['first', 'second']);
  output.destroy();
});

verifies('stdio.bounds', 'answers beyond the bound give the client up', async () => {
  const { pipe } = open(slowReader().output);
  const line = 'x'.repeat(STDIO_LINE_BYTES_MAX);
  let count = 0;
  while (pipe.write(line)) count += 1;
  assert.ok(count * STDIO_LINE_BYTES_MAX <= PIPED_OUTPUT_BYTES_MAX + STDIO_LINE_BYTES_MAX);
  const { cause, complaint } = await pipe.ended;
  assert.equal(cause, 'gone');
  assert.match(complaint ?? '', /has not read/);
});

verifies('stdio.bounds', 'a client that takes nothing for long is given up, a slow one is not', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { output, take } = slowReader();
  const { pipe } = open(output);
  for (const letter of ['a', 'b', 'c']) pipe.write(letter.repeat(50_000));
  let end: unknown;
  void pipe.ended.then((found) => (end = found));
  for (let round = 0; round < 2; round += 1) {
    t.mock.timers.tick(CLIENT_WRITE_IDLE_MS_MAX - 1);
    take();
    // oxlint-disable-next-line no-await-in-loop -- the stream tells in its own time
    await turn();
  }
  assert.equal(end, undefined);
  t.mock.timers.tick(CLIENT_WRITE_IDLE_MS_MAX);
  await turn();
  assert.deepEqual(end, { cause: 'gone', complaint: 'the client does not read what it asked for' });
  output.destroy();
});

verifies('stdio.end', 'a broken output ends it at once, and nothing is written any more', async () => {
  const { output } = slowReader();
  const { pipe } = open(output);
  output.destroy(new Error('EPIPE'));
  assert.deepEqual(await pipe.ended, { cause: 'gone', complaint: undefined });
  await within(pipe.gone);
  assert.equal(pipe.write('x'), false);
  await within(pipe.flush(60_000));
});

verifies('stdio.end', 'what was written is waited for', async () => {
  const { output, take, taken } = slowReader();
  const { pipe } = open(output);
  pipe.write('last');
  const flushed = pipe.flush(60_000);
  take();
  await within(flushed);
  assert.deepEqual(taken, ['last\n']);
  output.destroy();
});
