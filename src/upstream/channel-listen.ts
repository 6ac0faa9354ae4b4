/**
 * What changes at a modern server over a message channel: `subscriptions/listen`, one for the lists and one for each
 * resource, all on the same channel and told apart by their ids.
 *
 * A subscription that the server ends is opened again after a pause, and `recovered` is told, because anything may
 * have changed meanwhile. The end of the channel ends them all without a word: the supervisor tells that. Source: MCP
 * 2026-07-28 basic/patterns/subscriptions.
 */
import { SUBSCRIBE_MS_MAX, WATCHED_RESOURCE_COUNT_MAX } from '../limits.ts';
import { isObject } from '../mcp/jsonrpc.ts';
import { META } from '../mcp/protocol.ts';
import type { ChangeEvent, JsonObject } from '../mcp/waist.ts';
import { restartDelayMs } from './backoff.ts';
import type { Conversation } from './conversation.ts';
import { OWN_META } from './modern-message.ts';
import { readChange } from './peer-changes.ts';

const LISTS: JsonObject = { toolsListChanged: true, promptsListChanged: true, resourcesListChanged: true };

interface Subscription {
  readonly filter: JsonObject;
  readonly uri: string | undefined;
  id: number | undefined;
  /** Ends in a row without a change between them. */
  endCount: number;
  timer: NodeJS.Timeout | undefined;
  /** The server confirmed; true when it watches what was asked for. */
  onConfirmed: ((honoured: boolean) => void) | undefined;
}

export class ChannelListening {
  readonly #conversation: Conversation;
  readonly #emit: (event: ChangeEvent) => void;
  /** By the URI, undefined for the lists; bounded by WATCHED_RESOURCE_COUNT_MAX. */
  readonly #subscriptions = new Map<string | undefined, Subscription>();
  #isClosed = false;

  constructor(conversation: Conversation, emit: (event: ChangeEvent) => void) {
    this.#conversation = conversation;
    this.#emit = emit;
  }

  watchLists(): void {
    this.#open(this.#add(undefined, LISTS));
  }

  /** Resolves to whether the server watches the resource. */
  watch(uri: string): Promise<boolean> {
    if (this.#subscriptions.has(uri)) return Promise.resolve(true);
    if (this.#isClosed || this.#subscriptions.size >= WATCHED_RESOURCE_COUNT_MAX) return Promise.resolve(false);
    const subscription = this.#add(uri, { resourceSubscriptions: [uri] });
    return new Promise((resolve) => {
      const timer = setTimeout(() => subscription.onConfirmed?.(false), SUBSCRIBE_MS_MAX);
      subscription.onConfirmed = (honoured) => {
        clearTimeout(timer);
        subscription.onConfirmed = undefined;
        if (!honoured) this.unwatch(uri);
        resolve(honoured);
      };
      this.#open(subscription);
    });
  }

  unwatch(uri: string): void {
    const subscription = this.#subscriptions.get(uri);
    if (subscription === undefined) return;
    this.#subscriptions.delete(uri);
    clearTimeout(subscription.timer);
    const { id } = subscription;
    subscription.id = undefined;
    if (id === undefined) return;
    this.#conversation.forget(id);
    void this.#conversation.notify('notifications/cancelled', { requestId: id });
  }

  /** Takes a notification that is about a subscription or ends one. */
  onNotification(method: string, params: JsonObject): void {
    const meta = params['_meta'];
    const id = method === 'notifications/cancelled' ? params['requestId'] : isObject(meta) && meta[META.subscriptionId];
    const subscription = [...this.#subscriptions.values()].find((each) => each.id !== undefined && each.id === id);
    if (subscription === undefined) return;
    if (method === 'notifications/cancelled') return this.#onEnd(subscription);
    if (method === 'notifications/subscriptions/acknowledged') return this.#onConfirmed(subscription, params);
    const change = readChange(method, params);
    if (change === undefined) return;
    subscription.endCount = 0;
    this.#emit(change);
  }

  close(): void {
    this.#isClosed = true;
    for (const { timer, onConfirmed } of this.#subscriptions.values()) {
      clearTimeout(timer);
      onConfirmed?.(false);
    }
    this.#subscriptions.clear();
  }

  #add(uri: string | undefined, filter: JsonObject): Subscription {
    const subscription: Subscription = {
      filter,
      uri,
      id: undefined,
      endCount: 0,
      timer: undefined,
      onConfirmed: undefined,
    };
    this.#subscriptions.set(uri, subscription);
    return subscription;
  }

  #open(subscription: Subscription): void {
    const params = { notifications: subscription.filter, _meta: OWN_META };
    const id: number = this.#conversation.ask(
      'subscriptions/listen',
      () => params,
      (answer) => {
        if (id !== subscription.id) return;
        if (answer.kind === 'result') return this.#onEnd(subscription);
        // Refused, or the channel is over: not asked again.
        subscription.id = undefined;
        subscription.onConfirmed?.(false);
      },
    );
    subscription.id = id;
  }

  #onConfirmed(subscription: Subscription, params: JsonObject): void {
    const { uri } = subscription;
    const honoured = params['notifications'];
    const uris = isObject(honoured) ? honoured['resourceSubscriptions'] : undefined;
    subscription.onConfirmed?.(uri === undefined || (Array.isArray(uris) && uris.includes(uri)));
    if (subscription.endCount > 0) this.#emit({ kind: 'recovered' });
  }

  #onEnd(subscription: Subscription): void {
    const { id, onConfirmed } = subscription;
    subscription.id = undefined;
    if (id !== undefined) this.#conversation.forget(id);
    if (onConfirmed !== undefined) return onConfirmed(false);
    if (this.#isClosed) return;
    subscription.endCount += 1;
    subscription.timer = setTimeout(() => this.#open(subscription), restartDelayMs(subscription.endCount));
  }
}
