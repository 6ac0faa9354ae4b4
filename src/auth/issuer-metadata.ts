/**
 * What an authorization server says about itself: its metadata document, found and proved to be its own.
 *
 * RFC 8414 first, then OpenID Connect in both forms (MCP 2026-07-28 authorization server metadata discovery). A document
 * that names another issuer is of somebody else and is refused (RFC 8414 §3.3).
 */
import { ProxyError } from '../errors.ts';
import { CONTROL_MS_MAX } from '../limits.ts';
import { isObject } from '../mcp/jsonrpc.ts';
import type { Clock } from '../model.ts';
import { unusable } from './issuer-wait.ts';

/** Who vouches for an authorization server. */
export interface IssuerCa {
  /** Undefined: the CAs that Node knows. */
  readonly file: string | undefined;
  /** Where it is written, for messages. */
  readonly option: string;
}

/** A request to an authorization server. @throws {ProxyError} ISSUER_UNREACHABLE */
export type AskIssuer = (asked: {
  readonly url: string;
  readonly body?: string;
  readonly fields?: readonly string[];
  readonly allowPrivate: boolean;
  readonly ca?: IssuerCa;
}) => Promise<{ readonly status: number; readonly body: unknown; readonly maxAgeSeconds: number | undefined }>;

export interface MetadataQuestion {
  readonly issuer: string;
  readonly allowPrivate: boolean;
  /** The member that is looked for: a document without it does not count. */
  readonly member: 'jwks_uri' | 'token_endpoint';
  /** What the operator may write instead. */
  readonly advice: string;
}

/** The first document that has the member. @throws {ProxyError} ISSUER_UNREACHABLE when there is none */
export async function readIssuerMetadata(
  { issuer, allowPrivate, member, advice }: MetadataQuestion,
  { ask, clock }: { readonly ask: AskIssuer; readonly clock: Pick<Clock, 'monotonicMs'> },
): Promise<Readonly<Record<string, unknown>>> {
  const untilMs = clock.monotonicMs() + CONTROL_MS_MAX;
  let last: ProxyError | undefined;
  for (const url of metadataUrls(issuer)) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- in the order of preference
      const { status, body } = await ask({ url, allowPrivate });
      if (status !== 200 || !isObject(body)) continue;
      if (body['issuer'] !== issuer) throw unusable(url, 'its metadata names another issuer');
      if (typeof body[member] === 'string') return body;
    } catch (error) {
      if (!(error instanceof ProxyError)) throw error;
      last = error;
      // They are all at one origin: what took so long is not at another path of it.
      if (clock.monotonicMs() >= untilMs) break;
    }
  }
  throw last ?? unusable(issuer, `it publishes no metadata with a ${member}; ${advice}`);
}

/** Where an issuer may publish what it is: RFC 8414 §3.1 first, then OpenID Connect in both forms. */
function metadataUrls(issuer: string): string[] {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, '');
  return [
    ...new Set([
      `${origin}/.well-known/oauth-authorization-server${path}`,
      `${origin}/.well-known/openid-configuration${path}`,
      `${origin}${path}/.well-known/openid-configuration`,
    ]),
  ];
}
