/**
 * What a server says while a call runs, filtered for the client that made the call: progress, log messages, and the
 * states of a task, which has no progress of its own.
 *
 * Progress has to increase with each notification (MCP 2026-07-28 basic/patterns/progress); what does not is dropped,
 * over all rounds of a call. Log messages below the level that the request asks for are dropped, and all of them when
 * it asks for none. Pure.
 */
import { LOG_LEVELS, isLogLevel } from '../mcp/protocol.ts';
import type { JsonObject, LogLevel } from '../mcp/waist.ts';

/** Gives the params without the token when they are fit to be passed on; undefined when not. */
export function createProgressFilter(): (params: JsonObject) => JsonObject | undefined {
  let last = -Infinity;
  return ({ progressToken: _token, _meta, ...rest }) => {
    const { progress } = rest;
    if (typeof progress !== 'number' || !(progress > last)) return undefined;
    last = progress;
    return rest;
  };
}

/** Makes progress of the texts that a task says about its state, until the server reports progress by itself. */
export function createStatusProgress(): { of(task: JsonObject): JsonObject | undefined; stop(): void } {
  let last: unknown;
  let count = 0;
  let isStopped = false;
  return {
    of({ statusMessage }) {
      if (isStopped || typeof statusMessage !== 'string' || statusMessage === last) return undefined;
      last = statusMessage;
      count += 1;
      return { progress: count, message: statusMessage };
    },
    stop() {
      isStopped = true;
    },
  };
}

/** Whether a message of this level is wanted. An unknown level counts as the most severe, so that it is not lost. */
export function isLogWanted(level: unknown, wanted: LogLevel | undefined): boolean {
  if (wanted === undefined) return false;
  return !isLogLevel(level) || LOG_LEVELS.indexOf(level) >= LOG_LEVELS.indexOf(wanted);
}

/** The level that satisfies all of them; undefined when none wants any. */
export function mostVerbose(levels: Iterable<LogLevel | undefined>): LogLevel | undefined {
  const ranks = [...levels].filter((level) => level !== undefined).map((level) => LOG_LEVELS.indexOf(level));
  return ranks.length === 0 ? undefined : LOG_LEVELS[Math.min(...ranks)];
}
