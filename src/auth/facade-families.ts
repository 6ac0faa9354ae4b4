/**
 * Which logins there are, how often their refresh tokens were renewed, and which have been ended.
 *
 * The tokens themselves are sealed and kept by nobody; this small table alone notices that a code or a refresh token is
 * used a second time, which ends the login: one of the two who have it has stolen it, and nobody can tell which (RFC 9700
 * §4.14.2). The token before the last is good for a moment more, because an answer may get lost and clients with several
 * workers renew at once; a thief within that moment is noticed at the next renewal. The table is of one instance: what
 * it does not know, made by another or pushed out, it takes at its word and follows from there.
 */
import { OAUTH_FAMILY_COUNT_MAX, OAUTH_REFRESH_GRACE_MS, OAUTH_REFRESH_MS } from '../limits.ts';
import type { Clock } from '../model.ts';

/** One login; an object of these is a row of the saved file. */
export interface Family {
  /** Of the newest refresh token. */
  readonly generation: number;
  /** Wall time when it was made. */
  readonly madeMs: number;
  /** Wall time after which nobody can have a token of it. */
  readonly endsMs: number;
  readonly revoked: boolean;
}

export interface Families {
  /** A code is used. @returns false when it was used before: the login is ended then */
  begin(id: string): boolean;
  /** A refresh token is used. @returns the generation of the next one; undefined: the login has ended or ends now */
  renew(id: string, generation: number): number | undefined;
  end(id: string): void;
  hasEnded(id: string): boolean;
  /** All, longest unused first. */
  rows(): readonly (readonly [id: string, family: Family])[];
}

export interface FamiliesOptions {
  readonly clock: Pick<Clock, 'wallMs'>;
  readonly saved: readonly (readonly [id: string, family: Family])[];
  /** Something is worth saving. */
  onChange(): void;
}

export function createFamilies(options: FamiliesOptions): Families {
  const { clock, saved } = options;
  // Bounded by OAUTH_FAMILY_COUNT_MAX; what was used last is last.
  const families = new Map<string, Family>();
  for (const [id, family] of saved.slice(-OAUTH_FAMILY_COUNT_MAX)) families.set(id, family);

  function put(id: string, state: Pick<Family, 'generation' | 'revoked'>): void {
    const nowMs = clock.wallMs();
    families.delete(id);
    families.set(id, { ...state, madeMs: nowMs, endsMs: nowMs + OAUTH_REFRESH_MS });
    for (const [old, { endsMs }] of families) {
      if (endsMs > nowMs) break;
      families.delete(old);
    }
    if (families.size > OAUTH_FAMILY_COUNT_MAX) forgetOne();
    options.onChange();
  }

  /** One that was ended would be good again if it were forgotten. */
  function forgetOne(): void {
    let [oldest] = families.keys();
    for (const [id, { revoked }] of families) {
      if (revoked) continue;
      oldest = id;
      break;
    }
    if (oldest !== undefined) families.delete(oldest);
  }

  function end(id: string): void {
    if (families.get(id)?.revoked !== true) put(id, { generation: 0, revoked: true });
  }

  return {
    end,
    begin(id) {
      if (families.has(id)) {
        end(id);
        return false;
      }
      put(id, { generation: 0, revoked: false });
      return true;
    },
    renew(id, generation) {
      const known = families.get(id);
      if (known?.revoked === true) return undefined;
      if (known === undefined || generation >= known.generation) {
        put(id, { generation: generation + 1, revoked: false });
        return generation + 1;
      }
      const isLate = Math.abs(clock.wallMs() - known.madeMs) > OAUTH_REFRESH_GRACE_MS;
      if (generation === known.generation - 1 && !isLate) return known.generation;
      end(id);
      return undefined;
    },
    hasEnded: (id) => families.get(id)?.revoked === true,
    rows: () => [...families],
  };
}
