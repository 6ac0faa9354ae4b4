/**
 * Which sessions have a state in memory, and which ids have been ended: two bounded lists that all users share.
 *
 * A session that nobody uses for long loses its state. Where a list is full, the user who has most in it gives way, and
 * of theirs what is oldest and not in use; nobody can push out what belongs to others by opening or ending more.
 */
import { hash } from 'node:crypto';
import { SESSION_COUNT_MAX, SESSION_ENDED_COUNT_MAX, SESSION_IDLE_MS } from '../limits.ts';
import type { Clock } from '../model.ts';
import { closeSession, type Session } from './session.ts';
import { createShares } from './shares.ts';

export interface HeldSession {
  readonly session: Session;
  readonly usedMs: number;
  /** Wall time until which its id is good. */
  readonly endMs: number;
}

export interface HeldSessions {
  readonly count: number;
  find(id: string): HeldSession | undefined;
  /** Holds the session as the one used last. @param endMs wall time until which its id is good */
  use(id: string, session: Session, endMs: number): void;
  letGo(chosen: (id: string, session: Session) => boolean, reason: string): void;
  all(): Session[];
}

export function createHeldSessions(clock: Clock): HeldSessions {
  // Longest unused first, because use puts a session at the end. Bounded by SESSION_COUNT_MAX.
  const held = new Map<string, HeldSession>();
  const shares = createShares();

  function letGo(id: string, session: Session, reason: string): void {
    held.delete(id);
    shares.add(session.principalId, -1);
    closeSession(session, reason);
  }

  function sweep(newest: string): void {
    const nowMs = clock.monotonicMs();
    for (const [id, each] of held) {
      const { session, usedMs } = each;
      if (id === newest || usedMs > nowMs - SESSION_IDLE_MS) break;
      if (isBusy(session)) {
        held.delete(id);
        held.set(id, { ...each, usedMs: nowMs });
      } else letGo(id, session, 'the session was not used for long');
    }
    while (held.size > SESSION_COUNT_MAX) giveWay(newest);
  }

  function giveWay(newest: string): void {
    const largest = shares.largest();
    const theirs = [...held].filter(([id, { session }]) => session.principalId === largest && id !== newest);
    const [id, found] = theirs.find(([, { session }]) => !isBusy(session)) ?? theirs[0] ?? [];
    if (id !== undefined && found !== undefined) letGo(id, found.session, 'too many sessions are in use');
  }

  return {
    get count() {
      return held.size;
    },
    find: (id) => held.get(id),
    use(id, session, endMs) {
      if (!held.delete(id)) shares.add(session.principalId, 1);
      held.set(id, { session, usedMs: clock.monotonicMs(), endMs });
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

export interface EndedSessions {
  has(id: string): boolean;
  add(id: string, principalId: string): void;
}

/** Holds digests, because an id is long and a secret of its client. */
export function createEndedSessions(): EndedSessions {
  // Digest to user, oldest first. Bounded by SESSION_ENDED_COUNT_MAX.
  const ended = new Map<string, string>();
  const shares = createShares();
  return {
    has: (id) => ended.has(digest(id)),
    add(id, principalId) {
      const key = digest(id);
      if (ended.has(key)) return;
      ended.set(key, principalId);
      shares.add(principalId, 1);
      if (ended.size <= SESSION_ENDED_COUNT_MAX) return;
      const largest = shares.largest();
      for (const [oldest, owner] of ended) {
        if (owner !== largest) continue;
        ended.delete(oldest);
        shares.add(owner, -1);
        return;
      }
    },
  };
}

function digest(id: string): string {
  return hash('sha256', id, 'base64url');
}
