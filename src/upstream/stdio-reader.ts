/**
 * The messages in what a child writes to stdout: one per line, or a batch (2025-03-26), which is taken apart.
 *
 * What is no message (a banner, a log line, half of one) is counted and dropped, never passed on: the newline still
 * separates it from the next. The first is shown in the diagnostic log, because that is how an operator learns that
 * a server logs to the wrong stream; the others are only counted. A line over `STDIO_LINE_BYTES_MAX` is an error
 * that the owner must answer by ending the conversation.
 */
import { CHILD_TEXT_BYTES_MAX, RPC_BATCH_COUNT_MAX } from '../limits.ts';
import type { JsonObject } from '../mcp/waist.ts';
import { createLineFramer } from '../text/lines.ts';

export interface StdioReader {
  /** Lines that were no message. */
  readonly droppedCount: number;
  /** @throws {ProxyError} UPSTREAM_PROTOCOL when a line is too long; the reader is of no use afterwards */
  feed(chunk: Buffer): void;
  /** Reads an unterminated last line. */
  end(): void;
}

export interface StdioReaderOptions {
  readonly serverName: string;
  /** For the diagnostic log. Texts are constants; what varies is in the data, not redacted. */
  readonly onDiag: (level: 'warn' | 'info', message: string, data: Readonly<Record<string, unknown>>) => void;
}

export function createStdioReader(
  { serverName, onDiag }: StdioReaderOptions,
  onMessage: (message: JsonObject) => void,
): StdioReader {
  let droppedCount = 0;
  const framer = createLineFramer({
    onLine(line) {
      const messages = decodeLine(line);
      if (messages === undefined) drop(line);
      else messages.forEach(onMessage);
    },
  });

  function drop(line: string): void {
    droppedCount += 1;
    if (droppedCount > 1) return;
    const text = 'a server writes to stdout what is no MCP message; it is dropped. Its logs belong on stderr';
    onDiag('warn', text, { server: serverName, line: line.slice(0, CHILD_TEXT_BYTES_MAX) });
  }

  return {
    get droppedCount() {
      return droppedCount;
    },
    feed: (chunk) => framer.feed(chunk),
    end: () => framer.end(),
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
