/**
 * The kinds of value an option can have, each with the reader from text to value and the words that say what to write.
 *
 * The same readers serve files, environment and command line. A reader returns undefined for text that is not of its
 * kind; ranges are the schema's. Nothing here touches the network: names are checked for their shape only.
 */
import { GLOB_CHARS_MAX, SERVER_NAME_CHARS_MAX } from '../limits.ts';
import type { Rate } from '../model.ts';
import { parseDuration } from '../text/duration.ts';
import { parseInstant } from '../text/instant.ts';

/** What `listen` says; a part that is not written is undefined. */
export interface Address {
  readonly host: string | undefined;
  readonly port: number | undefined;
}

const INSTANT = 'a day such as 2027-01-31, or a time such as 2027-01-31T18:00:00Z';

export const READERS = {
  text: { read: (text: string): string | undefined => text, expects: 'a text' },
  path: { read: (text: string): string | undefined => (text.trim() === '' ? undefined : text), expects: 'a path' },
  flag: { read: readFlag, expects: 'true or false' },
  count: { read: readCount, expects: 'a whole number' },
  duration: { read: readDuration, expects: 'a number with a unit, such as 10s, 250ms or 5m' },
  size: { read: readSize, expects: 'a number with a unit, such as 512KiB, 64MiB or 1GiB' },
  address: { read: readAddress, expects: 'HOST:PORT, such as 127.0.0.1:3000, [::1]:3000 or :3000' },
  bind: { read: readBind, expects: 'a host name or an address, such as 0.0.0.0' },
  prefix: { read: readPrefix, expects: 'a path, such as /tools/mcproxy' },
  url: { read: readUrl, expects: 'an http:// or https:// URL, without user name and password' },
  host: { read: readHost, expects: 'a host name, such as mcp.example.com, or "*"' },
  origin: { read: readOrigin, expects: 'an origin, such as https://app.example.com, or "*"' },
  glob: { read: readGlob, expects: `a pattern of 1 to ${GLOB_CHARS_MAX} characters, such as read_* or "*"` },
  label: { read: readLabel, expects: `up to ${SERVER_NAME_CHARS_MAX} characters A-Z a-z 0-9 _ -, or ""` },
  block: { read: readBlock, expects: 'an address or CIDR block, such as 10.0.0.0/8' },
  rate: { read: readRate, expects: 'a number of calls in a time, such as 60/min, 5/s or 1000/h; or off' },
  start: { read: (text: string): number | undefined => parseInstant(text, 'start'), expects: INSTANT },
  end: { read: (text: string): number | undefined => parseInstant(text, 'end'), expects: INSTANT },
} as const;

export type ScalarKind = keyof typeof READERS;
export type ScalarValue<K extends ScalarKind> = Exclude<ReturnType<(typeof READERS)[K]['read']>, undefined>;

const LABEL = new RegExp(`^[A-Za-z0-9_-]{0,${SERVER_NAME_CHARS_MAX}}$`);

const FLAGS = new Map([
  ['true', true],
  ['yes', true],
  ['on', true],
  ['1', true],
  ['false', false],
  ['no', false],
  ['off', false],
  ['0', false],
]);

const SIZE_UNITS = new Map([
  ['', 1],
  ['b', 1],
  ['k', 1024],
  ['kib', 1024],
  ['kb', 1000],
  ['m', 1024 ** 2],
  ['mib', 1024 ** 2],
  ['mb', 1000 ** 2],
  ['g', 1024 ** 3],
  ['gib', 1024 ** 3],
  ['gb', 1000 ** 3],
]);

const RATE_UNITS = new Map([
  ['s', 1_000],
  ['sec', 1_000],
  ['second', 1_000],
  ['m', 60_000],
  ['min', 60_000],
  ['minute', 60_000],
  ['h', 3_600_000],
  ['hour', 3_600_000],
  ['d', 86_400_000],
  ['day', 86_400_000],
]);

/** `off` is no limit, also where another place sets one. */
function readRate(text: string): Rate | 'off' | undefined {
  const trimmed = text.trim().toLowerCase();
  if (trimmed === 'off') return 'off';
  const match = /^(\d{1,9})\s*\/\s*([a-z]+)$/.exec(trimmed);
  const perMs = RATE_UNITS.get(match?.[2] ?? '');
  const count = Number(match?.[1]);
  return perMs === undefined || count === 0 ? undefined : { count, perMs };
}

function readFlag(text: string): boolean | undefined {
  return FLAGS.get(text.trim().toLowerCase());
}

function readCount(text: string): number | undefined {
  return /^\s*\d{1,15}\s*$/.test(text) ? Number(text) : undefined;
}

function readDuration(text: string): number | undefined {
  return text.trim().toLowerCase() === 'off' ? 0 : parseDuration(text);
}

/** Bytes; `K`, `M`, `G` and the `iB` units are powers of 1024, `kB`, `MB`, `GB` powers of 1000. */
function readSize(text: string): number | undefined {
  const match = /^\s*(\d{1,15})\s*([A-Za-z]{0,3})\s*$/.exec(text);
  const unit = SIZE_UNITS.get((match?.[2] ?? '').toLowerCase());
  if (match === null || unit === undefined) return undefined;
  const bytes = Number(match[1]) * unit;
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** `:PORT` and `*` mean all IPv4 interfaces, as in other servers of this kind; a bare port keeps the host as it is. */
function readAddress(text: string): Address | undefined {
  const trimmed = text.trim();
  const [, host, port] = /^(\[[\da-fA-F:.]+\]|[\w.-]*|\*)(?::(\d{1,5}))?$/.exec(trimmed) ?? [];
  if (host === undefined || trimmed === '') return undefined;
  if (port === undefined && /^\d{1,5}$/.test(host)) return withPort(undefined, host);
  if (port === undefined && !/[.[]|^localhost$/.test(host)) return undefined;
  if (host.startsWith('[') && !isIpv6(host.slice(1, -1))) return undefined;
  return withPort(host === '' || host === '*' ? '0.0.0.0' : host.replaceAll(/[[\]]/g, ''), port);
}

function readBind(text: string): string | undefined {
  const trimmed = text.trim();
  return readAddress(`${isIpv6(trimmed) && trimmed.includes(':') ? `[${trimmed}]` : trimmed}:0`)?.host;
}

function withPort(host: string | undefined, digits: string | undefined): Address | undefined {
  const port = digits === undefined ? undefined : Number(digits);
  return port !== undefined && port > 65_535 ? undefined : { host, port };
}

/** Empty, or `/a/b` without trailing slash; the characters are the unreserved ones of RFC 3986 §2.3. */
function readPrefix(text: string): string | undefined {
  const segments = text
    .trim()
    .split('/')
    .filter((segment) => segment !== '');
  const valid = segments.every((segment) => /^[\w.~-]+$/.test(segment) && segment !== '.' && segment !== '..');
  return valid ? segments.map((segment) => `/${segment}`).join('') : undefined;
}

function readUrl(text: string): string | undefined {
  const url = parseUrl(text);
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '')
    return undefined;
  url.hash = '';
  return url.href;
}

function readHost(text: string): string | undefined {
  const host = text
    .trim()
    .toLowerCase()
    .replace(/:\d{1,5}$/, '');
  if (host === '*') return host;
  if (host.startsWith('[')) return host.endsWith(']') && isIpv6(host.slice(1, -1)) ? host : undefined;
  return /^[\da-z_-]+(?:\.[\da-z_-]+)*\.?$/.test(host) ? host : undefined;
}

/** The serialisation that browsers send (RFC 6454 §6.2). */
function readOrigin(text: string): string | undefined {
  const trimmed = text.trim().replace(/\/$/, '');
  if (trimmed === '*') return trimmed;
  if (!/^[A-Za-z][\w+.-]*:\/\/[^/?#@\s]+$/.test(trimmed)) return undefined;
  const url = parseUrl(trimmed);
  if (url === undefined) return undefined;
  return url.origin === 'null' ? trimmed.toLowerCase() : url.origin;
}

function readGlob(text: string): string | undefined {
  return text.length > 0 && text.length <= GLOB_CHARS_MAX ? text : undefined;
}

function readLabel(text: string): string | undefined {
  return LABEL.test(text) ? text : undefined;
}

function readBlock(text: string): string | undefined {
  const [address = '', prefix, more] = text.trim().split('/');
  const bits = isIpv4(address) ? 32 : isIpv6(address) ? 128 : undefined;
  if (bits === undefined || more !== undefined) return undefined;
  if (prefix === undefined) return `${address}/${bits}`;
  return /^\d{1,3}$/.test(prefix) && Number(prefix) <= bits ? `${address}/${Number(prefix)}` : undefined;
}

function isIpv4(text: string): boolean {
  return /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}$/.test(text);
}

function isIpv6(text: string): boolean {
  return /^[\da-fA-F:.]+$/.test(text) && parseUrl(`http://[${text}]/`) !== undefined;
}

function parseUrl(text: string): URL | undefined {
  return URL.canParse(text) ? new URL(text) : undefined;
}
