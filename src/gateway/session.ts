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
  for (const call of [...session.calls.values()]) call.cancel(reason);
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

interface Held {
  readonly session: Session;
  usedMs: number;
}

export function createSessions({ clock, sealer }: SessionsOptions): Sessions {
  // Longest unused first, because use puts an entry at the end. Bounded by SESSION_COUNT_MAX.
  const held = new Map<string, Held>();
  // Oldest first. Bounded by SESSION_ENDED_COUNT_MAX.
  const ended = new Set<string>();

  function hold(id: string, session: Session): void {
    held.delete(id);
    held.set(id, { session, usedMs: clock.monotonicMs() });
    sweep(id);
  }

  /** Lets go of what was not used for long, and of more when there are too many. */
  function sweep(newest: string): void {
    const oldestMs = clock.monotonicMs() - SESSION_IDLE_MS;
    for (const [id, { session, usedMs }] of held) {
      if (id === newest || (usedMs > oldestMs && held.size <= SESSION_COUNT_MAX)) return;
      if (usedMs <= oldestMs && isBusy(session) && held.size <= SESSION_COUNT_MAX) {
        hold(id, session);
        continue;
      }
      held.delete(id);
      closeSession(session, 'the session was not used for long');
    }
  }

  return {
    open(owner, claims) {
      const content = [
        claims.revision,
        claims.capabilities,
        claims.clientInfo ?? null,
        clock.wallMs() + SESSION_MS_MAX,
      ];
      const id = sealer.seal(JSON.stringify(content), contextOf(owner));
      const session = createSession(owner, claims);
      hold(id, session);
      return { id, session };
    },
    find(id, owner) {
      const text = sealer.open(id, contextOf(owner));
      if (text === undefined || ended.has(digest(id))) return undefined;
      const claims = readClaims(text, clock.wallMs());
      if (claims === undefined) return undefined;
      const session = held.get(id)?.session ?? createSession(owner, claims);
      hold(id, session);
      return session;
    },
    end(id) {
      ended.add(digest(id));
      for (const oldest of ended) {
        if (ended.size <= SESSION_ENDED_COUNT_MAX) break;
        ended.delete(oldest);
      }
      const found = held.get(id);
      held.delete(id);
      if (found !== undefined) closeSession(found.session, 'the client ended the session');
    },
    endPrincipal(principalId) {
      for (const [id, { session }] of [...held]) {
        if (session.principalId !== principalId) continue;
        held.delete(id);
        closeSession(session, 'the user was removed');
      }
    },
    close() {
      for (const { session } of held.values()) {
        releaseSubscriptions(session);
        for (const stream of [...session.streams]) stream.finish();
      }
    },
  };
}

function isBusy(session: Session): boolean {
  return session.streams.length > 0 || session.calls.size > 0;
}

function contextOf({ principalId, scope }: SessionOwner): string {
  return JSON.stringify(['session', principalId, scope]);
}

/** The id itself is a secret of the client and long. */
function digest(id: string): string {
  return hash('sha256', id, 'base64url');
}

function readClaims(text: string, nowMs: number): SessionClaims | undefined {
  const [revision, capabilities, clientInfo, endMs] = JSON.parse(text) as unknown[];
  if (!isLegacyRevision(revision) || !isObject(capabilities)) return undefined;
  if (typeof endMs !== 'number' || endMs < nowMs) return undefined;
  return { revision, capabilities, clientInfo: isObject(clientInfo) ? clientInfo : undefined };
}
