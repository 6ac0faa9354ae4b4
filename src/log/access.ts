/**
 * One access-log entry as one line of JSON.
 *
 * The fields, their names and their order are a promise to whoever parses the log: the 17 that are always there
 * (null where unknown), then `seq` and `start_id`, which keep the order when the wall clock steps, then
 * `tool_error` (only when true) and `params` (only with `log.params`). Every string field is bounded, so a line
 * stays below `LOG_LINE_BYTES_MAX`. Never throws and never leaves a newline inside the line, whatever a client
 * sent. Redaction is the caller's, before this.
 */
import { LOG_FIELD_BYTES_MAX, LOG_PARAMS_BYTES_MAX } from '../limits.ts';
import type { Entry } from '../model.ts';
import { quote, singleLineJson } from './quote.ts';

/** The greatest instant that a Date can hold. @see ECMA-262 §21.4.1.1 */
const DATE_MS_MAX = 8.64e15;

/** Which process wrote the line, and the how-manieth of that process it is. */
export interface EntryStamp {
  readonly seq: number;
  readonly startId: string;
}

/** The entry as a JSON line, newline included. */
export function formatEntry(entry: Entry, stamp: EntryStamp): string {
  return (
    `{"ts":${timestamp(entry.tsMs)}` +
    `,"request_id":${text(entry.requestId)}` +
    `,"principal":${text(entry.principal)}` +
    `,"client_ip":${text(entry.clientIp)}` +
    `,"route":${text(entry.route)}` +
    `,"upstream":${text(entry.upstream)}` +
    `,"rpc_method":${text(entry.rpcMethod)}` +
    `,"rpc_name":${text(entry.rpcName)}` +
    `,"http_status":${number(entry.httpStatus)}` +
    `,"rpc_error":${number(entry.rpcError)}` +
    `,"latency_ms":${number(Math.round(entry.latencyMs * 1_000) / 1_000)}` +
    `,"attempts":${number(entry.attempts)}` +
    `,"bytes_in":${number(entry.bytesIn)}` +
    `,"bytes_out":${number(entry.bytesOut)}` +
    `,"outcome":"${entry.outcome}"` +
    `,"error_code":${text(entry.errorCode)}` +
    `,"error":${text(entry.error)}` +
    `,"seq":${number(stamp.seq)}` +
    `,"start_id":${text(stamp.startId)}` +
    (entry.toolError ? ',"tool_error":true' : '') +
    (entry.params === undefined ? '' : `,"params":${content(entry.params)}`) +
    '}\n'
  );
}

/** Fields of an entry that say what a client or server sent, in their words. */
const FREE_TEXT = ['route', 'rpcMethod', 'rpcName', 'error'] as const;

/** Changes the entry to what may be seen of it. */
export function redactEntry(entry: Entry, redactor: { text(of: string): string }): void {
  for (const field of FREE_TEXT) if (entry[field] !== null) entry[field] = redactor.text(entry[field]);
}

function timestamp(ms: number): string {
  return Math.abs(ms) <= DATE_MS_MAX ? `"${new Date(ms).toISOString()}"` : 'null';
}

function text(value: string | null): string {
  return value === null ? 'null' : quote(value, LOG_FIELD_BYTES_MAX);
}

function number(value: number | null): string {
  return value !== null && Number.isFinite(value) ? String(value) : 'null';
}

/** Content whole or not at all: half a JSON value would mislead more than its size does. */
function content(value: unknown): string {
  let json: string;
  try {
    json = singleLineJson(JSON.stringify(value) ?? 'null');
  } catch {
    return '{"truncated":true,"bytes":null}'; // circular, a bigint, or nested too deeply to print
  }
  const bytes = Buffer.byteLength(json);
  return bytes <= LOG_PARAMS_BYTES_MAX ? json : `{"truncated":true,"bytes":${bytes}}`;
}
