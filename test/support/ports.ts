/**
 * A port on which nobody listens, for tests of refused connections. Servers under test take port 0 instead.
 */
import { createServer } from 'node:net';

/** A loopback port that was free a moment ago. */
export async function findClosedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  await new Promise((resolve) => {
    server.close(resolve);
  });
  if (address === null || typeof address === 'string') throw new Error('a TCP server has no port');
  return address.port;
}
