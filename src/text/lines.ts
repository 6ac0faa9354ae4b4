/**
 * Newline framing for the stdio transport: byte chunks in, complete lines out. Also the two parts that the
 * event-stream formats next door share with it: a hold for unfinished bytes and a scanner for their line ends.
 *
 * A line is UTF-8 and never contains a newline (MCP 2026-07-28, transports/stdio). A carriage return before the
 * newline is dropped, because programs on Windows write one; empty lines carry no message and are not reported.
 * Bytes that are not UTF-8 become U+FFFD: the newline still ends the line, so only that one message suffers. A
 * line longer than `STDIO_LINE_BYTES_MAX` cannot be resynchronised safely, so the framer throws
 * UPSTREAM_PROTOCOL and the owner stops the peer. Pure: owns no stream, sets no timer.
 */
import { ProxyError } from '../errors.ts';
import { LINE_HOLD_BYTES_MAX, STDIO_LINE_BYTES_MAX } from '../limits.ts';

const LF = 0x0a;
const CR = 0x0d;
const EMPTY = Buffer.alloc(0);

export interface LineFramer {
  /** @throws {ProxyError} UPSTREAM_PROTOCOL when a line is longer than its bound; the framer is of no use afterwards */
  feed(chunk: Uint8Array): void;
  /** Reports an unterminated last line: a peer that closes has finished writing. */
  end(): void;
}

export interface LineFramerOptions {
  readonly lineBytesMax?: number;
  onLine(line: string): void;
}

export function createLineFramer(options: LineFramerOptions): LineFramer {
  const { lineBytesMax = STDIO_LINE_BYTES_MAX } = options;
  const hold = createByteHold();

  function append(bytes: Buffer): void {
    if (hold.length + bytes.length > lineBytesMax) {
      throw new ProxyError(
        'UPSTREAM_PROTOCOL',
        `A line is longer than ${lineBytesMax} bytes. One message per line, at most this long.`,
      );
    }
    hold.append(bytes);
  }

  function report(): void {
    const bytes = hold.take();
    const length = bytes[bytes.length - 1] === CR ? bytes.length - 1 : bytes.length;
    if (length > 0) options.onLine(bytes.toString('utf8', 0, length));
  }

  return {
    feed(chunk) {
      const bytes = asBuffer(chunk);
      let start = 0;
      for (let at = bytes.indexOf(LF); at !== -1; at = bytes.indexOf(LF, start)) {
        append(bytes.subarray(start, at));
        start = at + 1;
        report();
      }
      append(bytes.subarray(start));
    },
    end: report,
  };
}

/** The bytes of an unfinished line. */
export interface ByteHold {
  readonly length: number;
  append(bytes: Uint8Array): void;
  /** Returns what is held and forgets it; the result is valid until the next `append`. */
  take(): Buffer;
}

/**
 * Makes an empty hold that grows by doubling: n bytes cost O(n) however they are cut, and a peer that sends single
 * bytes cannot make it keep one object, or one receive buffer, for each of them.
 */
export function createByteHold(): ByteHold {
  let bytes = EMPTY;
  let length = 0;
  return {
    get length() {
      return length;
    },
    append(more) {
      const needed = length + more.length;
      if (needed > bytes.length) {
        const grown = Buffer.allocUnsafe(Math.max(needed, 2 * bytes.length));
        bytes.copy(grown, 0, 0, length);
        bytes = grown;
      }
      bytes.set(more, length);
      length = needed;
    },
    take() {
      const taken = bytes.subarray(0, length);
      length = 0;
      if (bytes.length > LINE_HOLD_BYTES_MAX) bytes = EMPTY;
      return taken;
    },
  };
}

/** The same bytes as a Buffer, not copied. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export interface LineVisitor {
  /** A line, or a piece of it: `[start, end)` is its text, `[end, next)` its terminator, empty for an unfinished line. */
  piece(start: number, end: number, next: number): void;
  /** The first byte of the chunk is the LF of a CRLF whose CR ended the last line. */
  tail(): void;
}

export interface LineScanner {
  feed(bytes: Buffer, visitor: LineVisitor): void;
  reset(): void;
}

/**
 * Finds line ends as an event stream has them: LF, CR or CRLF (WHATWG HTML §9.2.5). A CR ends its line at once,
 * because nothing may follow it for a long time.
 */
export function createLineScanner(): LineScanner {
  let afterCr = false;
  return {
    feed(bytes, visitor) {
      if (bytes.length === 0) return;
      let start = 0;
      if (afterCr && bytes[0] === LF) {
        visitor.tail();
        start = 1;
      }
      afterCr = bytes[bytes.length - 1] === CR;
      let lf = bytes.indexOf(LF, start);
      let cr = bytes.indexOf(CR, start);
      while (lf !== -1 || cr !== -1) {
        const end = lf === -1 || (cr !== -1 && cr < lf) ? cr : lf;
        const next = end === cr && lf === end + 1 ? end + 2 : end + 1;
        visitor.piece(start, end, next);
        start = next;
        if (lf !== -1 && lf < start) lf = bytes.indexOf(LF, start);
        if (cr !== -1 && cr < start) cr = bytes.indexOf(CR, start);
      }
      if (start < bytes.length) visitor.piece(start, bytes.length, bytes.length);
    },
    reset() {
      afterCr = false;
    },
  };
}
