/**
 * One HTTP request with its answer, from the moment its head has arrived until its log entry is written.
 *
 * The entry is born before anything can fail, filled by whoever knows, and committed exactly once. `commit`
 * calls back when the line is in the file, so that the last byte of an answer can wait for it: a reader of the
 * log after `kill -9` finds every request whose answer arrived.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';

import { ProxyError } from '../errors.ts';
import type { Entry } from '../model.ts';
import type { RequestBody } from './body.ts';

export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly entry: Entry;
  /** Traceparent to send upstream (W3C Trace Context), accepted from the client or minted. */
  readonly traceparent: string;
  /** Request path without prefix, query and trailing slash; set by the guard. */
  path: string;
  /** Query with its `?`, or empty. */
  query: string;
  /** What was read of the request's body before it was decided who serves it; undefined when nothing was. */
  body: RequestBody | undefined;
  /** SHA-256 of the token that let this exchange in, to notice its revocation; null when none did. */
  tokenDigest: string | null;
  /** Whose token it is, with what the token gives; null when nobody was let in by one. */
  principalId: string | null;
  /** True from the first answer byte that belongs to an SSE stream. */
  streaming: boolean;
  /**
   * Ends the exchange from outside: `shutdown` (ends a stream cleanly), `revoked` (same), `abort` (cuts it).
   * Installed by whoever holds the answer; undefined while nothing can be stopped.
   */
  stop: ((reason: 'shutdown' | 'revoked' | 'abort') => void) | undefined;
  /** Writes the entry, once; `done` follows when it is in the file. Later calls only wait. */
  commit(done: (ok: boolean) => void): void;
}

/** Records a failure in the entry; the first cause wins. */
export function recordFailure(entry: Entry, error: ProxyError): void {
  if (entry.errorCode !== null) return;
  entry.errorCode = error.code;
  entry.error = error.message;
  entry.outcome = error.spec.outcome;
}

/** Anything thrown as the ProxyError it is, or INTERNAL with the original as cause. */
export function asProxyError(thrown: unknown): ProxyError {
  if (thrown instanceof ProxyError) return thrown;
  return new ProxyError('INTERNAL', 'mcproxy failed; the diagnostic log has the details under this request id', {
    cause: thrown,
  });
}
