/**
 * Who holds how much of something that is bounded for all together, so that whoever holds most has to give way.
 *
 * With that rule nobody can push out what belongs to others by taking more and more. Counts only: what is given up is
 * its holder's business. Finding the largest looks at every owner, which happens only when the bound is reached. Pure.
 */

export interface Shares {
  readonly total: number;
  of(owner: string): number;
  /** @param amount negative to give back */
  add(owner: string, amount: number): void;
  /** Who holds most, the one who began to hold first among equals; undefined when nobody holds anything. */
  largest(): string | undefined;
}

export function createShares(): Shares {
  // One for each user who holds something. Bounded by PRINCIPAL_COUNT_MAX.
  const held = new Map<string, number>();
  let total = 0;
  return {
    get total() {
      return total;
    },
    of: (owner) => held.get(owner) ?? 0,
    add(owner, amount) {
      total += amount;
      const now = (held.get(owner) ?? 0) + amount;
      if (now > 0) held.set(owner, now);
      else held.delete(owner);
    },
    largest() {
      let found: string | undefined;
      let most = 0;
      for (const [owner, amount] of held) {
        if (amount <= most) continue;
        found = owner;
        most = amount;
      }
      return found;
    },
  };
}
