/**
 * Who the clients are: by the document at their URL (CIMD), or by a registration that they carry themselves (RFC 7591).
 *
 * Nothing is kept of a registration: the `client_id` is what was registered, sealed. A document is fetched when somebody
 * wants to log in, remembered briefly, and only so many are asked for at once, since anybody can make us ask. Every
 * client is a public one, proven by PKCE alone: a secret given to whoever asks proves nothing. Source: RFC 7591,
 * draft-ietf-oauth-client-id-metadata-document, MCP 2026-07-28 authorization.
 */
import { ProxyError } from '../errors.ts';
import {
  CLIENT_DOCUMENT_ASKED_EACH_MAX,
  CLIENT_DOCUMENT_ASKED_MAX,
  CLIENT_DOCUMENT_COUNT_MAX,
  CLIENT_DOCUMENT_KEEP_MS,
  CLIENT_DOCUMENT_MS_MAX,
  OAUTH_CLIENT_CHARS_MAX,
  OAUTH_NAME_CHARS_MAX,
  OAUTH_REDIRECT_COUNT_MAX,
} from '../limits.ts';
import { isObject } from '../mcp/jsonrpc.ts';
import type { Clock } from '../model.ts';
import { faultOfRedirect } from './facade-redirect.ts';
import type { Seals } from './facade-seals.ts';

export interface OAuthClient {
  readonly id: string;
  /** As it calls itself. */
  readonly name: string;
  readonly redirectUris: readonly string[];
}

/** A fault is told to the person; `why` is for the log: what names mean in the network of the service is told to nobody. */
export type Found = { readonly client: OAuthClient } | { readonly fault: string; readonly why?: string };

export interface Registered {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

export interface Clients {
  /** Never rejects. @param from who wants to know, by which those are shared out that are asked for at once */
  find(clientId: string, from: string): Found | Promise<Found>;
  /** Answers a registration (RFC 7591 §3.2). */
  register(body: unknown): Registered;
}

export interface ClientsOptions {
  readonly seals: Seals;
  readonly clock: Pick<Clock, 'wallMs' | 'monotonicMs'>;
  readonly allowPrivate: boolean;
  /** One GET. @throws {ProxyError} ISSUER_UNREACHABLE */
  ask(asked: {
    readonly url: string;
    readonly allowPrivate: boolean;
    readonly msMax: number;
  }): Promise<{ readonly status: number; readonly body: unknown }>;
}

export function createClients(options: ClientsOptions): Clients {
  const { seals, clock, allowPrivate } = options;
  const findDocument = createDocuments(options);
  return {
    find: (clientId, from) =>
      isDocumentUrl(clientId, allowPrivate) ? findDocument(clientId, from) : findSealed(seals, clientId),
    register(body) {
      const read = readMetadata(body);
      if ('error' in read) return refused(read.error, read.fault);
      const { name, redirectUris } = read;
      if (JSON.stringify(read).length > OAUTH_CLIENT_CHARS_MAX)
        return refused('invalid_client_metadata', 'name and redirect URIs are too long together');
      return {
        status: 201,
        body: {
          client_id: seals.seal('client', { name, redirectUris }),
          client_id_issued_at: Math.floor(clock.wallMs() / 1_000),
          ...(name === '' ? {} : { client_name: name }),
          redirect_uris: redirectUris,
          grant_types: ['authorization_code', 'refresh_token'],
          response_types: ['code'],
          token_endpoint_auth_method: 'none',
        },
      };
    },
  };
}

/** Documents, each asked for once in its time. */
function createDocuments(options: ClientsOptions): Clients['find'] {
  const { clock, allowPrivate } = options;
  // Bounded by CLIENT_DOCUMENT_COUNT_MAX.
  const known = new Map<string, { readonly found: Found; readonly untilMs: number }>();
  // Bounded by CLIENT_DOCUMENT_ASKED_MAX.
  const open = new Map<string, { readonly found: Promise<Found>; readonly from: string }>();

  async function fetchDocument(url: string): Promise<Found> {
    try {
      const { status, body } = await options.ask({ url, allowPrivate, msMax: CLIENT_DOCUMENT_MS_MAX });
      return status === 200 ? readDocument(url, body) : { fault: `its document answers HTTP ${status}` };
    } catch (error) {
      const why = error instanceof ProxyError ? error.message : 'it cannot be read';
      return { fault: 'its metadata document cannot be read now', why };
    }
  }

  async function askOnce(url: string): Promise<Found> {
    const found = await fetchDocument(url);
    open.delete(url);
    known.delete(url);
    known.set(url, { found, untilMs: clock.monotonicMs() + CLIENT_DOCUMENT_KEEP_MS });
    if (known.size > CLIENT_DOCUMENT_COUNT_MAX) forgetOne();
    return found;
  }

  /** URLs that name nothing cost nobody anything, so that they push out one another first. */
  function forgetOne(): void {
    let [oldest] = known.keys();
    for (const [url, { found }] of known) {
      if ('client' in found) continue;
      oldest = url;
      break;
    }
    if (oldest !== undefined) known.delete(oldest);
  }

  return (clientId, from) => {
    const kept = known.get(clientId);
    if (kept !== undefined && clock.monotonicMs() < kept.untilMs) return kept.found;
    const same = open.get(clientId);
    if (same !== undefined) return same.found;
    const ofThem = [...open.values()].filter((each) => each.from === from).length;
    if (open.size >= CLIENT_DOCUMENT_ASKED_MAX || ofThem >= CLIENT_DOCUMENT_ASKED_EACH_MAX)
      return { fault: 'too many clients are being looked up; try again' };
    const asking = askOnce(clientId);
    open.set(clientId, { found: asking, from });
    return asking;
  };
}

function refused(error: string, fault: string): Registered {
  return { status: 400, body: { error, error_description: fault } };
}

function findSealed(seals: Seals, clientId: string): Found {
  const opened = seals.open('client', clientId);
  if (opened === undefined) return { fault: 'it is not registered here; it has to register again' };
  const { name, redirectUris } = opened.value;
  return { client: { id: clientId, name, redirectUris } };
}

/** A client identifier URL: https, with a path, without fragment, user name and dot segments (draft §3). */
function isDocumentUrl(clientId: string, allowPrivate: boolean): boolean {
  if (!/^https?:\/\/[\x21-\x7e]+$/.test(clientId) || !URL.canParse(clientId)) return false;
  const url = new URL(clientId);
  const isPlain = url.username === '' && url.password === '' && !clientId.includes('#');
  const isSecure = url.protocol === 'https:' || allowPrivate;
  return isPlain && isSecure && url.pathname !== '/' && !/\/\.{1,2}(?:\/|$|\?)/.test(clientId);
}

function readDocument(url: string, body: unknown): Found {
  if (!isObject(body)) return { fault: 'its document is no JSON object' };
  if (body['client_id'] !== url) return { fault: 'the client_id in its document is not the URL of the document' };
  if (body['client_secret'] !== undefined) return { fault: 'its document holds a secret' };
  const method = body['token_endpoint_auth_method'];
  const methods: unknown = body['token_endpoint_auth_methods_supported'];
  const isPublic = method === undefined || method === 'none' || (Array.isArray(methods) && methods.includes('none'));
  if (!isPublic) return { fault: 'it wants to prove itself with a key, which is not supported here' };
  const read = readMetadata(body);
  if ('error' in read) return { fault: read.fault };
  return { client: { id: url, ...read } };
}

interface Metadata {
  readonly name: string;
  readonly redirectUris: readonly string[];
}

/** What is looked at of RFC 7591 §2; the rest of what clients say about themselves means nothing here. */
function readMetadata(body: unknown): Metadata | { readonly error: string; readonly fault: string } {
  if (!isObject(body)) return { error: 'invalid_client_metadata', fault: 'the metadata are no JSON object' };
  const uris: unknown = body['redirect_uris'];
  const isList = Array.isArray(uris) && uris.length > 0 && uris.length <= OAUTH_REDIRECT_COUNT_MAX;
  if (!isList)
    return { error: 'invalid_redirect_uri', fault: `redirect_uris: from 1 to ${OAUTH_REDIRECT_COUNT_MAX} are needed` };
  const redirectUris: string[] = [];
  for (const uri of uris as unknown[]) {
    const fault = typeof uri === 'string' ? faultOfRedirect(uri) : 'a redirect URI is no text';
    if (fault !== undefined) return { error: 'invalid_redirect_uri', fault };
    redirectUris.push(uri as string);
  }
  const types: unknown = body['response_types'];
  if (Array.isArray(types) && !types.includes('code'))
    return { error: 'invalid_client_metadata', fault: 'the response type "code" is needed' };
  return { name: readName(body['client_name']), redirectUris };
}

/** A name is shown to people: nothing that hides, turns round or breaks what stands beside it. */
function readName(said: unknown): string {
  if (typeof said !== 'string') return '';
  const plain = said.slice(0, 16 * OAUTH_NAME_CHARS_MAX).replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, ' ');
  return Array.from(plain.replaceAll(/\s+/g, ' ').trim()).slice(0, OAUTH_NAME_CHARS_MAX).join('');
}
