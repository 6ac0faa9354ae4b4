/**
 * Randomness that can be had again: the same seed gives the same numbers. For tests only, not for secrets.
 *
 * A linear congruential generator with the constants of Knuth's MMIX; the upper 32 of 64 bits are used, because the
 * lower ones have short periods.
 */

export interface SeededRandom {
  readonly seed: number;
  /** In [0, 1), as Math.random. */
  next(): number;
  /** Whole number in [0, bound). */
  integer(bound: number): number;
  /** One of the items. */
  pick<T>(items: readonly T[]): T;
  bytes(count: number): Buffer;
}

/** Numbers from a seed; `MCPROXY_TEST_SEED` overrides it to run a failed case again. */
export function seededRandom(defaultSeed: number): SeededRandom {
  const seed = Number(process.env['MCPROXY_TEST_SEED'] ?? defaultSeed);
  let state = BigInt.asUintN(64, BigInt(seed));
  const next = (): number => {
    state = BigInt.asUintN(64, state * 6_364_136_223_846_793_005n + 1_442_695_040_888_963_407n);
    return Number(state >> 32n) / 2 ** 32;
  };
  const integer = (bound: number): number => Math.floor(next() * bound);
  return {
    seed,
    next,
    integer,
    pick: (items) => {
      const item = items[integer(items.length)];
      if (item === undefined) throw new Error('nothing to pick from');
      return item;
    },
    bytes: (count) => Buffer.from(Array.from({ length: count }, () => integer(256))),
  };
}
