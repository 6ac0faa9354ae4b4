/**
 * A process that appends numbered lines to a log as mcproxy does, ten in flight at a time.
 *
 * Arguments: path, name, number of lines, bytes of each line. Prints `ok N` when line N is said to be in the file
 * and `lost N` when not, so that a test can kill it at any moment and compare.
 */
import fs from 'node:fs';
import { openLineWriter } from '../../src/log/ndjson.ts';

const [path = '', name = '', countText = '', bytesText = ''] = process.argv.slice(2);
const count = Number(countText);
const filler = 'x'.repeat(Number(bytesText));
const writer = openLineWriter({ path, onLost: () => undefined });
let next = 0;

function appendNext(): void {
  if (next === count) return;
  const n = next;
  next += 1;
  writer.append(`${JSON.stringify({ name, n, filler })}\n`, (written) => {
    tell(`${written ? 'ok' : 'lost'} ${n}\n`);
    setImmediate(appendNext);
  });
}

/** The pipe does not block, and the test reads more slowly than this process writes. */
function tell(text: string): void {
  for (;;) {
    try {
      fs.writeSync(1, text);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    }
  }
}

for (let user = 0; user < 10; user += 1) appendNext();
