/**
 * One grant under a clock that the test holds: when a token is replaced, how failures are paused, what a refusal does.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProxyError } from '../../src/errors.ts';
import { ISSUER_PAUSE_MS_MAX, OAUTH_REJECTED_MS_MIN } from '../../src/limits.ts';
import { makeSecret } from '../../src/text/secret.ts';
import { advance, makeWorld } from '../support/grant-world.ts';
import { verifies } from '../support/verifies.ts';

verifies('oauth-out.renewed', 'the resource is always sent, without the query of the URL', async () => {
  const world = makeWorld();
  assert.equal(await world.sent(), 'Bearer access-1');
  const [form] = world.asked;
  assert.deepEqual(Object.fromEntries(form ?? []), {
    grant_type: 'client_credentials',
    resource: 'https://mcp.example/mcp',
  });
});

for (const { life, renewAfter } of [
  { life: 3_600, renewAfter: 3_540 },
  { life: 100, renewAfter: 80 },
  { life: 0, renewAfter: 4 },
]) {
  verifies(
    'oauth-out.renewed',
    `a token of ${life} s is replaced after ${renewAfter} s, and nobody waits`,
    async () => {
      const world = makeWorld();
      world.life = life;
      await world.sent();
      advance(world, renewAfter - 0.01);
      assert.equal(world.grant.prepare(), undefined);
      await world.settle();
      assert.equal(world.asked.length, 1);
      advance(world, 0.01);
      assert.equal(world.grant.prepare(), undefined);
      assert.deepEqual(world.grant.fields(), ['Authorization', 'Bearer access-1']);
      await world.settle();
      assert.equal(await world.sent(), 'Bearer access-2');
      assert.equal(world.asked.length, 2);
    },
  );
}

verifies('oauth-out.renewed', 'a life without end is told as a time, and kept', async () => {
  for (const life of [Number.MAX_SAFE_INTEGER, 1e306]) {
    const world = makeWorld();
    world.life = life;
    await world.sent();
    assert.match(world.grant.state().good_until ?? '', /^\d{4}-/);
    assert.ok(Number.isFinite(world.kept?.expiresMs));
  }
});

verifies('oauth-out.renewed', 'a token that has ended is waited for', async () => {
  const world = makeWorld();
  await world.sent();
  advance(world, 600);
  assert.ok(world.grant.prepare() instanceof Promise);
  assert.equal(await world.sent(), 'Bearer access-2');
});

verifies('oauth-out.down', 'a token that is good serves on while its authorization server is down', async () => {
  const world = makeWorld();
  await world.sent();
  world.life = undefined;
  advance(world, 550);
  for (let count = 0; count < 5; count += 1) assert.equal(await world.sent(), 'Bearer access-1');
  await world.settle();
  assert.equal(world.asked.length, 2, 'one question, and then the pause');
  advance(world, 50);
  await assert.rejects(world.sent(), /no access token for server up: as\.example cannot be asked/);
  assert.deepEqual(world.said, ['warn an access token cannot be got']);
  world.life = 600;
  advance(world, 60);
  assert.equal(await world.sent(), 'Bearer access-4');
  assert.equal(world.said.at(-1), 'info access tokens can be got again');
});

verifies('oauth-out.down', 'the pause grows to its bound, and says when it is over', async () => {
  const world = makeWorld();
  world.life = undefined;
  let askedAt = 0;
  const pauses: number[] = [];
  for (let second = 0; second <= 400; second += 1) {
    const before = world.asked.length;
    // oxlint-disable-next-line no-await-in-loop -- second by second
    const error: unknown = await world.sent().catch((thrown: unknown) => thrown);
    assert.ok(error instanceof ProxyError && error.code === 'ISSUER_UNREACHABLE');
    if (world.asked.length > before) {
      pauses.push(second - askedAt);
      askedAt = second;
    } else assert.match(error.headers?.['retry-after'] ?? '', /^[1-9]\d?$/);
    advance(world, 1);
  }
  assert.deepEqual(pauses.slice(0, 8), [0, 1, 2, 4, 8, 16, ISSUER_PAUSE_MS_MAX / 1_000, ISSUER_PAUSE_MS_MAX / 1_000]);
});

verifies('oauth-out.refused-once', 'only the token in use is dropped, and a second refusal waits', async () => {
  const world = makeWorld();
  await world.sent();
  const old = world.grant.fields();
  assert.equal(world.grant.rejected(old, { status: 401, challenge: undefined }), true);
  await world.sent();
  const now = world.grant.fields();
  assert.equal(world.grant.rejected(old, { status: 401, challenge: undefined }), true, 'it is replaced already');
  assert.equal(world.grant.prepare(), undefined);
  assert.equal(world.grant.rejected(now, { status: 401, challenge: undefined }), false, 'it is new, and refused too');
  assert.equal(world.grant.prepare(), undefined);
  advance(world, OAUTH_REJECTED_MS_MIN / 1_000);
  assert.equal(world.grant.rejected(now, { status: 401, challenge: undefined }), true);
  assert.equal(await world.sent(), 'Bearer access-3');
});

verifies('oauth-out.refresh', 'refresh tokens follow each other, and old ones are hidden for a while', async () => {
  const world = makeWorld({ refreshToken: makeSecret('refresh-0') });
  for (let count = 0; count < 3; count += 1) {
    // oxlint-disable-next-line no-await-in-loop
    await world.sent();
    advance(world, 600);
  }
  assert.deepEqual(
    world.asked.map((form) => form.get('refresh_token')),
    ['refresh-0', 'refresh-1', 'refresh-2'],
  );
  assert.deepEqual([...world.hidden].toSorted(), ['access-2', 'access-3', 'refresh-2', 'refresh-3']);
  world.grant.forget();
  assert.equal(world.hidden.size, 0);
});

verifies(
  'oauth-out.refresh',
  'what replaces a refresh token is kept before anybody uses what came with it',
  async () => {
    const world = makeWorld({ refreshToken: makeSecret('refresh-0') });
    let isPrepared = false;
    const writing = new Promise<() => void>((begun) => {
      world.write = () => new Promise((written) => begun(written));
    });
    const prepared = Promise.resolve(world.grant.prepare()).then(() => void (isPrepared = true));
    const keep = await writing;
    await new Promise(setImmediate);
    assert.equal(isPrepared, false);
    assert.throws(() => world.grant.fields(), /no access token/);
    keep();
    await prepared;
    assert.deepEqual(world.grant.fields(), ['Authorization', 'Bearer access-1']);
  },
);

const KEPT = { digest: 'd', issuer: undefined, accessToken: 'kept', lifeMs: 600_000, refreshToken: undefined };
for (const { name, kept, expected } of [
  { name: 'that is good is used', kept: { ...KEPT, expiresMs: 1_500_000 }, expected: 'Bearer kept' },
  { name: 'that has ended is not', kept: { ...KEPT, expiresMs: 1_000_000 }, expected: 'Bearer access-1' },
  {
    name: 'of another configuration is not',
    kept: { ...KEPT, digest: 'e', expiresMs: 1_500_000 },
    expected: 'Bearer access-1',
  },
]) {
  test(`a kept token ${name}`, async () => assert.equal(await makeWorld({}, kept).sent(), expected));
}

test('a kept token is not believed for longer than its life, whatever the clock says', async () => {
  const world = makeWorld({}, { ...KEPT, expiresMs: 1_000_000_000_000 });
  assert.equal(await world.sent(), 'Bearer kept');
  advance(world, 600);
  world.kept = undefined;
  assert.equal(await world.sent(), 'Bearer access-1');
});

verifies(
  'oauth-out.status',
  'what fails is told since its first failure, with its reason and the next try',
  async () => {
    const world = makeWorld();
    world.life = undefined;
    await assert.rejects(world.sent());
    assert.deepEqual(world.grant.state(), {
      good_until: null,
      failing: {
        since: new Date(1_000_000).toISOString(),
        code: 'ISSUER_UNREACHABLE',
        oauth_error: null,
        reason: 'as.example cannot be asked',
        next_try: new Date(1_001_000).toISOString(),
      },
      missing: null,
    });
    // Nobody touched the clock on the wall but time.
    for (const seconds of [1, 1]) {
      advance(world, seconds);
      world.clock.wall += seconds * 1_000;
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await assert.rejects(world.sent());
    }
    const { failing } = world.grant.state();
    assert.equal(failing?.since, new Date(1_000_000).toISOString());
    assert.equal(failing.next_try, new Date(1_003_000).toISOString());
    advance(world, 60);
    assert.equal(world.grant.state().failing?.next_try, null);
    world.life = 600;
    await world.sent();
    const now = world.grant.state();
    assert.deepEqual([now.good_until, now.failing], [new Date(1_002_000 + 594_000).toISOString(), null]);
    advance(world, 600);
    assert.equal(world.grant.state().good_until, null);
  },
);
