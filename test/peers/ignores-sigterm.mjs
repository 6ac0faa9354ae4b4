/**
 * A peer that neither the end of stdin nor SIGTERM makes leave. Says on stderr what it ignored.
 */
import process from 'node:process';

process.on('SIGTERM', () => process.stderr.write('ignored SIGTERM\n'));
process.stdin.on('end', () => process.stderr.write('ignored the end of stdin\n'));
process.stdin.resume();
setInterval(() => undefined, 60_000);
process.stdout.write('{"jsonrpc":"2.0","method":"notifications/ready"}\n');
