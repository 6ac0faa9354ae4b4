/**
 * Lines on their way into the stdin of a child, in order, one write at a time of all that wait at that moment.
 *
 * A lone line leaves at once; more that come in the same turn of the event loop leave together after it. Each write
 * wakes the child, and one for each line was a quarter of the time of a call under load.
 *
 * A pipe that the child does not read fills up; what waits behind it is bounded by `CHILD_INPUT_BYTES_MAX`, and every
 * wait ends when the child does, because the owner then calls `close`. One write at a time also tells the two
 * failures apart: a line that still waited has provably not left (it may be sent again), those that were being written
 * may have been read.
 */
import type { Writable } from 'node:stream';

import { ProxyError } from '../errors.ts';
import { CHILD_INPUT_BYTES_MAX, CHILD_WRITE_BYTES_MAX, STDIO_LINE_BYTES_MAX } from '../limits.ts';

export interface StdinQueue {
  /**
   * Resolves when the system has taken the line (newline included).
   *
   * @throws {ProxyError} UPSTREAM_UNREACHABLE not sent, the child is gone; UPSTREAM_NOT_READY not sent, the child
   * does not read; BODY_TOO_LARGE not sent; UPSTREAM_CLOSED the child ended meanwhile
   */
  send(line: string): Promise<void>;
  /** Refuses what waits and what comes. `reason` continues "server NAME …". */
  close(reason: string): void;
}

interface Waiting {
  readonly line: Buffer;
  resolve(): void;
  reject(error: ProxyError): void;
}

/** An empty queue before `stdin`; `onBroken` tells that the child takes no more: the owner must `close`. */
export function createStdinQueue(stdin: Writable, serverName: string, onBroken: () => void): StdinQueue {
  const waiting: Waiting[] = []; // bounded by CHILD_INPUT_BYTES_MAX
  let waitingBytes = 0;
  let writing: readonly Waiting[] = []; // bounded by CHILD_INPUT_BYTES_MAX
  /** From a write until the turn of the event loop after its end. */
  let isBusy = false;
  let closedReason: string | undefined;

  function refusal(line: Buffer): ProxyError | undefined {
    if (closedReason !== undefined) return notSent(serverName, closedReason);
    if (line.length > STDIO_LINE_BYTES_MAX) {
      const text = `a message for server ${serverName} is longer than ${STDIO_LINE_BYTES_MAX} bytes; send less at once`;
      return new ProxyError('BODY_TOO_LARGE', text);
    }
    if (waitingBytes + line.length <= CHILD_INPUT_BYTES_MAX) return undefined;
    return new ProxyError('UPSTREAM_NOT_READY', `server ${serverName} does not read its input; nothing was sent`);
  }

  function pump(): void {
    if (isBusy || waiting.length === 0 || closedReason !== undefined) return;
    isBusy = true;
    const group = takeGroup(waiting);
    writing = group;
    const bytes = group.length === 1 ? group[0]?.line : Buffer.concat(group.map(({ line }) => line));
    stdin.write(bytes, (error) => {
      // The owner finds out why, usually an exit that is about to be known, and closes with that reason.
      if (error instanceof Error) return onBroken();
      writing = [];
      for (const each of group) {
        waitingBytes -= each.line.length;
        each.resolve();
      }
      return setImmediate(onTurn);
    });
  }

  function onTurn(): void {
    isBusy = false;
    pump();
  }

  return {
    send(text) {
      const line = Buffer.from(text);
      const refused = refusal(line);
      if (refused !== undefined) return Promise.reject(refused);
      waitingBytes += line.length;
      return new Promise((resolve, reject) => {
        waiting.push({ line, resolve, reject });
        pump();
      });
    },
    close(reason) {
      if (closedReason !== undefined) return;
      closedReason = reason;
      for (const each of writing) each.reject(unknown(serverName, reason));
      for (const each of waiting.splice(0)) each.reject(notSent(serverName, reason));
    },
  };
}

/** From the front of what waits: at least one line, and no more than goes into one write. */
function takeGroup(waiting: Waiting[]): readonly Waiting[] {
  let count = 0;
  let bytes = 0;
  for (const { line } of waiting) {
    bytes += line.length;
    if (count > 0 && bytes > CHILD_WRITE_BYTES_MAX) break;
    count += 1;
  }
  return waiting.splice(0, count);
}

function notSent(serverName: string, reason: string): ProxyError {
  return new ProxyError('UPSTREAM_UNREACHABLE', `server ${serverName} ${reason}; nothing was sent`);
}

function unknown(serverName: string, reason: string): ProxyError {
  const text = `server ${serverName} ${reason} while a message was sent to it; whether it acted is unknown`;
  return new ProxyError('UPSTREAM_CLOSED', text);
}
