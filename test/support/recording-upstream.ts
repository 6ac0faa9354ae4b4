/**
 * An upstream that remembers everything it was asked, byte for byte, and answers as the test wants.
 *
 * The default answer is a JSON-RPC result that holds the method and params it got. Listens on a loopback port the
 * system chose; `close` cuts what is still open.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import type { Cleanup } from './temp-dir.ts';

export interface RecordedRequest {
  readonly method: string;
  readonly url: string;
  /** Names and values in turn, as they came. */
  readonly rawHeaders: readonly string[];
  /** Values of one header, whatever its case. */
  values(name: string): string[];
  /** Empty when the upstream was started with `streamed`. */
  readonly body: Buffer;
  text(): string;
  json(): unknown;
}

export interface Conversation {
  readonly request: RecordedRequest;
  readonly incoming: IncomingMessage;
  readonly response: ServerResponse;
  /** 0 for the first request this upstream got. */
  readonly index: number;
}

export type Answer = (conversation: Conversation) => void | Promise<void>;

export interface UpstreamOptions {
  readonly answer?: Answer;
  /** Calls `answer` as soon as the headers are there; it reads the body from `incoming` itself. */
  readonly streamed?: boolean;
}

export interface RecordingUpstream {
  /** `http://127.0.0.1:PORT`, without a path. */
  readonly url: string;
  readonly port: number;
  readonly requests: readonly RecordedRequest[];
  /** Errors thrown by `answer`; a test expects none. */
  readonly failures: readonly unknown[];
  /** Answers differently from now on. */
  answerWith(answer: Answer): void;
  /** Connections that are open now. */
  connectionCount(): Promise<number>;
  close(): Promise<void>;
}

/** Starts an upstream; it is closed when the test ends. */
export async function startUpstream(cleanup: Cleanup, options: UpstreamOptions = {}): Promise<RecordingUpstream> {
  const requests: RecordedRequest[] = [];
  const failures: unknown[] = [];
  let answer = options.answer ?? echo;

  const converse = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = options.streamed === true ? Buffer.alloc(0) : await buffer(incoming);
    const request = record(incoming, body);
    const index = requests.push(request) - 1;
    await answer({ request, incoming, response, index });
  };
  const server = createServer((incoming, response) => {
    converse(incoming, response).catch((error: unknown) => {
      // A peer that left in the middle of its body is part of many tests.
      if (!incoming.destroyed || incoming.complete) failures.push(error);
      response.destroy();
    });
  });
  await listen(server);
  cleanup.after(() => close(server));

  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP server has no port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    port: address.port,
    requests,
    failures,
    answerWith: (next) => {
      answer = next;
    },
    connectionCount: () => countConnections(server),
    close: () => close(server),
  };
}

/** Answers a JSON-RPC request with its own method and params, anything else with 202. */
export const echo: Answer = ({ request, response }) => {
  const message =
    request.body.length === 0 ? {} : (request.json() as { id?: unknown; method?: unknown; params?: unknown });
  if (message.id === undefined) {
    response.writeHead(202).end();
    return;
  }
  const result = { method: message.method, params: message.params ?? null };
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ jsonrpc: '2.0', id: message.id, result }));
};

function record(incoming: IncomingMessage, body: Buffer): RecordedRequest {
  const { method = '', url = '', rawHeaders } = incoming;
  return {
    method,
    url,
    rawHeaders,
    values: (name) =>
      rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === name.toLowerCase()),
    body,
    text: () => body.toString('utf8'),
    json: () => JSON.parse(body.toString('utf8')) as unknown,
  };
}

function listen(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve);
  });
}

function countConnections(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.getConnections((error, count) => {
      if (error === null) resolve(count);
      else reject(error);
    });
  });
}

async function close(server: Server): Promise<void> {
  if (!server.listening) return;
  const closed = new Promise((resolve) => {
    server.close(resolve);
  });
  server.closeAllConnections();
  await closed;
}
