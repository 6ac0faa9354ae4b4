/**
 * The core of path 2: views of principals on the servers that they may use, whatever era either side speaks.
 *
 * A view holds no conversation; it can be asked for with each request. It is kept for a while only because of what
 * it remembers: names, links to resources, who listens. A reload swaps the configuration, closes what is gone, and
 * tells all listeners; requests in progress end at the servers they began with. Transports are the adapters' on both
 * sides (`view`, `mcp/waist`).
 */
import { currentPrincipal } from '../auth/unlisted.ts';
import type { Sealer } from '../auth/seal.ts';
import { admitsUnlisted } from '../config/oauth.ts';
import { ProxyError } from '../errors.ts';
import { hasRules } from '../mcp/access.ts';
import type { RateLimiter } from '../http/rate-limit.ts';
import { DISCOVER_MS_MAX, DISCOVER_ONE_MS_MAX, VIEW_COUNT_MAX } from '../limits.ts';
import { TASK_METHODS } from '../mcp/tasks.ts';
import type { JsonObject, McpRequest } from '../mcp/waist.ts';
import type { Clock, Config, Principal } from '../model.ts';
import { settleWithin } from './deadline.ts';
import type { OnDiag } from './diag.ts';
import { discoveryOf, mergeDiscovery, type Discovery } from './discovery.ts';
import { callCharges } from './charges.ts';
import type { Member } from './member.ts';
import { createMembers, isServable, type Members, type OpenPeer } from './members.ts';
import { findInMerged, targetInMerged } from './merged-view.ts';
import { conflictRows, reportConflicts } from './name-conflicts.ts';
import { createNameHolds, type NameHolds } from './name-holds.ts';
import { createNameRouter, type NameRouter } from './name-router.ts';
import { findLocks, type ServerLocks } from './server-locks.ts';
import { findServers, type Servers } from './servers-of.ts';
import { findInSingle, findUriInSingle, targetInSingle } from './single-view.ts';
import { createStateSeal, type StateSeal } from './state-seal.ts';
import { driftRows, reportDrift } from './tool-drift.ts';
import { driftOf, type Drift } from './tool-guard.ts';
import { createUriRouter } from './uri-router.ts';
import { createToolHeaders } from './tool-headers.ts';
import { findTask } from './task-call.ts';
import { createTaskIds } from './task-ids.ts';
import { watchTasks } from './task-watch.ts';
import type { Found, Target } from './target.ts';
import { startCall } from './view-call.ts';
import { reportServers } from './view-servers.ts';
import { createViewChanges, type ViewChanges } from './view-changes.ts';
import { createHiddenLocator, createLocator } from './locate.ts';
import type { Gateway, GatewayView } from './view.ts';

export interface GatewayOptions {
  readonly config: Config;
  readonly openPeer: OpenPeer;
  readonly sealer: Sealer;
  readonly clock: Clock;
  readonly onDiag: OnDiag;
  /** Commands that all share are not started before somebody needs them. */
  readonly isLazy?: boolean;
  /** Undefined: nothing is limited. */
  readonly limiter?: RateLimiter;
}

/** The configuration of now, with what follows from it. */
interface Current {
  readonly config: Config;
  /** Everybody who may come in has the same servers. */
  readonly uniform: boolean;
  readonly locks: ServerLocks;
}

interface Core {
  readonly options: GatewayOptions;
  readonly members: Members;
  readonly seal: StateSeal;
  readonly onConflicts: ReturnType<typeof reportConflicts>;
  readonly onDrift: ReturnType<typeof reportDrift>;
  readonly holds: NameHolds;
  current: Current;
}

interface HeldView {
  readonly view: GatewayView;
  readonly changes: ViewChanges;
  readonly names: NameRouter;
}

export function createGateway(options: GatewayOptions): Gateway {
  const { sealer, clock, config } = options;
  const core: Core = {
    options,
    members: createMembers(options),
    seal: createStateSeal(sealer, clock),
    onConflicts: reportConflicts(options.onDiag),
    onDrift: reportDrift(options.onDiag),
    holds: createNameHolds(config),
    current: currentOf(config),
  };
  const views = new Map<string, HeldView>(); // Bounded by VIEW_COUNT_MAX.

  function hold(key: string, held: HeldView): GatewayView {
    // Last used is last in the map; a view that is dropped goes on for those who have it.
    views.delete(key);
    views.set(key, held);
    for (const [oldest, other] of views) {
      if (views.size <= VIEW_COUNT_MAX) break;
      if (!other.changes.inUse) views.delete(oldest);
    }
    return held.view;
  }

  return {
    view(principal, serverName) {
      const key = `${serverName ?? ''}\0${principal.id}`;
      return hold(key, views.get(key) ?? createView(core, principal, serverName));
    },
    async reload(next) {
      core.current = currentOf(next);
      core.holds.reload(next);
      core.members.reload(next);
      for (const { changes } of views.values()) changes.refresh();
    },
    status: () => core.members.status(),
    upstream(principal, server) {
      const member = isServable(server) ? core.members.find(principal.id, server) : undefined;
      if (member === undefined) return { state: 'not connected; it is when it is first needed', tools: undefined };
      return { state: stateOf(member), tools: member.catalog.peek('tools')?.keys };
    },
    drift: () => driftRows(core.members.all().flatMap((member) => driftsOf(core, member))),
    conflicts: () => conflictRows([...views.values()].flatMap(({ names }) => names.conflicts())),
    async close() {
      for (const { changes } of views.values()) changes.close();
      await core.members.close();
    },
  };
}

function stateOf({ down, card }: Member): string {
  if (down !== undefined) return `down: ${down.reason}`;
  return card === undefined ? 'starting' : 'up';
}

function currentOf(config: Config): Current {
  const { principals, oauth, servers: all } = config;
  const unlisted =
    oauth === undefined ||
    !admitsUnlisted(oauth) ||
    (oauth.servers === all && oauth.claims.role === undefined && oauth.claims.servers === undefined);
  const uniform = unlisted && principals.every(({ servers, access }) => servers === all && !hasRules(access));
  return { config, uniform, locks: findLocks(config) };
}

/** How the last known tools of a member differ from the lock. */
function driftsOf(
  { current }: Core,
  { server, principalId, catalog }: Member,
): (Drift & { principal: string | null })[] {
  const lock = current.locks.of(server);
  const list = catalog.peek('tools');
  return lock === undefined || list === undefined ? [] : [{ ...driftOf(lock, list), principal: principalId ?? null }];
}

function createView(core: Core, principal: Principal, serverName: string | undefined): HeldView {
  const { onDiag } = core.options;
  const servers = rememberServers(core, principal, serverName);
  const names = createNameRouter(servers, core.onConflicts, core.holds);
  const uris = createUriRouter(servers);
  const uniform = (): boolean => core.current.uniform;
  const taskIds = createTaskIds(core.options.sealer, principal.id);
  const enter = (request: McpRequest, target: Target): (() => void) =>
    enterCall(core, principal, { request, target, servers: servers() });
  const context = { principalId: principal.id, seal: core.seal, taskIds, onDiag, uniform, enter };
  const merged = { servers, names, uris, uniform };
  const targetAt = (at: string, params: JsonObject): Target | undefined => {
    if (!servers().names.includes(at)) return undefined;
    return serverName === undefined ? targetInMerged(merged, at, params) : targetInSingle(servers(), at, params);
  };
  const routing = { ids: taskIds, targetAt };
  const changes = createViewChanges({
    servers,
    exposeUri(from, uri) {
      const now = servers();
      if (!now.names.includes(from) || !now.exposure(from).shows('resources', uri)) return undefined;
      return serverName === undefined ? uris.expose(from, uri) : uri;
    },
    onDiag,
  });
  const view: GatewayView = {
    discover: () =>
      serverName === undefined ? discoverAll(servers(), core.options.clock) : discoverOne(servers(), serverName),
    call(request, events) {
      const find = async (): Promise<Found> => {
        if (TASK_METHODS.has(request.method)) return findTask(request, routing);
        return serverName === undefined ? findInMerged(merged, request) : findInSingle(servers(), serverName, request);
      };
      return startCall(request, events, { find, context });
    },
    paramHeaders: createToolHeaders({ serverName, servers, names }),
    onChange: (listener) => changes.onChange(listener),
    async subscribe(uri) {
      const at = serverName === undefined ? await uris.resolve(uri) : findUriInSingle(servers(), serverName, uri);
      return changes.subscribe(uri, at);
    },
    unsubscribe: (uri) => changes.unsubscribe(uri),
    watchTasks: (request) => watchTasks(routing, request),
    locate: createLocator({
      serverName,
      names,
      uris,
      servers,
      taskIds,
      hidden: createHiddenLocator(serverName, servers),
    }),
    servers: (kind, ms) => reportServers(servers(), kind, ms),
    ownTools() {
      const now = servers();
      return now.names.flatMap((server) => {
        const list = now.ownTools(server);
        return list === undefined ? [] : [{ server, tools: list.items, cut: list.cut }];
      });
    },
  };
  return { view, changes, names };
}

/** Counts a call, with the limits of now. */
function enterCall(
  core: Core,
  principal: Principal,
  call: { readonly request: McpRequest; readonly target: Target; readonly servers: Servers },
): () => void {
  const { limiter } = core.options;
  if (limiter === undefined) return () => undefined;
  const { name } = call.target.params;
  const server = call.target.member.server.name;
  const current = currentPrincipal(core.current.config, principal.id);
  const config = current?.servers.get(server) ?? call.target.member.server;
  const isTool = call.request.method === 'tools/call' && typeof name === 'string';
  const tool = isTool ? { own: name, merged: call.servers.mergedName(server, name) } : undefined;
  return limiter.enter(callCharges(current, config, tool));
}

/** The servers of now, found again when the configuration was swapped. */
function rememberServers(core: Core, principal: Principal, only: string | undefined): () => Servers {
  let last: { config: Config; servers: Servers } | undefined;
  return () => {
    const { config } = core.current;
    if (last?.config !== config)
      last = {
        config,
        servers: findServers(principal, only, {
          config,
          members: core.members,
          locks: core.current.locks,
          onDrift: core.onDrift,
        }),
      };
    return last.servers;
  };
}

/**
 * Whatever the servers say within the time; the others are missing in it, by name. The time of each runs from the
 * first who asked, so that one that never answers keeps only the first client waiting and not everybody after it.
 */
async function discoverAll(servers: Servers, clock: Clock): Promise<Discovery> {
  await Promise.all(
    servers.names.map(async (serverName) => {
      try {
        const member = servers.member(serverName);
        const { askedSinceMs = clock.monotonicMs() } = member;
        const leftMs = askedSinceMs + DISCOVER_MS_MAX - clock.monotonicMs();
        await settleWithin(member.describe(), Math.max(0, leftMs));
      } catch {
        // The member remembers why.
      }
    }),
  );
  return mergeDiscovery(
    servers.names.map((serverName) => {
      const member = servers.known(serverName);
      const { prefix } = servers.exposure(serverName);
      return { serverName, prefix, card: member?.card, down: member?.down, lack: servers.lack(serverName) };
    }),
  );
}

/** @throws {ProxyError} ROUTE_UNKNOWN, UPSTREAM_*: without the server there is nothing to say */
async function discoverOne(servers: Servers, serverName: string): Promise<Discovery> {
  if (!servers.names.includes(serverName)) {
    throw new ProxyError('ROUTE_UNKNOWN', 'there is no such path or server for this user');
  }
  const settled = await settleWithin(servers.member(serverName).describe(), DISCOVER_ONE_MS_MAX);
  if (settled.kind === 'value') return discoveryOf(settled.value);
  throw new ProxyError('UPSTREAM_NOT_READY', `server ${serverName} has not answered yet`);
}
