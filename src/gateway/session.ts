/**
 * The state of one session of the older revisions, whatever the transport: what its client said of itself, its calls,
 * the questions put to it, its streams and subscriptions.
 *
 * Lives as long as somebody holds it (`session-table` for Streamable HTTP, the stream itself for HTTP+SSE) and can be
 * made anew from its claims. `closeSession` lets go of everything in it. Source: MCP 2025-11-25 basic/lifecycle.
 */
import { LISTEN_RESOURCE_COUNT_MAX, SESSION_CALL_COUNT_MAX } from '../limits.ts';
import type { RpcId } from '../mcp/jsonrpc.ts';
import type { LegacyRevision } from '../mcp/protocol.ts';
import type { JsonObject, LogLevel } from '../mcp/waist.ts';
import { createQuestions, type Questions } from './downstream-questions.ts';
import type { SessionReplay } from './replay.ts';
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

/** A stream for what belongs to no request. */
export interface ChangeStream {
  /** Whether a connection carries it now. */
  readonly open: boolean;
  offer(message: unknown): boolean;
  finish(): void;
}

/** The state of one conversation with a legacy client, whatever the transport. */
export interface Session extends SessionOwner {
  claims: SessionClaims;
  /** Undefined until the client asks: the default of `downstream-legacy` holds. */
  logLevel: LogLevel | undefined;
  readonly calls: Map<RpcId, { cancel(reason: string | undefined): void }>;
  readonly questions: Questions;
  /** Streams for what belongs to no request, oldest first; each message goes to one of them. */
  readonly streams: ChangeStream[];
  /** Streams that can be taken up again; undefined where the transport or the revision has none. */
  readonly replay: SessionReplay | undefined;
  /** Exposed URI to the view that it was subscribed at. */
  readonly subscriptions: Map<string, GatewayView>;
}

export function createSession(owner: SessionOwner, claims: SessionClaims, replay?: SessionReplay): Session {
  return {
    principalId: owner.principalId,
    scope: owner.scope,
    claims,
    logLevel: undefined,
    calls: new Map(), // Bounded by SESSION_CALL_COUNT_MAX.
    questions: createQuestions(),
    streams: [],
    replay,
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
  session.replay?.close();
}

/** Ends its subscriptions at the servers. */
export function releaseSubscriptions(session: Session): void {
  const held = [...session.subscriptions];
  session.subscriptions.clear();
  for (const [uri, view] of held) void view.unsubscribe(uri).catch(() => undefined);
}
