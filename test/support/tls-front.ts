/**
 * TLS before a test's own server: an address that speaks TLS and hands on the bytes.
 *
 * Its certificate is that of `test/peers/tls`, which signed itself for 127.0.0.1; whoever trusts it names `TLS_CA`, and
 * `TLS_OTHER_CA` is a certificate of somebody else.
 */
import { readFileSync } from 'node:fs';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { createServer } from 'node:tls';
import { fileURLToPath } from 'node:url';
import type { Cleanup } from './temp-dir.ts';

const TLS = fileURLToPath(new URL('../peers/tls/', import.meta.url));
export const TLS_CA = `${TLS}cert.pem`;
export const TLS_OTHER_CA = `${TLS}other.pem`;

/** @returns its origin */
export async function startTlsFront(cleanup: Cleanup, port: number): Promise<string> {
  const sockets = new Set<Socket>();
  const front = createServer({ key: readFileSync(`${TLS}key.pem`), cert: readFileSync(TLS_CA) }, (outer) => {
    const inner = connect(port, '127.0.0.1');
    for (const [socket, other] of [
      [outer, inner],
      [inner, outer],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => void sockets.delete(socket));
      socket.pipe(other);
    }
  });
  front.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => void front.listen(0, '127.0.0.1', resolve));
  cleanup.after(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise<void>((resolve) => void front.close(() => resolve()));
  });
  return `https://127.0.0.1:${(front.address() as AddressInfo).port}`;
}
