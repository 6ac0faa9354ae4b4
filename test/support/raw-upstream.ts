/**
 * An upstream on a bare TCP socket, for answers that no HTTP server would give: none, half of one, or a reset.
 *
 * `converse` gets each connection once its first request is there (`onRequest`) or as soon as it stands (`onConnect`).
 */
import { createServer, type Socket } from 'node:net';
import type { Cleanup } from './temp-dir.ts';

export interface RawUpstream {
  readonly url: string;
  readonly port: number;
  /** Connections so far. */
  readonly connectionCount: number;
  /** Heads of requests so far, over all connections. */
  readonly requestCount: number;
}

export interface RawBehaviour {
  onConnect?(socket: Socket, index: number): void;
  /** Called for each head that ends; `index` counts over all connections. */
  onRequest?(socket: Socket, index: number): void;
}

/** Starts one; its connections are cut when the test ends. */
export async function startRawUpstream(cleanup: Cleanup, behaviour: RawBehaviour): Promise<RawUpstream> {
  const sockets = new Set<Socket>();
  const counts = { connections: 0, requests: 0 };
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => undefined);
    behaviour.onConnect?.(socket, counts.connections);
    counts.connections += 1;
    let rest = '';
    socket.setEncoding('latin1').on('data', (text: string) => {
      rest += text;
      for (let end = rest.indexOf('\r\n\r\n'); end !== -1; end = rest.indexOf('\r\n\r\n')) {
        rest = rest.slice(end + 4);
        behaviour.onRequest?.(socket, counts.requests);
        counts.requests += 1;
      }
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  cleanup.after(async () => {
    const closed = new Promise((resolve) => {
      server.close(resolve);
    });
    for (const socket of sockets) socket.destroy();
    await closed;
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP server has no port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    port: address.port,
    get connectionCount() {
      return counts.connections;
    },
    get requestCount() {
      return counts.requests;
    },
  };
}

/** A JSON answer with its length, ready to be written. */
export function jsonAnswer(body: string, fields = ''): string {
  return `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n${fields}\r\n${body}`;
}
