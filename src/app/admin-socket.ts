/**
 * The admin socket: a small HTTP server on a Unix socket, for the command line on the same machine.
 *
 * Who may connect is decided by the permissions of the socket (0660) and its directory, so that no token is needed.
 * Promises: a socket left behind by a dead process is replaced, one that somebody answers never is, anything that
 * is not a socket is left alone; without a socket the service runs all the same and a diag line says why. What
 * the requests do is passed in. The asking end: `admin-client.ts`.
 */
import { constants } from 'node:fs';
import { access, chmod, lstat, mkdir, unlink } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { dirname } from 'node:path';

import {
  ADMIN_BODY_BYTES_MAX,
  ADMIN_CONNECTION_COUNT_MAX,
  ADMIN_REPLY_MS_MAX,
  LOCAL_REQUEST_BYTES_MAX,
} from '../limits.ts';
import type { McpEvents } from '../mcp/waist.ts';
import type { LocalCall, LocalQuestion } from './local-requests.ts';
import { answerQuestion, ASK_TARGET, readQuestion } from './local-wire.ts';
import { readWhyQuery, type WhyAsked } from './why.ts';

export interface AdminActions {
  reload(options: { dryRun: boolean }): Promise<unknown>;
  status(): unknown;
  ask(question: LocalQuestion, events: McpEvents): LocalCall;
  why(asked: WhyAsked): unknown;
}

export interface AdminSocketOptions {
  readonly path: string;
  readonly actions: AdminActions;
  /** Why there is no socket, or what failed on it. */
  readonly onProblem: (text: string) => void;
}

/** The longest path that fits `sun_path` with its terminator on every system that Node runs on (macOS: 104). */
const SOCKET_PATH_BYTES_MAX = 103;

/** Opens the socket; undefined when it cannot be had. */
export async function openAdminSocket(options: AdminSocketOptions): Promise<AdminSocket | undefined> {
  const { path, onProblem } = options;
  const reason = await prepare(path);
  if (reason !== undefined) {
    onProblem(`there is no admin socket: ${reason}`);
    return undefined;
  }
  const server = createServer({ requestTimeout: ADMIN_REPLY_MS_MAX, headersTimeout: 5_000 });
  server.maxConnections = ADMIN_CONNECTION_COUNT_MAX;
  server.on('request', (request, response) => {
    void answer(options, request, response);
  });
  try {
    await listen(server, path);
    await chmod(path, 0o660);
  } catch (error) {
    server.close();
    onProblem(`there is no admin socket: ${path}: ${(error as Error).message}`);
    return undefined;
  }
  server.on('error', (error) => onProblem(`admin socket ${path}: ${error.message}`));
  return new AdminSocket(path, server);
}

export class AdminSocket {
  readonly path: string;
  readonly #server: Server;

  constructor(path: string, server: Server) {
    this.path = path;
    this.#server = server;
  }

  /** Stops listening and removes the socket; resolves when the last connection is gone. */
  async close(): Promise<void> {
    const closed = new Promise<void>((done) => {
      this.#server.close(() => done());
    });
    this.#server.closeIdleConnections();
    await closed;
  }

  /** Cuts every connection that is left. */
  abort(): void {
    this.#server.closeAllConnections();
  }
}

/** The first of `paths` whose directory exists and may be written, or can be made inside one that may. */
export async function firstUsable(paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) {
    const directory = dirname(path);
    if (await isWritable(directory)) return path;
    // Only a private runtime directory is filled without being asked; /run/mcproxy belongs to the package.
    const parent = dirname(directory);
    if (parent !== '/run' && !(await exists(directory)) && (await isWritable(parent))) return path;
  }
  return undefined;
}

async function isWritable(directory: string): Promise<boolean> {
  return access(directory, constants.W_OK | constants.X_OK).then(
    () => true,
    () => false,
  );
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

/** Makes room at `path`; says why there is none. */
async function prepare(path: string): Promise<string | undefined> {
  if (Buffer.byteLength(path) > SOCKET_PATH_BYTES_MAX) {
    return `${path} is longer than the ${SOCKET_PATH_BYTES_MAX} bytes that a socket path may have; set a shorter one`;
  }
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o750 });
    const entry = await lstat(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (entry === undefined) return undefined;
    if (!entry.isSocket()) return `${path} exists and is not a socket`;
    if (await someoneAnswers(path)) return `another mcproxy answers at ${path}`;
    await unlink(path);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

function someoneAnswers(path: string): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(path);
    const finish = (answers: boolean): void => {
      socket.destroy();
      done(answers);
    };
    socket.on('connect', () => finish(true));
    // Only a refusal proves that nobody is there: EAGAIN, for one, is a full queue of a live process.
    socket.on('error', (error: NodeJS.ErrnoException) =>
      finish(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'),
    );
  });
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((done, failed) => {
    server.once('error', failed);
    // The socket is made inside this call: it must not be open to others even for a moment.
    const previous = process.umask(0o117);
    try {
      server.listen(path, () => {
        server.off('error', failed);
        done();
      });
    } finally {
      process.umask(previous);
    }
  });
}

async function answer(options: AdminSocketOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    const target = new URL(request.url ?? '/', 'http://localhost');
    const asked = `${request.method ?? ''} ${target.pathname}`;
    const isQuestion = asked === `POST ${ASK_TARGET}`;
    const body = await readBody(request, isQuestion ? LOCAL_REQUEST_BYTES_MAX : ADMIN_BODY_BYTES_MAX);
    if (body === undefined) return send(response, 413, { error: 'the request is too long' });
    if (isQuestion) {
      const question = readQuestion(body);
      if (question === undefined) return send(response, 400, { error: 'the request cannot be read' });
      return answerQuestion(question, response, (...of) => options.actions.ask(...of));
    }
    switch (asked) {
      case 'POST /reload':
        return send(
          response,
          200,
          await options.actions.reload({ dryRun: target.searchParams.get('dry_run') === '1' }),
        );
      case 'GET /status':
        return send(response, 200, options.actions.status());
      case 'GET /why': {
        const { searchParams: query } = target;
        return send(response, 200, options.actions.why(readWhyQuery(query)));
      }
      default:
        return send(response, 404, {
          error: `POST /reload[?dry_run=1], GET /status, GET /why and POST ${ASK_TARGET} are served here`,
        });
    }
  } catch (error) {
    options.onProblem(`admin socket: ${(error as Error).stack ?? String(error)}`);
    send(response, 500, { error: 'the request failed; the diagnostic log says why' });
  }
}

/** The body as text, undefined when it is longer than allowed. */
async function readBody(request: IncomingMessage, bytesMax: number): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > bytesMax) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function send(response: ServerResponse, status: number, body: unknown): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, { 'content-type': 'application/json', connection: 'close' });
  response.end(`${JSON.stringify(body)}\n`);
}
