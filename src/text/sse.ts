/**
 * The event-stream format: byte chunks in, events out, and back.
 *
 * Any cut of the same bytes into chunks gives the same events, in linear time and bounded memory. A block without a
 * `data` line is no event, but the id and the retry time it sets do count (an MCP 2025-11-25 server may prime a
 * stream that way), so it is reported as `{ event: '', data: '' }`; a reader that wants messages skips empty data.
 * An unfinished block at the end is dropped, except for its `retry`, which takes effect with its own line. Leaves
 * the meaning of events, reconnecting and the last event id to the reader. Source: WHATWG HTML §9.2.6.
 */
import { ProxyError } from '../errors.ts';
import { SSE_EVENT_BYTES_MAX, SSE_LINE_BYTES_MAX } from '../limits.ts';
import { asBuffer, createByteHold, createLineScanner } from './lines.ts';

const BOM = '\ufeff';

export interface SseEvent {
  /** Empty means `message`. */
  readonly event: string;
  readonly data: string;
  /** Undefined when this event did not set it; the last one set before it stays in force. */
  readonly id: string | undefined;
  readonly retryMs: number | undefined;
}

export interface SseDecoder {
  /** @throws {ProxyError} UPSTREAM_PROTOCOL when a line or an event is over its bound and nobody listens to `onOverflow` */
  feed(chunk: Uint8Array): void;
  /** Tells that the stream is over; the decoder then is as new. */
  end(): void;
  /** Forgets everything, as for a new stream. */
  reset(): void;
  /** True when no bytes of an unfinished event have been seen: a comment may be inserted here. */
  readonly atBoundary: boolean;
}

export interface SseDecoderOptions {
  onEvent(event: SseEvent): void;
  onComment?(text: string): void;
  readonly lineBytesMax?: number;
  /** Bound of an event's data lines together. */
  readonly eventBytesMax?: number;
  /** Called once per event that is over a bound. The event is skipped and decoding goes on behind it. */
  onOverflow?(): void;
}

/** The fields of the block that is being read. */
interface Block {
  event: string;
  data: string[];
  dataBytes: number;
  id: string | undefined;
  retryMs: number | undefined;
  /** A field line has been seen. */
  begun: boolean;
  /** Over a bound: nothing of it is kept. */
  skipped: boolean;
}

export function createSseDecoder(options: SseDecoderOptions): SseDecoder {
  const { lineBytesMax = SSE_LINE_BYTES_MAX } = options;
  const scanner = createLineScanner();
  const hold = createByteHold();
  const block = createBlock(options);
  let firstLine = true;
  let lineTooLong = false;

  /** Whether these bytes still belong to a line that is kept. */
  function fits(bytes: Buffer): boolean {
    if (lineTooLong) return false;
    if (hold.length + bytes.length <= lineBytesMax) return true;
    lineTooLong = true;
    hold.take();
    block.overflow(`A line of an event stream is longer than ${lineBytesMax} bytes.`);
    return false;
  }

  /** Takes the last piece of a line; a line that came in one piece is not copied. */
  function endLine(piece: Buffer): void {
    const whole = hold.length === 0;
    const kept = fits(piece);
    lineTooLong = false;
    if (kept && !whole) hold.append(piece);
    const bytes = whole ? piece : hold.take();
    const text = kept ? bytes.toString('utf8') : '';
    const line = firstLine && text.startsWith(BOM) ? text.slice(1) : text;
    firstLine = false;
    if (kept) block.line(line, bytes.length);
  }

  function reset(): void {
    hold.take();
    block.clear();
    firstLine = true;
    lineTooLong = false;
    scanner.reset();
  }

  return {
    feed(chunk) {
      const bytes = asBuffer(chunk);
      scanner.feed(bytes, {
        piece(start, end, next) {
          const piece = bytes.subarray(start, end);
          if (next > end) endLine(piece);
          else if (fits(piece)) hold.append(piece);
        },
        tail() {},
      });
    },
    end() {
      block.end();
      reset();
    },
    reset,
    get atBoundary() {
      return hold.length === 0 && !lineTooLong && block.empty;
    },
  };
}

interface BlockReader {
  readonly empty: boolean;
  line(line: string, lineBytes: number): void;
  overflow(text: string): void;
  end(): void;
  clear(): void;
}

function createBlock(options: SseDecoderOptions): BlockReader {
  const { eventBytesMax = SSE_EVENT_BYTES_MAX } = options;
  let block = newBlock();

  function overflow(text: string): void {
    if (block.skipped) return;
    block = { ...newBlock(), skipped: true };
    if (options.onOverflow === undefined) throw new ProxyError('UPSTREAM_PROTOCOL', text);
    options.onOverflow();
  }

  function field(name: string, value: string): void {
    block.begun = true;
    if (name === 'data') block.data.push(value);
    else if (name === 'event') block.event = value;
    else if (name === 'id' && !value.includes('\0')) block.id = value;
    else if (name === 'retry' && /^[0-9]{1,15}$/.test(value)) block.retryMs = Number(value);
  }

  function dispatch(): void {
    const { data, event, id, retryMs } = block;
    block = newBlock();
    if (data.length > 0) options.onEvent({ event, data: data.join('\n'), id, retryMs });
    else if (id !== undefined || retryMs !== undefined) options.onEvent({ event: '', data: '', id, retryMs });
  }

  return {
    get empty() {
      return !block.begun && !block.skipped;
    },
    line(line, lineBytes) {
      if (line === '') return dispatch();
      if (block.skipped) return;
      if (line.startsWith('data')) block.dataBytes += lineBytes;
      if (block.dataBytes > eventBytesMax)
        return overflow(`An event of an event stream is longer than ${eventBytesMax} bytes.`);
      const colon = line.indexOf(':');
      if (colon === -1) return field(line, '');
      const value = line.slice(line.charCodeAt(colon + 1) === 0x20 ? colon + 2 : colon + 1);
      if (colon === 0) options.onComment?.(value);
      else field(line.slice(0, colon), value);
    },
    overflow,
    end() {
      const { retryMs } = block;
      if (retryMs !== undefined) options.onEvent({ event: '', data: '', id: undefined, retryMs });
    },
    clear() {
      block = newBlock();
    },
  };
}

function newBlock(): Block {
  return { event: '', data: [], dataBytes: 0, id: undefined, retryMs: undefined, begun: false, skipped: false };
}

export interface SseEventFields {
  readonly event?: string;
  readonly data: string;
  readonly id?: string;
  readonly retryMs?: number;
}

/**
 * The text of one event. A CR or CRLF in `data` arrives as LF: the format cannot carry it.
 *
 * @throws {ProxyError} INTERNAL when `event` or `id` contains what the format cannot carry in it
 */
export function encodeSseEvent(fields: SseEventFields): string {
  let text = '';
  if (fields.event !== undefined) text += `event: ${singleLine('event', fields.event)}\n`;
  if (fields.id !== undefined) text += `id: ${singleLine('id', fields.id)}\n`;
  if (fields.retryMs !== undefined) text += `retry: ${Math.max(0, Math.trunc(fields.retryMs))}\n`;
  return `${text}${prefixLines('data: ', fields.data)}\n`;
}

/** The text of one comment, which readers ignore; it keeps a quiet connection open. */
export function encodeSseComment(text: string): string {
  return `${prefixLines(': ', text)}\n`;
}

function prefixLines(prefix: string, text: string): string {
  if (!/[\r\n]/.test(text)) return `${prefix}${text}\n`;
  return text
    .split(/\r\n|\r|\n/)
    .map((line) => `${prefix}${line}\n`)
    .join('');
}

function singleLine(field: string, value: string): string {
  if (/[\r\n\0]/.test(value))
    throw new ProxyError('INTERNAL', `An event stream's ${field} may not contain a line break or NUL.`);
  return value;
}
