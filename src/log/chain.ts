/**
 * The chain through an access log: each line ends with the digest of the line before it.
 *
 * `chain` is the last member of a line: the first 32 hexadecimal digits of SHA-256 over the exact bytes of the previous
 * line, without its newline; null where there is none. 128 bits leave no way to another line of the same digest. After a
 * start and wherever half a line had to stay in the file a record stands between the entries,
 * `{"ts","record":"start"|"resume","start_id","torn","chain"}`, whose `torn` is the digest of what is no line. Of a file
 * that this process writes only its own memory counts, never what stands there: what somebody takes away or puts in is
 * seen. Reading the chain is `chain-verify.ts`; the source of the idea is RFC 5848's chained records, without keys.
 */
import { createHash, type Hash } from 'node:crypto';

const DIGEST_CHARS = 32;
const NEWLINE = 0x0a;

/** What a file ends with. */
export interface Tail {
  /** The last whole line, without its newline; undefined in an empty file. */
  readonly line: Buffer | undefined;
  /** What follows it without an end. */
  readonly torn: Buffer | undefined;
}

export interface Chain {
  /** Whether `begin` was called. */
  readonly begun: boolean;
  begin(tail: Tail): void;
  /** The lines as they are to be written, a record first where one is due. Each comes and goes with its newline. */
  link(lines: readonly string[]): readonly string[];
  /** How many bytes of what `link` gave are in the file. Called once for each `link`. */
  written(bytes: number): void;
}

export interface ChainOptions {
  readonly startId: string;
  readonly wallMs: () => number;
}

/** The digest of a line, without its newline. */
export function digestLine(line: Uint8Array | string): string {
  return createHash('sha256').update(line).digest('hex').slice(0, DIGEST_CHARS);
}

/** A whole line of a chain that only lacks its newline: nothing is missing in it. */
export function isWholeLine(piece: Buffer): boolean {
  return piece[0] === 0x7b && /,"chain":(?:"[\da-f]{32}"|null)\}$/.test(piece.subarray(-60).toString('latin1'));
}

export function createChain({ startId, wallMs }: ChainOptions): Chain {
  let begun = false;
  let head: string | null = null;
  let due: 'start' | 'resume' | undefined = 'start';
  /** Over all pieces since the last whole line, with the newlines between them. */
  let torn: Hash | undefined;
  let linked: readonly string[] = [];

  function tear(piece: Buffer | string): void {
    if (torn === undefined) torn = createHash('sha256').update(piece);
    else torn.update('\n').update(piece);
    due ??= 'resume';
  }

  function record(kind: 'start' | 'resume'): string {
    const ts = new Date(wallMs()).toISOString();
    const piece = torn === undefined ? null : torn.copy().digest('hex').slice(0, DIGEST_CHARS);
    const members = { ts, record: kind, start_id: startId, torn: piece, chain: head };
    return `${JSON.stringify(members)}\n`;
  }

  return {
    get begun() {
      return begun;
    },
    begin({ line, torn: piece }) {
      begun = true;
      if (line !== undefined) head = digestLine(line);
      if (piece === undefined) return;
      if (isWholeLine(piece)) head = digestLine(piece);
      else tear(piece);
    },
    link(lines) {
      let last = head;
      const out: string[] = [];
      const push = (line: string): void => {
        out.push(line);
        last = digestLine(line.slice(0, -1));
      };
      if (due !== undefined) push(record(due));
      for (const line of lines) push(`${line.slice(0, -2)},"chain":${last === null ? 'null' : `"${last}"`}}\n`);
      linked = out;
      return out;
    },
    written(bytes) {
      let left = bytes;
      for (const line of linked) {
        const length = Buffer.byteLength(line);
        if (left >= length - 1) {
          // Without its newline, too, it is whole; the next write begins with one.
          head = digestLine(line.slice(0, -1));
          torn = undefined;
          due = undefined;
        } else if (left > 0) tear(Buffer.from(line).subarray(0, left));
        left -= length;
        if (left <= 0) break;
      }
      linked = [];
    },
  };
}

/** The tail of a file from its last bytes; a line that begins before them counts as none. */
export function tailOf(end: Buffer, isWholeFile: boolean): Tail {
  const stop = end.lastIndexOf(NEWLINE);
  const rest = end.subarray(stop + 1);
  const torn = rest.length > 0 ? rest : undefined;
  if (stop === -1) return { line: undefined, torn };
  const start = stop === 0 ? -1 : end.lastIndexOf(NEWLINE, stop - 1);
  return { line: start === -1 && !isWholeFile ? undefined : end.subarray(start + 1, stop), torn };
}
