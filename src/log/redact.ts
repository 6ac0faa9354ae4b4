/**
 * Keeps secrets out of everything that is written down.
 *
 * `text` replaces each configured secret wherever it stands, also as it looks inside JSON, a URL or Base64 (an
 * `Authorization: Basic` value). `value` prepares the content of a call for the log: its structure only, or its
 * values without those whose key looks like a secret. Both are bounded by the size of what they are given.
 * Redact first, cut afterwards: half a secret is not recognised. A secret under `REDACT_CHARS_MIN` characters is
 * not searched for. Pure.
 */
import { LOG_PARAMS_BYTES_MAX, LOG_PARAMS_DEPTH_MAX, LOG_PARAMS_NODE_COUNT_MAX } from '../limits.ts';
import type { Secret } from '../model.ts';
import { makeMatcher } from './match.ts';
import type { PassingSecrets } from './passing-secrets.ts';
import { secretForms } from './secret-forms.ts';

export interface Redactor {
  /** The text with every configured secret replaced. */
  text(s: string): string;
  /** A bounded copy for the log; `keys`: types instead of values, `full`: values without secrets. */
  value(v: unknown, mode: 'keys' | 'full'): unknown;
}

const MARK = '[redacted]';

/** Compared with the key in lower case and without separators. */
const SECRET_KEY = new RegExp(
  [
    'token|secret|passw(?:or)?d|pwd|passphrase|passcode|credential|cookie|session|signature|bearer|jwt',
    'authorization|authentication|(?:api|access|private|signing|encryption)key',
    '^(?:auth|xauth|pass|pin|otp|sig|hmac)$',
  ].join('|'),
);
/** `max_tokens: 4096` counts tokens, it is none. */
const COUNT_KEY = /(?:tokens|sessions|cookies|count)$/;
const SEPARATORS = /[^\p{L}\p{N}]/gu;

/** @param passing those that come and go */
export function makeRedactor(secrets: readonly Secret[], passing?: PassingSecrets): Redactor {
  // Bounded by the configuration: a dozen spellings of each of its secrets.
  const needles = new Set<string>();
  for (const secret of secrets) {
    // A file whose secrets were already masked has no secret to hide, and the mark must not contain one.
    for (const form of secretForms(secret.reveal())) if (!MARK.includes(form)) needles.add(form);
  }
  const matcher = makeMatcher([...needles]);
  const text = (s: string): string => {
    const known = matcher.replace(s, MARK);
    return passing === undefined ? known : passing.replace(known, MARK);
  };
  return {
    text,
    value: (v, mode) => copy(v, { mode, text, nodesLeft: LOG_PARAMS_NODE_COUNT_MAX }, 0),
  };
}

/** True for `apiKey`, `X-Api-Key`, `db.password`, `refresh_token` and their like, unless the value can be none. */
function looksSecret(key: string, value: unknown): boolean {
  if (value === null || typeof value === 'boolean') return false;
  const plain = key.replace(SEPARATORS, '').toLowerCase();
  if (!SECRET_KEY.test(plain)) return false;
  return !(typeof value === 'number' && COUNT_KEY.test(plain));
}

interface Copying {
  readonly mode: 'keys' | 'full';
  readonly text: (s: string) => string;
  nodesLeft: number;
}

function copy(value: unknown, copying: Copying, depth: number): unknown {
  copying.nodesLeft -= 1;
  if (typeof value === 'object' && value !== null) {
    const isArray = Array.isArray(value);
    if (depth >= LOG_PARAMS_DEPTH_MAX) return isArray ? '[array]' : '[object]';
    return isArray ? copyArray(value, copying, depth) : copyObject(value, copying, depth);
  }
  if (copying.mode === 'keys') return value === null ? 'null' : typeof value;
  switch (typeof value) {
    case 'string':
      // Left out as a whole, so that one large file in a call does not hide the other arguments.
      return value.length > LOG_PARAMS_BYTES_MAX ? `[${value.length} characters]` : copying.text(value);
    case 'number':
      return numberWithoutSecret(value, copying);
    case 'boolean':
    case 'undefined':
      return value;
    case 'object':
      return null;
    default:
      return `[${typeof value}]`;
  }
}

/** A configured secret may be all digits. */
function numberWithoutSecret(value: number, copying: Copying): number | string {
  const printed = String(value);
  const redacted = copying.text(printed);
  return redacted === printed ? value : redacted;
}

function copyArray(list: readonly unknown[], copying: Copying, depth: number): unknown[] {
  const out: unknown[] = [];
  for (const item of list) {
    if (copying.nodesLeft <= 0) {
      out.push(`[${list.length - out.length} more]`);
      break;
    }
    out.push(copy(item, copying, depth + 1));
  }
  return out;
}

function copyObject(source: object, copying: Copying, depth: number): object {
  // Without a prototype, `__proto__` is a member like any other.
  const out: Record<string, unknown> = Object.create(null);
  const members = Object.entries(source);
  const named = namedSecret(source);
  for (const [index, [key, member]] of members.entries()) {
    if (copying.nodesLeft <= 0) {
      out['…'] = `[${members.length - index} more]`;
      break;
    }
    const hide = copying.mode === 'full' && (looksSecret(key, member) || (named && key === 'value'));
    if (hide) copying.nodesLeft -= 1;
    const shownKey = key.length > LOG_PARAMS_BYTES_MAX ? `[${key.length} characters]` : copying.text(key);
    out[shownKey] = hide ? MARK : copy(member, copying, depth + 1);
  }
  return out;
}

/** `{name: 'Authorization', value: '…'}`: the way lists of headers and variables are written. */
function namedSecret(source: object): boolean {
  const { name, key } = source as { readonly name?: unknown; readonly key?: unknown };
  return (typeof name === 'string' && looksSecret(name, '')) || (typeof key === 'string' && looksSecret(key, ''));
}
