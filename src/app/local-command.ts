/**
 * What `tools` and `call` have in common: their options, Ctrl-C and the time limit, and how a refusal ends them.
 *
 * Exit codes follow sysexits(3): 64 a wrong name or use, 65 arguments that the server refuses, 69 a server that
 * cannot be reached, 75 no answer in time, 76 an answer that is no MCP, 77 a credential that the server refuses,
 * 130 Ctrl-C. Whoever asks is `local-asker`.
 */
import { constants } from 'node:os';

import type { ErrorCode } from '../errors.ts';
import { ownFailure } from '../gateway/downstream-result.ts';
import { LOCAL_ANSWER_MS_DEFAULT } from '../limits.ts';
import type { JsonRpcResponse } from '../mcp/jsonrpc.ts';
import { RPC_ERROR } from '../mcp/protocol.ts';
import type { JsonObject, McpEvents } from '../mcp/waist.ts';
import { formatDuration, parseDuration } from '../text/duration.ts';
import { EXIT, FILE_OPTIONS, SOCKET_OPTION, flagOption, textOption, usageError, type Invocation } from './command.ts';
import { openAsker, type Asker } from './local-asker.ts';
import type { LocalAnswer } from './local-requests.ts';

export const LOCAL_OPTIONS = {
  user: { type: 'string', value: 'NAME', help: "this user's servers and credentials; else all of mcproxy.yml, shared" },
  timeout: {
    type: 'string',
    value: 'TIME',
    help: `how long to wait, as 30s or 5m (default ${formatDuration(LOCAL_ANSWER_MS_DEFAULT)})`,
  },
  'no-service': { type: 'boolean', help: 'start the servers for this command even if the service is running' },
  verbose: { type: 'boolean', help: 'without the service: show what the servers write to stderr' },
  socket: SOCKET_OPTION,
  ...FILE_OPTIONS,
} as const;

export const LOCAL_NOTES = [
  'The running service is asked over its admin socket. When none is running, the servers are started from the same\nfiles and stopped again.',
  'Exit codes: 64 wrong name or use, 65 arguments refused, 69 server not reachable, 75 no answer in time, 76 no MCP,\n77 credential refused, 78 the files have problems, 130 Ctrl-C.',
] as const;

export interface Question {
  readonly method: string;
  readonly params: JsonObject;
  readonly server?: string | undefined;
  readonly clientCapabilities?: JsonObject;
}

export interface Session {
  /** @throws {Ended} when the time is up or the user gave up */
  ask(question: Question, events?: Partial<McpEvents>): Promise<LocalAnswer>;
  /** The time does not run while somebody types. */
  pause<T>(work: () => Promise<T>): Promise<T>;
}

class Ended extends Error {
  readonly exitCode: number;

  constructor(exitCode: number, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** Opens whoever answers, does the work, and lets go of everything, also after Ctrl-C. Returns the exit code. */
export async function withServers(
  invocation: Invocation,
  work: (session: Session) => Promise<number>,
): Promise<number> {
  const timeout = textOption(invocation, 'timeout');
  const timeoutMs = timeout === undefined ? LOCAL_ANSWER_MS_DEFAULT : parseDuration(timeout);
  if (timeoutMs === undefined || timeoutMs === 0) {
    return usageError(invocation.stderr, '--timeout is a span of time such as 30s or 5m');
  }
  const asker = await openAsker(invocation);
  if (typeof asker === 'number') return asker;
  const watch = watchEnd(timeoutMs);
  try {
    return await work(sessionOf(invocation, { asker, watch, timeoutMs }));
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    invocation.stderr.write(`mcproxy: ${error.message}\n`);
    return error instanceof Ended ? error.exitCode : EXIT.unavailable;
  } finally {
    watch.close();
    await asker.close();
  }
}

function sessionOf(
  invocation: Invocation,
  { asker, watch, timeoutMs }: { asker: Asker; watch: EndWatch; timeoutMs: number },
): Session {
  return {
    async ask({ method, params, server, clientCapabilities = {} }, events = {}) {
      const user = textOption(invocation, 'user');
      const question = { user, server, method, params, clientCapabilities, waitMs: timeoutMs };
      const call = asker.ask(question, { onProgress: () => undefined, onLog: () => undefined, ...events });
      const answer = Promise.race([call.answer, watch.ended]);
      // Also for an answer that nobody waits for any more.
      call.answer.catch(() => undefined);
      try {
        return await answer;
      } catch (error) {
        if (error instanceof Ended) call.cancel(error.message);
        throw error;
      }
    },
    pause: (typing) => watch.pause(typing),
  };
}

interface EndWatch {
  /** Rejects with `Ended` at Ctrl-C or when the time is up. */
  readonly ended: Promise<never>;
  pause<T>(work: () => Promise<T>): Promise<T>;
  close(): void;
}

function watchEnd(timeoutMs: number): EndWatch {
  let end!: (error: Ended) => void;
  const ended = new Promise<never>((_, reject) => {
    end = reject;
  });
  ended.catch(() => undefined);
  const onLate = (): void =>
    end(new Ended(EXIT.temporary, `no answer within ${formatDuration(timeoutMs)}; --timeout TIME waits longer`));
  const onSignal = (signal: NodeJS.Signals): void => end(new Ended(128 + constants.signals[signal], 'cancelled'));
  let timer = setTimeout(onLate, timeoutMs);
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  return {
    ended,
    async pause(work) {
      clearTimeout(timer);
      try {
        return await Promise.race([work(), ended]);
      } finally {
        timer = setTimeout(onLate, timeoutMs);
      }
    },
    close() {
      clearTimeout(timer);
      process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
    },
  };
}

const EXIT_OF: Partial<Record<ErrorCode, number>> = {
  ROUTE_UNKNOWN: EXIT.usage,
  RPC_METHOD: EXIT.usage,
  RPC_PARAMS: EXIT.usage,
  UPSTREAM_CREDENTIAL: EXIT.permission,
  UPSTREAM_PROTOCOL: EXIT.protocol,
  UPSTREAM_TIMEOUT: EXIT.temporary,
  CONFIG_INVALID: EXIT.config,
  INTERNAL: EXIT.internal,
};

/** Prints why there is no result and returns the exit code for it. */
export function reportRefusal(invocation: Invocation, { error }: Extract<JsonRpcResponse, { error: unknown }>): number {
  const own = ownFailure(error.data);
  const code = own === undefined ? ` (error ${error.code})` : ` (${own})`;
  invocation.stderr.write(`mcproxy: ${printable(error.message)}${code}\n`);
  if (own !== undefined) return EXIT_OF[own] ?? EXIT.unavailable;
  return error.code === RPC_ERROR.invalidParams ? EXIT.data : EXIT.unavailable;
}

/** Events of a list: whom it waits for, on stderr; not beside JSON, which programs read and mail what is on stderr. */
export function tellingWaits(invocation: Invocation): Partial<McpEvents> {
  if (flagOption(invocation, 'json')) return {};
  return {
    onProgress({ message }) {
      if (typeof message === 'string') invocation.stderr.write(`mcproxy: ${printable(message)}\n`);
    },
  };
}

/** Text from outside that must not move the cursor. */
export function printable(text: string): string {
  return text.replaceAll(/[^\P{Cc}\n\t]/gu, '·');
}
