/**
 * The data of an event stream's events, read along in constant memory: piece by piece, never a line or event whole.
 *
 * An observer must cope with events of any size, which the decoder in `text/sse` holds until they are complete. Only
 * `data` lines are handed on, a line feed between two of one event, and the blank line that ends an event with data;
 * any cut into chunks gives the same bytes. The other fields mean nothing to an observer. Pure: owns no stream.
 * Source: WHATWG HTML §9.2.6.
 */
import { createLineScanner } from '../text/lines.ts';

export interface StreamDataVisitor {
  /** The first data of an event follows. */
  onBegin(): void;
  onData(bytes: Buffer): void;
  /** The event is complete. */
  onEvent(): void;
}

export interface StreamData {
  feed(chunk: Buffer): void;
  /** True when no bytes of an unfinished event have been seen: a comment may be inserted here. */
  readonly atBoundary: boolean;
}

const BOM = [0xef, 0xbb, 0xbf];
const FIELD = [...Buffer.from('data:')];
const NAME_BYTES = FIELD.length - 1;
const COLON = 0x3a;
const SPACE = 0x20;
const LF = Buffer.from('\n');

interface State {
  /** `name`: still may be a data line. `colon`: directly behind `data:`. */
  part: 'name' | 'colon' | 'value' | 'other';
  /** Bytes of the field's name and colon that have matched. */
  matched: number;
  /** Bytes of the mark at the very beginning that have matched; 3 when none can follow. */
  bomMatched: number;
  lineBytes: number;
  /** The current line is a comment. */
  comment: boolean;
  /** A field line of the current event has been seen, and data of it. */
  begun: boolean;
  hasData: boolean;
}

export function createStreamData(visitor: StreamDataVisitor): StreamData {
  const scanner = createLineScanner();
  const s: State = {
    part: 'name',
    matched: 0,
    bomMatched: 0,
    lineBytes: 0,
    comment: false,
    begun: false,
    hasData: false,
  };
  return {
    feed(chunk) {
      scanner.feed(chunk, {
        piece(start, end, next) {
          readPiece(s, chunk.subarray(start, end), visitor);
          if (next > end) endLine(s, visitor);
        },
        tail() {},
      });
    },
    get atBoundary() {
      return !s.begun && s.lineBytes === 0 && (s.bomMatched === 0 || s.bomMatched === BOM.length);
    },
  };
}

function readPiece(s: State, piece: Buffer, visitor: StreamDataVisitor): void {
  let at = skipBom(s, piece);
  if (at === piece.length) return;
  if (s.lineBytes === 0) s.comment = piece[at] === COLON;
  s.lineBytes += piece.length - at;
  while (s.part === 'name' && at < piece.length) {
    if (piece[at] !== FIELD[s.matched]) s.part = 'other';
    else {
      at += 1;
      s.matched += 1;
      if (s.matched === FIELD.length) beginData(s, visitor);
    }
  }
  if (s.part === 'colon' && at < piece.length) {
    if (piece[at] === SPACE) at += 1;
    s.part = 'value';
  }
  if (s.part === 'value' && at < piece.length) visitor.onData(piece.subarray(at));
}

/** Where the text begins. A mark that turns out to be none is no `data` line either. */
function skipBom(s: State, piece: Buffer): number {
  let at = 0;
  while (s.bomMatched < BOM.length && at < piece.length) {
    if (piece[at] === BOM[s.bomMatched]) {
      at += 1;
      s.bomMatched += 1;
    } else {
      if (s.bomMatched > 0) s.part = 'other';
      s.bomMatched = BOM.length;
    }
  }
  return at;
}

function beginData(s: State, visitor: StreamDataVisitor): void {
  if (s.hasData) visitor.onData(LF);
  else visitor.onBegin();
  s.hasData = true;
  s.part = 'colon';
}

function endLine(s: State, visitor: StreamDataVisitor): void {
  // A line of the name alone is an empty data line.
  if (s.part === 'name' && s.matched === NAME_BYTES) beginData(s, visitor);
  if (s.lineBytes === 0) {
    if (s.hasData) visitor.onEvent();
    s.begun = s.hasData = false;
  } else if (!s.comment) s.begun = true;
  s.part = 'name';
  s.matched = 0;
  s.lineBytes = 0;
  s.bomMatched = BOM.length;
}
