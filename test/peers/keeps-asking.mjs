/**
 * A client that opens one connection after the other to `argv[2]` until the file `argv[3]` exists, then prints how often
 * it asked, how often it got no answer, and the longest wait.
 */
import { existsSync } from 'node:fs';
import { get } from 'node:http';
import process from 'node:process';

const [url, stopFile] = process.argv.slice(2);
const counts = { asked: 0, failed: 0, longestMs: 0, errors: [] };

function ask() {
  return new Promise((resolve) => {
    const request = get(url, { agent: false }, (response) => response.resume().once('end', () => resolve(undefined)));
    request.once('error', (error) => resolve(error.message));
  });
}

while (!existsSync(stopFile)) {
  const begun = performance.now();
  const failure = await ask();
  counts.asked += 1;
  counts.longestMs = Math.max(counts.longestMs, Math.round(performance.now() - begun));
  if (failure !== undefined) {
    counts.failed += 1;
    counts.errors.push(failure);
  }
}
process.stdout.write(`${JSON.stringify(counts)}\n`);
