/**
 * Asking the running service over its admin socket: where the socket is, one question, one JSON answer.
 *
 * Promises: bounded in time (`ADMIN_REPLY_MS_MAX`) and size (`ADMIN_REPLY_BYTES_MAX`); a service that is not there
 * or may not be asked is a value with a sentence for the user, not an exception. The other end: `admin-socket.ts`.
 */
import { request } from 'node:http';
import { isAbsolute, join } from 'node:path';

import { ADMIN_REPLY_BYTES_MAX, ADMIN_REPLY_MS_MAX } from '../limits.ts';
import { EXIT, FILE_OPTIONS, SOCKET_OPTION, textOption, type Invocation } from './command.ts';
import { loadNamed } from './named-files.ts';

export const SERVICE_OPTIONS = { ...FILE_OPTIONS, socket: SOCKET_OPTION } as const;

const SYSTEM_SOCKET = '/run/mcproxy/admin.sock';

export type AdminAnswer =
  | { readonly kind: 'answer'; readonly status: number; readonly body: unknown }
  /** Nobody answers, or we may not ask; `text` is for the user. `absent`: there is no service at all. */
  | { readonly kind: 'none'; readonly text: string; readonly absent: boolean };

export interface AdminQuestion {
  readonly method: 'GET' | 'POST';
  readonly target: string;
}

/** Where the service puts its socket when the configuration does not say, best first. */
export function defaultSocketPaths(env: NodeJS.ProcessEnv): readonly string[] {
  const runtime = env['XDG_RUNTIME_DIR'];
  // XDG Base Directory Specification: a relative path is to be ignored.
  if (runtime === undefined || !isAbsolute(runtime)) return [SYSTEM_SOCKET];
  return [SYSTEM_SOCKET, join(runtime, 'mcproxy', 'admin.sock')];
}

const NOWHERE = { kind: 'none', text: 'no admin socket is configured', absent: true } as const;

/** Asks the service that the options of the command name: `--socket`, else the configuration, else the default places. */
export async function askService(invocation: Invocation, question: AdminQuestion): Promise<AdminAnswer> {
  let answer: AdminAnswer = NOWHERE;
  const { paths, doubt } = await socketPaths(invocation);
  for (const path of paths) {
    const next = await askSocket(path, question);
    if (next.kind === 'answer') return next;
    // A service that is there and cannot be asked says more than a place where there is none.
    if (answer.absent) answer = { ...next, text: doubt + next.text };
  }
  return answer;
}

/** The first place where a service answers, as `askService` looks for it. */
export async function findService(
  invocation: Invocation,
): Promise<{ readonly kind: 'found'; readonly path: string } | Extract<AdminAnswer, { kind: 'none' }>> {
  let missing: Extract<AdminAnswer, { kind: 'none' }> = NOWHERE;
  const { paths, doubt } = await socketPaths(invocation);
  for (const path of paths) {
    const answer = await askSocket(path, { method: 'GET', target: '/status' });
    if (answer.kind === 'answer') return { kind: 'found', path };
    if (missing.absent) missing = { ...answer, text: doubt + answer.text };
  }
  return missing;
}

/** Prints why there was no answer. */
export function reportNoService(invocation: Invocation, text: string): number {
  invocation.stderr.write(`mcproxy: ${text}; --socket PATH names another admin socket\n`);
  return EXIT.unavailable;
}

interface SocketPaths {
  readonly paths: readonly string[];
  /** Stands before what is said when nobody answers there: why it may be the wrong place. */
  readonly doubt: string;
}

async function socketPaths(invocation: Invocation): Promise<SocketPaths> {
  const named = textOption(invocation, 'socket');
  if (named !== undefined) return { paths: [named], doubt: '' };
  // A broken file is just when somebody wants to know what still runs.
  const { config, adminSocket } = await loadNamed(invocation);
  if (adminSocket !== undefined) return { paths: [adminSocket], doubt: '' };
  const doubt =
    config === undefined
      ? 'the files have problems (`mcproxy check` tells them), and where they put the admin socket cannot be read; '
      : '';
  return { paths: defaultSocketPaths(invocation.env), doubt };
}

/** One question to the socket at `path`. */
export function askSocket(path: string, question: AdminQuestion): Promise<AdminAnswer> {
  return new Promise((done) => {
    const none = (text: string, absent = false): void => done({ kind: 'none', text, absent });
    const sent = request(
      {
        socketPath: path,
        method: question.method,
        path: question.target,
        agent: false,
        headers: { host: 'localhost' },
      },
      (response) => {
        const chunks: Buffer[] = [];
        let length = 0;
        response.on('data', (chunk: Buffer) => {
          length += chunk.length;
          if (length > ADMIN_REPLY_BYTES_MAX) {
            none(`the answer of the service at ${path} is longer than ${ADMIN_REPLY_BYTES_MAX} bytes`);
            response.destroy();
          } else chunks.push(chunk);
        });
        response.on('end', () => {
          const body = jsonOf(Buffer.concat(chunks).toString());
          if (body === undefined) none(`what answers at ${path} is not mcproxy`);
          else done({ kind: 'answer', status: response.statusCode ?? 0, body });
        });
        response.on('error', () => none(`the service at ${path} broke off its answer`));
      },
    );
    const deadline = setTimeout(() => {
      none(`the service at ${path} did not answer within ${ADMIN_REPLY_MS_MAX / 1000} s`);
      sent.destroy();
    }, ADMIN_REPLY_MS_MAX);
    sent.on('close', () => clearTimeout(deadline));
    sent.on('error', (error: NodeJS.ErrnoException) =>
      none(refusal(path, error), error.code === 'ENOENT' || error.code === 'ECONNREFUSED'),
    );
    sent.end();
  });
}

function refusal(path: string, error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'ENOENT':
      return `no service is running (there is no socket ${path})`;
    case 'ECONNREFUSED':
      return `no service is running (nobody answers at ${path})`;
    case 'EACCES':
      return `permission denied for ${path}: run it as root (sudo) or as a member of the group of the service`;
    default:
      return `the service at ${path} cannot be asked (${error.code ?? error.message})`;
  }
}

/** The value, undefined when the text is no JSON. */
function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
