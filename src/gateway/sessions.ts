/**
 * Sessions of the older revisions over Streamable HTTP: the sealed id, and the state that one process holds for it.
 *
 * The id itself carries revision, client capabilities and expiry and opens only for its principal and scope, so that
 * a session goes on after a restart or at another instance (design: sessions are sealed). What is in memory (log
 * level, streams, calls, subscriptions) is made anew when a good id is not known; how long it is held, and for how
 * many, is the business of `session-table`. Source: MCP 2025-11-25 transports#session-management.
 */
import type { Sealer } from '../auth/seal.ts';
import { SESSION_MS_MAX } from '../limits.ts';
import { isObject } from '../mcp/jsonrpc.ts';
import { isLegacyRevision, type LegacyRevision } from '../mcp/protocol.ts';
import type { Clock } from '../model.ts';
import { createReplays } from './replay.ts';
import { createSession, releaseSubscriptions, type Session, type SessionClaims, type SessionOwner } from './session.ts';
import { createEndedSessions, createHeldSessions } from './session-table.ts';

export interface Sessions {
  /** With a state in memory. */
  readonly count: number;
  open(owner: SessionOwner, claims: SessionClaims): { readonly id: string; readonly session: Session };
  /** Undefined when the id is no session of this owner, has ended or is too old. */
  find(id: string, owner: SessionOwner): Session | undefined;
  /** Ends a session for good: its id is refused from now on. */
  end(id: string, owner: SessionOwner): void;
  endPrincipal(principalId: string): void;
  /** Ends what waits for nobody; requests in progress may finish. */
  close(): void;
}

export interface SessionsOptions {
  readonly clock: Clock;
  readonly sealer: Sealer;
}

export function createSessions({ clock, sealer }: SessionsOptions): Sessions {
  const held = createHeldSessions(clock);
  const ended = createEndedSessions();
  const replays = createReplays(clock);

  function create(sessionId: string, owner: SessionOwner, claims: SessionClaims): Session {
    const { revision } = claims;
    if (revision < REPLAY_REVISION) return createSession(owner, claims);
    return createSession(
      owner,
      claims,
      replays.open(owner.principalId, { primed: revision >= PRIMED_REVISION, sessionId }),
    );
  }

  return {
    get count() {
      return held.count;
    },
    open(owner, claims) {
      const endMs = clock.wallMs() + SESSION_MS_MAX;
      const content = [claims.revision, claims.capabilities, claims.clientInfo ?? null, endMs];
      const id = sealer.seal(JSON.stringify(content), contextOf(owner));
      const session = create(id, owner, claims);
      held.use(id, session, endMs);
      return { id, session };
    },
    find(id, owner) {
      // What is held was opened or made here for its owner, so the seal need not be looked at again.
      const known = held.find(id);
      if (known !== undefined && isOf(known.session, owner) && known.endMs >= clock.wallMs()) {
        held.use(id, known.session, known.endMs);
        return known.session;
      }
      const text = sealer.open(id, contextOf(owner));
      if (text === undefined || ended.has(id)) return undefined;
      const read = readClaims(text, clock.wallMs());
      if (read === undefined) return undefined;
      const session = create(id, owner, read.claims);
      held.use(id, session, read.endMs);
      return session;
    },
    end(id, { principalId }) {
      ended.add(id, principalId);
      held.letGo((each) => each === id, 'the client ended the session');
    },
    endPrincipal(principalId) {
      held.letGo((_id, session) => session.principalId === principalId, 'the user was removed');
    },
    close() {
      for (const session of held.all()) {
        releaseSubscriptions(session);
        for (const stream of session.streams.splice(0)) stream.finish();
        session.replay?.close();
      }
    },
  };
}

/** The first revision of Streamable HTTP, which event ids belong to. */
const REPLAY_REVISION: LegacyRevision = '2025-03-26';
/** The first one whose clients know an event without data. */
const PRIMED_REVISION: LegacyRevision = '2025-11-25';

function isOf(session: Session, { principalId, scope }: SessionOwner): boolean {
  return session.principalId === principalId && session.scope === scope;
}

/** Whether the id was made here for this owner, whatever has become of its session. */
export function isSessionOf(sealer: Sealer, id: string, owner: SessionOwner): boolean {
  return sealer.open(id, contextOf(owner)) !== undefined;
}

function contextOf({ principalId, scope }: SessionOwner): string {
  return JSON.stringify(['session', principalId, scope]);
}

function readClaims(text: string, nowMs: number): { claims: SessionClaims; endMs: number } | undefined {
  const [revision, capabilities, clientInfo, endMs] = JSON.parse(text) as unknown[];
  if (!isLegacyRevision(revision) || !isObject(capabilities)) return undefined;
  if (typeof endMs !== 'number' || endMs < nowMs) return undefined;
  const claims = { revision, capabilities, clientInfo: isObject(clientInfo) ? clientInfo : undefined };
  return { claims, endMs };
}
