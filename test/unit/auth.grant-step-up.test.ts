/**
 * What a grant does about scopes that its server finds missing: when more is asked for, how often, and when no more.
 */
import assert from 'node:assert/strict';
import { ISSUER_PAUSE_MS_MAX, OAUTH_SCOPE_COUNT_MAX } from '../../src/limits.ts';
import { makeSecret } from '../../src/text/secret.ts';
import { advance, makeWorld } from '../support/grant-world.ts';
import { verifies } from '../support/verifies.ts';

const REFUSED = (scope: string) =>
  ({ status: 403, challenge: `Bearer error="insufficient_scope", scope="${scope}"` }) as const;

verifies('oauth-out.step-up', 'what is missing is asked for besides the rest, and from then on', async () => {
  const world = makeWorld();
  await world.sent();
  const sent = world.grant.fields();
  const waits = [1, 2, 3].map(() => world.grant.rejected(sent, REFUSED('a b')));
  for (const wait of waits) {
    assert.ok(wait instanceof Promise);
    // oxlint-disable-next-line no-await-in-loop -- all of them are on their way
    await wait;
  }
  assert.equal(world.asked.length, 2, 'however many were refused');
  assert.equal(world.asked[1]?.get('scope'), 'a b');
  assert.equal(await world.sent(), 'Bearer access-2');
  assert.equal(world.grant.state().missing, null);
  assert.equal(world.grant.rejected(sent, REFUSED('a')), true, 'there is another one meanwhile');
  await world.grant.rejected(world.grant.fields(), REFUSED('c'));
  assert.equal(world.asked[2]?.get('scope'), 'a b c', 'the union');
  advance(world, 600);
  await world.sent();
  assert.equal(world.asked[3]?.get('scope'), 'a b c', 'also later');
});

verifies('oauth-out.step-up', 'a server that is never content costs one token, and the token stays', async () => {
  const world = makeWorld();
  await world.sent();
  await world.grant.rejected(world.grant.fields(), REFUSED('a'));
  for (let count = 0; count < 100; count += 1)
    assert.equal(world.grant.rejected(world.grant.fields(), REFUSED('a')), false);
  assert.equal(world.asked.length, 2);
  assert.deepEqual(world.grant.state().missing?.scopes, ['a']);
});

verifies('oauth-out.step-up', 'a server that invents scopes gets so many and no more', async () => {
  const world = makeWorld();
  await world.sent();
  for (let count = 0; count < 200; count += 1)
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await world.grant.rejected(world.grant.fields(), REFUSED(`s${count}`));
  assert.equal(world.asked.length, 1 + OAUTH_SCOPE_COUNT_MAX);
  assert.equal(world.asked.at(-1)?.get('scope')?.split(' ').length, OAUTH_SCOPE_COUNT_MAX);
});

verifies('oauth-out.step-up', 'what the authorization server refuses is not asked for again at once', async () => {
  const world = makeWorld();
  await world.sent();
  world.life = undefined;
  for (let count = 0; count < 50; count += 1)
    // oxlint-disable-next-line no-await-in-loop
    await world.grant.rejected(world.grant.fields(), REFUSED(`s${count}`));
  assert.equal(world.asked.length, 2);
  assert.equal(world.grant.prepare(), undefined, 'the token in use stays');
  assert.deepEqual(world.grant.fields(), ['Authorization', 'Bearer access-1']);
  const { failing, missing } = world.grant.state();
  assert.deepEqual([failing, missing?.scopes, missing?.reason], [null, ['s49'], 'as.example cannot be asked']);
  advance(world, ISSUER_PAUSE_MS_MAX / 1_000);
  world.life = 600;
  await world.grant.rejected(world.grant.fields(), REFUSED('a'));
  assert.equal(world.asked.at(-1)?.get('scope'), 'a');
  assert.deepEqual(
    world.said.filter((line) => line.includes('scopes')),
    ['warn scopes that a server wants cannot be got', 'info an access token has scopes that its server wanted'],
  );
});

verifies(
  'oauth-out.step-up',
  'a scope that nobody wrote and is given no more costs the scope, not the token',
  async () => {
    const world = makeWorld();
    await world.sent();
    await world.grant.rejected(world.grant.fields(), REFUSED('a'));
    world.refused = { scope: 'a' };
    advance(world, 600);
    assert.equal(await world.sent(), 'Bearer access-4');
    assert.deepEqual(
      world.asked.map((form) => form.get('scope')),
      [null, 'a', 'a', null],
    );
    assert.equal(world.grant.state().failing, null);
  },
);

verifies('oauth-out.step-up', 'a token that is refused meanwhile is replaced when no better one was got', async () => {
  const world = makeWorld();
  await world.sent();
  const sent = world.grant.fields();
  let refuse: (() => void) | undefined;
  world.refused = { scope: 'a', after: new Promise<void>((resolve) => (refuse = resolve)) };
  const steppedUp = world.grant.rejected(sent, REFUSED('a'));
  assert.equal(world.grant.rejected(sent, { status: 401, challenge: undefined }), true);
  const next = world.sent();
  refuse?.();
  await steppedUp;
  assert.equal(await next, 'Bearer access-3');
});

for (const { name, client } of [
  { name: 'a refresh token', client: { refreshToken: makeSecret('refresh-0') } },
  { name: 'a limit', client: { scopes: ['a'] } },
]) {
  verifies(
    'oauth-out.scope-missing',
    `with ${name} nothing more is asked for, and what is missing is told`,
    async () => {
      const world = makeWorld(client);
      await world.sent();
      assert.equal(world.grant.rejected(world.grant.fields(), REFUSED('b')), false);
      assert.equal(world.asked.length, 1);
      const { missing } = world.grant.state();
      assert.deepEqual([missing?.scopes, missing?.reason], [['b'], null]);
    },
  );
}

verifies(
  'oauth-out.scope-missing',
  'a 403 for another reason, or with what nobody could ask for, asks nobody',
  async () => {
    const world = makeWorld();
    await world.sent();
    for (const challenge of [
      undefined,
      'Bearer error="access_denied"',
      REFUSED('x'.repeat(5_000)).challenge,
      REFUSED('a\u0007b').challenge,
    ])
      assert.equal(world.grant.rejected(world.grant.fields(), { status: 403, challenge }), false);
    assert.equal(world.asked.length, 1);
  },
);
