import assert from 'node:assert/strict';
import { createFamilies, type Families, type Family } from '../../src/auth/facade-families.ts';
import { OAUTH_FAMILY_COUNT_MAX, OAUTH_REFRESH_MS } from '../../src/limits.ts';
import { verifies } from '../support/verifies.ts';

function open(saved: readonly (readonly [string, Family])[] = []): { families: Families; wait(ms: number): void } {
  let nowMs = 1_800_000_000_000;
  const families = createFamilies({ clock: { wallMs: () => nowMs }, saved, onChange: () => undefined });
  return { families, wait: (ms) => void (nowMs += ms) };
}

verifies(
  'facade.families',
  'the table is bounded, and forgets what was used longest ago but nothing that was ended',
  () => {
    const { families } = open();
    families.begin('ended');
    families.end('ended');
    families.begin('old');
    for (let at = 0; at < OAUTH_FAMILY_COUNT_MAX; at += 1) families.begin(`f${at}`);
    assert.equal(families.rows().length, OAUTH_FAMILY_COUNT_MAX);
    assert.ok(families.hasEnded('ended'));
    assert.ok(!families.rows().some(([id]) => id === 'old'));
    assert.equal(families.renew('ended', 0), undefined);
  },
);

verifies('facade.families', 'a table full of ended logins gives way to the one that ended first', () => {
  const { families } = open();
  for (let at = 0; at <= OAUTH_FAMILY_COUNT_MAX; at += 1) families.end(`f${at}`);
  assert.deepEqual(
    [families.rows().length, families.hasEnded('f0'), families.hasEnded('f1')],
    [OAUTH_FAMILY_COUNT_MAX, false, true],
  );
});

verifies('facade.families', 'what nobody can have a token of any more is forgotten', () => {
  const { families, wait } = open();
  families.begin('a');
  wait(OAUTH_REFRESH_MS);
  families.begin('b');
  assert.deepEqual(
    families.rows().map(([id]) => id),
    ['b'],
  );
});

verifies(['facade.families', 'facade.instances'], 'a login that is not known is followed from where it is', () => {
  const { families } = open();
  assert.equal(families.renew('elsewhere', 5), 6);
  // Renewed by another instance meanwhile.
  assert.equal(families.renew('elsewhere', 9), 10);
  assert.equal(families.renew('elsewhere', 3), undefined);
  assert.ok(families.hasEnded('elsewhere'));
});

verifies(['facade.families', 'facade.restart'], 'what was saved is known again', () => {
  const { families } = open();
  families.begin('a');
  families.renew('a', 0);
  families.end('b');
  const again = open(JSON.parse(JSON.stringify(families.rows())) as [string, Family][]).families;
  assert.equal(again.begin('a'), false);
  assert.ok(again.hasEnded('a') && again.hasEnded('b'));
});
