/**
 * The append-only line file: many appends in, few writes of whole lines out.
 *
 * One write is in flight at a time; what is appended meanwhile leaves together in the next one. A line is reported
 * as written only after write(2) returned, which is what `kill -9` cannot take back (a power cut can: there is no
 * fsync). O_APPEND lets several processes and logrotate's copytruncate share the file; before each batch the
 * path is looked up (2 µs, against 30 for the write), so a renamed or removed file is followed without a signal.
 * What cannot be written goes to `onLost` at once and the next append tries again; nothing is kept for later.
 * A line that got in halfway is taken back, or ended with a newline where that is not safe.
 */
import fs from 'node:fs';
import { ProxyError } from '../errors.ts';
import { LOG_QUEUE_BYTES_MAX, LOG_RETRY_MS, LOG_STALL_MS_MAX } from '../limits.ts';
import { closeFile, explain, isRemoved, leadsTo, openAppend, takeBack, type OpenFile } from './append-file.ts';
import type { Chain } from './chain.ts';
import { readTail } from './file-tail.ts';
import { createSwiftWrite, type WriteCall } from './swift-write.ts';

const NEWLINE = 0x0a;

type Done = (written: boolean) => void;

export interface LineWriter {
  /**
   * Queues one line, newline included. `done` learns whether it is in the file, in the order of the appends;
   * it may be called before `append` returns and must not throw.
   */
  append(line: string, done?: Done): void;
  /** Opens the path anew (SIGHUP), at once or after the write in flight. The old file stays if that fails. */
  reopen(): void;
  /** Links the lines of the batches from now on; undefined links none. */
  setChain(chain: Chain | undefined): void;
  /** Resolves when everything appended before has been written or lost. */
  flush(): Promise<void>;
  /** False from a failure until a write succeeds again at the configured path. */
  readonly healthy: boolean;
  /** Lines that went to `onLost` since the start. */
  readonly lostCount: number;
  readonly path: string;
  /** Flushes, then closes. Later appends are lost. */
  close(): Promise<void>;
}

export interface LineWriterOptions {
  /** The file, or `-` for a standard stream. */
  readonly path: string;
  /** Which stream `-` is; 1 unless standard output belongs to something else. */
  readonly standardFd?: 1 | 2;
  readonly write?: WriteCall;
  /** Links the lines (`chain.ts`). One process writes then; half a line of another would look like tampering. */
  readonly chain?: Chain | undefined;
  /** Receives the lines, joined, that are not in the file. */
  readonly onLost: (lines: string) => void;
  /** Told when `healthy` changes or the reason does; the reason is undefined when all is well. */
  readonly onStateChange?: (healthy: boolean, reason: string | undefined) => void;
}

/** @throws {ProxyError} LOG_UNWRITABLE when the file cannot be opened or made */
export function openLineWriter(options: LineWriterOptions): LineWriter {
  return new NdjsonWriter(options);
}

interface Batch {
  readonly lines: string[];
  readonly dones: (Done | undefined)[];
  /** Those who wait for the batch to be over, however it ends. */
  readonly flushed: (() => void)[];
  bytes: number;
}

class NdjsonWriter implements LineWriter {
  readonly path: string;
  readonly #options: LineWriterOptions;
  readonly #write: WriteCall;
  /**
   * idle → scheduled (a batch leaves at the end of this loop turn) → writing → idle or scheduled;
   * writing → stalled (given up, but the kernel still holds the buffer) → idle; → closed.
   */
  #state: 'idle' | 'scheduled' | 'writing' | 'stalled' | 'closed' = 'idle';
  #file: OpenFile | undefined;
  #reopenWanted = false;
  #queue = newBatch();
  #batch = newBatch();
  #chain: Chain | undefined;
  /** The chain that linked what is being written. */
  #linkedBy: Chain | undefined;
  /** The lines of the batch as they are written. */
  #lines: readonly string[] = [];
  /** What stands before them: the end of a torn line, a record of the chain. */
  #prefixBytes = 0;
  /** Of these bytes the newline that ends a torn line. */
  #newlineBytes = 0;
  #buffer: Buffer = Buffer.alloc(0);
  #bufferWritten = 0;
  #stallTimer: NodeJS.Timeout | undefined;
  #retryTimer: NodeJS.Timeout | undefined;
  #lostCount = 0;
  /** Why the path itself could not be opened; lines may still reach the renamed old file. */
  #openTrouble: string | undefined;
  #trouble: string | undefined;

  constructor(options: LineWriterOptions) {
    this.path = options.path;
    this.#options = options;
    this.#chain = options.chain;
    this.#write = options.write ?? (this.path === '-' ? fs.write : createSwiftWrite());
    try {
      this.#file = openAppend(this.path, options.standardFd);
    } catch (error) {
      throw new ProxyError('LOG_UNWRITABLE', `The access log ${this.path} cannot be opened: ${explain(error)}`, {
        cause: error,
      });
    }
  }

  get healthy(): boolean {
    return this.#trouble === undefined;
  }

  get lostCount(): number {
    return this.#lostCount;
  }

  append(line: string, done?: Done): void {
    const bytes = Buffer.byteLength(line);
    const blocked = this.#state === 'closed' || this.#state === 'stalled';
    if (blocked || this.#queue.bytes + bytes > LOG_QUEUE_BYTES_MAX) {
      this.#lose([line]);
      done?.(false);
      return;
    }
    this.#queue.lines.push(line);
    this.#queue.dones.push(done);
    this.#queue.bytes += bytes;
    if (this.#state === 'idle') this.#schedule();
  }

  reopen(): void {
    this.#reopenWanted = true;
    if (this.#state === 'idle' || this.#state === 'scheduled') this.#followPath();
  }

  setChain(chain: Chain | undefined): void {
    this.#chain = chain;
  }

  flush(): Promise<void> {
    if (this.#state === 'idle' || this.#state === 'stalled' || this.#state === 'closed') return Promise.resolve();
    const last = this.#queue.lines.length > 0 ? this.#queue : this.#batch;
    return new Promise((resolve) => last.flushed.push(resolve));
  }

  async close(): Promise<void> {
    // A line appended by someone's `done` starts another batch, hence the loop.
    while (this.#state === 'scheduled' || this.#state === 'writing') await this.flush();
    // While stalled the kernel still uses the descriptor; the process is about to end anyway.
    if (this.#state === 'idle') closeFile(this.#file);
    this.#file = undefined;
    this.#state = 'closed';
  }

  /** Waits for the end of the loop turn, so that all exchanges that end in one turn share one write. */
  #schedule(): void {
    this.#state = 'scheduled';
    setImmediate(() => this.#begin());
  }

  #begin(): void {
    this.#state = 'writing';
    this.#batch = this.#queue;
    this.#queue = newBatch();
    this.#followPath();
    const file = this.#file;
    if (file === undefined) {
      this.#settle(0, this.#openTrouble);
      return;
    }
    this.#buffer = this.#prepare(file);
    this.#bufferWritten = 0;
    this.#stallTimer = setTimeout(() => this.#giveUp(), LOG_STALL_MS_MAX);
    this.#writeRest(file);
  }

  /** The bytes of the batch, with what has to stand before them. */
  #prepare(file: OpenFile): Buffer {
    const chain = this.#chain;
    this.#linkedBy = chain;
    if (chain?.begun === false) chain.begin(readTail(this.path, file));
    const { lines } = this.#batch;
    const linked = chain === undefined ? lines : chain.link(lines);
    const records = linked.slice(0, linked.length - lines.length).join('');
    this.#lines = records === '' ? linked : linked.slice(-lines.length);
    this.#newlineBytes = file.torn ? 1 : 0;
    this.#prefixBytes = this.#newlineBytes + Buffer.byteLength(records);
    return Buffer.from(`${file.torn ? '\n' : ''}${records}${this.#lines.join('')}`);
  }

  #writeRest(file: OpenFile): void {
    this.#retryTimer = undefined;
    this.#write(file.fd, this.#buffer.subarray(this.#bufferWritten), (error, count) => {
      if (this.#state === 'closed') return;
      if (this.#state === 'stalled') this.#wake(file, error === null ? count : 0);
      else if (error === null) this.#advance(file, count);
      else if (error.code === 'EAGAIN' && this.healthy) {
        // A full pipe. While unhealthy it fails at once instead: nobody should wait for a reader that is gone.
        this.#retryTimer = setTimeout(() => this.#writeRest(file), LOG_RETRY_MS);
      } else this.#fail(file, explain(error));
    });
  }

  #advance(file: OpenFile, count: number): void {
    this.#bufferWritten += count;
    if (this.#bufferWritten === this.#buffer.length) {
      file.torn = false;
      this.#linkedBy?.written(this.#buffer.length - this.#newlineBytes);
      this.#settle(this.#batch.lines.length, undefined);
    } else if (count > 0) this.#writeRest(file);
    else this.#fail(file, 'the device accepts no bytes');
  }

  /** Counts the lines that are in the file as a whole and clears away the piece of the next one. */
  #fail(file: OpenFile, reason: string): void {
    const written = this.#bufferWritten;
    let wholeBytes = written < this.#prefixBytes ? this.#newlineBytes : this.#prefixBytes;
    let wholeCount = 0;
    for (const line of written < this.#prefixBytes ? [] : this.#lines) {
      const end = wholeBytes + Buffer.byteLength(line);
      if (end > written) break;
      wholeBytes = end;
      wholeCount += 1;
    }
    let keptBytes = written;
    if (written >= this.#newlineBytes && written > 0) {
      const piece = this.#buffer.subarray(wholeBytes, written);
      const isCleared = piece.length === 0 || takeBack(this.path, file, piece);
      if (isCleared) keptBytes = wholeBytes;
      file.torn = !isCleared;
    }
    this.#linkedBy?.written(Math.max(0, keptBytes - this.#newlineBytes));
    this.#settle(wholeCount, reason);
  }

  /** Ends the batch: the first `wholeCount` lines are in the file, the others are lost for `reason`. */
  #settle(wholeCount: number, reason: string | undefined): void {
    clearTimeout(this.#stallTimer);
    const { lines, dones, flushed } = this.#batch;
    this.#batch = newBatch();
    if (wholeCount < lines.length) this.#lose(lines.slice(wholeCount));
    this.#note(reason ?? this.#openTrouble);
    tellAll(dones, wholeCount);
    for (const resolve of flushed) resolve();
    if (this.#state === 'stalled') return;
    if (this.#reopenWanted) this.#followPath();
    if (this.#queue.lines.length > 0) this.#schedule();
    else this.#state = 'idle';
  }

  /**
   * The disk or the reader of the pipe has not answered in time. Whether the lines in flight will still get in
   * is unknown; they are reported as lost, because a line twice is better than a line nowhere.
   */
  #giveUp(): void {
    const reason = `a write has not come back for ${LOG_STALL_MS_MAX / 1_000} s`;
    if (this.#retryTimer !== undefined && this.#file !== undefined) {
      clearTimeout(this.#retryTimer);
      this.#retryTimer = undefined;
      this.#fail(this.#file, reason);
      return;
    }
    this.#state = 'stalled';
    const waiting = this.#queue;
    this.#queue = newBatch();
    this.#settle(0, reason);
    this.#batch = waiting;
    if (waiting.lines.length > 0) this.#settle(0, reason);
  }

  /** The stalled write has come back after all. Healthy again only when the next one succeeds. */
  #wake(file: OpenFile, count: number): void {
    const end = this.#bufferWritten + count;
    if (end > 0) file.torn = this.#buffer[end - 1] !== NEWLINE;
    this.#linkedBy?.written(Math.max(0, end - this.#newlineBytes));
    this.#state = 'idle';
  }

  #lose(lines: readonly string[]): void {
    this.#lostCount += lines.length;
    this.#options.onLost(lines.join(''));
  }

  #note(trouble: string | undefined): void {
    if (trouble === this.#trouble) return;
    this.#trouble = trouble;
    this.#options.onStateChange?.(trouble === undefined, trouble);
  }

  /** Opens the path again if it no longer leads to the open file, or if that was asked for. */
  #followPath(): void {
    if (this.path === '-') {
      this.#reopenWanted = false;
      return;
    }
    const old = this.#file;
    if (old !== undefined && !this.#reopenWanted && leadsTo(this.path, old)) {
      this.#openTrouble = undefined;
      return;
    }
    this.#reopenWanted = false;
    try {
      this.#file = openAppend(this.path);
      this.#openTrouble = undefined;
      closeFile(old);
    } catch (error) {
      this.#openTrouble = `${this.path} cannot be opened again: ${explain(error)}`;
      // A renamed file still keeps its lines; a removed one swallows them.
      if (old !== undefined && isRemoved(old)) {
        closeFile(old);
        this.#file = undefined;
      }
      this.#note(this.#openTrouble);
    }
  }
}

/** A `done` that throws is a bug; it must not take the others' answers or the log with it, nor be swallowed. */
function tellAll(dones: readonly (Done | undefined)[], wholeCount: number): void {
  for (let index = 0; index < dones.length; index += 1) {
    try {
      dones[index]?.(index < wholeCount);
    } catch (error) {
      process.nextTick(() => {
        throw error;
      });
    }
  }
}

function newBatch(): Batch {
  return { lines: [], dones: [], flushed: [], bytes: 0 };
}
