/**
 * The soak test (`test/soak`) for some seconds, by a number of rounds instead of minutes: sessions dropped, streams
 * cut, calls cancelled and parked, servers crashed and configurations swapped leave nothing behind.
 *
 * Memory says nothing after so few rounds, so it is left to `npm run soak`.
 */
import assert from 'node:assert/strict';
import { after } from 'node:test';
import { leftOver, runRound, settle } from '../soak/rounds.ts';
import { startWorld } from '../soak/world.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { verifies } from '../support/verifies.ts';

after(() => checkNothingLeft());

const WARM_UP_ROUNDS = 4;
const ROUNDS = 10;

verifies('gateway.soak', 'rounds of good and bad clients leave nothing behind', async (t) => {
  const world = await startWorld(t);
  let round = 0;
  // oxlint-disable-next-line no-await-in-loop -- one round after the other
  for (; round < WARM_UP_ROUNDS; round += 1) await runRound(world, round);
  const baseline = await settle(world);
  // oxlint-disable-next-line no-await-in-loop
  for (; round < WARM_UP_ROUNDS + ROUNDS; round += 1) await runRound(world, round);
  const last = await settle(world, baseline);
  await world.app.stop();
  assert.deepEqual(leftOver(baseline, last), []);
  assert.ok(last.entries > baseline.entries + ROUNDS * 50, `${last.entries - baseline.entries} entries`);
});
