/**
 * Subscriptions to the resources of one server: one at the server for all who want the same.
 *
 * The first asks the server, the last one leaves; in between they are counted. After the peer connected again they
 * are asked for anew. Who is told of an update is for the views to decide (MCP 2025-11-25 server/resources).
 */
import { ProxyError } from '../errors.ts';
import { RESOURCE_SUBSCRIPTION_COUNT_MAX } from '../limits.ts';
import type { McpPeer } from '../mcp/waist.ts';

export interface ResourceSubscriptions {
  readonly count: number;
  /**
   * Whether the server agreed.
   *
   * @throws {ProxyError} OVERLOADED when there are too many; UPSTREAM_* as the peer does
   */
  add(uri: string): Promise<boolean>;
  remove(uri: string): Promise<void>;
  /** Asks for all again and returns those that are still subscribed. */
  renew(): Promise<string[]>;
}

interface Subscription {
  count: number;
  agreed: Promise<boolean>;
}

export function createResourceSubscriptions(
  peer: Pick<McpPeer, 'subscribe' | 'unsubscribe'>,
  serverName: string,
): ResourceSubscriptions {
  const byUri = new Map<string, Subscription>(); // Bounded by RESOURCE_SUBSCRIPTION_COUNT_MAX.

  function forget(uri: string, subscription: Subscription): void {
    if (byUri.get(uri) === subscription) byUri.delete(uri);
  }

  return {
    get count() {
      return byUri.size;
    },
    async add(uri) {
      const found = byUri.get(uri);
      if (found === undefined && byUri.size >= RESOURCE_SUBSCRIPTION_COUNT_MAX) {
        throw new ProxyError('OVERLOADED', `server ${serverName}: too many resources are subscribed to`);
      }
      const subscription = found ?? { count: 0, agreed: peer.subscribe(uri) };
      byUri.set(uri, subscription);
      subscription.count += 1;
      try {
        if (await subscription.agreed) return true;
      } catch (error) {
        forget(uri, subscription);
        throw error;
      }
      forget(uri, subscription);
      return false;
    },
    async remove(uri) {
      const subscription = byUri.get(uri);
      if (subscription === undefined) return;
      subscription.count -= 1;
      if (subscription.count > 0) return;
      byUri.delete(uri);
      await peer.unsubscribe(uri);
    },
    async renew() {
      const renewed = [...byUri].map(async ([uri, subscription]) => {
        subscription.agreed = peer.subscribe(uri);
        return (await subscription.agreed.catch(() => false)) ? [uri] : [];
      });
      return (await Promise.all(renewed)).flat();
    },
  };
}
