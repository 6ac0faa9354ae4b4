/**
 * Room for the messages of clients: the bytes that are being read or answered, of all together and of one user.
 *
 * A body takes room as it arrives, not as it is announced. When there is none left, the body that has been arriving for
 * longest gives way, of the user who holds most, so that slow bodies, few or many, keep nobody out: what is sent at
 * once is never the oldest. What is complete keeps its room until nobody needs it. Pure but for its callbacks.
 */
import { ProxyError } from '../errors.ts';
import { GATEWAY_BODIES_BYTES_MAX, GATEWAY_BODIES_USER_BYTES_MAX } from '../limits.ts';
import { createShares } from './shares.ts';

export interface BodyRoom {
  /** @param onRefused called at most once, while the body is arriving: there is no room for it */
  open(owner: string, onRefused: (error: ProxyError) => void): BodyHold;
}

export interface BodyHold {
  /** Takes room for bytes that have arrived. */
  take(bytes: number): void;
  /** It has arrived whole and is not refused any more. */
  complete(): void;
  /** One more waits for the end of what the message asks for. */
  retain(): void;
  /** One fewer; the last one gives the room back. */
  release(): void;
}

interface Held extends BodyHold {
  readonly owner: string;
  bytes: number;
  refuse(error: ProxyError): void;
}

export function createBodyRoom(): BodyRoom {
  const shares = createShares();
  // Oldest first. Bounded by EXCHANGE_COUNT_MAX.
  const arriving = new Set<Held>();

  function giveWay(owner: string | undefined): boolean {
    for (const each of arriving) {
      if (each.owner !== owner || each.bytes === 0) continue;
      each.refuse(noRoom());
      return true;
    }
    return false;
  }

  /** Makes the bounds hold again, if need be by refusing the newcomer itself. */
  function settle(newest: Held): void {
    while (arriving.has(newest)) {
      const isUserOver = shares.of(newest.owner) > GATEWAY_BODIES_USER_BYTES_MAX;
      if (!isUserOver && shares.total <= GATEWAY_BODIES_BYTES_MAX) return;
      if (!giveWay(isUserOver ? newest.owner : shares.largest())) newest.refuse(noRoom());
    }
  }

  return {
    open(owner, onRefused) {
      let holders = 1;
      const held: Held = {
        owner,
        bytes: 0,
        take(bytes) {
          if (!arriving.has(held)) return;
          held.bytes += bytes;
          shares.add(owner, bytes);
          settle(held);
        },
        complete: () => void arriving.delete(held),
        retain() {
          holders += 1;
        },
        release() {
          holders -= 1;
          if (holders === 0) letGo();
        },
        refuse(error) {
          letGo();
          onRefused(error);
        },
      };
      function letGo(): void {
        arriving.delete(held);
        shares.add(owner, -held.bytes);
        held.bytes = 0;
      }
      arriving.add(held);
      return held;
    },
  };
}

const RETRY_SOON = { headers: { 'retry-after': '1' } };

function noRoom(): ProxyError {
  const text = 'too many large messages are being read or answered at once; try again shortly';
  return new ProxyError('OVERLOADED', text, RETRY_SOON);
}
