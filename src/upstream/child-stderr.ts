/**
 * What a child writes to stderr, as lines fit for the diagnostic log: bounded in length and in number per second.
 *
 * The stream is always read, however much comes: a child that is made to wait on stderr would stop answering. Lines
 * are cut at `CHILD_TEXT_BYTES_MAX`; more than `DIAG_LINES_PER_SECOND_MAX` in a second are counted and said in one
 * line when it is over. Any text is allowed there and none of it means failure (MCP 2025-11-25 transports#stdio).
 * Redaction, and the name of the server in front, belong to whoever logs the lines.
 */
import { CHILD_TEXT_BYTES_MAX, DIAG_LINES_PER_SECOND_MAX } from '../limits.ts';
import { createByteHold } from '../text/lines.ts';

const LF = 0x0a;
const SECOND_MS = 1_000;

export interface StderrLines {
  feed(chunk: Buffer): void;
  /** Reports an unterminated last line and what was dropped; no timer is left. */
  end(): void;
}

export function createStderrLines(onLine: (line: string) => void): StderrLines {
  const hold = createByteHold();
  let lineCount = 0;
  let timer: NodeJS.Timeout | undefined;

  function append(bytes: Buffer): void {
    hold.append(bytes.subarray(0, CHILD_TEXT_BYTES_MAX - hold.length));
  }

  function report(): void {
    const line = hold.take().toString('utf8').trimEnd();
    if (line === '') return;
    timer ??= setTimeout(endSecond, SECOND_MS).unref();
    lineCount += 1;
    if (lineCount <= DIAG_LINES_PER_SECOND_MAX) onLine(line);
  }

  function endSecond(): void {
    clearTimeout(timer);
    timer = undefined;
    const dropped = lineCount - DIAG_LINES_PER_SECOND_MAX;
    lineCount = 0;
    if (dropped > 0) onLine(`(${dropped} further lines were dropped)`);
  }

  return {
    feed(chunk) {
      let start = 0;
      for (let at = chunk.indexOf(LF); at !== -1; at = chunk.indexOf(LF, start)) {
        append(chunk.subarray(start, at));
        start = at + 1;
        report();
      }
      append(chunk.subarray(start));
    },
    end() {
      report();
      endSecond();
    },
  };
}
