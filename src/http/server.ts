/**
 * The listening socket: Node's HTTP/1.1 server with every bound set, opened and closed.
 *
 * Promises: strict parsing, bounded headers and connections, slow headers cut, no Nagle delay. A port that is in
 * use is waited for (`PORT_WAIT_MS_MAX`), because a predecessor may still be draining. What a request means is
 * the business of `onRequest`; a request that could not even be parsed reaches `onMalformed` with its socket.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';

import { ProxyError } from '../errors.ts';
import {
  CLIENT_HEADERS_MS_MAX,
  CLIENT_KEEP_ALIVE_MS,
  CONNECTION_COUNT_MAX,
  HEADER_BYTES_MAX,
  HEADER_COUNT_MAX,
  PORT_WAIT_MS_MAX,
} from '../limits.ts';

export interface Listener {
  readonly host: string;
  readonly port: number;
  /** `http://HOST:PORT`, with brackets for IPv6. */
  readonly url: string;
  /** Stops accepting and closes idle connections; resolves when the last connection is gone. */
  close(): Promise<void>;
  /** Closes the connections that have no request in progress. */
  closeIdle(): void;
  /** Cuts every connection that is left. */
  abort(): void;
}

export interface ListenerOptions {
  readonly host: string;
  readonly port: number;
  onRequest(request: IncomingMessage, response: ServerResponse): void;
  onMalformed(error: NodeJS.ErrnoException, socket: Duplex): void;
  onWaiting?(reason: string): void;
}

const PORT_RETRY_MS = 250;

/** Opens the socket. @throws {ProxyError} LISTEN_FAILED when the address is in use, not ours, or not permitted. */
export async function openListener(options: ListenerOptions): Promise<Listener> {
  const server = createServer({
    maxHeaderSize: HEADER_BYTES_MAX,
    headersTimeout: CLIENT_HEADERS_MS_MAX,
    // The body has its own idle bound (http/body): a total would cut long uploads on slow lines.
    requestTimeout: 0,
    keepAliveTimeout: CLIENT_KEEP_ALIVE_MS,
    connectionsCheckingInterval: 5_000,
    noDelay: true,
    requireHostHeader: false, // the guard answers that, with an entry
    insecureHTTPParser: false,
  });
  server.maxHeadersCount = 0; // the guard counts: Node would drop the surplus silently
  server.maxConnections = CONNECTION_COUNT_MAX;
  server.on('request', (request, response) => options.onRequest(request, response));
  server.on('clientError', (error, socket) => options.onMalformed(error, socket));
  // 100-continue is answered by the guard's readiness to read; an Upgrade or CONNECT is not served here.
  server.on('upgrade', (_request, socket) => refuseUpgrade(socket));
  server.on('connect', (_request, socket) => refuseUpgrade(socket));

  await listen(server, options);
  const address = server.address() as AddressInfo;
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return {
    host: options.host,
    port: address.port,
    url: `http://${host}:${address.port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
      }),
    closeIdle: () => server.closeIdleConnections(),
    abort: () => server.closeAllConnections(),
  };
}

/** Largest header count that the guard lets pass; here because Node's own limit drops instead of refusing. */
export const headerCountMax = HEADER_COUNT_MAX;

function refuseUpgrade(socket: Duplex): void {
  socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
}

async function listen(server: Server, options: ListenerOptions): Promise<void> {
  const deadline = performance.now() + PORT_WAIT_MS_MAX;
  for (;;) {
    const error = await listenOnce(server, options);
    if (error === undefined) return;
    if (error.code !== 'EADDRINUSE' || performance.now() + PORT_RETRY_MS > deadline) {
      throw new ProxyError('LISTEN_FAILED', listenMessage(options, error), { cause: error });
    }
    options.onWaiting?.(`${options.host}:${options.port} is in use, waiting for it`);
    await new Promise((resolve) => setTimeout(resolve, PORT_RETRY_MS));
  }
}

function listenOnce(server: Server, options: ListenerOptions): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => {
    const onError = (error: NodeJS.ErrnoException): void => resolve(error);
    server.once('error', onError);
    server.listen({ host: options.host, port: options.port }, () => {
      server.off('error', onError);
      resolve(undefined);
    });
  });
}

function listenMessage(options: ListenerOptions, error: NodeJS.ErrnoException): string {
  const address = `${options.host}:${options.port}`;
  if (error.code === 'EADDRINUSE') return `${address} is in use by another process; stop it or set another \`listen\``;
  if (error.code === 'EACCES')
    return `no permission to listen on ${address}; ports below 1024 need CAP_NET_BIND_SERVICE`;
  if (error.code === 'EADDRNOTAVAIL') return `${address} is no address of this machine; correct \`listen\``;
  return `cannot listen on ${address} (${error.code ?? error.message})`;
}
