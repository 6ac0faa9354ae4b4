/**
 * A listening socket as a service manager holds it (socket activation): passed to one process after the other, and never
 * accepted on here.
 *
 * A `net.Server` would accept, so this is the handle beneath it.
 */
import assert from 'node:assert/strict';
import type { Cleanup } from './temp-dir.ts';

interface TcpHandle {
  readonly fd: number;
  bind(address: string, port: number): number;
  getsockname(out: { port?: number }): number;
  close(): void;
}

export interface HeldSocket {
  readonly port: number;
  readonly descriptor: number;
}

/** On 127.0.0.1, at a port that the system chooses; closed when the test ends. */
export function holdSocket(cleanup: Cleanup): HeldSocket {
  const { binding } = process as unknown as { binding(name: string): { TCP: new (type: number) => TcpHandle } };
  const { TCP } = binding('tcp_wrap');
  const handle = new TCP(1);
  assert.equal(handle.bind('127.0.0.1', 0), 0);
  const address: { port?: number } = {};
  handle.getsockname(address);
  cleanup.after(() => handle.close());
  return { port: address.port ?? 0, descriptor: handle.fd };
}
