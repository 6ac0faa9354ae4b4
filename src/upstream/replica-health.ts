/**
 * Whether one replica of a server is fit for work: given a rest when it fails, asked now and then, taken back.
 *
 * It is of the address, so that all users share what one of them found out and nobody asks twice: whoever uses the
 * address can be asked to check it, and one of them is. A replica that could not be reached rests at once, one that
 * fails calls after `REPLICA_FAILURE_COUNT_MAX` in a row; the rest doubles with each failure after it. A rest that is
 * over is a trial: the next check or call ends it or begins a longer one. Nobody is asked whom nobody uses. That the
 * last one never rests is for who chooses among them.
 */
import { REPLICA_CHECK_MS, REPLICA_FAILURE_COUNT_MAX, REPLICA_REST_MS_BASE, REPLICA_REST_MS_MAX } from '../limits.ts';
import type { Clock } from '../model.ts';

/** What a call or a check says of the replica. `unreached`: it provably did not get there. */
export type Verdict = 'well' | 'unreached' | 'failed';

export interface ReplicaHealth {
  readonly isResting: boolean;
  readonly restUntilMs: number;
  /** Somebody uses it now: it is asked from time to time. */
  use(): void;
  note(verdict: Verdict): void;
  /** @param check asks the replica; never rejects. Returns a function that ends that. */
  join(user: ReplicaUser): () => void;
}

export interface ReplicaUser {
  /** Undefined when it said nothing of the replica. */
  check(): Promise<Verdict | undefined>;
  /** It has begun to rest, or is taken back. */
  onChange(): void;
}

export function createReplicaHealth(clock: Clock): ReplicaHealth {
  return new Health(clock);
}

/** Checks after which a server that nobody uses is not asked any more. */
const USE_CHECK_COUNT = 4;
/** Users asked to check: the credential of the first may be refused. */
const ASKED_COUNT_MAX = 3;

class Health implements ReplicaHealth {
  readonly #clock: Clock;
  /** Bounded by PEER_COUNT_MAX. */
  readonly #users = new Set<ReplicaUser>();
  #failureCount = 0;
  #restCount = 0;
  #restUntilMs = 0;
  #usedMs = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #isChecking = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get isResting(): boolean {
    return this.#clock.monotonicMs() < this.#restUntilMs;
  }

  get restUntilMs(): number {
    return this.#restUntilMs;
  }

  use(): void {
    this.#usedMs = this.#clock.monotonicMs();
    this.#schedule();
  }

  note(verdict: Verdict): void {
    if (verdict === 'well') return this.#takeBack();
    this.#failureCount += 1;
    // One report is enough while it rests: others were on their way when it began.
    if (this.isResting) return;
    const isTrial = this.#restCount > 0;
    if (verdict === 'failed' && !isTrial && this.#failureCount < REPLICA_FAILURE_COUNT_MAX) return;
    const restMs = Math.min(REPLICA_REST_MS_BASE * 2 ** this.#restCount, REPLICA_REST_MS_MAX);
    this.#restCount += 1;
    this.#restUntilMs = this.#clock.monotonicMs() + restMs * (0.5 + this.#clock.random() / 2);
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#schedule();
    this.#tell();
  }

  join(user: ReplicaUser): () => void {
    this.#users.add(user);
    return () => {
      this.#users.delete(user);
      if (this.#users.size > 0) return;
      clearTimeout(this.#timer);
      this.#timer = undefined;
    };
  }

  #takeBack(): void {
    const wasAway = this.#restCount > 0;
    this.#failureCount = 0;
    this.#restCount = 0;
    this.#restUntilMs = 0;
    if (wasAway) this.#tell();
  }

  #tell(): void {
    for (const user of this.#users) user.onChange();
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#isChecking || this.#users.size === 0) return;
    const restMs = this.#restUntilMs - this.#clock.monotonicMs();
    this.#timer = setTimeout(() => void this.#check(), restMs > 0 ? restMs : REPLICA_CHECK_MS).unref();
  }

  async #check(): Promise<void> {
    this.#timer = undefined;
    if (this.#clock.monotonicMs() - this.#usedMs > USE_CHECK_COUNT * REPLICA_CHECK_MS) return;
    this.#isChecking = true;
    for (const user of [...this.#users].slice(0, ASKED_COUNT_MAX)) {
      // oxlint-disable-next-line no-await-in-loop -- the next only when this one could not tell
      const verdict = await user.check();
      if (verdict === undefined) continue;
      this.note(verdict);
      break;
    }
    this.#isChecking = false;
    this.#schedule();
  }
}
