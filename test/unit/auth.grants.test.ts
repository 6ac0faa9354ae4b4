/**
 * Grants over a change of the configuration: who may use a refresh token while another one does, and what is gone on with.
 */
import assert from 'node:assert/strict';
import type { KeptTokens } from '../../src/auth/grant.ts';
import { createGrants } from '../../src/auth/grants.ts';
import type { OAuthClient } from '../../src/model.ts';
import { makeSecret } from '../../src/text/secret.ts';
import { OAUTH_CLIENT } from '../support/oauth-client.ts';
import { httpServer } from '../support/scripted-peer.ts';
import { verifies } from '../support/verifies.ts';

interface World {
  /** Refresh tokens that came. */
  readonly asked: (string | null)[];
  /** Brings a configuration with these scopes into force, and asks for a token. */
  prepare(...scopes: string[]): Promise<void>;
  /** Lets the first question be answered. */
  answer(): void;
}

function makeWorld({ keeps, refuses }: { readonly keeps: boolean; readonly refuses: boolean }): World {
  const kept = new Map<string, KeptTokens>();
  const asked: (string | null)[] = [];
  let answer = (): void => undefined;
  const first = new Promise<void>((resolve) => (answer = resolve));
  const grants = createGrants({
    clock: { wallMs: () => 0, monotonicMs: () => 0 },
    async ask({ body }) {
      const count = asked.push(new URLSearchParams(body).get('refresh_token'));
      if (count === 1) await first;
      if (count === 1 && refuses) return { status: 400, body: { error: 'invalid_grant' }, maxAgeSeconds: undefined };
      const tokens = { access_token: `access-${count}`, refresh_token: `refresh-${count}`, expires_in: 600 };
      return { status: 200, body: tokens, maxAgeSeconds: undefined };
    },
    challenge: async () => undefined,
    labelOf: () => 'server up',
    storeOf: (name) => ({
      read: async () => kept.get(name),
      write: async (tokens) => void (keeps && kept.set(name, tokens)),
    }),
    redact: (text) => text,
    hide: () => () => undefined,
    onDiag: () => undefined,
  });
  return {
    asked,
    prepare(...scopes) {
      const client: OAuthClient = { ...OAUTH_CLIENT, refreshToken: makeSecret('refresh-0'), scopes };
      const server = httpServer('up', { credential: { type: 'oauth', client } });
      grants.retain([server]);
      return grants.outgoing(server, client).renewal?.prepare() ?? assert.fail('there is a token already');
    },
    answer: () => answer(),
  };
}

const turn = (): Promise<void> => new Promise(setImmediate);

verifies('oauth-out.refresh', 'a refresh token that is on its way is not used again after a reload', async () => {
  for (const keeps of [true, false]) {
    const world = makeWorld({ keeps, refuses: false });
    const before = world.prepare('a');
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await turn();
    const between = world.prepare('a', 'b');
    const after = world.prepare('a', 'b', 'c');
    // oxlint-disable-next-line no-await-in-loop
    await turn();
    assert.deepEqual(world.asked, ['refresh-0']);
    world.answer();
    // oxlint-disable-next-line no-await-in-loop
    await Promise.all([before, between, after]);
    assert.deepEqual(world.asked, ['refresh-0', 'refresh-1', 'refresh-2'], keeps ? 'kept' : 'kept nowhere');
  }
});

verifies('oauth-out.refresh', 'one that is refused on its way holds nobody up after a reload', async () => {
  const world = makeWorld({ keeps: true, refuses: true });
  const before = world.prepare('a');
  await turn();
  const after = world.prepare('a', 'b');
  world.answer();
  await assert.rejects(before, /invalid_grant/);
  await after;
  assert.deepEqual(world.asked, ['refresh-0', 'refresh-0']);
});
