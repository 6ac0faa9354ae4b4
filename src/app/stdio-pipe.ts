/**
 * The two ends of a pipe to a client that started us: lines from its one end, lines to the other, and their end.
 *
 * Who does not read is not asked for more: beyond `STREAM_QUEUE_BYTES_MAX` of unread answers no further line is taken,
 * and a client that stays so for `CLIENT_WRITE_IDLE_MS_MAX`, or lets more than `PIPED_OUTPUT_BYTES_MAX` pile up, is
 * given up. The first cause of an end counts. What the lines mean is `gateway/stdio`'s; ending the process, the
 * command's.
 */
import type { Readable, Writable } from 'node:stream';

import { ProxyError } from '../errors.ts';
import type { StdioOutput } from '../gateway/stdio.ts';
import { CLIENT_WRITE_IDLE_MS_MAX, PIPED_OUTPUT_BYTES_MAX, STREAM_QUEUE_BYTES_MAX } from '../limits.ts';
import { createLineFramer } from '../text/lines.ts';
import { settlesWithin } from '../upstream/settles-within.ts';
import { deferred } from './signals.ts';

export interface PipeEnd {
  /** `hungup`: the client wrote its last line and may still read. `gone`: it cannot be told anything any more. */
  readonly cause: 'hungup' | 'gone';
  /** What the client did wrong; undefined for a regular end. */
  readonly complaint: string | undefined;
}

/** A class because it holds both streams and a timer. */
export class StdioPipe implements StdioOutput {
  readonly #input: Readable;
  readonly #output: Writable;
  #isReading = true;
  #isGone = false;
  #late: NodeJS.Timeout | undefined;
  #onFlushed: (() => void) | undefined;
  readonly #ended = deferred<PipeEnd>();
  readonly #gone = deferred<void>();

  constructor(input: Readable, output: Writable) {
    this.#input = input;
    this.#output = output;
    output.on('error', () => this.#end('gone'));
    output.on('close', () => this.#end('gone'));
    output.on('drain', () => {
      if (this.#isReading) input.resume();
    });
  }

  /** The first end of either kind. */
  get ended(): Promise<PipeEnd> {
    return this.#ended.promise;
  }

  /** Resolves when the client cannot be told anything any more. */
  get gone(): Promise<void> {
    return this.#gone.promise;
  }

  get waitingBytes(): number {
    return this.#output.writableLength;
  }

  write(line: string): boolean {
    if (this.#isGone) return false;
    if (this.#output.writableLength > PIPED_OUTPUT_BYTES_MAX) {
      this.#end('gone', `the client has not read more than ${PIPED_OUTPUT_BYTES_MAX} bytes of answers`);
      return false;
    }
    if (!this.#output.write(`${line}\n`, () => this.#onTaken())) this.#wait();
    return true;
  }

  /** Begins to read; each line is given without its end. */
  read(onLine: (line: string) => void): void {
    const framer = createLineFramer({ onLine: (line) => this.#isReading && onLine(line) });
    this.#input.on('data', (chunk: Buffer) => {
      if (!this.#isReading) return;
      this.#orEnd(() => framer.feed(chunk));
      if (this.#output.writableLength > STREAM_QUEUE_BYTES_MAX) this.#input.pause();
    });
    this.#input.on('end', () => {
      this.#orEnd(() => framer.end());
      this.#end('hungup');
    });
    this.#input.on('error', () => this.#end('hungup'));
    this.#input.on('close', () => this.#end('hungup'));
  }

  /** No further line is taken. */
  stopReading(): void {
    this.#isReading = false;
    this.#input.pause();
  }

  /** Resolves when the client has everything that was written, or after `withinMs`. */
  async flush(withinMs: number): Promise<void> {
    if (this.#isGone || this.#output.writableLength === 0) return;
    const flushed = new Promise<void>((resolve) => {
      this.#onFlushed = resolve;
    });
    await settlesWithin(Promise.race([flushed, this.gone]), withinMs);
  }

  #orEnd(step: () => void): void {
    try {
      step();
    } catch (error) {
      if (!(error instanceof ProxyError)) throw error;
      this.#end('hungup', `what the client sends cannot be read on. ${error.message}`);
    }
  }

  /** A client that reads slowly is not late, so that each line that it took begins the wait anew. */
  #onTaken(): void {
    clearTimeout(this.#late);
    this.#late = undefined;
    if (this.#output.writableLength === 0) this.#onFlushed?.();
    else this.#wait();
  }

  #wait(): void {
    if (this.#isGone) return;
    this.#late ??= setTimeout(() => {
      this.#end('gone', 'the client does not read what it asked for');
    }, CLIENT_WRITE_IDLE_MS_MAX);
  }

  #end(cause: PipeEnd['cause'], complaint?: string): void {
    this.stopReading();
    this.#ended.settle({ cause, complaint });
    if (cause !== 'gone') return;
    this.#isGone = true;
    clearTimeout(this.#late);
    this.#gone.settle();
  }
}
