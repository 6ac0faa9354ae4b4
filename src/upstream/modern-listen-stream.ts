/**
 * One `subscriptions/listen` of 2026-07-28 over HTTP, until it is acknowledged; what for, its caller knows.
 *
 * A server has `SUBSCRIBE_MS_MAX` to acknowledge; the first message of a subscription is the acknowledgement, which
 * names what is honoured. From then on the stream may be silent for ever. Source: MCP 2026-07-28
 * basic/patterns/subscriptions.
 */
import { ProxyError } from '../errors.ts';
import { SUBSCRIBE_MS_MAX } from '../limits.ts';
import { isObject, type JsonRpcNotification, type RpcErrorBody, type RpcId } from '../mcp/jsonrpc.ts';
import type { JsonObject } from '../mcp/waist.ts';
import type { RemoteOptions } from './mcp-http.ts';
import { askModern, type ModernExchange } from './modern-request.ts';

export interface ListenRequest {
  readonly id: RpcId;
  /** The filter. */
  readonly notifications: JsonObject;
  /** Complete, of the era. */
  readonly meta: JsonObject;
  /** The exchange that has begun, to be given up before it is acknowledged. */
  onBegun?(exchange: ModernExchange): void;
  onNotification(notification: JsonRpcNotification, exchange: ModernExchange): void;
}

export type ListenAnswer =
  | { readonly kind: 'listening'; readonly exchange: ModernExchange; readonly honoured: JsonObject }
  | { readonly kind: 'refused'; readonly error: RpcErrorBody };

export const ACKNOWLEDGED = 'notifications/subscriptions/acknowledged';

/** What an acknowledgement honours. */
export function readHonoured({ notifications }: JsonObject): JsonObject {
  return isObject(notifications) ? notifications : {};
}

/** @throws {ProxyError} UPSTREAM_* */
export async function openListenStream(remote: RemoteOptions, request: ListenRequest): Promise<ListenAnswer> {
  const { name } = remote.server;
  let onAcknowledged: ((answer: ListenAnswer) => void) | undefined;
  const acknowledged = new Promise<ListenAnswer>((resolve) => {
    onAcknowledged = resolve;
  });
  const exchange = askModern(remote, {
    id: request.id,
    method: 'subscriptions/listen',
    params: { notifications: request.notifications, _meta: request.meta },
    headMsMax: SUBSCRIBE_MS_MAX,
    endless: true,
    onNotification: (notification) => {
      const { method, params = {} } = notification;
      if (method !== ACKNOWLEDGED) return request.onNotification(notification, exchange);
      onAcknowledged?.({ kind: 'listening', exchange, honoured: readHonoured(params) });
    },
  });
  request.onBegun?.(exchange);
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    const late = new ProxyError('UPSTREAM_TIMEOUT', `server ${name} did not acknowledge a subscription in time`);
    timer = setTimeout(() => reject(late), SUBSCRIBE_MS_MAX);
  });
  try {
    const first = await Promise.race([acknowledged, exchange.response, tooLate]);
    if ('kind' in first) return first;
    if ('error' in first) return { kind: 'refused', error: first.error };
    throw new ProxyError('UPSTREAM_CLOSED', `server ${name} ended a subscription before it began`);
  } catch (error) {
    exchange.abort();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
