/**
 * Asks the authorization server what an opaque access token is worth (RFC 7662).
 *
 * Only a bounded number of questions is open at once, and whoever sends the same token waits for the same answer; one
 * that does not come in time, or fails, keeps the next from being asked for a while. How long somebody waits for it is
 * decided by who asks. The
 * answer is no more than claims here: whether they are enough is judged where those of a JWT are.
 */
import { ProxyError } from '../errors.ts';
import { INTROSPECTION_COUNT_MAX, ISSUER_WAIT_MS_MAX } from '../limits.ts';
import { isObject } from '../mcp/jsonrpc.ts';
import type { OAuthConfig } from '../model.ts';
import { clientBasic } from './client-basic.ts';
import { createPauses, waitForIssuer } from './issuer-wait.ts';
import type { IssuerDoor } from './jwks.ts';
import type { JwtClaims } from './jwt.ts';

/** @returns claims, or undefined for a token that is not active. @throws {ProxyError} ISSUER_UNREACHABLE, OVERLOADED */
export type Introspect = (token: string, digest: string) => Promise<JwtClaims | undefined>;

/** @see RFC 7662 §2, RFC 6749 §2.3.1 for the authentication */
export function createIntrospection(
  at: NonNullable<OAuthConfig['introspection']> & { readonly allowPrivate: boolean },
  door: IssuerDoor,
): Introspect {
  const pauses = createPauses(() => door.clock.monotonicMs());
  const open = new Map<string, Promise<JwtClaims | undefined>>(); // Bounded by INTROSPECTION_COUNT_MAX.
  const { url, allowPrivate } = at;
  const ask = async (token: string): Promise<JwtClaims | undefined> => {
    const { status, body } = await door.ask({
      url,
      allowPrivate,
      body: new URLSearchParams({ token, token_type_hint: 'access_token' }).toString(),
      fields: [
        'Content-Type',
        'application/x-www-form-urlencoded',
        'Authorization',
        clientBasic(at.clientId, at.clientSecret),
      ],
    });
    if (status === 200 && isObject(body) && typeof body['active'] === 'boolean') {
      if (pauses.answered())
        door.onDiag('info', 'access tokens can be asked about again', { issuer: new URL(url).origin });
      return body['active'] ? body : undefined;
    }
    const hint =
      status === 401 || status === 403 ? '; correct client_id and client_secret under auth.introspection' : '';
    throw new ProxyError('ISSUER_UNREACHABLE', `${new URL(url).origin} is of no use: it answers HTTP ${status}${hint}`);
  };
  /** Whoever comes next is not to wait as well. */
  const watch = (answer: Promise<unknown>): void => {
    waitForIssuer(answer, ISSUER_WAIT_MS_MAX, url).catch((error: unknown) => {
      const cause = error instanceof Error ? error.message : String(error);
      if (pauses.failed(error)) door.onDiag('warn', 'access tokens cannot be asked about', { cause });
    });
  };
  return async (token, digest) => {
    const same = open.get(digest);
    if (same !== undefined) return same;
    pauses.check();
    if (open.size >= INTROSPECTION_COUNT_MAX)
      throw new ProxyError('OVERLOADED', 'too many access tokens are being asked about', RETRY_SOON);
    const answer = ask(token).finally(() => open.delete(digest));
    open.set(digest, answer);
    watch(answer);
    return answer;
  };
}

const RETRY_SOON = { headers: { 'retry-after': '1' } };
