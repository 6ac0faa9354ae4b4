/**
 * How a call ends that the server did not end: a failure of ours as an outcome of the waist.
 *
 * The number is the HTTP status of the error table, `data` says that it is ours, which code, and what else is safe to
 * show. A supervisor reads back from it whether the server provably did not act. Pure.
 */
import type { ProxyError } from '../errors.ts';
import { isObject } from '../mcp/jsonrpc.ts';
import type { McpOutcome } from '../mcp/waist.ts';

const SOURCE = 'mcproxy';

export function failureOutcome(error: ProxyError): McpOutcome {
  const data = { ...error.data, source: SOURCE, code: error.code };
  return { kind: 'error', code: error.spec.rpc, message: error.message, data };
}

/** Whether the call provably did not reach the server, so that it may be made again. */
export function isNotProcessed(outcome: McpOutcome): boolean {
  if (outcome.kind !== 'error' || !isObject(outcome.data)) return false;
  return outcome.data['source'] === SOURCE && outcome.data['notProcessed'] === true;
}
