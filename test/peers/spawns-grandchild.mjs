/**
 * A peer with a child of its own that ignores SIGTERM and holds the inherited stdout, as a badly written wrapper has.
 *
 * Tells the grandchild's id in a notification, then waits. Leaves at the end of stdin, or with exit code 5 when asked
 * to, without a thought for the grandchild.
 */
import { spawn } from 'node:child_process';
import process from 'node:process';
import { createInterface } from 'node:readline';

const script = `process.on('SIGTERM', () => {}); setInterval(() => {}, 60000); process.send('ready');`;
const grandchild = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
grandchild.once('message', () => {
  grandchild.disconnect();
  grandchild.unref();
  const params = { pid: grandchild.pid };
  process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', method: 'notifications/ready', params })}\n`);
});

for await (const line of createInterface({ input: process.stdin })) {
  if (JSON.parse(line).method === 'exit') process.exit(5);
}
process.exit(0);
