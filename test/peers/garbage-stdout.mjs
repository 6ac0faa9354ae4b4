/**
 * A peer that mixes its answers with what does not belong on stdout: a banner, JSON logs, bytes that are not UTF-8,
 * control characters, empty and foreign batches, scalars.
 */
import process from 'node:process';
import { createInterface } from 'node:readline';

const GARBAGE = [
  'Server v1.0 listening on stdio',
  '{"level":"info","message":"started"}',
  Buffer.from([0xff, 0xfe, 0x00, 0x80]),
  '\u001b[31mred\u001b[0m',
  '[]',
  '[1,2]',
  '[{"jsonrpc":"2.0","method":"notifications/hidden"},{"no":"message"}]',
  'null',
  '42',
  '"text"',
  '{"jsonrpc":"1.0","id":1,"result":{}}',
  '{"jsonrpc":"2.0","id":1,"result":{}',
];
const print = (line) => {
  process.stdout.write(line);
  process.stdout.write('\n');
};

GARBAGE.forEach(print);
for await (const line of createInterface({ input: process.stdin })) {
  const { id, params } = JSON.parse(line);
  print('about to answer');
  // A byte order mark and a carriage return are no garbage: programs on Windows write them.
  print(`\ufeff${JSON.stringify({ jsonrpc: '2.0', id, result: params })}\r`);
}
