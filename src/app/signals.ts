/**
 * The signals and last-resort errors of the process, as two promises and a callback.
 *
 * `stop` settles at the first SIGTERM or SIGINT, `stopNow` at the second. SIGHUP that comes before anybody listens
 * is kept. An exception that nobody caught settles `stop` with the code of an internal error; a rejected promise
 * that nobody awaits is only told, because one forgotten answer must not take the others along. What follows is
 * the caller's.
 */
import { constants } from 'node:os';

import { EXIT } from './command.ts';

export interface Signals {
  /** 0 for a signal, 70 for an exception. */
  readonly stop: Promise<{ readonly exitCode: number }>;
  /** 128 + the number of the second signal. */
  readonly stopNow: Promise<number>;
  onHangup(listener: () => void): void;
  /** Takes all listeners off the process. */
  close(): void;
}

/** Listens until `close`. */
export function catchSignals(options: { onError: (message: string, error: unknown) => void }): Signals {
  let stopping = false;
  let hangup: (() => void) | undefined;
  let hangupKept = false;
  const stop = deferred<{ exitCode: number }>();
  const stopNow = deferred<number>();

  const onStop = (signal: NodeJS.Signals): void => {
    if (stopping) stopNow.settle(128 + constants.signals[signal]);
    stopping = true;
    stop.settle({ exitCode: EXIT.ok });
  };
  const onHangup = (): void => {
    if (hangup === undefined) hangupKept = true;
    else hangup();
  };
  const onException = (error: unknown): void => {
    options.onError('uncaught exception; mcproxy ends', error);
    if (stopping) stopNow.settle(EXIT.internal);
    stopping = true;
    stop.settle({ exitCode: EXIT.internal });
  };
  const onRejection = (reason: unknown): void => options.onError('unhandled rejection', reason);

  process.on('SIGTERM', onStop).on('SIGINT', onStop).on('SIGHUP', onHangup);
  process.on('uncaughtException', onException).on('unhandledRejection', onRejection);
  return {
    stop: stop.promise,
    stopNow: stopNow.promise,
    onHangup(listener) {
      hangup = listener;
      if (hangupKept) listener();
      hangupKept = false;
    },
    close() {
      process.off('SIGTERM', onStop).off('SIGINT', onStop).off('SIGHUP', onHangup);
      process.off('uncaughtException', onException).off('unhandledRejection', onRejection);
    },
  };
}

/** A promise with its settling function; only the first call counts. */
export function deferred<T>(): { readonly promise: Promise<T>; settle(value: T): void } {
  let settle: ((value: T) => void) | undefined;
  const promise = new Promise<T>((done) => {
    settle = done;
  });
  return { promise, settle: (value) => settle?.(value) };
}
