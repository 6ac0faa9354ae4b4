/**
 * How much is allowed: token buckets for rates, counters for what is in progress. Both without timers.
 *
 * A bucket fills while nobody looks and is reckoned when somebody takes from it. Several limits are asked as one: either
 * all let the call through, or none of them has counted it. Keys come from the configuration, never from a client. What
 * is limited for whom is decided by the callers. The state is this process's alone.
 */
import { ProxyError } from '../errors.ts';
import { LIMIT_STATE_COUNT_MAX } from '../limits.ts';
import type { Clock, Limit } from '../model.ts';

/** A limit that counts for a call. */
export interface Charge extends Limit {
  /** Calls with the same key share the count. */
  readonly key: string;
  /** Whose limit it is, for the message: `user alice`, `server github`. */
  readonly of: string;
}

export interface RateLimiter {
  /**
   * Counts a call, or several that came together. @returns ends it, for what is counted in progress; may be called twice
   * @throws {ProxyError} RATE_LIMITED with `data.retry_after_ms` and Retry-After
   */
  enter(charges: readonly Charge[], count?: number): () => void;
}

interface State {
  tokens: number;
  atMs: number;
  active: number;
}

const NOTHING = (): void => undefined;
/** When a call in progress ends cannot be known. */
const BUSY_RETRY_MS = 1_000;

export function createRateLimiter(clock: Pick<Clock, 'monotonicMs'>): RateLimiter {
  // Bounded by LIMIT_STATE_COUNT_MAX.
  const states = new Map<string, State>();

  function stateOf(charge: Charge, nowMs: number): State {
    let state = states.get(charge.key);
    if (state === undefined) {
      if (states.size >= LIMIT_STATE_COUNT_MAX) dropOldest();
      state = { tokens: capacityOf(charge), atMs: nowMs, active: 0 };
      states.set(charge.key, state);
    }
    if (charge.rate !== undefined) {
      const gained = ((nowMs - state.atMs) * charge.rate.count) / charge.rate.perMs;
      state.tokens = Math.min(capacityOf(charge), state.tokens + gained);
    }
    state.atMs = nowMs;
    return state;
  }

  /** What is forgotten begins full again. */
  function dropOldest(): void {
    for (const [key, { active }] of states) {
      if (active > 0) continue;
      states.delete(key);
      return;
    }
  }

  return {
    enter(charges, count = 1) {
      if (charges.length === 0) return NOTHING;
      const nowMs = clock.monotonicMs();
      const found = charges.map((charge) => ({ charge, state: stateOf(charge, nowMs) }));
      for (const { charge, state } of found) refuseOver(charge, state, count);
      let isOver = false;
      for (const { charge, state } of found) {
        // More at once than a full bucket holds is paid off afterwards.
        if (charge.rate !== undefined) state.tokens -= count;
        if (charge.concurrent !== undefined) state.active += 1;
      }
      return () => {
        if (isOver) return;
        isOver = true;
        for (const { charge, state } of found) if (charge.concurrent !== undefined) state.active -= 1;
      };
    },
  };
}

function capacityOf({ rate, burst }: Limit): number {
  return burst ?? rate?.count ?? 0;
}

function refuseOver(charge: Charge, { tokens, active }: State, count: number): void {
  const { rate, concurrent, of } = charge;
  if (concurrent !== undefined && active >= concurrent) {
    throw refusal(
      `${of} has ${concurrent} calls in progress, as many as are allowed; wait for one to end`,
      BUSY_RETRY_MS,
    );
  }
  const missing = Math.min(count, capacityOf(charge)) - tokens;
  // What a fraction of a token is short of is the reckoning's, not the caller's.
  if (rate === undefined || missing < 1e-6) return;
  const waitMs = Math.ceil((missing * rate.perMs) / rate.count);
  throw refusal(`${of} has used up the limit of ${describeRate(rate)}; try again in ${seconds(waitMs)} s`, waitMs);
}

function describeRate({ count, perMs }: NonNullable<Limit['rate']>): string {
  const unit = new Map([
    [1_000, 's'],
    [60_000, 'min'],
    [3_600_000, 'h'],
    [86_400_000, 'day'],
  ]).get(perMs);
  return `${count}/${unit ?? `${perMs} ms`}`;
}

/** A refusal that says when to come again: in whole seconds for the header (RFC 9110 §10.2.3). */
export function refusal(message: string, waitMs: number): ProxyError {
  return new ProxyError('RATE_LIMITED', message, {
    headers: { 'retry-after': String(seconds(waitMs)) },
    data: { retry_after_ms: Math.ceil(waitMs) },
  });
}

function seconds(ms: number): number {
  return Math.max(1, Math.ceil(ms / 1_000));
}
