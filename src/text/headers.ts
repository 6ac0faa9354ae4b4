/**
 * The small grammars of HTTP field values that mcproxy reads: tokens, lists, media types, credentials, dates.
 *
 * Every function is total: a value that does not follow its grammar gives undefined, false or an empty list, never
 * an error, and takes time linear in its length. Field names are lower-case throughout, as Node gives them. What
 * follows from a value (which reply, which limit) is decided by the caller. Source: RFC 9110, RFC 6750, W3C Trace
 * Context.
 */
import { TOKEN_BYTES_MAX } from '../limits.ts';

/** Fields that concern one connection and are never forwarded (RFC 9110 §7.6.1), with the `Proxy-*` ones. */
export const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** The field names that a `Connection` value lists, lower-case; they are not forwarded either. */
export function connectionTokens(value: string | undefined): string[] {
  if (value === undefined) return [];
  return value
    .split(',')
    .map((name) => name.trim().toLowerCase())
    .filter(isToken);
}

/** Whether the text is a token (RFC 9110 §5.6.2), as field names and methods are. */
export function isToken(text: string): boolean {
  return /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(text);
}

export interface MediaType {
  /** Lower-case `type/subtype`. */
  readonly type: string;
  /** By lower-case name, quotes removed. */
  readonly parameters: Map<string, string>;
}

/** Reads a media type with its parameters (RFC 9110 §8.3.1); undefined when it is none. */
export function parseMediaType(value: string): MediaType | undefined {
  // What nearly every message carries needs no looking into.
  if (value === 'application/json' || value === 'text/event-stream') return { type: value, parameters: new Map() };
  const [first = '', ...rest] = splitOutsideQuotes(value, ';');
  const type = first.trim().toLowerCase();
  const [major = '', minor = '', ...more] = type.split('/');
  if (more.length > 0 || !isToken(major) || !isToken(minor)) return undefined;
  const parameters = new Map<string, string>();
  for (const part of rest) {
    const parameter = part.trim();
    if (parameter === '') continue;
    const equals = parameter.indexOf('=');
    const name = parameter.slice(0, equals).toLowerCase();
    const text = parameterValue(parameter.slice(equals + 1));
    if (equals === -1 || !isToken(name) || text === undefined) return undefined;
    if (!parameters.has(name)) parameters.set(name, text);
  }
  return { type, parameters };
}

function parameterValue(text: string): string | undefined {
  if (!text.startsWith('"')) return isToken(text) ? text : undefined;
  if (!/^"(?:[^"\\]|\\.)*"$/s.test(text)) return undefined;
  return text.slice(1, -1).replace(/\\(.)/gs, '$1');
}

function splitOutsideQuotes(value: string, separator: ',' | ';'): string[] {
  if (!value.includes('"')) return value.split(separator);
  const parts: string[] = [];
  let start = 0;
  let quoted = false;
  for (let at = 0; at < value.length; at += 1) {
    const char = value[at];
    if (char === '"') quoted = !quoted;
    else if (char === '\\' && quoted) at += 1;
    else if (char === separator && !quoted) {
      parts.push(value.slice(start, at));
      start = at + 1;
    }
  }
  parts.push(value.slice(start));
  return parts;
}

/**
 * Whether an `Accept` value allows the media type: the most specific range that matches decides, and `q=0` forbids
 * (RFC 9110 §12.5.1). An absent or empty value allows everything. Ranges that cannot be read are passed over, and
 * parameters of a range other than `q` do not narrow it.
 */
export function accepts(accept: string | undefined, type: string): boolean {
  if (accept === undefined || accept.trim() === '') return true;
  const wanted = type.toLowerCase();
  const major = wanted.slice(0, wanted.indexOf('/'));
  const ranges = [wanted, `${major}/*`, '*/*'];
  let best = ranges.length;
  let allowed = false;
  for (const part of splitOutsideQuotes(accept, ',')) {
    const range = parseMediaType(part);
    const rank = range === undefined ? -1 : ranges.indexOf(range.type);
    if (range === undefined || rank === -1 || rank > best) continue;
    const positive = quality(range.parameters.get('q')) > 0;
    allowed = rank < best ? positive : allowed || positive;
    best = rank;
  }
  return allowed;
}

/** A weight (RFC 9110 §12.4.2); what is none counts as 1, as if absent. */
function quality(text: string | undefined): number {
  return text !== undefined && /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/.test(text) ? Number(text) : 1;
}

export type Bearer = { readonly ok: true; readonly token: string } | { readonly ok: false };

/** The token of an `Authorization` value: `Bearer`, one run of spaces, a b64token (RFC 6750 §2.1) within its bound. */
export function parseBearer(value: string): Bearer {
  const token = /^bearer +([A-Za-z0-9\-._~+/]+=*)$/i.exec(value)?.[1];
  return token === undefined || token.length > TOKEN_BYTES_MAX ? { ok: false } : { ok: true, token };
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const TIME = String.raw`(?<time>\d\d:\d\d:\d\d)`;
/** The three forms of RFC 9110 §5.6.7; the last two are obsolete and have to be read all the same. */
const DATE_FORMS = [
  new RegExp(`^[A-Z][a-z]{2}, (?<day>\\d\\d) (?<month>[A-Z][a-z]{2}) (?<year>\\d{4}) ${TIME} GMT$`),
  new RegExp(`^[A-Z][a-z]{5,8}, (?<day>\\d\\d)-(?<month>[A-Z][a-z]{2})-(?<year>\\d\\d) ${TIME} GMT$`),
  new RegExp(`^[A-Z][a-z]{2} (?<month>[A-Z][a-z]{2}) (?<day>[ \\d]\\d) ${TIME} (?<year>\\d{4})$`),
];

/**
 * How long a `Retry-After` value asks to wait, from delta-seconds or an HTTP-date (RFC 9110 §10.2.3).
 *
 * @param nowMs the clock the date is compared with, ms since the epoch
 * @returns milliseconds, 0 for a date that has passed; undefined when the value is neither
 */
export function parseRetryAfter(value: string, nowMs: number): number | undefined {
  const text = value.trim();
  if (/^\d{1,12}$/.test(text)) return Number(text) * 1_000;
  const dateMs = parseHttpDate(text, nowMs);
  return dateMs === undefined ? undefined : Math.max(0, dateMs - nowMs);
}

function parseHttpDate(text: string, nowMs: number): number | undefined {
  for (const form of DATE_FORMS) {
    const groups = form.exec(text)?.groups;
    if (groups === undefined) continue;
    const month = MONTHS.indexOf(groups['month'] ?? '');
    const day = Number(groups['day']);
    const [hour = 0, minute = 0, second = 0] = (groups['time'] ?? '').split(':').map(Number);
    if (month === -1 || hour > 23 || minute > 59 || second > 60) return undefined;
    const year = fullYear(groups['year'] ?? '', nowMs);
    const dateMs = Date.UTC(year, month, day);
    if (new Date(dateMs).getUTCDate() !== day) return undefined;
    return dateMs + ((hour * 60 + minute) * 60 + second) * 1_000;
  }
  return undefined;
}

/** Two digits that seem more than 50 years ahead mean the last century (RFC 9110 §5.6.7). */
function fullYear(digits: string, nowMs: number): number {
  if (digits.length === 4) return Number(digits);
  const thisYear = new Date(nowMs).getUTCFullYear();
  const year = thisYear - (thisYear % 100) + Number(digits);
  return year > thisYear + 50 ? year - 100 : year;
}

/** Whether the value is a `traceparent` of version 00 with ids that are not all zero (W3C Trace Context §3.2). */
export function parseTraceparent(value: string): boolean {
  return /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/.test(value);
}
