/**
 * Reading the chain of an access log (`chain.ts`): which line was changed, removed or put in, as far as lines tell.
 *
 * Lines come one by one, oldest first, over all files of a log; findings name the place. What cannot be seen without a
 * digest that was kept elsewhere: lines missing at either end, and a log that was made anew from some line on. Half a
 * line that the next record vouches for, or at the very end, is what `kill -9` leaves and is told, not held against it.
 * Lines before the first link were written without a chain. Pure.
 */
import { FINDING_COUNT_MAX } from '../limits.ts';
import { digestLine } from './chain.ts';

/** 1-based line of a file. */
export interface Place {
  readonly file: string;
  readonly line: number;
}

export interface Finding extends Place {
  readonly text: string;
}

export interface ChainReport {
  /** Signs of tampering, the first `FINDING_COUNT_MAX`. */
  readonly findings: readonly Finding[];
  readonly findingCount: number;
  /** What is no sign of it. */
  readonly notes: readonly Finding[];
  /** Lines with a link. */
  readonly linkedCount: number;
  /** What the first linked line names as the line before it; null: the chain began there. */
  readonly from: string | null | undefined;
  /** The digest of the last whole line, to be kept elsewhere. */
  readonly last: string | undefined;
  /** Of the digests that were looked for, those that no line has. */
  readonly missing: readonly string[];
}

export interface ChainReader {
  /** @param line without its newline; `isEnded`: it had one */
  take(line: Buffer, at: Place, isEnded: boolean): void;
  report(): ChainReport;
}

const LINK = /,"chain":(?:"([\da-f]{32})"|null)\}$/;
const RECORD =
  /^\{"ts":"[^"]{1,40}","record":"(?:start|resume)","start_id":"[^"]{0,64}","torn":(?:"([\da-f]{32})"|null),/;

interface Piece extends Place {
  readonly bytes: Buffer;
}

interface State {
  readonly findings: Finding[];
  readonly notes: Finding[];
  findingCount: number;
  linkedCount: number;
  from: string | null | undefined;
  /** The last linked line and the one before it. */
  last: (Place & { readonly digest: string }) | undefined;
  before: string | undefined;
  /** Lines without a link since then; bounded by FINDING_COUNT_MAX, all but the last are only counted beyond it. */
  readonly loose: Piece[];
  looseCount: number;
  isLastEnded: boolean;
}

/** @param expected digests that have to be among the lines */
export function createChainReader(expected: readonly string[]): ChainReader {
  const missing = new Set(expected);
  const state: State = {
    findings: [], // Bounded by FINDING_COUNT_MAX.
    notes: [], // Bounded by FINDING_COUNT_MAX.
    findingCount: 0,
    linkedCount: 0,
    from: undefined,
    last: undefined,
    before: undefined,
    loose: [],
    looseCount: 0,
    isLastEnded: true,
  };
  return {
    take(line, at, isEnded) {
      const digest = digestLine(line);
      missing.delete(digest);
      state.isLastEnded = isEnded;
      const end = line.subarray(-60).toString('latin1');
      const link = line[0] === 0x7b ? LINK.exec(end) : null;
      if (link === null) return addLoose(state, { ...at, bytes: line });
      takeLinked(state, {
        at,
        digest,
        names: link[1] ?? null,
        torn: RECORD.exec(line.subarray(0, 300).toString('latin1'))?.[1],
      });
    },
    report() {
      endLoose(state);
      const { findings, findingCount, notes, linkedCount, from, last } = state;
      return { findings, findingCount, notes, linkedCount, from, last: last?.digest, missing: [...missing] };
    },
  };
}

function addLoose(state: State, piece: Piece): void {
  state.looseCount += 1;
  if (state.loose.length >= FINDING_COUNT_MAX) state.loose.pop();
  state.loose.push(piece);
}

interface Linked {
  readonly at: Place;
  readonly digest: string;
  /** The digest of the line before it, as it says. */
  readonly names: string | null;
  readonly torn: string | undefined;
}

function takeLinked(state: State, { at, digest, names, torn }: Linked): void {
  const { last, loose } = state;
  if (last === undefined) {
    // The chain begins, or goes on from a file that is not among these.
    state.from = names;
    const previous = loose.at(-1);
    if (previous !== undefined) {
      note(state, { ...previous, text: `${state.looseCount} lines up to here were written without a chain` });
      if (torn === undefined && names !== digestLine(previous.bytes)) find(state, { ...previous, text: CHANGED });
    }
  } else if (loose[0] !== undefined && torn !== undefined && torn === digestOf(state)) {
    note(state, {
      ...loose[0],
      text: 'half a line, as a process leaves it that is killed while it writes; the next record vouches for it',
    });
    if (names !== last.digest) find(state, broken(state, at, names));
  } else if (loose[0] !== undefined) {
    find(state, { ...loose[0], text: looseText(state, names) });
    const isKnown = names === last.digest || names === digestLine(loose.at(-1)?.bytes ?? '');
    if (!isKnown) find(state, broken(state, at, names));
  } else if (torn !== undefined) {
    find(state, { ...at, text: 'the half line that this record vouches for was removed' });
  } else if (names !== last.digest) find(state, broken(state, at, names));
  state.loose.length = 0;
  state.looseCount = 0;
  state.before = last?.digest;
  state.last = { ...at, digest };
  state.linkedCount += 1;
}

const CHANGED = 'this line was changed, or lines after it were removed: the next one names another line before it';

function broken({ last, before }: State, at: Place, names: string | null): Finding {
  if (names === null)
    return { ...at, text: 'a new chain begins here: what belongs before it was removed, or the log was begun anew' };
  if (last !== undefined && before === names)
    return { ...last, text: 'this line was put in: the next one follows the line before it' };
  return { ...(last ?? at), text: CHANGED };
}

function looseText({ last, looseCount }: State, names: string | null): string {
  const count = looseCount === 1 ? 'this line has no link' : `${looseCount} lines from here have no link`;
  const why = names === last?.digest ? 'put in, or changed' : 'changed, or written while log.chain was off';
  return `${count}: ${why}`;
}

/** What lines without a link are in the end: one that was cut, or something put in. */
function endLoose(state: State): void {
  const [first] = state.loose;
  if (first === undefined || state.last === undefined) return;
  const isCut =
    state.looseCount === 1 &&
    !state.isLastEnded &&
    first.bytes.subarray(0, 6).toString('latin1') === '{"ts":'.slice(0, first.bytes.length);
  if (isCut)
    note(state, { ...first, text: 'half a line at the end, as a process leaves it that is killed while it writes' });
  else find(state, { ...first, text: looseText(state, null) });
}

/** As `chain.ts` takes it over pieces. */
function digestOf({ loose, looseCount }: State): string | undefined {
  if (looseCount !== loose.length) return undefined;
  const parts = loose.flatMap(({ bytes }, at) => (at === 0 ? [bytes] : [Buffer.from('\n'), bytes]));
  return digestLine(Buffer.concat(parts));
}

function find(state: State, finding: Finding): void {
  state.findingCount += 1;
  if (state.findings.length < FINDING_COUNT_MAX) state.findings.push(plain(finding));
}

function note(state: State, finding: Finding): void {
  if (state.notes.length < FINDING_COUNT_MAX) state.notes.push(plain(finding));
}

function plain({ file, line, text }: Finding): Finding {
  return { file, line, text };
}
