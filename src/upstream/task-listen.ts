/**
 * Listening to the states of tasks at a server of 2026-07-28, over HTTP and over a message channel.
 *
 * One subscription for each client that listens, with that client's capabilities, because a task may ask what only
 * one of them can answer. It is told when the subscription ends, and never opened again here. Source: MCP extension
 * tasks 2026-07-28, Notifications; basic/patterns/subscriptions.
 */
import { SUBSCRIBE_MS_MAX } from '../limits.ts';
import { isObject } from '../mcp/jsonrpc.ts';
import { META } from '../mcp/protocol.ts';
import type { JsonObject, TaskListen, TaskListenRequest } from '../mcp/waist.ts';
import type { Conversation } from './conversation.ts';
import type { RemoteOptions } from './mcp-http.ts';
import { ACKNOWLEDGED, openListenStream, readHonoured } from './modern-listen-stream.ts';
import { OWN_META, withoutHopMeta } from './modern-message.ts';

export type OnTask = (task: JsonObject) => void;

const TASK_NOTIFICATION = 'notifications/tasks';

/** Where nobody tells anything about tasks. */
export const NO_TASK_LISTEN: TaskListen = { agreed: [], ended: Promise.resolve(), stop: () => undefined };

/** @throws {ProxyError} UPSTREAM_* */
export async function listenTasksOverHttp(
  remote: RemoteOptions,
  { id, taskIds, clientCapabilities }: TaskListenRequest & { readonly id: number },
  onTask: OnTask,
): Promise<TaskListen> {
  const opened = await openListenStream(remote, {
    id,
    notifications: { taskIds },
    meta: metaFor(clientCapabilities),
    onNotification: ({ method, params = {} }) => {
      if (method === TASK_NOTIFICATION) onTask(withoutHopMeta(params));
    },
  });
  if (opened.kind === 'refused') return NO_TASK_LISTEN;
  const { exchange, honoured } = opened;
  const ended = exchange.response.then(
    () => undefined,
    () => undefined,
  );
  return { agreed: agreedOf(honoured, taskIds), ended, stop: () => exchange.abort() };
}

interface Open {
  readonly onTask: OnTask;
  onConfirmed(honoured: JsonObject): void;
  onEnd(): void;
}

/** All subscriptions to tasks of one channel, told apart by their ids. */
export class ChannelTaskListens {
  readonly #conversation: Conversation;
  /** Bounded by PEER_CALL_COUNT_MAX: each is a request in progress. */
  readonly #open = new Map<unknown, Open>();

  constructor(conversation: Conversation) {
    this.#conversation = conversation;
  }

  listen({ taskIds, clientCapabilities }: TaskListenRequest, onTask: OnTask): Promise<TaskListen> {
    const params = { notifications: { taskIds }, _meta: metaFor(clientCapabilities) };
    return new Promise((resolve) => {
      const id: number = this.#conversation.ask(
        'subscriptions/listen',
        () => params,
        () => end(),
      );
      let onEnded: (() => void) | undefined;
      const ended = new Promise<void>((done) => {
        onEnded = done;
      });
      const end = (): void => {
        clearTimeout(timer);
        this.#open.delete(id);
        onEnded?.();
        resolve(NO_TASK_LISTEN);
      };
      const stop = (): void => {
        if (!this.#open.has(id)) return;
        this.#conversation.forget(id);
        void this.#conversation.notify('notifications/cancelled', { requestId: id });
        end();
      };
      const timer = setTimeout(stop, SUBSCRIBE_MS_MAX);
      const onConfirmed = (honoured: JsonObject): void => {
        clearTimeout(timer);
        resolve({ agreed: agreedOf(honoured, taskIds), ended, stop });
      };
      this.#open.set(id, { onTask, onConfirmed, onEnd: end });
    });
  }

  /** Takes a notification about one of its subscriptions; false when it is about something else. */
  onNotification(method: string, params: JsonObject): boolean {
    const { _meta: meta, requestId } = params;
    const id = method === 'notifications/cancelled' ? requestId : isObject(meta) && meta[META.subscriptionId];
    const open = this.#open.get(id);
    if (open === undefined) return false;
    if (method === TASK_NOTIFICATION) open.onTask(withoutHopMeta(params));
    else if (method === ACKNOWLEDGED) open.onConfirmed(readHonoured(params));
    else if (method === 'notifications/cancelled') open.onEnd();
    return true;
  }
}

function metaFor(clientCapabilities: JsonObject): JsonObject {
  return { ...OWN_META, [META.clientCapabilities]: clientCapabilities };
}

function agreedOf({ taskIds }: JsonObject, wanted: readonly string[]): string[] {
  return Array.isArray(taskIds) ? wanted.filter((each) => taskIds.includes(each)) : [];
}
