/**
 * The verifier of access tokens with a real authorization server and a clock that the test moves: keys that change, an
 * issuer that is away, tokens and verdicts that end.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, type TestContext } from 'node:test';
import { createTokenVerifier, type TokenVerdict } from '../../src/auth/access-token.ts';
import {
  ISSUER_PAUSE_MS_MAX,
  ISSUER_WAIT_MS_MAX,
  JWKS_BURST_COUNT,
  JWKS_MS_MAX,
  JWKS_PAUSE_MS_MIN,
  JWKS_STALE_MS_MAX,
  JWT_LEEWAY_MS,
} from '../../src/limits.ts';
import type { Config, OAuthConfig } from '../../src/model.ts';
import { makeSecret } from '../../src/text/secret.ts';
import { requestControl } from '../../src/upstream/control.ts';
import {
  SECRET_OF_CLIENT,
  startAuthorizationServer,
  type AuthorizationServer,
} from '../support/authorization-server.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { standingClock } from '../support/scripted-peer.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor } from '../support/wait.ts';

after(() => checkNothingLeft());

const RESOURCE = 'https://mcp.example.com/mcp';

interface World {
  readonly issuer: AuthorizationServer;
  readonly clock: ReturnType<typeof standingClock>;
  readonly diags: string[];
  verify(token: string): Promise<TokenVerdict>;
  /** Whether the verdict is there at once. */
  isInstant(token: string): boolean;
  recalls(token: string): boolean;
  token(lifetime?: number): string;
  /** How often the keys were read. */
  reads(): number;
}

async function openWorld(t: TestContext, more: Partial<OAuthConfig> = {}): Promise<World> {
  const issuer = await startAuthorizationServer(t);
  const clock = standingClock();
  const diags: string[] = [];
  const oauth: OAuthConfig = {
    issuer: issuer.issuer,
    jwt: { jwksUrl: undefined },
    introspection: undefined,
    audiences: [],
    scopes: [],
    userClaim: 'sub',
    allowPrivate: true,
    caFile: undefined,
    servers: new Map(),
    claims: { role: undefined, servers: undefined, adminRole: undefined, roles: new Map() },
    ...more,
  };
  const config = { oauth, publicUrl: 'https://mcp.example.com' } as Config;
  const door = { clock, ask: requestControl, onDiag: (_level: string, message: string) => void diags.push(message) };
  const verifier = createTokenVerifier(config, door);
  assert.ok(verifier);
  const asked = (text: string) => ({ text, digest: createHash('sha256').update(text).digest('hex') });
  return {
    issuer,
    clock,
    diags,
    verify: async (text) => verifier.verify(asked(text)),
    isInstant: (text) => !(verifier.verify(asked(text)) instanceof Promise),
    recalls: (text) => verifier.recall(asked(text).digest) !== undefined,
    token: (lifetime = 3 * 86_400) =>
      issuer.forge({
        iss: issuer.issuer,
        sub: 'alice',
        aud: RESOURCE,
        exp: clock.wallMs() / 1_000 + lifetime,
        jti: String(Math.random()),
      }),
    reads: () => issuer.asked.filter((path) => path === '/jwks').length,
  };
}

const kindOf = async (verdict: Promise<TokenVerdict>): Promise<string> => (await verdict).kind;

verifies(
  'oauth.discovery',
  'keys are found by the metadata of the issuer, and then a verdict needs no waiting',
  async (t) => {
    const { issuer, verify, isInstant, token } = await openWorld(t);
    const found = await verify(token());
    assert.deepEqual(found.kind === 'good' && found.grant.subject, 'alice');
    assert.deepEqual(issuer.asked, ['/.well-known/oauth-authorization-server', '/jwks']);
    assert.equal(isInstant(token()), true);
  },
);

verifies('oauth.discovery', 'metadata that names another issuer is not believed', async (t) => {
  const { issuer, clock } = await openWorld(t);
  const other = issuer.issuer.replace('127.0.0.1', 'localhost');
  const world = await openWorld(t, { issuer: other });
  const claims = { iss: other, sub: 'alice', aud: RESOURCE, exp: clock.wallMs() / 1_000 + 600 };
  const verdict = await world.verify(issuer.forge(claims));
  assert.ok(verdict.kind === 'unknown');
  assert.match(verdict.error.message, /names another issuer/);
});

verifies(
  'oauth.key-rotation',
  'a token with a new key is good at once, and the keys are read once for all',
  async (t) => {
    const { issuer, verify, token, reads, recalls, diags } = await openWorld(t);
    const old = token();
    assert.equal(await kindOf(verify(old)), 'good');
    issuer.rotate();
    const fresh = token();
    const found = await Promise.all(Array.from({ length: 10 }, () => kindOf(verify(fresh))));
    assert.deepEqual(new Set(found), new Set(['good']));
    assert.equal(reads(), 2);
    assert.ok(diags.includes('the issuer of access tokens has other keys now'));
    assert.equal(recalls(old), false, 'what the old key signed is in doubt');
  },
);

verifies(
  'oauth.key-rotation',
  'keys that somebody invents are asked about once each, and not without end',
  async (t) => {
    const { issuer, clock, verify, token, reads } = await openWorld(t);
    assert.equal(await kindOf(verify(token())), 'good');
    const invented = (kid: string): string =>
      issuer.forge({ iss: issuer.issuer, aud: RESOURCE, exp: clock.wallMs() / 1_000 + 600 }, { kid });
    const same = await Promise.all(Array.from({ length: 20 }, () => kindOf(verify(invented('x')))));
    assert.deepEqual(new Set(same), new Set(['bad']));
    assert.equal(reads(), 2);
    const others: string[] = [];
    for (let round = 0; round < 20; round += 1) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      others.push(await kindOf(verify(invented(`x${round}`))));
    }
    assert.equal(reads(), 1 + JWKS_BURST_COUNT);
    assert.deepEqual(
      [others.filter((kind) => kind === 'bad').length, others.filter((kind) => kind === 'unknown').length],
      [JWKS_BURST_COUNT - 1, 21 - JWKS_BURST_COUNT],
    );
    // The real issuer's next key waits for its turn, and what is known does not.
    issuer.rotate();
    const fresh = token();
    const refused = await verify(fresh);
    assert.ok(refused.kind === 'unknown' && refused.error.code === 'OVERLOADED');
    clock.advance(JWKS_PAUSE_MS_MIN);
    assert.equal(await kindOf(verify(fresh)), 'good');
  },
);

verifies('oauth.issuer-down', 'old keys serve while the issuer is down, and not for ever', async (t) => {
  const { issuer, clock, verify, token, isInstant, reads, diags } = await openWorld(t);
  await verify(token());
  issuer.answers = false;
  clock.advance(JWKS_MS_MAX + 1);
  assert.equal(isInstant(token()), true, 'nobody waits for the keys that are read again');
  assert.equal(await kindOf(verify(token())), 'good');
  await waitFor(() => diags.length > 0, { what: 'the failure' });
  clock.advance(JWKS_STALE_MS_MAX);
  const late = await verify(token());
  assert.ok(late.kind === 'unknown' && late.error.code === 'ISSUER_UNREACHABLE');
  issuer.answers = true;
  assert.equal(await kindOf(verify(token())), 'unknown', 'it was asked just now');
  clock.advance(ISSUER_PAUSE_MS_MAX);
  assert.equal(await kindOf(verify(token())), 'good');
  assert.equal(reads(), 2);
  assert.deepEqual(diags, ['the keys for access tokens cannot be read', 'the issuer of access tokens answers again']);
});

verifies('oauth.issuer-down', 'a failure is remembered, each time twice as long', async (t) => {
  const { issuer, clock, verify, token } = await openWorld(t);
  let connections = 0;
  issuer.onConnection(() => (connections += 1));
  issuer.answers = false;
  for (const pauseMs of [1, 2, 4, 8, 16, 30, 30].map((seconds) => seconds * 1_000)) {
    connections = 0;
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    assert.equal(await kindOf(verify(token())), 'unknown');
    assert.equal(connections, 2, 'both places of the metadata');
    clock.advance(pauseMs - 1);
    // oxlint-disable-next-line no-await-in-loop
    assert.equal(await kindOf(verify(token())), 'unknown');
    assert.equal(connections, 2, `nobody asks within ${pauseMs} ms`);
    clock.advance(1);
  }
  issuer.answers = true;
  assert.equal(await kindOf(verify(token())), 'good');
});

verifies(
  'oauth.issuer-slow',
  'nobody waits long for an issuer that never answers, and who is known not at all',
  async (t) => {
    const { issuer, clock, verify, token, isInstant } = await openWorld(t);
    const known = token();
    assert.equal(await kindOf(verify(known)), 'good');
    issuer.answers = 'never';
    issuer.rotate();
    const begun = performance.now();
    const waiting = [verify(token()), verify(token())];
    assert.equal(isInstant(known), true);
    for (const verdict of await Promise.all(waiting))
      assert.ok(verdict.kind === 'unknown' && verdict.error.code === 'ISSUER_UNREACHABLE');
    const ms = performance.now() - begun;
    assert.ok(ms > ISSUER_WAIT_MS_MAX - 100 && ms < 2 * ISSUER_WAIT_MS_MAX, `${ms} ms`);
    // The question is still open; who comes after the wait is told at once.
    clock.advance(ISSUER_WAIT_MS_MAX);
    const again = performance.now();
    assert.equal(await kindOf(verify(token())), 'unknown');
    assert.ok(performance.now() - again < 500);
    assert.equal(isInstant(known), true);
  },
);

verifies(
  'oauth.issuer-slow',
  'opaque tokens do not wait either, and one that was answered late is known',
  async (t) => {
    const issuer = await startAuthorizationServer(t);
    const url = `${issuer.issuer}/token/introspection`;
    const introspection = { url, clientId: 'gateway', clientSecret: makeSecret(SECRET_OF_CLIENT) };
    const { clock, verify, diags } = await openWorld(t, {
      issuer: issuer.issuer,
      introspection,
      userClaim: 'client_id',
      audiences: ['https://mcp.example.com/opaque'],
    });
    clock.advance(Date.now() - clock.wallMs());
    const wish = { client: 'alice', resource: 'https://mcp.example.com/opaque' } as const;
    const [first, second] = [await issuer.token(wish), await issuer.token(wish)];
    issuer.answers = 'later';
    const begun = performance.now();
    assert.equal(await kindOf(verify(first)), 'unknown');
    assert.ok(performance.now() - begun < 2 * ISSUER_WAIT_MS_MAX);
    const again = performance.now();
    assert.equal(await kindOf(verify(second)), 'unknown');
    assert.ok(performance.now() - again < 500, 'nobody else waits');
    issuer.answers = true;
    await waitFor(async () => (await kindOf(verify(first))) === 'good', { what: 'the late answer' });
    assert.equal(await kindOf(verify(second)), 'good');
    assert.deepEqual(diags, ['access tokens cannot be asked about', 'access tokens can be asked about again']);
  },
);

verifies('oauth.jwt-cached', 'a token is known until it ends, and what is bad on its face asks nobody', async (t) => {
  const { issuer, clock, verify, token, recalls } = await openWorld(t);
  assert.equal(await kindOf(verify(token(-3_600))), 'bad');
  assert.deepEqual(issuer.asked, []);
  const short = token(60);
  assert.equal(await kindOf(verify(short)), 'good');
  clock.advance(60_000 + JWT_LEEWAY_MS);
  assert.equal(recalls(short), true);
  clock.advance(1);
  assert.equal(recalls(short), false);
  assert.equal(await kindOf(verify(short)), 'bad');
});

verifies(
  ['oauth.no-private', 'protocol.case-100'],
  'an issuer in a private network is not asked unless that is allowed',
  async (t) => {
    const { issuer, verify, token } = await openWorld(t, { allowPrivate: false });
    const verdict = await verify(token());
    assert.ok(verdict.kind === 'unknown' && verdict.error.code === 'ISSUER_UNREACHABLE');
    assert.deepEqual(issuer.asked, []);
    const byAddress = await openWorld(t, { allowPrivate: false, jwt: { jwksUrl: 'https://169.254.169.254/jwks' } });
    const other = await byAddress.verify(byAddress.token());
    assert.ok(other.kind === 'unknown');
    assert.match(other.error.message, /not on the public internet/);
  },
);

for (const algorithm of ['Ed25519', 'EdDSA'] as const) {
  verifies('oauth.jwt', `a token that the authorization server signs as ${algorithm} is good`, async (t) => {
    const issuer = await startAuthorizationServer(t, algorithm);
    const { verify, clock } = await openWorld(t, { issuer: issuer.issuer, userClaim: 'client_id' });
    clock.advance(Date.now() - clock.wallMs());
    const token = await issuer.token({ client: 'alice', resource: RESOURCE });
    const header: unknown = JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString());
    assert.equal((header as { alg: string }).alg, algorithm);
    const verdict = await verify(token);
    assert.equal(verdict.kind === 'good' && verdict.grant.subject, 'alice');
  });
}
