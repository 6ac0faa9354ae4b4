/**
 * Reads selected scalars out of JSON text as it streams by, without building it.
 *
 * Made for the hot path: what no wanted path leads through is skipped by counting brackets and finding quotes, so
 * memory is constant and any cut into chunks gives the same answers. It never throws. It is no validator: for valid
 * JSON its answers are those of `JSON.parse`; for other text it says `failed` when it stumbles, and what it captured
 * before stays. Arrays are not entered. A scalar written with more than `SCAN_VALUE_BYTES_MAX` bytes is not captured,
 * and an integer outside the safe range is given as its literal text, so that an id is never rounded into another.
 * Source: RFC 8259.
 */
import { SCAN_VALUE_BYTES_MAX } from '../limits.ts';
import { decodeString, decodeWord, isWordByte } from './json-scalar.ts';
import type { JsonScalar } from './json-scalar.ts';
import { asBuffer } from './lines.ts';

export interface JsonScan {
  feed(chunk: Uint8Array): void;
  /** Forgets everything, for another text with the same paths. */
  reset(): void;
  /**
   * `done`: one complete top-level value has been seen. A top-level number or literal is done with the white space
   * behind it; anything else behind the value turns the state to `failed`.
   */
  readonly state: 'open' | 'done' | 'failed';
  readonly topLevel: 'object' | 'array' | 'scalar' | undefined;
  /** The scalar at the path with this index; undefined when there is none, or one over the bound. */
  get(index: number): JsonScalar | undefined;
  /** Whether the path with this index exists, whatever its value. */
  has(index: number): boolean;
}

/** A key on the way to a wanted path. */
interface Node {
  readonly key: string;
  readonly keyBytes: Buffer;
  /** The key as JSON text may contain a backslash, so only its decoded form can be compared. */
  readonly plain: boolean;
  readonly children: Node[];
  /** Paths that end here, and paths that end here or below. */
  readonly ends: number[];
  readonly below: number[];
}

// What is expected next, or what the reader is inside of. Numbers, because they are compared for every token.
const VALUE = 0;
const FIRST_KEY = 1;
const KEY = 2;
const KEY_TEXT = 3;
const COLON = 4;
const STRING = 5;
const WORD = 6;
const SKIPPED = 7;
const SKIPPED_STRING = 8;
const AFTER = 9;
const DONE = 10;
const FAILED = 11;

interface Scan {
  readonly root: Node;
  readonly values: (JsonScalar | undefined)[];
  readonly present: boolean[];
  chunk: Buffer;
  at: number;
  step: number;
  /** The wanted node whose value comes next; undefined for a value to skip. */
  target: Node | undefined;
  /** The objects that the reader is inside of, outermost first; deeper ones are skipped, not entered. */
  readonly path: Node[];
  /** Brackets open inside a skipped value. */
  skippedDepth: number;
  /** The next byte of a string is escaped. */
  escaped: boolean;
  /** Where the current token began in this chunk, and its bytes from earlier chunks. */
  tokenStart: number;
  held: Buffer | undefined;
  heldBytes: number;
  /** The token is over its bound or unwanted. */
  tokenLost: boolean;
  topLevel: 'object' | 'array' | 'scalar' | undefined;
}

const EMPTY = Buffer.alloc(0);
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** Bytes of a string looked at one by one before a native search is worth its call. */
const NEAR_BYTES = 48;

/** The prepared form of each list of paths; lists are constants of the rooms that scan. */
const prepared = new WeakMap<readonly (readonly string[])[], Node>();

/** Makes a scan for paths given as arrays of object keys; each is known by its index in the list. */
export function createJsonScan(paths: readonly (readonly string[])[]): JsonScan {
  let root = prepared.get(paths);
  if (root === undefined) prepared.set(paths, (root = prepare(paths)));
  const s: Scan = {
    root,
    values: paths.map(() => undefined),
    present: paths.map(() => false),
    chunk: EMPTY,
    at: 0,
    step: VALUE,
    target: root,
    path: [],
    skippedDepth: 0,
    escaped: false,
    tokenStart: 0,
    held: undefined,
    heldBytes: 0,
    tokenLost: false,
    topLevel: undefined,
  };
  // Plain members brought up to date after each step: accessors would double the cost of making a scan.
  const scan: Mutable<JsonScan> = {
    state: 'open',
    topLevel: undefined,
    feed(chunk) {
      feed(s, chunk);
      scan.state = s.step === DONE ? 'done' : s.step === FAILED ? 'failed' : 'open';
      scan.topLevel = s.topLevel;
    },
    reset() {
      reset(s);
      scan.state = 'open';
      scan.topLevel = undefined;
    },
    get: (index) => s.values[index],
    has: (index) => s.present[index] === true,
  };
  return scan;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function prepare(paths: readonly (readonly string[])[]): Node {
  const root = createNode('');
  for (const [index, path] of paths.entries()) {
    let node = root;
    node.below.push(index);
    for (const key of path) {
      let child = node.children.find((candidate) => candidate.key === key);
      if (child === undefined) node.children.push((child = createNode(key)));
      node = child;
      node.below.push(index);
    }
    node.ends.push(index);
  }
  return root;
}

function createNode(key: string): Node {
  return { key, keyBytes: Buffer.from(key), plain: !key.includes('\\'), children: [], ends: [], below: [] };
}

function reset(s: Scan): void {
  s.values.fill(undefined);
  s.present.fill(false);
  s.step = VALUE;
  s.target = s.root;
  s.path.length = 0;
  s.escaped = false;
  s.heldBytes = 0;
  s.topLevel = undefined;
}

function feed(s: Scan, chunk: Uint8Array): void {
  if (s.step === FAILED || chunk.length === 0) return;
  s.chunk = asBuffer(chunk);
  s.at = 0;
  s.tokenStart = 0;
  const end = chunk.length;
  while (s.at < end && s.step !== FAILED) {
    switch (s.step) {
      case SKIPPED:
        skipValue(s);
        break;
      case SKIPPED_STRING:
        if (skipString(s)) s.step = SKIPPED;
        break;
      case KEY_TEXT:
        if (skipString(s)) endKey(s);
        break;
      case STRING:
        if (skipString(s)) endString(s);
        break;
      case WORD:
        readWord(s);
        break;
      default:
        punctuation(s);
    }
  }
  if (s.step === KEY_TEXT || s.step === STRING || s.step === WORD) holdToken(s);
  s.chunk = EMPTY;
}

/** One byte between tokens. */
function punctuation(s: Scan): void {
  const byte = s.chunk[s.at] ?? 0;
  s.at += 1;
  if (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) return;
  if (s.step === VALUE) beginValue(s, byte);
  else if (s.step === COLON && byte === 0x3a) s.step = VALUE;
  else if (s.step === AFTER && byte === 0x2c) s.step = KEY;
  else if ((s.step === KEY || s.step === FIRST_KEY) && byte === QUOTE) beginToken(s, KEY_TEXT);
  else if ((s.step === AFTER || s.step === FIRST_KEY) && byte === 0x7d) {
    s.path.pop();
    endValue(s);
  } else s.step = FAILED;
}

function beginToken(s: Scan, step: number): void {
  s.step = step;
  s.tokenStart = s.at;
  s.heldBytes = 0;
  s.tokenLost = false;
}

function beginValue(s: Scan, byte: number): void {
  const { target } = s;
  if (s.path.length === 0) s.topLevel = byte === 0x7b ? 'object' : byte === 0x5b ? 'array' : 'scalar';
  if (target !== undefined) for (const index of target.ends) s.present[index] = true;
  if (byte === QUOTE) {
    beginToken(s, STRING);
    s.tokenLost = target === undefined || target.ends.length === 0;
  } else if (byte === 0x7b && target !== undefined && target.children.length > 0) {
    s.path.push(target);
    s.step = FIRST_KEY;
  } else if (byte === 0x7b || byte === 0x5b) {
    s.skippedDepth = 1;
    s.step = SKIPPED;
  } else if (isWordByte(byte)) {
    s.at -= 1;
    beginToken(s, WORD);
    s.tokenLost = target === undefined || target.ends.length === 0;
  } else {
    if (s.path.length === 0) s.topLevel = undefined;
    s.step = FAILED;
  }
}

function endValue(s: Scan): void {
  s.step = s.path.length === 0 ? DONE : AFTER;
}

function endKey(s: Scan): void {
  s.step = COLON;
  const parent = s.path[s.path.length - 1];
  const target = s.tokenLost || parent === undefined ? undefined : findChild(s, parent);
  s.target = target;
  if (target === undefined) return;
  // Of repeated keys the last one counts, with all that is under it, as in JSON.parse.
  for (const index of target.below) {
    s.values[index] = undefined;
    s.present[index] = false;
  }
}

function findChild(s: Scan, parent: Node): Node | undefined {
  const end = s.at - 1;
  const length = s.heldBytes + end - s.tokenStart;
  if (length > SCAN_VALUE_BYTES_MAX) return undefined;
  if (s.heldBytes === 0) {
    for (const child of parent.children) {
      if (child.plain && child.keyBytes.length === length && equalsAt(s, child.keyBytes)) return child;
    }
    if (!hasEscape(s.chunk, s.tokenStart, end)) return undefined;
  }
  const key = decodeString(tokenText(s, end, 'utf8'));
  if (key === undefined) s.step = FAILED;
  return parent.children.find((child) => child.key === key);
}

function equalsAt(s: Scan, key: Buffer): boolean {
  for (let i = 0; i < key.length; i += 1) if (s.chunk[s.tokenStart + i] !== key[i]) return false;
  return true;
}

function hasEscape(bytes: Buffer, start: number, end: number): boolean {
  for (let i = start; i < end; i += 1) if (bytes[i] === BACKSLASH) return true;
  return false;
}

function endString(s: Scan): void {
  const end = s.at - 1;
  if (!s.tokenLost && s.heldBytes + end - s.tokenStart <= SCAN_VALUE_BYTES_MAX) {
    const value = decodeString(tokenText(s, end, 'utf8'));
    if (value === undefined) {
      s.step = FAILED;
      return;
    }
    capture(s, value);
  }
  endValue(s);
}

function capture(s: Scan, value: JsonScalar): void {
  for (const index of s.target?.ends ?? []) s.values[index] = value;
}

/** The token up to `end`: what earlier chunks held of it, then this chunk's part. */
function tokenText(s: Scan, end: number, encoding: 'utf8' | 'latin1'): string {
  if (s.heldBytes === 0 || s.held === undefined) return s.chunk.toString(encoding, s.tokenStart, end);
  return Buffer.concat([s.held.subarray(0, s.heldBytes), s.chunk.subarray(s.tokenStart, end)]).toString(encoding);
}

/** Keeps the part of an unfinished token that this chunk has. */
function holdToken(s: Scan): void {
  const part = s.chunk.subarray(s.tokenStart, s.at);
  if (s.tokenLost) return;
  if (s.heldBytes + part.length > SCAN_VALUE_BYTES_MAX) {
    s.tokenLost = true;
    return;
  }
  s.held ??= Buffer.allocUnsafe(SCAN_VALUE_BYTES_MAX);
  s.held.set(part, s.heldBytes);
  s.heldBytes += part.length;
}

/** A number or a literal: everything up to a byte that can be in neither. */
function readWord(s: Scan): void {
  const { chunk } = s;
  let { at } = s;
  while (at < chunk.length && isWordByte(chunk[at] ?? 0)) at += 1;
  s.at = at;
  if (at === chunk.length) return;
  if (!s.tokenLost && s.heldBytes + at - s.tokenStart <= SCAN_VALUE_BYTES_MAX) {
    const value = decodeWord(tokenText(s, at, 'latin1'));
    if (value === undefined) {
      s.step = FAILED;
      return;
    }
    capture(s, value);
  }
  endValue(s);
}

/** Inside a value that is not wanted: only brackets and quotes matter. */
function skipValue(s: Scan): void {
  const { chunk } = s;
  const end = chunk.length;
  let { at, skippedDepth } = s;
  while (at < end) {
    const byte = chunk[at] ?? 0;
    at += 1;
    if (byte === QUOTE) {
      s.at = at;
      if (!skipString(s)) {
        s.step = SKIPPED_STRING;
        s.skippedDepth = skippedDepth;
        return;
      }
      at = s.at;
    } else if ((byte | 0x20) === 0x7b) skippedDepth += 1;
    else if ((byte | 0x20) === 0x7d) {
      skippedDepth -= 1;
      if (skippedDepth === 0) {
        s.at = at;
        return endValue(s);
      }
    }
  }
  s.at = at;
  s.skippedDepth = skippedDepth;
}

/**
 * Goes behind the closing quote of a string, or to the chunk's end; returns whether the quote was found. Short
 * strings are walked; in long ones the next quote is searched natively, and the backslashes before it tell whether
 * it is escaped. Walking resumes after an escaped quote, because JSON inside JSON has one every few bytes.
 */
function skipString(s: Scan): boolean {
  const { chunk } = s;
  const end = chunk.length;
  let at = s.escaped ? s.at + 1 : s.at;
  s.escaped = false;
  while (at < end) {
    const near = Math.min(end, at + NEAR_BYTES);
    while (at < near) {
      const byte = chunk[at];
      if (byte === QUOTE) {
        s.at = at + 1;
        return true;
      }
      at += byte === BACKSLASH ? 2 : 1;
    }
    if (at >= end) break;
    const quote = chunk.indexOf(QUOTE, at);
    const stop = quote === -1 ? end : quote;
    let first = stop;
    while (first > at && chunk[first - 1] === BACKSLASH) first -= 1;
    const isEscaped = (stop - first) % 2 === 1;
    at = stop + (isEscaped ? 1 : 0);
    // An unescaped quote is left to the walk above, which returns; an escaped one is behind `at` now.
  }
  s.escaped = at > end;
  s.at = end;
  return false;
}
