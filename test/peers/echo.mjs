/**
 * A well-behaved stdio peer: answers every request with its own params, and leaves when its stdin ends.
 *
 * The method `batch` is answered with an array, `environment` with its environment and working directory, `exit` by
 * ending at once, `flush` with a large answer followed by the end in the same breath, `deaf` by closing stdin, `mute`
 * by closing stdout, `long` with a line of `params.bytes` bytes.
 */
import { closeSync } from 'node:fs';
import process from 'node:process';
import { createInterface } from 'node:readline';

const print = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
const result = (id, value) => ({ jsonrpc: '2.0', id, result: value });

for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line);
  if (method === 'batch') print([result(id, 1), { jsonrpc: '2.0', method: 'notifications/x' }]);
  else if (method === 'environment') print(result(id, { env: process.env, cwd: process.cwd() }));
  else if (method === 'exit') process.exit(params.code);
  else if (method === 'flush')
    process.stdout.write(`${JSON.stringify(result(id, 'x'.repeat(params.bytes)))}\n`, () => process.exit(3));
  else if (method === 'deaf') {
    print(result(id, 'deaf'));
    closeSync(0);
    setInterval(() => undefined, 60_000);
  } else if (method === 'mute') {
    process.stdout.end();
    closeSync(1);
  } else if (method === 'long') process.stdout.write('x'.repeat(params.bytes));
  else if (id !== undefined) print(result(id, params));
}
