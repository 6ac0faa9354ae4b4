/**
 * The diagnostic log: lifecycle lines for the operator, on standard error.
 *
 * One message is one line: `level message key=value …`, with systemd's `<3>` in front and no time of its own under
 * journald, which adds both (sd-daemon(3)). Every line is redacted and bounded. One message text gets at most
 * `DIAG_LINES_PER_SECOND_MAX` lines in a second; how many were dropped is said in one line when the second is over.
 * So texts are constants and whatever varies goes into the data.
 */
import { DIAG_LINES_PER_SECOND_MAX, DIAG_MESSAGE_COUNT_MAX, LOG_FIELD_BYTES_MAX } from '../limits.ts';
import type { LogConfig } from '../model.ts';
import { quote, singleLineJson } from './quote.ts';
import { makeRedactor, type Redactor } from './redact.ts';

type Level = LogConfig['level'];
type Data = Readonly<Record<string, unknown>>;

export interface Diag {
  error(message: string, data?: Data): void;
  warn(message: string, data?: Data): void;
  info(message: string, data?: Data): void;
  debug(message: string, data?: Data): void;
  setLevel(level: Level): void;
  setRedactor(redactor: Redactor): void;
  /** The text without the secrets that no line may show. */
  redact(text: string): string;
}

export interface DiagOptions {
  /** Receives each line, newline included. */
  readonly write: (line: string) => void;
  readonly level: Level;
  /** Wall time in ms; asked only with `timestamps`. */
  readonly now: () => number;
  readonly monotonicMs: () => number;
  /** False under journald, which stamps the lines itself. */
  readonly timestamps: boolean;
  /** True under journald: `<3>` and the like, from which it takes the priority. */
  readonly priorityPrefix: boolean;
}

/** In order of weight, with the priority of syslog(3). */
const LEVELS = { error: 3, warn: 4, info: 6, debug: 7 } as const satisfies Record<Level, number>;
const WINDOW_MS = 1_000;
/** Stands for all texts beyond `DIAG_MESSAGE_COUNT_MAX`. */
const OTHER_MESSAGES = '(various)';
/** A value that needs no quotes in `key=value`. */
const BARE = /^[\w./:@%+,[\]*~-]+$/;

interface Window {
  readonly level: Level;
  readonly startMs: number;
  lines: number;
}

export function openDiag(options: DiagOptions): Diag {
  let level = options.level;
  let redactor = makeRedactor([]);
  // Bounded by DIAG_MESSAGE_COUNT_MAX; emptied as seconds pass.
  const windows = new Map<string, Window>();
  let timer: NodeJS.Timeout | undefined;

  return {
    error: (message, data) => log('error', message, data),
    warn: (message, data) => log('warn', message, data),
    info: (message, data) => log('info', message, data),
    debug: (message, data) => log('debug', message, data),
    setLevel(next) {
      level = next;
    },
    setRedactor(next) {
      redactor = next;
    },
    redact: (text) => redactor.text(text),
  };

  function log(lineLevel: Level, message: string, data: Data = {}): void {
    if (LEVELS[lineLevel] > LEVELS[level]) return;
    const nowMs = options.monotonicMs();
    if (windows.size > 0) sumUp(nowMs);
    if (mayPrint(lineLevel, message, nowMs)) print(lineLevel, message, data);
  }

  function mayPrint(lineLevel: Level, message: string, nowMs: number): boolean {
    const known = windows.has(message) || windows.size < DIAG_MESSAGE_COUNT_MAX;
    const key = known ? message : OTHER_MESSAGES;
    const window = windows.get(key) ?? { level: lineLevel, startMs: nowMs, lines: 0 };
    windows.set(key, window);
    window.lines += 1;
    if (window.lines <= DIAG_LINES_PER_SECOND_MAX) return true;
    // A burst followed by silence gets its summary as well; the process need not stay for it.
    timer ??= setTimeout(() => {
      timer = undefined;
      sumUp(options.monotonicMs());
    }, WINDOW_MS + 50).unref();
    return false;
  }

  /** Forgets the texts whose second is over and says how many of their lines were dropped. */
  function sumUp(nowMs: number): void {
    for (const [message, window] of windows) {
      if (nowMs - window.startMs < WINDOW_MS) continue;
      windows.delete(message);
      const count = window.lines - DIAG_LINES_PER_SECOND_MAX;
      if (count > 0) print(window.level, 'further lines with the same message were dropped', { message, count });
    }
  }

  function print(lineLevel: Level, message: string, data: Data): void {
    let line = options.priorityPrefix ? `<${LEVELS[lineLevel]}>` : '';
    if (options.timestamps) line += `${new Date(options.now()).toISOString()} `;
    // The message is prose: as it is, except for what would break the line.
    line += `${lineLevel} ${unquoted(redactor.text(message))}`;
    for (const [key, value] of Object.entries(data)) {
      if (value !== undefined) line += ` ${redactor.text(key)}=${printValue(key, value, redactor)}`;
    }
    options.write(`${line}\n`);
  }
}

function unquoted(text: string): string {
  return quote(text, LOG_FIELD_BYTES_MAX).slice(1, -1).replaceAll('\\"', '"');
}

function printValue(key: string, value: unknown, redactor: Redactor): string {
  const plain = value instanceof Error ? describe(value) : value;
  // Through an object with this one key, so that a key that looks like a secret hides its value.
  const shown = (redactor.value({ [key]: plain }, 'full') as Data)[redactor.text(key)];
  const text = typeof shown === 'object' && shown !== null ? singleLineJson(JSON.stringify(shown)) : String(shown);
  return BARE.test(text) && text.length <= LOG_FIELD_BYTES_MAX ? text : quote(text, LOG_FIELD_BYTES_MAX);
}

/** `message (CODE)`, then the cause, which is where Node puts the reason of a failed connection. */
function describe(error: Error): string {
  const { code } = error as NodeJS.ErrnoException;
  const self = error.message === '' ? error.name : error.message;
  const coded = typeof code === 'string' && !self.includes(code) ? `${self} (${code})` : self;
  return error.cause instanceof Error ? `${coded}: ${error.cause.message}` : coded;
}
