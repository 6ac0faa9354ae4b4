/**
 * A conversation with a child: one JSON-RPC message per line, on its stdin and stdout (MCP 2026-07-28
 * basic/transports/stdio). Batches are understood and never sent.
 *
 * Whatever makes it one-sided ends it: the exit, a closed stdout, a closed stdin, a line that is too long. The end
 * stops the child and is told once, with the first cause, after everything that the child had still written. Ids,
 * timeouts, the handshake and restarting belong to whoever opened the channel.
 */
import { ProxyError } from '../errors.ts';
import { CHILD_DRAIN_MS_MAX } from '../limits.ts';
import type { ChannelEvents, MessageChannel } from '../mcp/waist.ts';
import type { Child, ChildExit } from './child.ts';
import { settlesWithin } from './settles-within.ts';
import { createStdinQueue } from './stdin-queue.ts';
import { createStdioReader, type StdioReaderOptions } from './stdio-reader.ts';

export interface StdioChannel extends MessageChannel {
  /** Lines of stdout that were no message. */
  readonly droppedCount: number;
}

/** Begins to read at once. The channel owns the child from now on. `send` rejects as `StdinQueue.send` does. */
export function openStdioChannel(child: Child, options: StdioReaderOptions, events: ChannelEvents): StdioChannel {
  const { serverName, onDiag } = options;
  const { stdin, stdout } = child;
  let over = false;

  const queue = createStdinQueue(stdin, serverName, () => void onInputBroken());
  const reader = createStdioReader(options, (message) => {
    if (!over) events.onMessage(message, undefined);
  });
  const feed = (chunk: Buffer): void => read(() => reader.feed(chunk));
  stdout.on('data', feed);
  stdout.once('close', () => {
    read(() => reader.end());
    void onOutputClosed();
  });
  // Senders need not wait for what is left in stdout.
  void child.exited.then((exit) => queue.close(describeExit(exit)));

  function read(step: () => void): void {
    if (over) return;
    try {
      step();
    } catch (error) {
      end(readFailure(serverName, error));
    }
  }

  /** A pipe often breaks a moment before the exit is known, and the exit is the better explanation. */
  async function onOutputClosed(): Promise<void> {
    const exit = (await settlesWithin(child.exited, CHILD_DRAIN_MS_MAX)) ? await child.exited : undefined;
    end(closedError(serverName, exit === undefined ? 'closed its output' : describeExit(exit)));
  }

  async function onInputBroken(): Promise<void> {
    // After an exit the end of stdout follows, behind what it still holds.
    if (await settlesWithin(child.exited, CHILD_DRAIN_MS_MAX)) return;
    queue.close('closed its input');
    end(closedError(serverName, 'closed its input'));
  }

  function end(error: ProxyError): void {
    if (over) return;
    over = true;
    queue.close('was stopped');
    // Still read, unheard: a child that cannot write cannot leave.
    stdout.off('data', feed);
    stdout.resume();
    void child.stop();
    const count = reader.droppedCount;
    if (count > 1) onDiag('info', 'lines of a server that were no MCP message', { server: serverName, count });
    events.onClose(error);
  }

  return {
    get droppedCount() {
      return reader.droppedCount;
    },
    send: (message) => queue.send(`${JSON.stringify(message)}\n`),
    close() {
      end(closedError(serverName, 'was stopped'));
      return child.stop();
    },
  };
}

function describeExit({ code, signal, cause }: ChildExit): string {
  if (cause !== 'crashed') return 'was stopped';
  return signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`;
}

function closedError(serverName: string, reason: string): ProxyError {
  const text = `server ${serverName} ${reason}; whether it acted on what it was asked is unknown`;
  return new ProxyError('UPSTREAM_CLOSED', text);
}

function readFailure(serverName: string, error: unknown): ProxyError {
  if (error instanceof ProxyError && error.code === 'UPSTREAM_PROTOCOL') {
    return new ProxyError('UPSTREAM_PROTOCOL', `server ${serverName} was stopped. ${error.message}`, { cause: error });
  }
  return new ProxyError('INTERNAL', `a message of server ${serverName} could not be processed`, { cause: error });
}
