/**
 * Which values are secrets although nobody said so: by the name beside them, in headers, variables, arguments and URLs.
 *
 * A guess that errs to the safe side: what is found is kept out of logs, nothing else changes. A name is judged by its
 * words, so that `API_KEY`, `apiKey` and `x-api-key` are secrets and `KEYBOARD` is not.
 */
import type { Pair } from './decode.ts';
import type { SecretList } from './reading.ts';

const SECRET_WORDS = new Set([
  'auth',
  'authorization',
  'bearer',
  'cookie',
  'credential',
  'credentials',
  'dsn',
  'jwt',
  'key',
  'keys',
  'pass',
  'passphrase',
  'passwd',
  'password',
  'pat',
  'pwd',
  'secret',
  'secrets',
  'session',
  'sig',
  'signature',
  'token',
  'tokens',
]);
const JOINED = /(?:apikey|token|secret|password|passwd)$/;
const OPTION = /^--?([A-Za-z][\w.-]*)(?:=([^]*))?$/;
const NAMED = /^([A-Za-z][\w-]*)[:=]\s*([^]+)$/;

/** Tells whether something of this name is usually kept secret. */
export function isSecretName(name: string): boolean {
  const words = name
    .replaceAll(/([a-z\d])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z\d]+/);
  return words.some((word) => SECRET_WORDS.has(word) || JOINED.test(word));
}

/** Remembers a header's value, and without its scheme, since `Bearer x` is also seen as `x`. */
export function addHeaderSecret(secrets: SecretList, value: string): void {
  secrets.add(value);
  const bare = /^[A-Za-z][\w-]* +(\S+)$/.exec(value.trim())?.[1];
  if (bare !== undefined) secrets.add(bare);
}

/** Remembers the values whose names give them away. */
export function addPairSecrets(secrets: SecretList, pairs: readonly Pair[]): void {
  for (const [name, value] of pairs) if (isSecretName(name)) addHeaderSecret(secrets, value.reveal());
}

/** Remembers what stands in `--token=x`, `--token x`, `TOKEN=x` and `Authorization: Bearer x`. */
export function addArgumentSecrets(secrets: SecretList, args: readonly string[]): void {
  let awaited = false;
  for (const argument of args) {
    const option = OPTION.exec(argument);
    const named = option === null ? NAMED.exec(argument) : null;
    const secretOption = option?.[1] !== undefined && isSecretName(option[1]);
    if (secretOption && option[2] !== undefined) addHeaderSecret(secrets, option[2]);
    else if (named?.[1] !== undefined && named[2] !== undefined && isSecretName(named[1]))
      addHeaderSecret(secrets, named[2]);
    else if (awaited && option === null) addHeaderSecret(secrets, argument);
    awaited = secretOption && option[2] === undefined;
  }
}

/** Remembers the values of query parameters whose names give them away, as written and decoded. */
export function addUrlSecrets(secrets: SecretList, url: string): void {
  const { search, searchParams } = new URL(url);
  for (const [name, value] of searchParams) if (isSecretName(name)) secrets.add(value);
  for (const part of search.slice(1).split('&')) {
    const equals = part.indexOf('=');
    if (equals > 0 && isSecretName(part.slice(0, equals))) secrets.add(part.slice(equals + 1));
  }
}
