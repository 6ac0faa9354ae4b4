/**
 * Signs an outbound request with HMAC: the header fields that prove to an upstream who sent it, and when.
 *
 * Two kinds of scheme: a template, whose text names parts of the request, covers what services of this kind have
 * agreed on; HTTP Message Signatures are RFC 9421 §2.5 with hmac-sha256 (§3.3.3). The same request, time and id give
 * the same fields, so that published vectors can be tested. A repeated attempt is signed anew. Which scheme an
 * upstream wants is configured (`config/signing-presets`). Source: RFC 2104, RFC 9421, RFC 9530; the presets name theirs.
 */
import { createHash, createHmac, type Hmac } from 'node:crypto';
import type { TEMPLATE_PARTS } from '../config/signing-presets.ts';
import { ProxyError } from '../errors.ts';
import type { Credential, OutgoingRequest, SigningScheme } from '../model.ts';

export type HmacCredential = Extract<Credential, { type: 'hmac' }>;

/** What makes one signature differ from the next. */
export interface Moment {
  /** Wall time. */
  readonly wallMs: number;
  /** Never used before: a UUID. */
  readonly id: string;
}

type TemplateScheme = Extract<SigningScheme, { kind: 'template' }>;
type MessageScheme = Extract<SigningScheme, { kind: 'message-signatures' }>;

const UNSIGNED = 'UNSIGNED-PAYLOAD';
const PART = /\{([a-z0-9_]+)\}/g;

type TemplatePart = (typeof TEMPLATE_PARTS)[number];

/** Lower-case names of the fields that a signature of this scheme may consist of. */
export function signatureNames(scheme: SigningScheme): string[] {
  if (scheme.kind === 'template') return scheme.headers.map(([name]) => name.toLowerCase());
  return ['signature-input', 'signature', 'content-digest'];
}

/** Whether a body has to be there as a whole before it can be signed. */
export function coversBody(scheme: SigningScheme): boolean {
  if (scheme.kind === 'message-signatures') return scheme.components.includes('content-digest');
  return [scheme.text, ...scheme.headers.map(([, value]) => value)].some((text) => text.includes('{body'));
}

/**
 * Flat name-value list to add to the request.
 *
 * @throws {ProxyError} BODY_TOO_LARGE when the body would have to be held and is too long for that
 */
export function signatureFields(credential: HmacCredential, request: OutgoingRequest, moment: Moment): string[] {
  const { scheme } = credential;
  return scheme.kind === 'template'
    ? templateFields(credential, scheme, { request, moment })
    : messageFields(credential, scheme, { request, moment });
}

interface Occasion {
  readonly request: OutgoingRequest;
  readonly moment: Moment;
}

function templateFields(credential: HmacCredential, scheme: TemplateScheme, occasion: Occasion): string[] {
  const part = (name: string): string | Buffer => partOf(name as TemplatePart, credential, { ...occasion, scheme });
  const hmac = startHmac(credential);
  let at = 0;
  for (const match of scheme.text.matchAll(PART)) {
    hmac.update(scheme.text.slice(at, match.index)).update(part(match[1] ?? ''));
    at = match.index + match[0].length;
  }
  const signature = hmac.update(scheme.text.slice(at)).digest(scheme.encoding);
  return scheme.headers.flatMap(([name, value]) => [
    name,
    value.replaceAll(PART, (_, inner: string) => (inner === 'signature' ? signature : part(inner).toString())),
  ]);
}

function startHmac({ secret, scheme }: HmacCredential): Hmac {
  const text = secret.reveal();
  const key = scheme.secretEncoding === 'text' ? Buffer.from(text, 'utf8') : Buffer.from(text, scheme.secretEncoding);
  return createHmac(scheme.algorithm, key);
}

function partOf(
  name: TemplatePart,
  { keyId }: HmacCredential,
  { request, moment, scheme }: Occasion & { readonly scheme: TemplateScheme },
): string | Buffer {
  switch (name) {
    case 'method':
    case 'path':
    case 'host':
      return request[name];
    case 'path_decoded':
      return decodePath(request.path);
    case 'query':
      return request.query.slice(1);
    case 'timestamp':
      return timestampOf(scheme, moment.wallMs);
    case 'id':
      return moment.id;
    case 'key_id':
      return keyId;
    case 'body':
      return request.body ?? whenUnread(scheme);
    case 'body_sha256':
      return digestOf(request, { scheme, algorithm: 'sha256', encoding: 'hex' });
    case 'body_sha256_base64':
      return digestOf(request, { scheme, algorithm: 'sha256', encoding: 'base64' });
    case 'body_sha512':
      return digestOf(request, { scheme, algorithm: 'sha512', encoding: 'hex' });
  }
}

function digestOf(
  { body }: OutgoingRequest,
  how: {
    readonly scheme: TemplateScheme;
    readonly algorithm: 'sha256' | 'sha512';
    readonly encoding: 'hex' | 'base64';
  },
): string {
  if (body === undefined) return whenUnread(how.scheme);
  return createHash(how.algorithm).update(body).digest(how.encoding);
}

function whenUnread({ unsignedPayload }: TemplateScheme): string {
  if (unsignedPayload) return UNSIGNED;
  throw tooLong();
}

function tooLong(): ProxyError {
  return new ProxyError(
    'BODY_TOO_LARGE',
    'the signature of this server covers the body, which is too long to be held for that; send less at once',
  );
}

/** The path as a server sees it that undoes escapes first; one that cannot be undone stays. */
function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

function timestampOf({ timestamp }: TemplateScheme, wallMs: number): string {
  const seconds = Math.floor(wallMs / 1_000);
  if (timestamp === 'unix_ms') return String(wallMs);
  // RFC 3339 §5.6, in UTC and whole seconds: not every validator takes fractions.
  return timestamp === 'unix' ? String(seconds) : `${new Date(seconds * 1_000).toISOString().slice(0, 19)}Z`;
}

/** RFC 9421 §3.1: the signature base, then `Signature-Input` and `Signature`. */
function messageFields(
  credential: HmacCredential,
  { components, label }: MessageScheme,
  { request, moment }: Occasion,
): string[] {
  const added = new Map<string, string>(); // Bounded by configuration.
  if (components.includes('content-digest')) added.set('content-digest', contentDigest(request.body));
  if (components.includes('date') && request.header('date') === undefined) {
    added.set('date', new Date(moment.wallMs).toUTCString());
  }
  // A field that the request does not have cannot be covered (RFC 9421 §2.5); a GET has no content type.
  const covered = components.flatMap((name) => {
    const value = componentOf(name, request) ?? added.get(name);
    return value === undefined ? [] : [{ name: `"${name}"`, value }];
  });
  const created = Math.floor(moment.wallMs / 1_000);
  const params = `(${covered.map(({ name }) => name).join(' ')});created=${created};keyid="${credential.keyId}"`;
  const lines = [...covered.map(({ name, value }) => `${name}: ${value}`), `"@signature-params": ${params}`];
  const signature = startHmac(credential).update(lines.join('\n')).digest('base64');
  return [
    ...[...added].flatMap(([name, value]) => [name === 'date' ? 'Date' : 'Content-Digest', value]),
    'Signature-Input',
    `${label}=${params}`,
    'Signature',
    `${label}=:${signature}:`,
  ];
}

/** RFC 9421 §2.2 and §2.1. */
function componentOf(name: string, request: OutgoingRequest): string | undefined {
  const { method, path, query, scheme, host } = request;
  switch (name) {
    case '@method':
      return method;
    case '@authority':
      return host.toLowerCase().replace(scheme === 'https' ? /:443$/ : /:80$/, '');
    case '@scheme':
      return scheme;
    case '@path':
      return path;
    case '@query':
      return query === '' ? '?' : query;
    case '@request-target':
      return path + query;
    case '@target-uri':
      return `${scheme}://${host}${path}${query}`;
    default:
      return request.header(name)?.trim();
  }
}

/** RFC 9530 §2. */
function contentDigest(body: Buffer | undefined): string {
  if (body === undefined) throw tooLong();
  return `sha-256=:${createHash('sha256').update(body).digest('base64')}:`;
}
