/**
 * Where the access tokens for a server come from: the token endpoint of its authorization server, as both say themselves.
 *
 * With `token_url` nothing is asked. Else the server is asked without a credential; its challenge, or else the well-known
 * places, lead to its resource metadata (RFC 9728), which has to be about this very server and names the authorization
 * server. A client secret belongs to one authorization server (RFC 6749 §2.2), and a server must not be able to send it to
 * another: after the first time only the same one is asked. Source: MCP 2026-07-28 authorization server discovery.
 */
import { ProxyError } from '../errors.ts';
import { isObject } from '../mcp/jsonrpc.ts';
import type { Clock, OAuthClient } from '../model.ts';
import { parseBearerChallenge } from '../text/challenge.ts';
import { readIssuerMetadata, type AskIssuer } from './issuer-metadata.ts';
import { unusable } from './issuer-wait.ts';

export interface TokenEndpoint {
  readonly url: string;
  /** Undefined with `token_url`. */
  readonly issuer: string | undefined;
  /** For which resource a token is asked (RFC 8707). */
  readonly resource: string;
  /** What the server asks for; undefined when it does not say. */
  readonly scope: string | undefined;
  /** `token_endpoint_auth_methods_supported`; undefined when it does not say. */
  readonly methods: readonly string[] | undefined;
}

export interface EndpointQuestion {
  readonly client: OAuthClient;
  /** Of the server. */
  readonly serverUrl: string;
  /** The authorization server of earlier tokens. */
  readonly knownIssuer: string | undefined;
  readonly ask: AskIssuer;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  /** The `WWW-Authenticate` field of the server's 401; undefined when there is none. */
  challenge(): Promise<string | undefined>;
}

/** @throws {ProxyError} ISSUER_UNREACHABLE when it is not found; UPSTREAM_CREDENTIAL when it must not be asked */
export async function findTokenEndpoint(question: EndpointQuestion): Promise<TokenEndpoint> {
  const { client, serverUrl, ask } = question;
  const { allowPrivate } = client;
  const ownResource = client.resource ?? canonicalUrl(serverUrl);
  if (client.tokenUrl !== undefined) {
    return { url: client.tokenUrl, issuer: undefined, resource: ownResource, scope: undefined, methods: undefined };
  }
  const { resourceMetadata, scope } = parseBearerChallenge(await question.challenge());
  const places = resourceMetadata === undefined ? wellKnownPlaces(serverUrl) : [resourceMetadata];
  const resource = await readResource(places, { serverUrl, allowPrivate, ask });
  const issuer = chooseIssuer(resource.issuers, question);
  const metadata = await readIssuerMetadata(
    { issuer, allowPrivate, member: 'token_endpoint', advice: ADVICE },
    question,
  );
  return {
    url: String(metadata['token_endpoint']),
    issuer,
    resource: client.resource ?? resource.resource,
    scope: scope ?? resource.scopes?.join(' '),
    methods: textsOf(metadata['token_endpoint_auth_methods_supported']),
  };
}

const ADVICE = 'write "token_url" under auth';

/** The URL as a resource identifier: no query, which may hold a secret, and no fragment (RFC 8707 §2). */
export function canonicalUrl(url: string): string {
  const { origin, pathname } = new URL(url);
  return pathname === '/' ? origin : origin + pathname;
}

/** RFC 9728 §3.1: beside the path first, then at the root. */
function wellKnownPlaces(serverUrl: string): string[] {
  const { origin, pathname } = new URL(serverUrl);
  const root = `${origin}/.well-known/oauth-protected-resource`;
  const path = pathname.replace(/\/$/, '');
  return path === '' ? [root] : [root + path, root];
}

interface Resource {
  readonly resource: string;
  readonly issuers: readonly string[];
  readonly scopes: readonly string[] | undefined;
}

async function readResource(
  places: readonly string[],
  { serverUrl, allowPrivate, ask }: { serverUrl: string; allowPrivate: boolean; ask: AskIssuer },
): Promise<Resource> {
  let last: ProxyError | undefined;
  for (const url of places) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- in the order of preference
      const { status, body } = await ask({ url, allowPrivate });
      if (status !== 200 || !isObject(body)) continue;
      const { resource } = body;
      if (typeof resource !== 'string' || !covers(resource, serverUrl))
        throw unusable(url, 'its resource metadata is about another server');
      const issuers = textsOf(body['authorization_servers'])?.filter((each) => URL.canParse(each)) ?? [];
      if (issuers.length > 0) return { resource, issuers, scopes: textsOf(body['scopes_supported']) };
    } catch (error) {
      if (!(error instanceof ProxyError)) throw error;
      last = error;
    }
  }
  throw last ?? unusable(serverUrl, `it does not say which authorization server it trusts; ${ADVICE}`);
}

/** The resource is the server, or a part of its origin in which the server is: many name their origin. */
function covers(resource: string, serverUrl: string): boolean {
  if (!URL.canParse(resource)) return false;
  const [whole, server] = [new URL(resource), new URL(serverUrl)];
  const path = whole.pathname.replace(/\/*$/, '/');
  return whole.origin === server.origin && `${server.pathname}/`.startsWith(path);
}

/** @throws {ProxyError} UPSTREAM_CREDENTIAL */
function chooseIssuer(issuers: readonly string[], { client, knownIssuer }: EndpointQuestion): string {
  const wanted = client.issuer ?? knownIssuer;
  const [first = ''] = issuers;
  if (wanted === undefined || issuers.includes(wanted)) return wanted ?? first;
  const named = new URL(first).origin;
  const text =
    client.issuer === undefined
      ? `the server names another authorization server than before (${named}); if that is right, write it as "issuer" under auth`
      : `the server names another authorization server (${named}) than "issuer" under auth`;
  throw new ProxyError('UPSTREAM_CREDENTIAL', text);
}

function textsOf(value: unknown): string[] | undefined {
  return Array.isArray(value) ? value.filter((each): each is string => typeof each === 'string') : undefined;
}
