/**
 * One server as one sharing scope uses it: its peer, what is known of it, and who uses it now.
 *
 * It counts calls and watchers, so that it is closed neither under a call nor under a client that listens, and turns
 * what the peer tells (a list changed, the connection was made again) into changes for the views, after what is
 * known was marked as old. Starting, restarting and timeouts are the peer's; who shares it, `members` decides.
 */
import { ProxyError } from '../errors.ts';
import type { ChangeEvent, JsonObject, McpCall, McpEvents, McpPeer, McpRequest, ServerCard } from '../mcp/waist.ts';
import type { TaskListen, TaskListenRequest } from '../mcp/waist.ts';
import type { Clock, MemberStatus, ServerConfig } from '../model.ts';
import { failureOutcome } from '../upstream/peer-outcome.ts';
import type { PeerState } from '../upstream/supervisor.ts';
import { asProxyError, createCatalog, type Catalog } from './catalog.ts';
import { settleWithin } from './deadline.ts';
import type { OnDiag } from './diag.ts';
import { createHealth, type Down } from './member-health.ts';
import { createUse } from './member-use.ts';
import { createResourceSubscriptions } from './resource-subscriptions.ts';

export type Peer = McpPeer & { state(): PeerState };

export type MemberChange =
  | { readonly kind: 'tools' | 'prompts' | 'resources' }
  | { readonly kind: 'resource'; readonly uri: string };

export interface Member {
  /** The configuration it was opened with, or a newer equal one. */
  readonly server: ServerConfig;
  /** Undefined: all principals share it. */
  readonly principalId: string | undefined;
  readonly catalog: Catalog;
  /** What the server last said about itself. */
  readonly card: ServerCard | undefined;
  /** Since when it does not answer; undefined while it does or was never asked. */
  readonly down: Down | undefined;
  /** Monotonic time since when nobody uses it; undefined while somebody does. */
  readonly idleSinceMs: number | undefined;
  /** Monotonic time since when it has been asked what it is without an answer; undefined when nobody waits for one. */
  readonly askedSinceMs: number | undefined;
  /** @throws {ProxyError} UPSTREAM_* as the peer does */
  describe(): Promise<ServerCard>;
  call(request: McpRequest, events: McpEvents): McpCall;
  watch(listener: (change: MemberChange) => void): () => void;
  /** @throws {ProxyError} as `ResourceSubscriptions.add` does */
  subscribe(uri: string): Promise<boolean>;
  unsubscribe(uri: string): Promise<void>;
  /** As the peer does; it is not closed as idle meanwhile. */
  listenTasks(request: TaskListenRequest, onTask: (task: JsonObject) => void): Promise<TaskListen>;
  adopt(server: ServerConfig): void;
  status(): MemberStatus;
  /** Closes the peer when its calls have ended, at the latest after `graceMs`. Nobody waits for a server that starts. */
  close(graceMs: number): Promise<void>;
}

export interface MemberOptions {
  readonly server: ServerConfig;
  readonly principalId: string | undefined;
  readonly peer: Peer;
  readonly clock: Clock;
  readonly onDiag: OnDiag;
}

/** What the parts of a member have in common. */
interface Parts {
  readonly use: ReturnType<typeof createUse>;
  readonly health: ReturnType<typeof createHealth>;
  readonly catalog: Catalog;
  readonly subscriptions: ReturnType<typeof createResourceSubscriptions>;
  readonly watchers: Set<(change: MemberChange) => void>;
  readonly conversation: Conversation;
}

interface Conversation {
  readonly card: ServerCard | undefined;
  readonly askedSinceMs: number | undefined;
  describe(): Promise<ServerCard>;
  call(request: McpRequest, events: McpEvents): McpCall;
  /** No call is begun any more. */
  end(): void;
}

export function createMember(options: MemberOptions): Member {
  const { peer, principalId } = options;
  let { server } = options;
  const parts = assemble(options);
  const { use, health, catalog, subscriptions, watchers, conversation } = parts;
  const taskListens = new Set<TaskListen>(); // Bounded by EXCHANGE_COUNT_MAX.
  const stopListening = peer.onChange((event) => onPeerChange(parts, event));
  return {
    get server() {
      return server;
    },
    principalId,
    catalog,
    get card() {
      return conversation.card;
    },
    get down() {
      return health.down;
    },
    get idleSinceMs() {
      const isWatched = watchers.size > 0 || subscriptions.count > 0 || taskListens.size > 0;
      return isWatched ? undefined : use.idleSinceMs;
    },
    get askedSinceMs() {
      return conversation.askedSinceMs;
    },
    describe: () => conversation.describe(),
    call: (request, events) => conversation.call(request, events),
    watch(listener) {
      watchers.add(listener);
      health.setWatched(true);
      return () => {
        watchers.delete(listener);
        health.setWatched(watchers.size > 0);
        use.touch();
      };
    },
    subscribe: (uri) => use.during(subscriptions.add(uri)),
    unsubscribe: (uri) => use.during(subscriptions.remove(uri)),
    async listenTasks(request, onTask) {
      const listen = await use.during(peer.listenTasks(request, onTask));
      taskListens.add(listen);
      void listen.ended.then(() => {
        taskListens.delete(listen);
        use.touch();
      });
      return listen;
    },
    adopt(newer) {
      server = newer;
    },
    status: () => statusOf(parts, { serverName: server.name, principalId, peer }),
    async close(graceMs) {
      conversation.end();
      health.stop();
      stopListening();
      await settleWithin(use.ended(), graceMs);
      await peer.close();
    },
  };
}

function statusOf(
  { health, conversation, catalog, use }: Parts,
  { serverName, principalId, peer }: { serverName: string; principalId: string | undefined; peer: Peer },
): MemberStatus {
  const { state, sinceMs, era, restarts, pid, lastError, lastErrorCode, replicas } = peer.state();
  const { down } = health;
  return {
    server: serverName,
    principal: principalId ?? null,
    // Between two tries it is no better than before the first.
    state: down === undefined ? state : 'down',
    since: new Date(down?.sinceMs ?? sinceMs).toISOString(),
    era: era ?? null,
    revision: conversation.card?.revision ?? null,
    tools: catalog.peek('tools')?.items.length ?? null,
    calls: use.count,
    restarts,
    pid: pid ?? null,
    last_error: down?.reason ?? lastError ?? null,
    last_error_code: lastErrorCode ?? null,
    ...(replicas === undefined ? {} : { replicas }),
  };
}

function assemble({ server, peer, clock, onDiag }: MemberOptions): Parts {
  const watchers: Parts['watchers'] = new Set(); // Bounded by VIEW_COUNT_MAX.
  const use = createUse(clock);
  const health = createHealth({
    clock,
    ask: () => void conversation.describe().catch(() => undefined),
    onReturn: () => forgetAndTell(parts),
  });
  const conversation = converse({ peer, use, health, clock, server });
  const catalog = createCatalog({
    from: { serverName: server.name, peer: conversation, onDiag },
    clock,
    onChange: (kind) => tell(watchers, { kind: kind === 'templates' ? 'resources' : kind }),
  });
  const subscriptions = createResourceSubscriptions(peer, server.name);
  const parts: Parts = { use, health, catalog, subscriptions, watchers, conversation };
  return parts;
}

function converse(
  parts: Pick<Parts, 'use' | 'health'> & { readonly peer: Peer; readonly clock: Clock; readonly server: ServerConfig },
): Conversation {
  const { use, health, peer, clock, server } = parts;
  const { name: serverName } = server;
  let card: ServerCard | undefined;
  let askedSinceMs: number | undefined;
  let ended = false;
  const refusal = (): ProxyError =>
    new ProxyError('UPSTREAM_NOT_READY', `server ${serverName} was changed or removed; ask again`);
  return {
    get card() {
      return card;
    },
    get askedSinceMs() {
      return askedSinceMs;
    },
    async describe() {
      if (ended) throw refusal();
      askedSinceMs ??= clock.monotonicMs();
      try {
        card = await peer.describe();
      } catch (error) {
        const failure = asProxyError(error, serverName);
        health.failed(failure.message);
        throw failure;
      } finally {
        askedSinceMs = undefined;
      }
      health.answered();
      use.touch();
      return card;
    },
    call(request, events) {
      if (ended) return { outcome: Promise.resolve(failureOutcome(refusal())), cancel: () => undefined };
      const inner = peer.call(askable(request, server), events);
      return { outcome: use.during(inner.outcome), cancel: (reason) => inner.cancel(reason) };
    },
    end() {
      ended = true;
    },
  };
}

/**
 * The request as the server may act on it. A client's roots are folders of the client's machine, but a command would take
 * them for folders of this one, and many use them in place of those that the operator wrote.
 */
function askable(request: McpRequest, server: ServerConfig): McpRequest {
  if (server.kind !== 'stdio' || server.roots || request.clientCapabilities['roots'] === undefined) return request;
  const { roots: _, ...clientCapabilities } = request.clientCapabilities;
  return { ...request, clientCapabilities };
}

function onPeerChange(parts: Parts, event: ChangeEvent): void {
  const { health, catalog, watchers } = parts;
  if (event.kind === 'lost') return health.failed(event.reason);
  if (event.kind === 'recovered') {
    if (health.down === undefined) forgetAndTell(parts);
    else health.answered();
    return;
  }
  if (event.kind !== 'resource') catalog.invalidate(event.kind);
  if (event.kind === 'resources') catalog.invalidate('templates');
  tell(watchers, event);
}

/** Anything may have changed: the lists are old, subscriptions are made again, and what was missed is told once. */
function forgetAndTell({ catalog, subscriptions, watchers }: Parts): void {
  catalog.invalidate();
  for (const kind of ['tools', 'prompts', 'resources'] as const) tell(watchers, { kind });
  void subscriptions.renew().then((uris) => uris.forEach((uri) => tell(watchers, { kind: 'resource', uri })));
}

function tell(watchers: Parts['watchers'], change: MemberChange): void {
  for (const watcher of watchers) watcher(change);
}
