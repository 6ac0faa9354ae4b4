/**
 * The one function that builds the fields of an outbound request.
 *
 * What the client sent travels on unless it must not: hop-by-hop fields (RFC 9110 §7.6.1), everything that says
 * who the client is or was to somebody else (Authorization, cookies, credential-like fields), what proxies before
 * us added, and what only makes sense at a browser. With passthrough the client's Authorization and its
 * credential-like fields stay. Order and spelling of the rest are kept. `Via` names each mcproxy on the way and nobody
 * else, so that one whose request comes back to it can end the loop.
 */
import { randomBytes } from 'node:crypto';

import type { OutgoingCredential } from '../model.ts';
import { connectionTokens, HOP_BY_HOP } from '../text/headers.ts';
import type { Outbound } from './forward.ts';
import type { HttpUpstream } from './pool.ts';

export interface OutboundFields {
  /** The client's raw fields, flat; for a request of our own the fields it needs. */
  readonly rawHeaders: readonly string[];
  /** The client's `Connection` field: the fields it names are hop-by-hop as well. */
  readonly connection: string | undefined;
  readonly passthrough: boolean;
  /** Flat; replaces the client's fields of the same name. */
  readonly credential: readonly string[];
  /** Lower-case names that a signature sets later; the client's fields of these names stay here. */
  readonly reserved?: readonly string[];
  readonly host: string;
  /** Undefined for a request of our own that belongs to no exchange. */
  readonly requestId: string | undefined;
  readonly traceparent: string | undefined;
  /** How the body travels: its length, `chunked`, or `none`. */
  readonly body: number | 'chunked' | 'none';
}

/** Never sent on: set by us, or about a hop, a browser or a proxy before us. */
const DROPPED = new Set([
  'host',
  'content-length',
  'expect',
  'cookie',
  'cookie2',
  'origin',
  'referer',
  'forwarded',
  'via',
  'x-forwarded',
  'x-real-ip',
  'x-rewrite-url',
  'x-host',
  'cdn-loop',
  'x-request-id',
  'traceparent',
  'accept-encoding',
  'http2-settings',
  'alt-used',
  'upgrade-insecure-requests',
  'dnt',
  'priority',
]);
const DROPPED_PREFIX = /^(?:proxy-|x-forwarded-|x-original-|cf-|fly-|sec-|access-control-request-)/;
/** Names under which proxies say who the client is: `True-Client-IP`, `Remote-User`, `X-Remote-Addr`, … */
const CLIENT_NAMED = /client-?ip$|(?:^|-)remote-/;
/** A field that looks like a credential of the client's own; `Mcp-*` fields are the protocol's. */
const CREDENTIAL_LIKE =
  /auth|token|secret|passw|apikey|credential|session|signature|cookie|bearer|jwt|(?<!idempotency)-key$|client-principal/;

/** This process in a `Via` field, different from every other (RFC 9110 §7.6.3). */
export const OWN_VIA = `1.1 mcproxy-${randomBytes(6).toString('hex')}`;
const MCPROXY_VIA = /^1\.1 mcproxy-[0-9a-f]{12}$/;

/** Whether a request with this `Via` was sent by this very process. */
export function cameFromHere(via: string | undefined): boolean {
  return via !== undefined && viaMembers(via).includes(OWN_VIA);
}

function viaMembers(via: string): string[] {
  return via.split(',').map((member) => member.trim());
}

/** Flat name-value list, ready for `http.request`. */
export function outboundFields(options: OutboundFields): string[] {
  const { rawHeaders, passthrough, credential } = options;
  const named = options.connection === undefined ? [] : connectionTokens(options.connection);
  const replaced: string[] = [...(options.reserved ?? [])];
  for (let i = 0; i < credential.length; i += 2) replaced.push((credential[i] ?? '').toLowerCase());

  const fields: string[] = ['Host', options.host];
  const via: string[] = [];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const rawName = rawHeaders[i] ?? '';
    const name = rawName.toLowerCase();
    if (name === 'via') via.push(...viaMembers(rawHeaders[i + 1] ?? '').filter((member) => MCPROXY_VIA.test(member)));
    if (!mayTravel(name, passthrough) || named.includes(name) || replaced.includes(name)) continue;
    fields.push(rawName, rawHeaders[i + 1] ?? '');
  }
  for (const item of credential) fields.push(item);
  // Bytes are read along and passed on at once; compression would hide and delay them.
  fields.push('Accept-Encoding', 'identity', 'Via', [...via, OWN_VIA].join(', '));
  if (options.requestId !== undefined) fields.push('X-Request-Id', options.requestId);
  if (options.traceparent !== undefined) fields.push('traceparent', options.traceparent);
  if (options.body === 'chunked') fields.push('Transfer-Encoding', 'chunked');
  else if (options.body !== 'none') fields.push('Content-Length', String(options.body));
  return fields;
}

/** The request with what its credential does to each attempt. @param outbound complete but for that */
export function withCredential(
  { signature, renewal }: OutgoingCredential,
  outbound: Outbound,
  upstream: HttpUpstream,
): Outbound {
  if (signature === undefined) return outbound;
  const { method, fields, body } = outbound;
  const cut = outbound.path.indexOf('?');
  const sign = (): readonly string[] =>
    signature.sign({
      method,
      path: cut === -1 ? outbound.path : outbound.path.slice(0, cut),
      query: cut === -1 ? '' : outbound.path.slice(cut),
      scheme: upstream.secure ? 'https' : 'http',
      host: upstream.host,
      body: body.kind === 'whole' ? body.bytes : undefined,
      header: (name) => findField(fields, name),
    });
  if (renewal === undefined) return { ...outbound, sign };
  let sent: readonly string[] = [];
  return {
    ...outbound,
    sign: () => (sent = sign()),
    renewal: {
      prepare: () => renewal.prepare(),
      rejected: (refusal) => renewal.rejected(sent, refusal),
    },
  };
}

function findField(fields: readonly string[], name: string): string | undefined {
  const at = fields.findIndex((each, index) => index % 2 === 0 && each.toLowerCase() === name);
  return at === -1 ? undefined : fields[at + 1];
}

function mayTravel(name: string, passthrough: boolean): boolean {
  // CGI and WSGI servers read `_` as `-`: such a name would be another field there than the one that was looked at.
  if (name.includes('_')) return false;
  if (name.startsWith('mcp-')) return true;
  if (HOP_BY_HOP.has(name) || DROPPED.has(name) || DROPPED_PREFIX.test(name) || CLIENT_NAMED.test(name)) return false;
  return passthrough || !CREDENTIAL_LIKE.test(name);
}
