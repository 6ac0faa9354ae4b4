/**
 * What the log entry of an exchange says about the MCP messages in it.
 *
 * Filled before the entry is committed: the request when it is known, the outcome when it is. An error of the
 * protocol is the client's fault or the server's by its number, as in the relay; one of ours by the error table.
 */
import { ERRORS, ProxyError } from '../errors.ts';
import { recordFailure } from '../http/exchange.ts';
import { isObject, type JsonRpcResponse } from '../mcp/jsonrpc.ts';
import type { Entry } from '../model.ts';
import { ownFailure } from './downstream-result.ts';
import type { GatewayView } from './view.ts';

export interface Noting {
  readonly view: GatewayView;
  readonly keepParams: ((params: unknown) => unknown) | undefined;
}

export function noteMessage(
  entry: Entry,
  message: { readonly method: string; readonly params?: Record<string, unknown> },
  { view, keepParams }: Noting,
): void {
  const params = message.params ?? {};
  entry.rpcMethod = message.method;
  const { upstream, name, denied, withheld } = view.locate({ method: message.method, params });
  entry.upstream = upstream ?? entry.upstream;
  entry.rpcName = name;
  if (denied === true) recordDenial(entry, name);
  if (withheld === true) {
    recordFailure(entry, new ProxyError('ACCESS_DENIED', `the tool lock withholds ${name ?? 'it'}`));
  }
  if (keepParams !== undefined) entry.params = keepParams(message.params ?? null);
}

/** Several messages in one exchange: what the rules do not allow in any of them. */
export function noteDenials(
  entry: Entry,
  messages: readonly { readonly method: string; readonly params?: Record<string, unknown> }[],
  view: GatewayView,
): void {
  for (const { method, params = {} } of messages) {
    const { name, denied } = view.locate({ method, params });
    if (denied === true) recordDenial(entry, name);
  }
}

/** The client is told that there is no such thing; the first cause stays in the entry. */
function recordDenial(entry: Entry, name: string | null): void {
  recordFailure(entry, new ProxyError('ACCESS_DENIED', `the rules of this user do not allow ${name ?? 'it'}`));
}

/** JSON-RPC 2.0 §5.1 and the MCP codes that answer what the client sent. */
const CLIENT_FAULTS: ReadonlySet<number> = new Set([-32700, -32600, -32601, -32602, -32002, -32020, -32021, -32022]);

export function noteResponse(entry: Entry, response: JsonRpcResponse): void {
  if ('result' in response) {
    if (response.result['isError'] === true) entry.toolError = true;
    return;
  }
  const { code, message, data } = response.error;
  entry.rpcError ??= code;
  if (entry.errorCode !== null) return;
  const own = ownFailure(data);
  if (own !== undefined) {
    entry.errorCode = own;
    entry.error = message;
    entry.outcome = ERRORS[own].outcome;
    if (isObject(data) && typeof data['server'] === 'string') entry.upstream ??= data['server'];
  } else if (entry.outcome === 'ok') {
    entry.outcome = CLIENT_FAULTS.has(code) ? 'client_error' : 'upstream_error';
  }
}

/** The client took its request back, so that it got no response. */
export function noteCancelled(entry: Entry): void {
  if (entry.outcome === 'ok') entry.outcome = 'cancelled';
}
