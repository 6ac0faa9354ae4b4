/**
 * One grant with everything around it played in memory: its clock, the authorization server, and the store of tokens.
 *
 * The authorization server numbers the tokens that it gives; what it gives, and whether, is set between requests.
 */
import { createGrant, type Grant, type KeptTokens } from '../../src/auth/grant.ts';
import { ProxyError } from '../../src/errors.ts';
import type { OAuthClient } from '../../src/model.ts';
import { OAUTH_CLIENT } from './oauth-client.ts';

export interface World {
  readonly grant: Grant;
  readonly clock: { wall: number; monotonic: number };
  /** Texts that are hidden now. */
  readonly hidden: Set<string>;
  readonly said: string[];
  /** Forms that were sent. */
  readonly asked: URLSearchParams[];
  kept: KeptTokens | undefined;
  /** Life of the next tokens in seconds; undefined: the authorization server is down. */
  life: number | undefined;
  /** A scope that the client may not have, and what is waited for before that is said. */
  refused: { readonly scope: string; readonly after?: Promise<unknown> } | undefined;
  write(tokens: KeptTokens): Promise<void>;
  /** What goes out, after all that has to be waited for. */
  sent(): Promise<string | undefined>;
  /** Lets what goes on in the background end. */
  settle(): Promise<void>;
}

export function makeWorld(client: Partial<OAuthClient> = {}, kept?: KeptTokens): World {
  const clock = { wall: 1_000_000, monotonic: 0 };
  const world: Omit<World, 'grant' | 'sent' | 'settle'> = {
    clock,
    hidden: new Set(),
    said: [],
    asked: [],
    kept,
    life: 600,
    refused: undefined,
    write: async (tokens) => void (world.kept = tokens),
  };
  const grant = createGrant({
    label: 'server up',
    client: { ...OAUTH_CLIENT, ...client },
    serverUrl: 'https://mcp.example/mcp?key=x',
    digest: 'd',
    clock: { wallMs: () => clock.wall, monotonicMs: () => clock.monotonic },
    store: {
      read: async () => world.kept,
      write: (tokens) => world.write(tokens),
    },
    async ask({ body }) {
      world.asked.push(new URLSearchParams(body));
      const count = world.asked.length;
      if (
        world.asked
          .at(-1)
          ?.get('scope')
          ?.split(' ')
          .includes(world.refused?.scope ?? '') === true
      ) {
        await world.refused?.after;
        return { status: 400, body: { error: 'invalid_scope' }, maxAgeSeconds: undefined };
      }
      if (world.life === undefined) throw new ProxyError('ISSUER_UNREACHABLE', 'as.example cannot be asked');
      const answer = { access_token: `access-${count}`, refresh_token: `refresh-${count}`, expires_in: world.life };
      return { status: 200, body: answer, maxAgeSeconds: undefined };
    },
    challenge: async () => undefined,
    redact: (text) => text,
    hide(text) {
      world.hidden.add(text);
      return () => void world.hidden.delete(text);
    },
    onDiag: (level, message) => void world.said.push(`${level} ${message}`),
  });
  return Object.assign(world, {
    grant,
    async sent() {
      await grant.prepare();
      return grant.fields()[1];
    },
    settle: () => grant.idle(),
  });
}

export const advance = (world: World, seconds: number): void => void (world.clock.monotonic += seconds * 1_000);
