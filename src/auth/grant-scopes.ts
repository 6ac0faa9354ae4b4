/**
 * Which scopes a client asks for besides those that it asks for anyway, because its server said that a token lacks them
 * (step-up; MCP 2025-11-25 authorization, scope challenge handling; RFC 6750 §3.1).
 *
 * Only the client-credentials grant can ask for more, and only where the operator left the scopes to the server: what is
 * written under `scopes` is the limit. What was asked for already and is wanted again is not asked for again, and after a
 * refusal nobody asks for a while, so that a server that is never content costs little. What is missing is told.
 */
import { OAUTH_SCOPE_COUNT_MAX } from '../limits.ts';
import type { Clock, MissingScopes, OAuthClient } from '../model.ts';
import { createPauses } from './issuer-wait.ts';

export interface GrantScopes {
  /** Asked for besides the others with each token. */
  readonly more: readonly string[];
  /** The token in use was asked for with these. */
  use(scopes: readonly string[]): void;
  /** Notes what the server wants. @returns all to ask for besides the others; undefined: nobody is to ask */
  want(lacked: readonly string[], redact: (text: string) => string): readonly string[] | undefined;
  got(more: readonly string[]): void;
  /** From now on only the others are asked for, until the server wants more again. */
  drop(): void;
  /** @returns whether it is the first time after a success */
  refused(reason: string): boolean;
  state(): MissingScopes | null;
}

export function createGrantScopes(
  { refreshToken, scopes: limit }: Pick<OAuthClient, 'refreshToken' | 'scopes'>,
  clock: Pick<Clock, 'wallMs' | 'monotonicMs'>,
): GrantScopes {
  const mayAsk = refreshToken === undefined && limit.length === 0;
  const pauses = createPauses(() => clock.monotonicMs());
  let more: readonly string[] = [];
  /** Bounded by CONTROL_BYTES_MAX of metadata and OAUTH_SCOPE_COUNT_MAX. */
  let used: ReadonlySet<string> = new Set();
  let missing: { readonly scopes: readonly string[]; readonly atMs: number } | undefined;
  let reason: string | null = null;
  return {
    get more() {
      return more;
    },
    use(scopes) {
      used = new Set(scopes);
    },
    want(lacked, redact) {
      missing = { scopes: lacked.map(redact), atMs: clock.wallMs() };
      const fresh = lacked.filter((scope) => !used.has(scope));
      if (!mayAsk || fresh.length === 0 || pauses.isOn()) return undefined;
      const all = [...new Set([...more, ...fresh])];
      return all.length > OAUTH_SCOPE_COUNT_MAX ? undefined : all;
    },
    got(scopes) {
      more = scopes;
      missing = undefined;
      reason = null;
      pauses.answered();
    },
    drop() {
      more = [];
    },
    refused(why) {
      reason = why;
      return pauses.failed(why);
    },
    state() {
      if (missing === undefined) return null;
      return { scopes: missing.scopes, last: new Date(missing.atMs).toISOString(), reason };
    },
  };
}
