/**
 * `subscriptions/listen` of 2026-07-28: a stream of changes that the client asked for, confirmed first.
 *
 * The confirmation names what is honoured: list changes that the view declares, and resources and tasks whose server
 * agreed.
 * Changes that come before it wait for it. Every message carries the id of the listen request with its type; the end
 * is a closing result where we end the stream, so that the client can tell it from a broken connection. Source: MCP
 * 2026-07-28 basic/patterns/subscriptions.
 */
import { ProxyError } from '../errors.ts';
import { EventStream } from '../http/event-stream.ts';
import { LISTEN_QUEUE_COUNT_MAX, LISTEN_RESOURCE_COUNT_MAX } from '../limits.ts';
import type { ModernClass } from '../mcp/classify.ts';
import { isObject } from '../mcp/jsonrpc.ts';
import { META, RPC_ERROR } from '../mcp/protocol.ts';
import { declaresTasks } from '../mcp/tasks.ts';
import type { JsonObject, McpOutcome } from '../mcp/waist.ts';
import type { ViewChange } from './downstream-changes.ts';
import type { DownstreamPost } from './downstream-context.ts';
import { PostReply } from './downstream-reply.ts';
import { failed, failureOf, modernResponse } from './downstream-result.ts';
import { isWithin } from './resource-ownership.ts';
import type { TaskWatch } from './task-watch.ts';
import type { GatewayView } from './view.ts';

/** What a client wants to hear of. */
interface Filter {
  readonly kinds: ReadonlySet<string>;
  readonly uris: readonly string[];
  readonly taskIds: readonly string[];
}

interface TaskChange {
  readonly kind: 'task';
  readonly task: JsonObject;
}

const KINDS = ['tools', 'prompts', 'resources'] as const;
const NO_KINDS: ReadonlySet<string> = new Set([]);

export function serveListen(modern: ModernClass, post: DownstreamPost): void {
  const { message } = modern;
  const filter = readFilter(message.params?.['notifications']);
  const reply = new PostReply(post.exchange, {
    count: 1,
    batch: false,
    // The stream begins with the confirmation.
    neverStream: true,
    heartbeatMs: 0,
    onGone: () => listener.end(),
    onStop: (error) => refuse(failed(error)),
  });
  const listener = new Listener(modern, post);

  function refuse(outcome: McpOutcome): void {
    listener.end();
    const to = { id: message.id, method: message.method, requestId: post.exchange.entry.requestId };
    reply.respond(modernResponse(outcome, to, post.context.serverInfo));
  }

  if (typeof filter === 'string')
    return refuse({ kind: 'error', code: RPC_ERROR.invalidParams, message: filter, data: undefined });
  listener.begin(filter).then(
    (honoured) => {
      if (reply.release()) listener.open(honoured);
    },
    (thrown: unknown) => refuse(failureOf(thrown, post.context)),
  );
}

/** The filter, or what is wrong with it. */
function readFilter(notifications: unknown): Filter | string {
  if (!isObject(notifications)) return '`params.notifications` has to be an object.';
  const { resourceSubscriptions = [] } = notifications;
  const isList = Array.isArray(resourceSubscriptions);
  if (!isList || !resourceSubscriptions.every((uri): uri is string => typeof uri === 'string'))
    return '`params.notifications.resourceSubscriptions` has to be a list of URIs.';
  if (resourceSubscriptions.length > LISTEN_RESOURCE_COUNT_MAX)
    return `One subscription may name at most ${LISTEN_RESOURCE_COUNT_MAX} resources.`;
  const { taskIds = [] } = notifications;
  if (!Array.isArray(taskIds) || !taskIds.every((id): id is string => typeof id === 'string'))
    return '`params.notifications.taskIds` has to be a list of ids.';
  if (taskIds.length > LISTEN_RESOURCE_COUNT_MAX)
    return `One subscription may name at most ${LISTEN_RESOURCE_COUNT_MAX} tasks.`;
  const kinds = KINDS.filter((kind) => notifications[`${kind}ListChanged`] === true);
  return { kinds: new Set(kinds), uris: [...new Set(resourceSubscriptions)], taskIds };
}

/** One subscription; a class because it holds subscriptions at servers. */
class Listener {
  readonly #modern: ModernClass;
  readonly #post: DownstreamPost;
  readonly #view: GatewayView;
  #unwatch: (() => void) | undefined;
  #filter: Filter = { kinds: NO_KINDS, uris: [], taskIds: [] };
  #tasks: TaskWatch | undefined;
  #early: (ViewChange | TaskChange)[] = [];
  #stream: EventStream | undefined;
  #ended = false;

  constructor(modern: ModernClass, post: DownstreamPost) {
    this.#modern = modern;
    this.#post = post;
    this.#view = post.target.view;
  }

  /** Subscribes to what can be had and resolves to it. @throws {ProxyError} as the view does */
  async begin(filter: Filter): Promise<Filter> {
    this.#unwatch = this.#view.onChange((change) => this.#onChange(change));
    const [{ capabilities }, agreed, taskIds] = await Promise.all([
      this.#view.discover(),
      Promise.all(filter.uris.map((uri) => this.#subscribe(uri))),
      this.#watchTasks(filter.taskIds),
    ]);
    const kinds = [...filter.kinds].filter((kind) => {
      const capability = capabilities[kind];
      return isObject(capability) && capability['listChanged'] === true;
    });
    return { kinds: new Set(kinds), uris: filter.uris.filter((_, index) => agreed[index]), taskIds };
  }

  /** A server that does not tell about the resource or cannot be reached leaves it out of the confirmation. */
  async #subscribe(uri: string): Promise<boolean> {
    try {
      if (!(await this.#view.subscribe(uri))) return false;
    } catch (thrown) {
      if (thrown instanceof ProxyError) return false;
      throw thrown;
    }
    if (!this.#ended) {
      this.#filter = { ...this.#filter, uris: [...this.#filter.uris, uri] };
      return true;
    }
    await this.#view.unsubscribe(uri).catch(() => undefined);
    return false;
  }

  /** Those of the tasks that are the client's and whose servers tell about them. */
  async #watchTasks(taskIds: readonly string[]): Promise<readonly string[]> {
    const { clientCapabilities } = this.#modern.envelope;
    if (taskIds.length === 0 || !declaresTasks(clientCapabilities)) return [];
    const onTask = (task: JsonObject): void => this.#onChange({ kind: 'task', task });
    this.#tasks = await this.#view.watchTasks({ taskIds, clientCapabilities, onTask });
    if (this.#ended) this.#tasks.stop();
    return this.#tasks.agreed;
  }

  open(honoured: Filter): void {
    this.#filter = honoured;
    const { exchange, context, listens, target } = this.#post;
    const listen = { principalId: target.principal.id, close: () => this.#close() };
    listens.add(listen);
    this.#stream = new EventStream(exchange, {
      heartbeatMs: context.heartbeatMs,
      openEnded: true,
      onStop: () => this.#close(),
      onClosed: () => undefined,
    });
    this.#stream.onOver(() => {
      listens.delete(listen);
      this.end();
    });
    const notifications = {
      ...Object.fromEntries([...honoured.kinds].map((kind) => [`${kind}ListChanged`, true])),
      ...(honoured.uris.length > 0 ? { resourceSubscriptions: honoured.uris } : {}),
      ...(honoured.taskIds.length > 0 ? { taskIds: honoured.taskIds } : {}),
    };
    this.#stream.send(this.#stamped('notifications/subscriptions/acknowledged', { notifications }));
    for (const change of this.#early.splice(0)) this.#onChange(change);
  }

  /** Lets go of everything; may be called at any time. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#unwatch?.();
    this.#tasks?.stop();
    this.#early = [];
    for (const uri of this.#filter.uris) void this.#view.unsubscribe(uri).catch(() => undefined);
  }

  #onChange(change: ViewChange | TaskChange): void {
    if (this.#stream === undefined) {
      if (this.#early.length < LISTEN_QUEUE_COUNT_MAX) this.#early.push(change);
      return;
    }
    if (change.kind === 'task') {
      this.#stream.offer(this.#stamped('notifications/tasks', change.task));
    } else if (change.kind !== 'resource') {
      if (!this.#filter.kinds.has(change.kind)) return;
      this.#stream.offer(this.#stamped(`notifications/${change.kind}/list_changed`, {}));
    } else if (this.#filter.uris.some((uri) => isWithin(change.uri, uri))) {
      this.#stream.offer(this.#stamped('notifications/resources/updated', { uri: change.uri }));
    }
  }

  #stamped(method: string, params: JsonObject): JsonObject {
    const stamp = { [META.subscriptionId]: this.#modern.message.id };
    const meta = isObject(params['_meta']) ? { ...params['_meta'], ...stamp } : stamp;
    return { jsonrpc: '2.0', method, params: { ...params, _meta: meta } };
  }

  #close(): void {
    const { message, method } = this.#modern;
    const result = { _meta: { [META.subscriptionId]: message.id } };
    const to = { id: message.id, method, requestId: this.#post.exchange.entry.requestId };
    this.#stream?.finish(modernResponse({ kind: 'complete', result }, to, this.#post.context.serverInfo));
  }
}
