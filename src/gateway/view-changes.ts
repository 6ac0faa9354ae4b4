/**
 * What changes for the clients of one view: told once for a burst, in their words, and only what is theirs.
 *
 * Members are watched while somebody listens or is subscribed, which also keeps them open. An update of a resource
 * is told only where this view subscribed, since others may share the server. After a reload the view watches what
 * is there now, subscribes anew where a server was replaced, and tells that everything may have changed.
 */
import { ProxyError } from '../errors.ts';
import { CHANGE_COALESCE_MS, VIEW_SUBSCRIPTION_COUNT_MAX } from '../limits.ts';
import type { OnDiag } from './diag.ts';
import type { MemberChange } from './member.ts';
import { isWithin } from './resource-ownership.ts';
import type { Servers, ServingMember } from './servers-of.ts';

/** As in `GatewayView.onChange`. */
export type ViewChange = MemberChange;

export interface ViewChanges {
  onChange(listener: (change: ViewChange) => void): () => void;
  subscribe(exposed: string, at: { readonly serverName: string; readonly uri: string }): Promise<boolean>;
  unsubscribe(exposed: string): Promise<void>;
  /** The configuration changed. */
  refresh(): void;
  readonly inUse: boolean;
  close(): void;
}

export interface ViewChangesOptions {
  readonly servers: () => Servers;
  /** Undefined for one that clients do not see. */
  readonly exposeUri: (serverName: string, uri: string) => string | undefined;
  readonly onDiag: OnDiag;
}

interface Subscription {
  readonly serverName: string;
  readonly uri: string;
  member: ServingMember;
  count: number;
}

interface State extends ViewChangesOptions {
  readonly listeners: Set<(change: ViewChange) => void>;
  readonly watched: Map<ServingMember, () => void>;
  readonly subscriptions: Map<string, Subscription>;
  readonly burst: Burst;
}

export function createViewChanges(options: ViewChangesOptions): ViewChanges {
  const listeners: State['listeners'] = new Set(); // Bounded by EXCHANGE_COUNT_MAX.
  const state: State = {
    ...options,
    listeners,
    watched: new Map(), // Bounded by SERVER_COUNT_MAX.
    subscriptions: new Map(), // Bounded by VIEW_SUBSCRIPTION_COUNT_MAX.
    burst: createBurst((change) => {
      for (const listener of listeners) listener(change);
    }),
  };
  return {
    onChange(listener) {
      // Its own function each time, so that one listener may be given twice.
      const own = (change: ViewChange): void => listener(change);
      listeners.add(own);
      watchAll(state);
      return () => {
        listeners.delete(own);
        watchAll(state);
      };
    },
    subscribe: (exposed, at) => subscribe(state, exposed, at),
    async unsubscribe(exposed) {
      const found = state.subscriptions.get(exposed);
      if (found === undefined) return;
      found.count -= 1;
      if (found.count === 0) state.subscriptions.delete(exposed);
      await found.member.unsubscribe(found.uri);
    },
    refresh() {
      watchAll(state);
      for (const [exposed, subscription] of state.subscriptions) void renew(state, exposed, subscription);
      for (const kind of ['tools', 'prompts', 'resources'] as const) state.burst.add({ kind });
    },
    get inUse() {
      return listeners.size > 0 || state.subscriptions.size > 0;
    },
    close() {
      listeners.clear();
      watchAll(state);
      state.burst.stop();
    },
  };
}

/** Watches exactly the members of now, or none when nobody listens. */
function watchAll(state: State): void {
  const servers = state.servers();
  const wanted = new Set(
    state.listeners.size === 0 ? [] : servers.names.flatMap((name) => openMember(state, servers, name)),
  );
  for (const [member, stop] of state.watched) {
    if (wanted.has(member)) continue;
    stop();
    state.watched.delete(member);
  }
  for (const member of wanted) {
    if (!state.watched.has(member))
      state.watched.set(
        member,
        member.watch((change) => onMemberChange(state, member, change)),
      );
  }
}

function openMember(state: State, servers: Servers, serverName: string): ServingMember[] {
  try {
    return [servers.member(serverName)];
  } catch (error) {
    if (!(error instanceof ProxyError)) throw error;
    state.onDiag('warn', 'a server cannot be watched for changes', { server: serverName, reason: error.message });
    return [];
  }
}

function onMemberChange(state: State, member: ServingMember, change: MemberChange): void {
  if (change.kind !== 'resource') return state.burst.add(change);
  const mine = [...state.subscriptions.values()].some(
    (subscription) => subscription.member === member && isWithin(change.uri, subscription.uri),
  );
  const uri = mine ? state.exposeUri(member.server.name, change.uri) : undefined;
  if (uri !== undefined) state.burst.add({ kind: 'resource', uri });
}

async function subscribe(
  state: State,
  exposed: string,
  at: { readonly serverName: string; readonly uri: string },
): Promise<boolean> {
  const { subscriptions } = state;
  if (!subscriptions.has(exposed) && subscriptions.size >= VIEW_SUBSCRIPTION_COUNT_MAX) {
    throw new ProxyError('OVERLOADED', 'too many resources are subscribed to');
  }
  const member = state.servers().member(at.serverName);
  const agreed = await member.subscribe(at.uri);
  if (!agreed) return false;
  const found = subscriptions.get(exposed) ?? { ...at, member, count: 0 };
  found.count += 1;
  subscriptions.set(exposed, found);
  return true;
}

/** Over a reload: the member may be another one now, which knows nothing of the subscription. */
async function renew(state: State, exposed: string, subscription: Subscription): Promise<void> {
  const servers = state.servers();
  const member = servers.names.includes(subscription.serverName)
    ? openMember(state, servers, subscription.serverName)[0]
    : undefined;
  if (member === subscription.member) return;
  if (member === undefined) {
    state.subscriptions.delete(exposed);
    return;
  }
  subscription.member = member;
  const wanted = Array.from({ length: subscription.count }, () => member.subscribe(subscription.uri));
  const agreed = await Promise.allSettled(wanted);
  if (agreed.some((each) => each.status === 'fulfilled' && each.value))
    state.burst.add({ kind: 'resource', uri: exposed });
  else state.subscriptions.delete(exposed);
}

interface Burst {
  add(change: ViewChange): void;
  stop(): void;
}

/** Tells each kind and each resource once for all that comes within `CHANGE_COALESCE_MS`. */
function createBurst(tell: (change: ViewChange) => void): Burst {
  const pending = new Map<string, ViewChange>(); // Bounded by VIEW_SUBSCRIPTION_COUNT_MAX.
  let timer: NodeJS.Timeout | undefined;
  return {
    add(change) {
      const key = change.kind === 'resource' ? change.uri : change.kind;
      if (pending.size <= VIEW_SUBSCRIPTION_COUNT_MAX) pending.set(key, change);
      timer ??= setTimeout(() => {
        timer = undefined;
        const changes = [...pending.values()];
        pending.clear();
        changes.forEach(tell);
      }, CHANGE_COALESCE_MS);
    },
    stop() {
      clearTimeout(timer);
      timer = undefined;
      pending.clear();
    },
  };
}
