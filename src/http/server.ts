/**
 * The listening socket: Node's HTTP/1.1 server with every bound set, opened and closed.
 *
 * Promises: strict parsing, bounded headers and connections, slow headers cut, no Nagle delay. A port that is in
 * use is waited for (`PORT_WAIT_MS_MAX`), because a predecessor may still be draining. What a request means is
 * the business of `onRequest`; a request that could not even be parsed reaches `onMalformed` with its socket.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Server as NetServer, type AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';

import { ProxyError } from '../errors.ts';
import {
  CLIENT_HEADERS_MS_MAX,
  CLIENT_KEEP_ALIVE_MS,
  CONNECTION_COUNT_MAX,
  HEADER_BYTES_MAX,
  PORT_WAIT_MS_MAX,
} from '../limits.ts';
import { ambiguousRequest, malformedRequest } from './malformed.ts';

export interface Listener {
  readonly host: string;
  readonly port: number;
  /** `http://HOST:PORT`, with brackets for IPv6. */
  readonly url: string;
  /** Stops accepting and closes idle connections; resolves when the last connection is gone. */
  close(): Promise<void>;
  /** Cuts every connection that is left. */
  abort(): void;
}

export interface ListenerOptions {
  readonly host: string;
  readonly port: number;
  onRequest(request: IncomingMessage, response: ServerResponse): void;
  /** The socket is the receiver's to answer on and to close. */
  onMalformed(failure: ProxyError, socket: Duplex): void;
  /** The port is in use and is waited for; told once. What this throws ends the waiting. */
  onWaiting?(reason: string): void;
  /** A connection could not be accepted, for want of descriptors for one. */
  onAcceptError?(error: Error): void;
  /** A listening TCP socket that was passed to the process; `host` and `port` then only name it in messages. */
  readonly descriptor?: number | undefined;
  /** Connections at once; the default is the bound. */
  readonly connectionCountMax?: number;
  /** A connection was refused because there are as many as there may be; told once until there is room again. */
  onFull?(count: number): void;
  /** How long a port that is in use is waited for; the default is the bound. */
  readonly portWaitMs?: number;
  /** Time for the headers of a request; the default is the bound. */
  readonly headersMs?: number;
}

/** When the listener closes, a connection that was just accepted has this long to bring its first request. */
export const CLIENT_ACCEPTED_MS = 100;
const PORT_RETRY_MS = 250;
/** How often Node looks for late headers. */
const HEADERS_CHECK_MS = 5_000;

/** Opens the socket. @throws {ProxyError} LISTEN_FAILED when the address is in use, not ours, or not permitted. */
export async function openListener(options: ListenerOptions): Promise<Listener> {
  const { headersMs = CLIENT_HEADERS_MS_MAX, connectionCountMax = CONNECTION_COUNT_MAX } = options;
  const server = createServer({
    maxHeaderSize: HEADER_BYTES_MAX,
    headersTimeout: headersMs,
    // The body has its own idle bound (http/body): a total would cut long uploads on slow lines.
    requestTimeout: 0,
    keepAliveTimeout: CLIENT_KEEP_ALIVE_MS,
    connectionsCheckingInterval: Math.min(headersMs, HEADERS_CHECK_MS),
    noDelay: true,
    requireHostHeader: false, // the guard answers that, with an entry
    insecureHTTPParser: false,
  });
  server.maxHeadersCount = 0; // the guard counts: Node would drop the surplus silently
  server.maxConnections = connectionCountMax;
  let isFull = false;
  server.on('connection', () => (isFull = false));
  server.on('drop', () => {
    if (!isFull) options.onFull?.(connectionCountMax);
    isFull = true;
  });
  const closeIdle = followIdle(server);
  listenForRequests(server, options);
  await listen(server, options);
  // Without a listener an error of `accept` would end the process.
  server.on('error', (error) => options.onAcceptError?.(error));
  const address = server.address() as AddressInfo | string;
  if (typeof address === 'string') {
    server.close();
    throw new ProxyError('LISTEN_FAILED', 'the socket that was passed is no TCP socket; correct its ListenStream=');
  }
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return {
    host: options.host,
    port: address.port,
    url: `http://${host}:${address.port}`,
    close: () =>
      new Promise((resolve) => {
        // `http.Server.close` takes a connection for idle whose answer has ended but not left, and cuts it.
        NetServer.prototype.close.call(server, () => {
          server.close();
          resolve();
        });
        closeIdle();
      }),
    abort: () => server.closeAllConnections(),
  };
}

/**
 * Knows which connections wait for a request; the returned function closes those. One that was accepted a moment ago
 * has its first request on the way and keeps the time for it: a reset would be the answer to a client that did no wrong.
 */
function followIdle(server: Server): () => void {
  const openCounts = new Map<Duplex, number>(); // Bounded by CONNECTION_COUNT_MAX.
  const fresh = new WeakSet<Duplex>();
  const count = (socket: Duplex, change: number): void => {
    const before = openCounts.get(socket);
    if (before !== undefined) openCounts.set(socket, before + change);
  };
  server.on('connection', (socket) => {
    openCounts.set(socket, 0);
    fresh.add(socket);
    socket.once('close', () => openCounts.delete(socket));
  });
  const onRequest = ({ socket }: IncomingMessage, response: ServerResponse): void => {
    count(socket, 1);
    fresh.delete(socket);
    response.once('close', () => count(socket, -1));
  };
  server.on('request', onRequest).on('checkContinue', onRequest).on('checkExpectation', onRequest);
  return () => {
    const close = (from: (socket: Duplex) => boolean): void => {
      for (const [socket, openCount] of openCounts) if (openCount === 0 && from(socket)) socket.destroy();
    };
    close((socket) => !fresh.has(socket));
    // After a look at the sockets, so that what has arrived is read also when the process was held up.
    if (openCounts.size > 0)
      setTimeout(() => setImmediate(close, (socket: Duplex) => fresh.has(socket)), CLIENT_ACCEPTED_MS);
  };
}

function listenForRequests(server: Server, options: ListenerOptions): void {
  const refused = new WeakSet<Duplex>();
  const refuse = (failure: ProxyError, socket: Duplex): void => {
    // Each further piece of bad input is another error of the same connection.
    if (refused.has(socket)) return;
    refused.add(socket);
    options.onMalformed(failure, socket);
  };
  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    // What follows a refused request on its connection may be a part of it.
    if (refused.has(request.socket)) return;
    const failure = ambiguousRequest(request);
    if (failure === undefined) options.onRequest(request, response);
    else refuse(failure, request.socket);
  };
  server.on('request', onRequest);
  server.on('checkContinue', (request, response) => {
    request.once('resume', () => {
      if (!response.headersSent) response.writeContinue();
    });
    onRequest(request, response);
  });
  // An expectation that we do not know may be passed over, and a 417 of Node's own would be no entry.
  server.on('checkExpectation', onRequest);
  server.on('clientError', (error, socket) => {
    const failure = malformedRequest(error);
    // A connection that broke, or whose client never sent a byte, was no request.
    if (failure === undefined || (socket as Socket).bytesRead === 0) socket.destroy();
    else refuse(failure, socket);
  });
  server.on('connect', (_request, socket) => {
    // Node lets go of the socket, listeners included.
    socket.on('error', () => undefined);
    refuse(
      new ProxyError('METHOD_NOT_ALLOWED', 'CONNECT is not served here: this is no forward proxy', NO_METHOD),
      socket,
    );
  });
}

const NO_METHOD = { headers: { allow: 'GET, POST, DELETE' } };

async function listen(server: Server, options: ListenerOptions): Promise<void> {
  const deadline = performance.now() + (options.portWaitMs ?? PORT_WAIT_MS_MAX);
  for (let tries = 0; ; tries += 1) {
    const error = await listenOnce(server, options);
    if (error === undefined) return;
    if (error.code !== 'EADDRINUSE' || performance.now() + PORT_RETRY_MS > deadline) {
      throw new ProxyError('LISTEN_FAILED', listenMessage(options, error), { cause: error });
    }
    if (tries === 0) options.onWaiting?.(`${options.host}:${options.port} is in use, waiting for it`);
    await new Promise((resolve) => setTimeout(resolve, PORT_RETRY_MS));
  }
}

function listenOnce(server: Server, options: ListenerOptions): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => {
    const settle = (error?: NodeJS.ErrnoException): void => {
      server.off('error', settle).off('listening', settle);
      resolve(error);
    };
    server.once('error', settle).once('listening', settle);
    const { host, port, descriptor } = options;
    server.listen(descriptor === undefined ? { host, port } : { fd: descriptor });
  });
}

function listenMessage(options: ListenerOptions, error: NodeJS.ErrnoException): string {
  const address = `${options.host}:${options.port}`;
  if (options.descriptor !== undefined)
    return `cannot listen on the socket that was passed (${error.code ?? error.message})`;
  if (error.code === 'EADDRINUSE') return `${address} is in use by another process; stop it or set another \`listen\``;
  if (error.code === 'EACCES')
    return `no permission to listen on ${address}; ports below 1024 need CAP_NET_BIND_SERVICE`;
  if (error.code === 'EADDRNOTAVAIL') return `${address} is no address of this machine; correct \`listen\``;
  return `cannot listen on ${address} (${error.code ?? error.message})`;
}
