/**
 * The access log of a running mcproxy: opened, with what is told when it cannot be written and when it can again.
 *
 * For a client on a pipe `-` is standard error, because standard output is the client's. Writing, and what happens to
 * lines that cannot be written, is `log/ndjson`'s.
 */
import { createChain, type Chain } from '../log/chain.ts';
import type { Diag } from '../log/diag.ts';
import { openLineWriter, type LineWriter } from '../log/ndjson.ts';
import type { Clock, LogConfig } from '../model.ts';

export interface AccessLogOptions {
  readonly diag: Diag;
  readonly clock: Clock;
  /** Identifies this process in log entries. */
  readonly startId: string;
  readonly piped?: boolean;
  onLostEntries(lines: string): void;
}

/** @throws {ProxyError} LOG_UNWRITABLE */
export function openAccessLog(log: LogConfig, options: AccessLogOptions): LineWriter {
  const { diag, piped } = options;
  const path = log.file;
  return openLineWriter({
    path,
    standardFd: piped ? 2 : 1,
    chain: chainFor(log, options),
    onLost: (lines) => options.onLostEntries(lines),
    onStateChange: (healthy, reason) => {
      if (healthy) diag.info('the access log can be written again', { path });
      else diag.error('the access log cannot be written', { path, reason: reason ?? 'unknown' });
    },
  });
}

/** A new chain, which goes on from what the file ends with; undefined when none is wanted. One process writes the file. */
export function chainFor(log: LogConfig, { clock, startId }: AccessLogOptions): Chain | undefined {
  return log.chain ? createChain({ startId, wallMs: () => clock.wallMs() }) : undefined;
}
