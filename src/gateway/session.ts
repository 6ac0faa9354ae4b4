/**
 * Sessions of the older revisions: the sealed id, and the state that one process holds for it.
 *
 * The id itself carries revision, client capabilities and expiry and opens only for its principal and scope, so that
 * a session goes on after a restart or at another instance (design: sessions are sealed). What is in memory (log
 * level, streams, calls, subscriptions) is made anew when a good id is not known. An ended id is refused until its
 * expiry, as far as the bounded list of ended ones reaches. Source: MCP 2025-11-25 transports#session-management.
 */
import { hash } from 'node:crypto';
import type { Sealer } from '../auth/seal.ts';
import type { EventStream } from '../http/event-stream.ts';
import {
  LISTEN_RESOURCE_COUNT_MAX,
  SESSION_CALL_COUNT_MAX,
  SESSION_COUNT_MAX,
  SESSION_ENDED_COUNT_MAX,
  SESSION_IDLE_MS,
  SESSION_MS_MAX,
} from '../limits.ts';
import { isObject, type RpcId } from '../mcp/jsonrpc.ts';
import { isLegacyRevision, type LegacyRevision } from '../mcp/protocol.ts';
import type { JsonObject, LogLevel } from '../mcp/waist.ts';
import type { Clock } from '../model.ts';
import { createQuestions, type Questions } from './downstream-questions.ts';
import type { GatewayView } from './view.ts';

/** Who a session belongs to, and which endpoint it is of (empty for all servers). */
export interface SessionOwner {
  readonly principalId: string;
  readonly scope: string;
}

/** What `initialize` settled; capabilities in the form of 2026-07-28. */
export interface SessionClaims {
  readonly revision: LegacyRevision;
  readonly capabilities: JsonObject;
  readonly clientInfo: JsonObject | undefined;
}

/** The state of one conversation with a legacy client, whatever the transport. */
export interface Session extends SessionOwner {
  claims: SessionClaims;
  /** Undefined until the client asks: the default of `downstream-legacy` holds. */
  logLevel: LogLevel | undefined;
  readonly calls: Map<RpcId, { cancel(reason: string | undefined): void }>;
  readonly questions: Questions;
  /** Streams for what belongs to no request, oldest first; each message goes to one of them. */
  readonly streams: EventStream[];
  /** Exposed URI to the view that it was subscribed at. */
  readonly subscriptions: Map<string, GatewayView>;
}

export function createSession(owner: SessionOwner, claims: SessionClaims): Session {
  return {
    principalId: owner.principalId,
    scope: owner.scope,
    claims,
    logLevel: undefined,
    calls: new Map(), // Bounded by SESSION_CALL_COUNT_MAX.
    questions: createQuestions(),
    streams: [],
    subscriptions: new Map(), // Bounded by LISTEN_RESOURCE_COUNT_MAX.
  };
}

export function mayCall(session: Session): boolean {
  return session.calls.size < SESSION_CALL_COUNT_MAX;
}

export function maySubscribe(session: Session): boolean {
  return session.subscriptions.size < LISTEN_RESOURCE_COUNT_MAX;
}

/** Gives up everything that a session holds: calls, questions, subscriptions, streams. */
export function closeSession(session: Session, reason: string): void {
  for (const call of session.calls.values()) call.cancel(reason);
  session.questions.close();
  releaseSubscriptions(session);
  for (const stream of session.streams.splice(0)) stream.finish();
}

function releaseSubscriptions(session: Session): void {
  const held = [...session.subscriptions];
  session.subscriptions.clear();
  for (const [uri, view] of held) void view.unsubscribe(uri).catch(() => undefined);
}

export interface Sessions {
  open(owner: SessionOwner, claims: SessionClaims): { readonly id: string; readonly session: Session };
  /** Undefined when the id is no session of this owner, has ended or is too old. */
  find(id: string, owner: SessionOwner): Session | undefined;
  /** Ends a session for good: its id is refused from now on. */
  end(id: string): void;
  endPrincipal(principalId: string): void;
  /** Ends what waits for nobody; requests in progress may finish. */
  close(): void;
}

export interface SessionsOptions {
  readonly clock: Clock;
  readonly sealer: Sealer;
}

export function createSessions({ clock, sealer }: SessionsOptions): Sessions {
  const held = createHeld(clock);
  const ended = createEnded();
  return {
    open(owner, claims) {
      const endMs = clock.wallMs() + SESSION_MS_MAX;
      const content = [claims.revision, claims.capabilities, claims.clientInfo ?? null, endMs];
      const id = sealer.seal(JSON.stringify(content), contextOf(owner));
      const session = createSession(owner, claims);
      held.use(id, session);
      return { id, session };
    },
    find(id, owner) {
      const text = sealer.open(id, contextOf(owner));
      if (text === undefined || ended.has(id)) return undefined;
      const claims = readClaims(text, clock.wallMs());
      if (claims === undefined) return undefined;
      const session = held.find(id) ?? createSession(owner, claims);
      held.use(id, session);
      return session;
    },
    end(id) {
      ended.add(id);
      held.letGo((each) => each === id, 'the client ended the session');
    },
    endPrincipal(principalId) {
      held.letGo((_id, session) => session.principalId === principalId, 'the user was removed');
    },
    close() {
      for (const session of held.all()) {
        releaseSubscriptions(session);
        for (const stream of session.streams.splice(0)) stream.finish();
      }
    },
  };
}

interface Held {
  find(id: string): Session | undefined;
  /** Holds the session as the one used last. */
  use(id: string, session: Session): void;
  letGo(chosen: (id: string, session: Session) => boolean, reason: string): void;
  all(): Session[];
}

function createHeld(clock: Clock): Held {
  // Longest unused first, because use puts a session at the end. Bounded by SESSION_COUNT_MAX.
  const held = new Map<string, { readonly session: Session; readonly usedMs: number }>();

  function letGo(id: string, session: Session, reason: string): void {
    held.delete(id);
    closeSession(session, reason);
  }

  /** Lets go of what was not used for long, and of more when there are too many; of what is in use only then. */
  function sweep(newest: string): void {
    const nowMs = clock.monotonicMs();
    for (const [id, { session, usedMs }] of held) {
      const isFresh = usedMs > nowMs - SESSION_IDLE_MS && held.size <= SESSION_COUNT_MAX;
      if (id === newest || isFresh) break;
      if (isBusy(session)) {
        held.delete(id);
        held.set(id, { session, usedMs: nowMs });
      } else letGo(id, session, 'the session was not used for long');
    }
    for (const [id, { session }] of held) {
      if (held.size <= SESSION_COUNT_MAX) return;
      if (id !== newest) letGo(id, session, 'too many sessions are in use');
    }
  }

  return {
    find: (id) => held.get(id)?.session,
    use(id, session) {
      held.delete(id);
      held.set(id, { session, usedMs: clock.monotonicMs() });
      sweep(id);
    },
    letGo(chosen, reason) {
      for (const [id, { session }] of held) if (chosen(id, session)) letGo(id, session, reason);
    },
    all: () => [...held.values()].map(({ session }) => session),
  };
}

function isBusy(session: Session): boolean {
  return session.streams.length > 0 || session.calls.size > 0;
}

function contextOf({ principalId, scope }: SessionOwner): string {
  return JSON.stringify(['session', principalId, scope]);
}

function digest(id: string): string {
  return hash('sha256', id, 'base64url');
}

interface Ended {
  has(id: string): boolean;
  add(id: string): void;
}

/** Holds digests, because an id is long and a secret of its client. */
function createEnded(): Ended {
  // Oldest first. Bounded by SESSION_ENDED_COUNT_MAX.
  const digests = new Set<string>();
  return {
    has: (id) => digests.has(digest(id)),
    add(id) {
      digests.add(digest(id));
      for (const oldest of digests) {
        if (digests.size <= SESSION_ENDED_COUNT_MAX) return;
        digests.delete(oldest);
      }
    },
  };
}

function readClaims(text: string, nowMs: number): SessionClaims | undefined {
  const [revision, capabilities, clientInfo, endMs] = JSON.parse(text) as unknown[];
  if (!isLegacyRevision(revision) || !isObject(capabilities)) return undefined;
  if (typeof endMs !== 'number' || endMs < nowMs) return undefined;
  return { revision, capabilities, clientInfo: isObject(clientInfo) ? clientInfo : undefined };
}
