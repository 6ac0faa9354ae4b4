/**
 * A peer whose writes cut its messages anywhere, also inside a character, and that dies in the middle of one.
 *
 * Answers each request in pieces of three bytes; the method `die` gets half an answer and the end.
 */
import process from 'node:process';
import { createInterface } from 'node:readline';

const write = (bytes) => new Promise((resolve) => process.stdout.write(bytes, resolve));

for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line);
  const answer = Buffer.from(`${JSON.stringify({ jsonrpc: '2.0', id, result: params })}\n`);
  if (method === 'die') {
    await write(answer.subarray(0, answer.length / 2));
    process.exit(1);
  }
  for (let at = 0; at < answer.length; at += 3) await write(answer.subarray(at, at + 3));
}
