/**
 * Failed logins by client address: after a few, each further one keeps the address waiting twice as long.
 *
 * Only failures are slowed. A valid token is looked at before anybody asks here, so that nobody can lock out somebody
 * else, nor themselves. Who has many addresses gains little: of one wider block only so many are told apart, the rest
 * counts together, and when the table is full the address that failed longest ago is forgotten. Without timers.
 */
import { LOGIN_ADDRESS_COUNT_MAX, LOGIN_BLOCK_ADDRESS_COUNT_MAX, LOGIN_FAILURE_COUNT_FREE } from '../limits.ts';
import { LOGIN_LOCK_MS_BASE, LOGIN_LOCK_MS_MAX } from '../limits.ts';
import type { Clock } from '../model.ts';
import { addressBlock } from './address-block.ts';

export interface FailedLogins {
  /** Counts a failure. @returns how long the address has to wait, when it does already */
  fail(clientIp: string | null): number | undefined;
  readonly size: number;
}

/** What whoever has to wait is told, wherever they tried. */
export const TOO_MANY_FAILED = 'too many failed logins from this address; a valid token is let in at any time';

export interface FailedLoginsOptions {
  readonly clock: Pick<Clock, 'monotonicMs'>;
  /** An address has to wait from now on. */
  onLocked(lock: { readonly address: string; readonly failures: number; readonly ms: number }): void;
}

interface Address {
  failures: number;
  lockedUntilMs: number;
  readonly wider: string;
}

export function createFailedLogins(options: FailedLoginsOptions): FailedLogins {
  const { clock } = options;
  // Bounded by LOGIN_ADDRESS_COUNT_MAX; whoever failed last is last.
  const addresses = new Map<string, Address>();
  // Bounded by LOGIN_ADDRESS_COUNT_MAX: how many addresses of a wider block are in the table.
  const crowds = new Map<string, number>();

  function forget(key: string, { wider }: Address): void {
    addresses.delete(key);
    const left = (crowds.get(wider) ?? 1) - 1;
    if (left === 0) crowds.delete(wider);
    else crowds.set(wider, left);
  }

  function forgetOld(nowMs: number): void {
    for (const [key, address] of addresses) {
      const isOld = nowMs - address.lockedUntilMs >= LOGIN_LOCK_MS_MAX;
      if (!isOld && addresses.size <= LOGIN_ADDRESS_COUNT_MAX) return;
      forget(key, address);
    }
  }

  function find(clientIp: string | null): { readonly key: string; readonly address: Address } {
    const { own, wider } = addressBlock(clientIp);
    const isCrowded = !addresses.has(own) && (crowds.get(wider) ?? 0) >= LOGIN_BLOCK_ADDRESS_COUNT_MAX;
    const key = isCrowded ? wider : own;
    const known = addresses.get(key);
    if (known !== undefined) return { key, address: known };
    crowds.set(wider, (crowds.get(wider) ?? 0) + 1);
    return { key, address: { failures: 0, lockedUntilMs: 0, wider } };
  }

  return {
    get size() {
      return addresses.size;
    },
    fail(clientIp) {
      const nowMs = clock.monotonicMs();
      forgetOld(nowMs);
      const { key, address } = find(clientIp);
      if (address.lockedUntilMs > nowMs) return address.lockedUntilMs - nowMs;
      address.failures += 1;
      const over = address.failures - LOGIN_FAILURE_COUNT_FREE;
      const ms = over <= 0 ? 0 : Math.min(LOGIN_LOCK_MS_BASE * 2 ** (over - 1), LOGIN_LOCK_MS_MAX);
      address.lockedUntilMs = nowMs + ms;
      addresses.delete(key);
      addresses.set(key, address);
      forgetOld(nowMs);
      if (ms > 0) options.onLocked({ address: key, failures: address.failures, ms });
      return undefined;
    },
  };
}
