/**
 * A peer that answers N requests (its first argument) and crashes with exit code 7 on the next, unanswered.
 */
import process from 'node:process';
import { createInterface } from 'node:readline';

let left = Number(process.argv[2]);
for await (const line of createInterface({ input: process.stdin })) {
  const { id, params } = JSON.parse(line);
  if (left === 0) {
    process.stderr.write('out of luck\n');
    process.exit(7);
  }
  left -= 1;
  process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', id, result: params })}\n`);
}
