/**
 * An authorization request: may a person be asked about it, and if not, who is told?
 *
 * Until it is proven that the client has the redirect URI, nobody is sent there: what is wrong is told to the person
 * (OAuth 2.1 §4.1.2.1). Afterwards it is an error for the client. PKCE with S256 is needed, as everything else that this
 * server supports is little: the code flow, answers in the query, one resource. Source: OAuth 2.1 §4.1.1, RFC 7636,
 * RFC 8707 §2, RFC 9207.
 */
import { CONSENT_MS_MAX, OAUTH_REQUEST_BYTES_MAX } from '../limits.ts';
import type { Clients, Found, OAuthClient } from './facade-clients.ts';
import { matchesRedirect, withParameters } from './facade-redirect.ts';
import { digestOf, type SealedTexts } from './facade-seals.ts';

export type Judged =
  | { readonly kind: 'ask'; readonly asked: SealedTexts['request'] }
  /** For the person alone; `why` for the log. */
  | { readonly kind: 'page'; readonly text: string; readonly why?: string }
  /** For the client, at the end of `url`. */
  | { readonly kind: 'client'; readonly url: string; readonly text: string; readonly redirectUri: string };

export interface RequestRules {
  readonly issuer: string;
  readonly clients: Clients;
  /** Who asks: a block of addresses. */
  readonly from: string;
  nowMs(): number;
}

/** @param query of the authorization endpoint, with or without its `?`. Never rejects */
export function judgeRequest(query: string, rules: RequestRules): Judged | Promise<Judged> {
  const parameters = new URLSearchParams(query);
  const clientId = single(parameters, 'client_id');
  const redirectUri = single(parameters, 'redirect_uri');
  if (clientId === undefined || clientId === '') return page('it does not say which client it comes from (client_id)');
  if (redirectUri === undefined || redirectUri === '') return page('it does not say where to return to (redirect_uri)');
  const judge = (found: Found): Judged => {
    if ('fault' in found) {
      const text = `the client is not known: ${found.fault}`;
      return found.why === undefined ? page(text) : { kind: 'page', text, why: found.why };
    }
    const { client } = found;
    if (!matchesRedirect(client.redirectUris, redirectUri))
      return page('it would return to an address that the client has not registered (redirect_uri)');
    return judgeRest(parameters, { client, redirectUri }, rules);
  };
  const found = rules.clients.find(clientId, rules.from);
  return found instanceof Promise ? found.then(judge) : judge(found);
}

interface Proven {
  readonly client: OAuthClient;
  readonly redirectUri: string;
}

const CHALLENGE = /^[A-Za-z0-9_-]{43}$/;
const ONCE = ['response_type', 'state', 'code_challenge', 'code_challenge_method', 'scope', 'response_mode'] as const;

function judgeRest(parameters: URLSearchParams, { client, redirectUri }: Proven, rules: RequestRules): Judged {
  const { issuer } = rules;
  const state = single(parameters, 'state');
  const fail = (error: string, text: string): Judged => ({
    kind: 'client',
    url: errorUrl(redirectUri, { issuer, state, error, text }),
    text,
    redirectUri,
  });
  const repeated = ONCE.find((name) => parameters.getAll(name).length > 1);
  if (repeated !== undefined) return fail('invalid_request', `${repeated} is given more than once`);
  if (parameters.has('request') || parameters.has('request_uri'))
    return fail('request_not_supported', 'request objects are not supported');
  const type = parameters.get('response_type');
  if (type !== 'code') {
    const error = type === null ? 'invalid_request' : 'unsupported_response_type';
    return fail(error, 'response_type has to be code');
  }
  if ((parameters.get('response_mode') ?? 'query') !== 'query')
    return fail('invalid_request', 'response_mode has to be query');
  if (parameters.get('code_challenge_method') !== 'S256')
    return fail('invalid_request', 'PKCE is needed: code_challenge_method has to be S256');
  const challenge = parameters.get('code_challenge') ?? '';
  if (!CHALLENGE.test(challenge)) return fail('invalid_request', 'code_challenge is no SHA-256 in base64url');
  const server = serverOf(parameters.getAll('resource'), issuer);
  if (server === undefined) return fail('invalid_target', 'resource has to be one URL of this service');
  const endsMs = rules.nowMs() + CONSENT_MS_MAX;
  const { id, name: clientName } = client;
  const clientHost = /^https?:/.test(id) ? new URL(id).host : undefined;
  const asked = { client: digestOf(id), clientName, clientHost, redirectUri, challenge, server, state, endsMs };
  if (Buffer.byteLength(JSON.stringify(asked)) > OAUTH_REQUEST_BYTES_MAX)
    return page('the client has sent too much (state, redirect_uri)');
  return { kind: 'ask', asked };
}

/**
 * What resource indicators name (RFC 8707 §2): empty for the service as a whole, else the one server.
 *
 * @returns undefined when they name anything else. Whether there is such a server is not told.
 */
export function serverOf(resources: readonly string[], issuer: string): string | undefined {
  const [resource] = resources;
  if (resource === undefined) return '';
  if (resources.length > 1 || !URL.canParse(resource) || resource.includes('#')) return undefined;
  // Scheme and host in lower case, which a text comparison would take for another place.
  const { href } = new URL(resource);
  const base = new URL(issuer).href.replace(/\/$/, '');
  if (!href.startsWith(base)) return undefined;
  const match = /^(?:\/?|(?:\/([A-Za-z0-9_-]{1,32}))?\/(?:mcp|sse)\/?)$/.exec(href.slice(base.length));
  return match === null ? undefined : (match[1] ?? '');
}

/** Where the client hears of a failure (RFC 6749 §4.1.2.1, RFC 9207 §2). */
export function errorUrl(
  redirectUri: string,
  failure: { issuer: string; state: string | undefined; error: string; text: string },
): string {
  const { issuer, state, error, text } = failure;
  return withParameters(redirectUri, { error, error_description: text, state, iss: issuer });
}

function single(parameters: URLSearchParams, name: string): string | undefined {
  const values = parameters.getAll(name);
  return values.length === 1 ? values[0] : undefined;
}

function page(text: string): Judged {
  return { kind: 'page', text };
}
