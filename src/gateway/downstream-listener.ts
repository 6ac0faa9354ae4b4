/**
 * One `subscriptions/listen` of 2026-07-28: what a client asked to hear of, confirmed first, whatever the transport.
 *
 * The confirmation names what is honoured: list changes that the view declares, and resources and tasks whose server
 * agreed. Changes that come before it wait for it. Every message carries the id of the listen request with its type; the end
 * is a closing result where we end it, so that the client can tell it from a broken connection. Source: MCP
 * 2026-07-28 basic/patterns/subscriptions.
 */
import { ProxyError } from '../errors.ts';
import { LISTEN_QUEUE_COUNT_MAX, LISTEN_RESOURCE_COUNT_MAX } from '../limits.ts';
import type { ModernClass } from '../mcp/classify.ts';
import { isObject, type JsonRpcResponse } from '../mcp/jsonrpc.ts';
import { META } from '../mcp/protocol.ts';
import { declaresTasks } from '../mcp/tasks.ts';
import type { JsonObject } from '../mcp/waist.ts';
import type { ViewChange } from './downstream-changes.ts';
import type { ServingContext } from './downstream-context.ts';
import { modernResponse } from './downstream-result.ts';
import { isWithin } from './resource-ownership.ts';
import type { TaskWatch } from './task-watch.ts';
import type { GatewayView } from './view.ts';

/** Where the messages of a subscription go. */
export interface ListenSink {
  send(message: unknown): boolean;
  /** As `send`, for what may be dropped when too much waits already. */
  offer(message: unknown): boolean;
}

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
export class Listener {
  readonly #modern: ModernClass;
  readonly #context: Pick<ServingContext, 'view' | 'serverInfo' | 'requestId'>;
  readonly #view: GatewayView;
  #unwatch: (() => void) | undefined;
  #filter: Filter = { kinds: NO_KINDS, uris: [], taskIds: [] };
  #tasks: TaskWatch | undefined;
  #early: (ViewChange | TaskChange)[] = [];
  #sink: ListenSink | undefined;
  #ended = false;

  constructor(modern: ModernClass, context: Pick<ServingContext, 'view' | 'serverInfo' | 'requestId'>) {
    this.#modern = modern;
    this.#context = context;
    this.#view = context.view;
  }

  /** Subscribes to what can be had. @throws {ProxyError} RPC_PARAMS, or as the view does */
  async begin(): Promise<void> {
    const filter = readFilter(this.#modern.message.params?.['notifications']);
    if (typeof filter === 'string') throw new ProxyError('RPC_PARAMS', filter);
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
    this.#filter = { kinds: new Set(kinds), uris: filter.uris.filter((_, index) => agreed[index]), taskIds };
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

  /** Confirms, and tells from now on. */
  open(sink: ListenSink): void {
    this.#sink = sink;
    const { kinds, uris, taskIds } = this.#filter;
    const notifications = {
      ...Object.fromEntries([...kinds].map((kind) => [`${kind}ListChanged`, true])),
      ...(uris.length > 0 ? { resourceSubscriptions: uris } : {}),
      ...(taskIds.length > 0 ? { taskIds } : {}),
    };
    sink.send(this.#stamped('notifications/subscriptions/acknowledged', { notifications }));
    for (const change of this.#early.splice(0)) this.#onChange(change);
  }

  /** The result that ends it in order. */
  closing(): JsonRpcResponse {
    const { message, method } = this.#modern;
    const result = { _meta: { [META.subscriptionId]: message.id } };
    const to = { id: message.id, method, requestId: this.#context.requestId };
    return modernResponse({ kind: 'complete', result }, to, this.#context.serverInfo);
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
    if (this.#sink === undefined) {
      if (this.#early.length < LISTEN_QUEUE_COUNT_MAX) this.#early.push(change);
      return;
    }
    if (change.kind === 'task') {
      this.#sink.offer(this.#stamped('notifications/tasks', change.task));
    } else if (change.kind !== 'resource') {
      if (!this.#filter.kinds.has(change.kind)) return;
      this.#sink.offer(this.#stamped(`notifications/${change.kind}/list_changed`, {}));
    } else if (this.#filter.uris.some((uri) => isWithin(change.uri, uri))) {
      this.#sink.offer(this.#stamped('notifications/resources/updated', { uri: change.uri }));
    }
  }

  #stamped(method: string, params: JsonObject): JsonObject {
    const stamp = { [META.subscriptionId]: this.#modern.message.id };
    const meta = isObject(params['_meta']) ? { ...params['_meta'], ...stamp } : stamp;
    return { jsonrpc: '2.0', method, params: { ...params, _meta: meta } };
  }
}
