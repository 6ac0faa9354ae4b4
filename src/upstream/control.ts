/**
 * Rare requests of the control plane to other people's services: keys and metadata of an issuer, token endpoints.
 *
 * Their URLs may come from documents that somebody else wrote, so that this client trusts none of them: HTTPS only, no
 * redirect, bounded in size and time, and an address that is not on the public internet is refused after the name was
 * looked up, on the very connection that is made (MCP 2026-07-28 security best practices, SSRF). An operator who runs
 * such a service in their own network allows it. One connection for each request; nothing here is on a hot path.
 */
import { lookup as dnsLookup, type LookupAddress } from 'node:dns';
import { readFile } from 'node:fs/promises';
import { request as httpRequest, type ClientRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { ProxyError } from '../errors.ts';
import { CONTROL_BYTES_MAX, CONTROL_MS_MAX } from '../limits.ts';

export interface ControlRequest {
  readonly url: string;
  /** GET unless there is a body. */
  readonly body?: string;
  /** Flat name-value list. */
  readonly fields?: readonly string[];
  /** The service may be in a private network and speak plain HTTP: the operator named it. */
  readonly allowPrivate: boolean;
  /** Where the operator can name the CA of this service. */
  readonly ca?: ControlCa;
  /** When less than the bound. */
  readonly msMax?: number;
}

export interface ControlCa {
  /** Trusted in place of those that Node knows; read for each request, so that a new one needs no reload. */
  readonly file: string | undefined;
  /** Where it is written, for messages. */
  readonly option: string;
}

export interface ControlReply {
  readonly status: number;
  /** Parsed; undefined when it is no JSON. */
  readonly body: unknown;
  /** Seconds that it may be kept (`Cache-Control: max-age`); undefined when it does not say. */
  readonly maxAgeSeconds: number | undefined;
}

/** Makes one request. @throws {ProxyError} ISSUER_UNREACHABLE, with what to look at, when there is no usable answer */
export async function requestControl(asked: ControlRequest): Promise<ControlReply> {
  const url = URL.canParse(asked.url) ? new URL(asked.url) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '') {
    throw failed(asked.url, 'it is no http:// or https:// URL');
  }
  if (!asked.allowPrivate && url.protocol !== 'https:') throw failed(asked.url, `it has to be https://${UNLESS}`);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (!asked.allowPrivate && isIP(host) !== 0 && isPrivate(host)) throw failed(asked.url, PRIVATE);
  if (url.protocol === 'http:') return exchange(asked, (options) => httpRequest(url, options));
  // Loaded when it is needed: TLS costs about 5 MB.
  const { request } = await import('node:https');
  const trust = asked.ca?.file === undefined ? {} : { ca: await readCa(asked.url, asked.ca.file) };
  return exchange(asked, (options) => request(url, { ...options, ...trust }));
}

const UNLESS = ' where "allow_private: true" is not set';
const PRIVATE = `its address is not on the public internet, as it has to be${UNLESS}`;

async function readCa(url: string, file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    throw failed(url, `${file} of ca_file cannot be read (${(error as NodeJS.ErrnoException).code})`, error);
  }
}

/** Node's codes for a certificate whose CA nobody knows here. */
const UNTRUSTED: ReadonlySet<string | undefined> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

function reasonOf(error: NodeJS.ErrnoException, ca: ControlCa | undefined): string {
  return ca !== undefined && UNTRUSTED.has(error.code)
    ? `${error.message}; name its CA in ${ca.option}`
    : error.message;
}

function exchange(asked: ControlRequest, open: (options: RequestOptions) => ClientRequest): Promise<ControlReply> {
  const { body, fields = [], allowPrivate, msMax = CONTROL_MS_MAX } = asked;
  return new Promise((resolve, reject) => {
    const outgoing = open({
      method: body === undefined ? 'GET' : 'POST',
      agent: false,
      headers: { accept: 'application/json', ...pairsOf(fields), ...lengthOf(body) },
      ...(allowPrivate ? {} : { lookup: lookupPublic }),
    });
    const late = setTimeout(() => outgoing.destroy(new Error('no answer in time')), msMax);
    outgoing.on('error', (error) => reject(failed(asked.url, reasonOf(error, asked.ca), error)));
    outgoing.on('close', () => clearTimeout(late));
    outgoing.on('response', (incoming) => {
      read(incoming).then(resolve, (error: unknown) => {
        outgoing.destroy();
        reject(failed(asked.url, error instanceof Error ? error.message : String(error), error));
      });
    });
    outgoing.end(body);
  });
}

async function read(incoming: IncomingMessage): Promise<ControlReply> {
  const { statusCode: status = 0, headers } = incoming;
  if (status >= 300 && status < 400)
    throw new Error(`it answers with a redirect (HTTP ${status}), which is not followed`);
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > CONTROL_BYTES_MAX) throw new Error('its answer is too long');
    chunks.push(chunk);
  }
  return { status, body: parse(Buffer.concat(chunks)), maxAgeSeconds: maxAge(headers['cache-control']) };
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8')) as unknown;
  } catch {
    return undefined;
  }
}

/** RFC 9111 §5.2.2.1; what may not be stored has no age. */
function maxAge(cacheControl: string | undefined): number | undefined {
  if (cacheControl === undefined) return undefined;
  if (/(?:^|,)\s*no-(?:store|cache)\b/i.test(cacheControl)) return 0;
  const seconds = /(?:^|,)\s*max-age\s*=\s*"?(\d{1,9})/i.exec(cacheControl)?.[1];
  return seconds === undefined ? undefined : Number(seconds);
}

function pairsOf(fields: readonly string[]): Record<string, string> {
  const pairs: Record<string, string> = {};
  for (let at = 0; at + 1 < fields.length; at += 2) pairs[fields[at] ?? ''] = fields[at + 1] ?? '';
  return pairs;
}

function lengthOf(body: string | undefined): Record<string, number> {
  return body === undefined ? {} : { 'content-length': Buffer.byteLength(body) };
}

/** Every address of the name has to be public: which of them is taken is not known before. */
const lookupPublic: LookupFunction = (hostname, options, callback) => {
  dnsLookup(hostname, { ...options, all: true }, (error, found: LookupAddress[]) => {
    if (error !== null) return callback(error, []);
    if (found.some(({ address }) => isPrivate(address))) return callback(new Error(PRIVATE), []);
    const [first] = found;
    if (options.all === true) return callback(null, found);
    if (first === undefined) return callback(new Error('the name has no address'), []);
    return callback(null, first.address, first.family);
  });
};

/** IANA special-purpose registries: what no service of somebody else's is reached at. */
const NOT_PUBLIC = new BlockList();
for (const [network, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const) {
  NOT_PUBLIC.addSubnet(network, bits, 'ipv4');
}
/** IPv6 is the other way round: global unicast is 2000::/3, from which these are taken out. */
const GLOBAL = new BlockList();
GLOBAL.addSubnet('2000::', 3, 'ipv6');
for (const [network, bits] of [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
] as const) {
  NOT_PUBLIC.addSubnet(network, bits, 'ipv6');
}

/** Whether an address is not on the public internet; what is no address is not either. */
export function isPrivate(address: string): boolean {
  const family = isIP(address);
  if (family === 4) return NOT_PUBLIC.check(address, 'ipv4');
  if (family !== 6) return true;
  return !GLOBAL.check(address, 'ipv6') || NOT_PUBLIC.check(address, 'ipv6');
}

function failed(url: string, reason: string, cause?: unknown): ProxyError {
  // The path may hold a tenant, the query a secret: the origin is enough to find it in the configuration.
  const where = URL.canParse(url) ? new URL(url).origin : 'the configured URL';
  return new ProxyError('ISSUER_UNREACHABLE', `${where} cannot be asked: ${reason}`, { cause });
}
