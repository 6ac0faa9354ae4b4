/**
 * A conversation with a child: one JSON-RPC message per line, on its stdin and stdout (MCP 2026-07-28
 * basic/transports/stdio). Batches of 2025-03-26 are taken apart; they are never sent.
 *
 * What is no message (a banner, a log line, half of one) is counted and dropped, never passed on: the newline still
 * separates it from the next. A line over `STDIO_LINE_BYTES_MAX` ends the conversation. So does everything that
 * makes it one-sided: exit, a closed stdout, a closed stdin. The end is told once, with the first cause, after all
 * that the child had written. Ids, timeouts, the handshake and restarting belong to whoever opened the channel.
 */
import { ProxyError } from '../errors.ts';
import { CHILD_DRAIN_MS_MAX, CHILD_TEXT_BYTES_MAX, RPC_BATCH_COUNT_MAX } from '../limits.ts';
import type { ChannelEvents, JsonObject, MessageChannel } from '../mcp/waist.ts';
import { createLineFramer } from '../text/lines.ts';
import { settlesWithin, type Child, type ChildExit } from './child.ts';
import { createStdinQueue } from './stdin-queue.ts';

export interface StdioChannel extends MessageChannel {
  /** Lines of stdout that were no message. */
  readonly droppedCount: number;
}

export interface StdioChannelOptions {
  readonly serverName: string;
  /** For the diagnostic log. Texts are constants; what varies is in the data, not redacted. */
  readonly onDiag: (level: 'warn' | 'info', message: string, data: Readonly<Record<string, unknown>>) => void;
}

/** Begins to read at once. The channel owns the child from now on: its end stops the child. */
export function openStdioChannel(child: Child, options: StdioChannelOptions, events: ChannelEvents): StdioChannel {
  const { serverName, onDiag } = options;
  const { stdin, stdout } = child;
  let droppedCount = 0;
  let over = false;

  const queue = createStdinQueue(stdin, serverName, () => void onInputBroken());
  const framer = createLineFramer({ onLine: readLine });
  const read = (chunk: Buffer): void => guard(() => framer.feed(chunk));
  stdout.on('data', read);
  stdout.once('close', () => {
    guard(() => framer.end());
    void onOutputClosed();
  });
  // Senders need not wait for what is left in stdout.
  void child.exited.then((exit) => queue.close(describeExit(exit)));

  function guard(step: () => void): void {
    if (over) return;
    try {
      step();
    } catch (error) {
      end(readFailure(serverName, error));
    }
  }

  function readLine(line: string): void {
    const messages = decodeLine(line);
    if (messages === undefined) return drop(line);
    for (const message of messages) {
      if (!over) events.onMessage(message, undefined);
    }
  }

  function drop(line: string): void {
    if (over) return;
    droppedCount += 1;
    if (droppedCount > 1) return;
    const text = 'a server writes to stdout what is no MCP message; it is dropped. Its logs belong on stderr';
    onDiag('warn', text, { server: serverName, line: line.slice(0, CHILD_TEXT_BYTES_MAX) });
  }

  /** A pipe often breaks a moment before the exit is known, and the exit is the better explanation. */
  async function onOutputClosed(): Promise<void> {
    const exit = (await settlesWithin(child.exited, CHILD_DRAIN_MS_MAX)) ? await child.exited : undefined;
    end(closedError(serverName, exit === undefined ? 'closed its output' : describeExit(exit)));
  }

  async function onInputBroken(): Promise<void> {
    // After an exit the end of stdout follows, behind what it still holds.
    if (await settlesWithin(child.exited, CHILD_DRAIN_MS_MAX)) return;
    end(closedError(serverName, 'closed its input'));
  }

  function end(error: ProxyError): void {
    if (over) return;
    over = true;
    queue.close('was stopped');
    // Still read, unheard: a child that cannot write cannot leave.
    stdout.off('data', read);
    stdout.resume();
    void child.stop();
    if (droppedCount > 1) {
      onDiag('info', 'lines of a server that were no MCP message', { server: serverName, count: droppedCount });
    }
    events.onClose(error);
  }

  return {
    get droppedCount() {
      return droppedCount;
    },
    send: (message) => queue.send(`${JSON.stringify(message)}\n`),
    close() {
      end(closedError(serverName, 'was stopped'));
      return child.stop();
    },
  };
}

/** The messages of one line; undefined when it holds anything else. */
function decodeLine(line: string): readonly JsonObject[] | undefined {
  let value: unknown;
  try {
    // Programs on Windows begin with a byte order mark, which a reader may ignore (RFC 8259 §8.1).
    value = JSON.parse(line.startsWith('\ufeff') ? line.slice(1) : line);
  } catch {
    return undefined;
  }
  const messages: unknown[] = Array.isArray(value) ? value : [value];
  const plausible = messages.length > 0 && messages.length <= RPC_BATCH_COUNT_MAX;
  return plausible && messages.every(isMessage) ? messages : undefined;
}

/** JSON-RPC 2.0 §4: the member tells a message from a log line that happens to be JSON. */
function isMessage(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && (value as JsonObject)['jsonrpc'] === '2.0';
}

function describeExit({ code, signal, cause }: ChildExit): string {
  if (cause !== 'crashed') return 'was stopped';
  return signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`;
}

function closedError(serverName: string, reason: string): ProxyError {
  return new ProxyError(
    'UPSTREAM_CLOSED',
    `server ${serverName} ${reason}; whether it acted on what it was asked is unknown`,
  );
}

function readFailure(serverName: string, error: unknown): ProxyError {
  if (error instanceof ProxyError && error.code === 'UPSTREAM_PROTOCOL') {
    return new ProxyError('UPSTREAM_PROTOCOL', `server ${serverName} was stopped. ${error.message}`, { cause: error });
  }
  return new ProxyError('INTERNAL', `a message of server ${serverName} could not be processed`, { cause: error });
}
