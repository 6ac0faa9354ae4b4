/**
 * Rewrites the `endpoint` event of the HTTP+SSE transport in a byte stream, and delays nothing else.
 *
 * Every byte is passed on as it comes, except the beginning of a line while it may still become `event: endpoint`,
 * and an event so named, which is held until its blank line (MCP 2024-11-05 transports, HTTP with SSE). It leaves
 * as `event: endpoint`, its other lines, and `data: <rewritten URI>`. An endpoint event that the stream's end cuts
 * off is dropped: no reader would act on it, and its URI must not get through unchanged. What the URI may be is
 * decided by the function given. Source of the format: WHATWG HTML §9.2.6.
 */
import { ProxyError } from '../errors.ts';
import { SSE_ENDPOINT_BYTES_MAX } from '../limits.ts';
import { createLineScanner } from './lines.ts';

/** A byte order mark as latin1 text; lines are compared so, byte by byte. */
const BOM = '\xef\xbb\xbf';
const ENDPOINT_LINES = ['event: endpoint', 'event:endpoint'];
const LINE_START_BYTES = BOM.length + 'event: endpoint'.length + 1;

export interface EndpointRewriter {
  /**
   * Returns the bytes to send on now.
   *
   * @throws {ProxyError} UPSTREAM_PROTOCOL when the event is too long or names itself after its data; and whatever
   *   the rewriting function throws. The stream cannot be continued then.
   */
  feed(chunk: Buffer): Buffer[];
  end(): Buffer[];
  /** True when no bytes of an unfinished event have been seen: a comment may be inserted here. */
  readonly atBoundary: boolean;
}

interface State {
  /** `start`: not passed on yet, may become an endpoint line. `rest`: passed on. */
  part: 'start' | 'rest';
  /** Beginning of the current line as latin1, at most `LINE_START_BYTES`; empty while an event is held. */
  lineStart: string;
  firstLine: boolean;
  /** A field line of the current event has been passed on, and whether a data line has. */
  begun: boolean;
  dataPassed: boolean;
  /** The bytes of an event named `endpoint`. */
  held: Buffer[] | undefined;
  heldBytes: number;
  /** Text bytes of the current line of the held event. */
  heldLineBytes: number;
  /** The last line was replaced with its terminator, so a LF that completes it is not passed on. */
  dropTail: boolean;
}

export function createEndpointRewriter(rewrite: (uri: string) => string): EndpointRewriter {
  const scanner = createLineScanner();
  const s: State = {
    part: 'start',
    lineStart: '',
    firstLine: true,
    begun: false,
    dataPassed: false,
    held: undefined,
    heldBytes: 0,
    heldLineBytes: 0,
    dropTail: false,
  };
  return {
    feed(chunk) {
      const out = createOutput(chunk);
      scanner.feed(chunk, {
        piece(start, end, next) {
          s.dropTail = false;
          if (s.held === undefined) passPiece(s, out, { start, end, next });
          else if (holdPiece(s, chunk.subarray(start, next), end - start) && next > end) endHeldLine(s, out, rewrite);
        },
        tail() {
          if (s.held !== undefined) holdPiece(s, chunk.subarray(0, 1), 0);
          else if (!s.dropTail) out.range(0, 1);
        },
      });
      return out.buffers;
    },
    end() {
      const rest = s.part === 'start' ? s.lineStart : '';
      s.lineStart = '';
      s.held = undefined;
      return rest === '' ? [] : [Buffer.from(rest, 'latin1')];
    },
    get atBoundary() {
      return s.lineStart === '' && !s.begun && s.held === undefined;
    },
  };
}

interface Piece {
  readonly start: number;
  readonly end: number;
  readonly next: number;
}

function passPiece(s: State, out: Output, { start, end, next }: Piece): void {
  const before = s.lineStart;
  const room = LINE_START_BYTES - before.length;
  if (room > 0) s.lineStart += out.chunk.toString('latin1', start, Math.min(end, start + room));
  const line = s.firstLine && s.lineStart.startsWith(BOM) ? s.lineStart.slice(BOM.length) : s.lineStart;
  const ended = next > end;
  if (s.part === 'start') {
    if (!ended && mayBecomeEndpoint(s, line)) return;
    if (ended && ENDPOINT_LINES.includes(line))
      return beginHeld(s, [Buffer.from(before, 'latin1'), out.chunk.subarray(start, next)]);
    if (before !== '') out.add(Buffer.from(before, 'latin1'));
    s.part = 'rest';
  }
  out.range(start, next);
  if (ended) endPassedLine(s, line);
}

/** Whether more bytes can make an endpoint line of this beginning. */
function mayBecomeEndpoint(s: State, line: string): boolean {
  return (s.firstLine && BOM.startsWith(line)) || ENDPOINT_LINES.some((whole) => whole.startsWith(line));
}

function endPassedLine(s: State, line: string): void {
  if (line === '') s.begun = s.dataPassed = false;
  else if (!line.startsWith(':')) s.begun = true;
  if (line === 'data' || line.startsWith('data:')) s.dataPassed = true;
  nextLine(s);
}

function nextLine(s: State): void {
  s.part = 'start';
  s.lineStart = '';
  s.firstLine = false;
}

function beginHeld(s: State, line: Buffer[]): void {
  if (s.dataPassed) {
    throw new ProxyError(
      'UPSTREAM_PROTOCOL',
      'The server named its `endpoint` event after its data. The `event` line has to come first.',
    );
  }
  s.held = [];
  s.heldBytes = 0;
  s.heldLineBytes = 0;
  nextLine(s);
  for (const piece of line) holdPiece(s, piece, 0);
}

function holdPiece(s: State, piece: Buffer, textBytes: number): true {
  s.heldBytes += piece.length;
  s.heldLineBytes += textBytes;
  if (s.heldBytes > SSE_ENDPOINT_BYTES_MAX) {
    throw new ProxyError(
      'UPSTREAM_PROTOCOL',
      `The server's \`endpoint\` event is longer than ${SSE_ENDPOINT_BYTES_MAX} bytes.`,
    );
  }
  s.held?.push(Buffer.from(piece));
  return true;
}

function endHeldLine(s: State, out: Output, rewrite: (uri: string) => string): void {
  const blank = s.heldLineBytes === 0;
  s.heldLineBytes = 0;
  if (!blank) return;
  const raw = Buffer.concat(s.held ?? []);
  s.held = undefined;
  s.begun = s.dataPassed = false;
  const rewritten = rewriteEvent(raw.toString('utf8'), rewrite);
  s.dropTail = rewritten !== undefined;
  out.add(rewritten === undefined ? raw : Buffer.from(rewritten));
}

/** The event with its URI replaced; undefined when it is none after all: renamed by a later line, or without data. */
function rewriteEvent(text: string, rewrite: (uri: string) => string): string | undefined {
  let name = '';
  const data: string[] = [];
  const others: string[] = [];
  for (const line of text.replace(/^\ufeff/, '').split(/\r\n|\r|\n/)) {
    const [, field, value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
    if (field === 'event') name = value;
    else if (field === 'data') data.push(value);
    else if (line !== '') others.push(`${line}\n`);
  }
  if (name !== 'endpoint' || data.length === 0) return undefined;
  const uri = rewrite(data.join('\n'));
  if (/[\r\n]/.test(uri))
    throw new ProxyError('UPSTREAM_PROTOCOL', 'The URI of an `endpoint` event contains a line break.');
  return `event: endpoint\n${others.join('')}data: ${uri}\n\n`;
}

interface Output {
  readonly chunk: Buffer;
  readonly buffers: Buffer[];
  add(bytes: Buffer): void;
  /** Adds bytes of the chunk; ranges that touch become one buffer. */
  range(start: number, end: number): void;
}

function createOutput(chunk: Buffer): Output {
  const buffers: Buffer[] = [];
  let lastStart = 0;
  let lastEnd = -1;
  return {
    chunk,
    buffers,
    add(bytes) {
      buffers.push(bytes);
      lastEnd = -1;
    },
    range(start, end) {
      if (start === lastEnd) buffers.pop();
      else lastStart = start;
      lastEnd = end;
      buffers.push(chunk.subarray(lastStart, end));
    },
  };
}
