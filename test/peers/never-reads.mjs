/**
 * A peer that never reads its stdin, so that the pipe fills up. SIGTERM ends it.
 */
process.stdout.write('{"jsonrpc":"2.0","method":"notifications/ready"}\n');
setInterval(() => undefined, 60_000);
