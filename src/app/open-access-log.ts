/**
 * The access log of a running mcproxy: opened, with what is told when it cannot be written and when it can again.
 *
 * For a client on a pipe `-` is standard error, because standard output is the client's. Writing, and what happens to
 * lines that cannot be written, is `log/ndjson`'s.
 */
import type { Diag } from '../log/diag.ts';
import { openLineWriter, type LineWriter } from '../log/ndjson.ts';

export interface AccessLogOptions {
  readonly diag: Diag;
  readonly piped?: boolean;
  onLostEntries(lines: string): void;
}

/** @throws {ProxyError} LOG_UNWRITABLE */
export function openAccessLog(path: string, options: AccessLogOptions): LineWriter {
  const { diag, piped } = options;
  return openLineWriter({
    path,
    standardFd: piped ? 2 : 1,
    onLost: (lines) => options.onLostEntries(lines),
    onStateChange: (healthy, reason) => {
      if (healthy) diag.info('the access log can be written again', { path });
      else diag.error('the access log cannot be written', { path, reason: reason ?? 'unknown' });
    },
  });
}
