/**
 * A peer that writes 20,000 lines to stderr, then one of a megabyte, before it answers each request.
 */
import process from 'node:process';
import { createInterface } from 'node:readline';

const write = (text) => new Promise((resolve) => process.stderr.write(text, resolve));

for await (const line of createInterface({ input: process.stdin })) {
  const { id, params } = JSON.parse(line);
  await write('a line of no importance\n'.repeat(20_000));
  await write(`${'x'.repeat(1024 * 1024)}\n`);
  process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', id, result: params })}\n`);
}
