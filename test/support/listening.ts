/**
 * A test's own server on loopback, on a port of the system's choice, until the test ends.
 */
import { once } from 'node:events';
import type { Server } from 'node:http';
import type { Server as SecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Cleanup } from './temp-dir.ts';

/** @returns the port */
export async function listenLocally(cleanup: Cleanup, server: Server | SecureServer): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanup.after(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  return (server.address() as AddressInfo).port;
}
