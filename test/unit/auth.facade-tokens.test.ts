import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFamilies } from '../../src/auth/facade-families.ts';
import { serverOf } from '../../src/auth/facade-request.ts';
import { createSeals, digestOf, type SealedTexts } from '../../src/auth/facade-seals.ts';
import { exchangeTokens, grant, type TokenAnswer, type TokenRules } from '../../src/auth/facade-tokens.ts';
import { makeSealer } from '../../src/auth/seal.ts';
import { OAUTH_ACCESS_MS, OAUTH_CODE_MS_MAX, OAUTH_REFRESH_GRACE_MS, OAUTH_REFRESH_MS } from '../../src/limits.ts';
import { makePkce } from '../support/facade.ts';
import { verifies } from '../support/verifies.ts';

const ISSUER = 'https://mcp.example.com/tools';
const CLIENT = 'https://client.example/client.json';
const BACK = 'https://client.example/back';

function makeWorld(): {
  rules: TokenRules;
  ask(parameters: Record<string, string>): TokenAnswer;
  logIn(): Record<string, string>;
  wait(ms: number): void;
  revoke(): void;
} {
  let nowMs = 1_800_000_000_000;
  let isValid = true;
  const clock = { wallMs: () => nowMs };
  const rules: TokenRules = {
    issuer: ISSUER,
    seals: createSeals(makeSealer(Buffer.alloc(32, 7)), ISSUER, clock),
    families: createFamilies({ clock, saved: [], onChange: () => undefined }),
    nowMs: () => nowMs,
    stillValid: ({ clientIp }) => isValid && clientIp === '192.0.2.1',
    onReuse: () => undefined,
  };
  return {
    rules,
    ask: (parameters) => exchangeTokens({ parameters: new URLSearchParams(parameters), clientIp: '192.0.2.1' }, rules),
    logIn() {
      const { verifier, challenge } = makePkce();
      const of = { client: digestOf(CLIENT), clientName: '', clientHost: undefined };
      const asked = { ...of, redirectUri: BACK, challenge, server: '', state: undefined };
      const code = new URL(grant(asked, { user: 'alice', digest: 'ab' }, rules)).searchParams.get('code') ?? '';
      const rest = { client_id: CLIENT, redirect_uri: BACK, code_verifier: verifier };
      return { grant_type: 'authorization_code', code, ...rest };
    },
    wait: (ms) => void (nowMs += ms),
    revoke: () => void (isValid = false),
  };
}

function tokensOf(answer: TokenAnswer): { access_token: string; refresh_token: string } {
  assert.ok(answer.ok, JSON.stringify(answer));
  return answer.body as { access_token: string; refresh_token: string };
}

const refresh = (token: string) => ({ grant_type: 'refresh_token', refresh_token: token, client_id: CLIENT });
const errorOf = (answer: TokenAnswer): string | undefined => (answer.ok ? undefined : answer.error);

verifies('facade.expiry', 'a code is good for its minute and not longer', () => {
  const world = makeWorld();
  const [early, late] = [world.logIn(), world.logIn()];
  world.wait(OAUTH_CODE_MS_MAX - 1);
  assert.ok(world.ask(early).ok);
  world.wait(1);
  assert.equal(errorOf(world.ask(late)), 'invalid_grant');
});

verifies('facade.expiry', 'an access token and a refresh token end when they say', () => {
  const world = makeWorld();
  const first = tokensOf(world.ask(world.logIn()));
  const { seals } = world.rules;
  world.wait(OAUTH_ACCESS_MS - 1);
  assert.equal(seals.open('access', first.access_token)?.ended, false);
  world.wait(1);
  assert.equal(seals.open('access', first.access_token)?.ended, true);
  world.wait(OAUTH_REFRESH_MS - OAUTH_ACCESS_MS - 1);
  const second = tokensOf(world.ask(refresh(first.refresh_token)));
  world.wait(OAUTH_REFRESH_MS);
  assert.equal(errorOf(world.ask(refresh(second.refresh_token))), 'invalid_grant');
});

verifies(
  'facade.refresh',
  'the refresh token before the last is good within its moment, and ends the login after it',
  () => {
    const world = makeWorld();
    const first = tokensOf(world.ask(world.logIn()));
    const second = tokensOf(world.ask(refresh(first.refresh_token)));
    world.wait(OAUTH_REFRESH_GRACE_MS);
    const again = tokensOf(world.ask(refresh(first.refresh_token)));
    world.wait(1);
    assert.equal(errorOf(world.ask(refresh(first.refresh_token))), 'invalid_grant');
    for (const { refresh_token: token } of [second, again])
      assert.equal(errorOf(world.ask(refresh(token))), 'invalid_grant');
  },
);

verifies('facade.ends-with-token', 'nothing is given when the pasted token would let nobody in', () => {
  const world = makeWorld();
  const first = tokensOf(world.ask(world.logIn()));
  const code = world.logIn();
  const elsewhere = { parameters: new URLSearchParams(refresh(first.refresh_token)), clientIp: '198.51.100.1' };
  assert.equal(errorOf(exchangeTokens(elsewhere, world.rules)), 'invalid_grant');
  assert.ok(world.ask(refresh(first.refresh_token)).ok);
  world.revoke();
  assert.equal(errorOf(world.ask(refresh(first.refresh_token))), 'invalid_grant');
  assert.equal(errorOf(world.ask(code)), 'invalid_grant');
});

verifies('facade.hostile', 'what was sealed as one thing opens as nothing else, and under no other issuer', () => {
  const clock = { wallMs: () => 0 };
  const sealer = makeSealer(Buffer.alloc(32, 7));
  const [here, there] = [createSeals(sealer, ISSUER, clock), createSeals(sealer, 'https://other.example', clock)];
  const claims = { user: 'alice', digest: 'ab', client: 'c', server: '', family: 'f', endsMs: 1 };
  const access = here.seal('access', claims);
  assert.deepEqual(here.open('access', access), { value: claims, ended: false });
  assert.equal(there.open('access', access), undefined);
  const body = access.slice(access.indexOf('_') + 1);
  for (const kind of ['client', 'request', 'code', 'refresh'] as const satisfies readonly (keyof SealedTexts)[]) {
    assert.equal(here.open(kind, access), undefined);
    assert.equal(here.open(kind, `${here.seal(kind, claims as never).split('_')[0]}_${body}`), undefined);
  }
});

for (const [resource, server] of [
  [undefined, ''],
  [ISSUER, ''],
  [`${ISSUER}/`, ''],
  [`${ISSUER}/mcp`, ''],
  [`${ISSUER}/sse/`, ''],
  ['HTTPS://MCP.example.COM/tools/mcp', ''],
  [`${ISSUER}/github/mcp`, 'github'],
  [`${ISSUER}/github/sse`, 'github'],
  [`${ISSUER}/github`, undefined],
  [`${ISSUER}/a/b/mcp`, undefined],
  [`${ISSUER}x/mcp`, undefined],
  [`${ISSUER}/mcp?x=1`, undefined],
  [`${ISSUER}/mcp#`, undefined],
  ['https://mcp.example.com/', undefined],
  ['https://mcp.example.com.evil.example/tools/mcp', undefined],
  ['nonsense', undefined],
] as const) {
  test(`the resource ${resource ?? 'of nobody'} is ${server === undefined ? 'not here' : server || 'the whole'}`, () => {
    assert.equal(serverOf(resource === undefined ? [] : [resource], ISSUER), server);
  });
}

test('two resources are none', () => {
  assert.equal(serverOf([`${ISSUER}/mcp`, `${ISSUER}/mcp`], ISSUER), undefined);
});
