/**
 * What one server entry says about the credential that goes out, in whichever of the spellings.
 *
 * `auth` may be a word or a map; `token`, `username` and `password` may stand in it or beside it; header fields named
 * Authorization or like a secret are a credential too. Together they must say one thing: contradictions are problems,
 * never resolved silently. Values are checked for what a header field can carry (RFC 9110 §5.5), so that a bad one is
 * found here and not at the first request. At a server that several share, a kind or a name without a value says that
 * each user brings their own.
 */
import type { Credential, Secret } from '../model.ts';
import { findNearest } from '../text/nearest.ts';
import { makeSecret } from '../text/secret.ts';
import type { YamlNode } from '../text/yaml.ts';
import { decodeMap, namesWithoutValue, own, type Decoded, type Found, type Pair } from './decode.ts';
import { BROUGHT_REFRESH_TOKEN, decodeOAuthClient, type OAuthClientSaid } from './oauth-client.ts';
import { showName } from './problems.ts';
import { readText, type Reading } from './reading.ts';
import { AUTH, type SERVER } from './schema.ts';
import { addHeaderSecret, isSecretName } from './secrecy.ts';
import { decodeSigning } from './signing.ts';

export interface CredentialSaid {
  /** Undefined: nothing is said, or an OAuth client. */
  readonly credential: Credential | undefined;
  /** Not a credential before it is known what it stands on. */
  readonly oauth?: OAuthClientSaid;
  /** Fields that are no credential. */
  readonly headers: readonly Pair[];
  /** What each user has to bring: `token`, `username`, `password`, `headers.NAME`. */
  readonly lacks: readonly string[];
  /** Where it is said, for problems that show later. */
  readonly at: YamlNode | undefined;
}

type Type = Exclude<Credential['type'], 'hmac' | 'oauth'>;

interface Parts {
  readonly type: Found<Type> | undefined;
  readonly token: Found<Secret> | undefined;
  readonly username: Found<string> | undefined;
  readonly password: Found<Secret> | undefined;
  readonly secretHeaders: readonly Pair[];
  readonly plainHeaders: readonly Pair[];
  readonly headersAt: YamlNode | undefined;
  /** Header names without a value. */
  readonly lackedHeaders: readonly string[];
}

const TYPES: Readonly<Record<string, Type>> = {
  none: 'none',
  bearer: 'bearer',
  basic: 'basic',
  headers: 'headers',
  header: 'headers',
  passthrough: 'passthrough',
};

/** Set by the transport itself for each request; a configured value would contradict it. */
const TRANSPORT_HEADERS = new Set([
  'accept',
  'accept-encoding',
  'connection',
  'content-length',
  'content-type',
  'expect',
  'host',
  'keep-alive',
  'last-event-id',
  'mcp-method',
  'mcp-name',
  'mcp-protocol-version',
  'mcp-session-id',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
/** RFC 9110 §5.6.2. */
const HEADER_NAME = /^[\w!#$%&'*+.^`|~-]+$/;
/** RFC 9110 §5.5, without the obsolete octets above ASCII. */
const HEADER_VALUE = /^[\t\u0020-\u007e]*$/;

/** Decodes the credential of one server entry, whose fields are `sound` when none of them was wrong. */
export function decodeCredential(
  reading: Reading,
  fields: Decoded<typeof SERVER>,
  options: { readonly sound: boolean; readonly lacking: boolean; readonly foreign: boolean },
): CredentialSaid {
  const whole = WHOLE[typeOfMap(reading, fields.auth?.value) ?? ''];
  if (whole !== undefined && fields.auth !== undefined)
    return decodeWhole(reading, fields, { ...whole, at: fields.auth.value, lacking: options.lacking });
  const before = reading.problems.errorCount();
  const parts = readParts(reading, fields, options);
  const lacks = options.lacking ? lackedBy(parts) : [];
  const at = parts.type?.at ?? parts.token?.at ?? parts.username?.at ?? parts.password?.at ?? parts.headersAt;
  // What is wrong in one part would be told again as missing from the whole.
  const sound = options.sound && reading.problems.errorCount() === before;
  // A user's own replaces the whole, so beside what they bring nothing need stand.
  const isBrought = lacks.length > 0 && parts.type?.value !== 'passthrough' && !hasValue(parts);
  const credential = at === undefined || !sound || isBrought ? undefined : assemble(reading, parts, at);
  if (credential?.type === 'passthrough' && lacks.length > 0) {
    reading.problems.error(at, {
      text: '"auth: passthrough" and a value that each user brings contradict each other',
      fix: 'delete one of the two',
    });
  }
  return { credential, headers: parts.plainHeaders, lacks, at };
}

interface Whole {
  readonly what: string;
  readonly decode: (
    reading: Reading,
    node: YamlNode,
    lacking: boolean,
  ) => Pick<CredentialSaid, 'credential' | 'oauth'> & Partial<Pick<CredentialSaid, 'lacks'>>;
}

/** Kinds of `auth` with options of their own, which are the whole credential. */
const WHOLE: Readonly<Record<string, Whole>> = {
  hmac: { what: 'a signature', decode: (reading, node) => ({ credential: decodeSigning(reading, node) }) },
  oauth: {
    what: 'an OAuth client',
    decode(reading, node, lacking) {
      const oauth = decodeOAuthClient(reading, node, lacking);
      return { credential: undefined, oauth, lacks: oauth.isBrought ? [BROUGHT_REFRESH_TOKEN] : [] };
    },
  },
};

/** Names that only an OAuth client has: beside them the type need not be written. */
const OAUTH_NAMES: ReadonlySet<string> = new Set(['client_id', 'client_secret', 'refresh_token']);

function typeOfMap(reading: Reading, node: YamlNode | undefined): string | undefined {
  if (node?.kind !== 'map') return undefined;
  const type = node.pairs.find(({ name }) => name === 'type')?.value;
  if (type === undefined) return node.pairs.some(({ name }) => OAUTH_NAMES.has(name)) ? 'oauth' : undefined;
  return readText(reading, type, 'open')?.trim().toLowerCase();
}

/** Header fields beside it are sent as they are. */
function decodeWhole(
  reading: Reading,
  fields: Decoded<typeof SERVER>,
  { what, decode, at, lacking }: Whole & { readonly at: YamlNode; readonly lacking: boolean },
): CredentialSaid {
  const headers = readHeaders(reading, fields.headers);
  for (const [, value] of headers) addHeaderSecret(reading.secrets, value.reveal());
  const hasField = headers.some(([name]) => name.toLowerCase() === 'authorization');
  const other = fields.token ?? fields.username ?? fields.password ?? (hasField ? fields.headers : undefined);
  if (other !== undefined) {
    const text = `${what} and a token or password contradict each other`;
    reading.problems.error(other.at, { text, fix: 'delete one of the two' });
  }
  return { lacks: [], ...decode(reading, at, lacking), headers, at };
}

/** What is named and has no value. Half a user name and password is a mistake, not a wish. */
function lackedBy(parts: Parts): string[] {
  const headers = parts.lackedHeaders.map((name) => `headers.${name}`);
  if (hasValue(parts)) return headers;
  if (parts.type?.value === 'bearer') return ['token', ...headers];
  return parts.type?.value === 'basic' ? ['username', 'password', ...headers] : headers;
}

function hasValue({ token, username, password, secretHeaders }: Parts): boolean {
  return token !== undefined || username !== undefined || password !== undefined || secretHeaders.length > 0;
}

function readParts(
  reading: Reading,
  fields: Decoded<typeof SERVER>,
  { lacking, foreign }: { readonly lacking: boolean; readonly foreign: boolean },
): Parts {
  const { auth } = fields;
  const inner: Decoded<typeof AUTH> =
    auth?.value.kind === 'map' ? decodeMap({ reading, node: auth.value }, AUTH, { lacking, foreign }) : {};
  const typeNode = auth?.value.kind === 'map' ? inner.type?.value : auth?.value;
  const typeName = typeNode === undefined ? undefined : readType(reading, typeNode);
  const pair = inner.credentials === undefined ? undefined : splitPair(reading, inner.credentials);
  const all = [...readHeaders(reading, fields.headers), ...readHeaders(reading, inner.headers)];
  const inAuth = new Set(inner.headers?.value);
  const isCredential = (header: Pair): boolean => isSecretName(header[0]) || inAuth.has(header);
  const named = all.filter(isCredential);
  const secretHeaders = typeName === 'headers' && named.length === 0 ? all : named;
  for (const [, value] of secretHeaders) addHeaderSecret(reading.secrets, value.reveal());
  return {
    type: typeName === undefined || typeNode === undefined ? undefined : { value: typeName, at: typeNode },
    token: only(reading, 'token', [fields.token, inner.token]),
    username: only(reading, 'username', [fields.username, inner.username, pair?.username]),
    password: only(reading, 'password', [fields.password, inner.password, pair?.password]),
    secretHeaders,
    plainHeaders: all.filter((header) => !secretHeaders.includes(header)),
    headersAt: secretHeaders.length === 0 ? undefined : (fields.headers ?? inner.headers)?.at,
    lackedHeaders: [...namesWithoutValue(fields.headers), ...namesWithoutValue(inner.headers)],
  };
}

function readType(reading: Reading, node: YamlNode): Type | undefined {
  const text = readText(reading, node, 'open')?.trim().toLowerCase();
  if (node.kind === 'scalar' && text === undefined) return undefined;
  const type = text === undefined ? undefined : own(TYPES, text);
  if (type !== undefined) return type;
  const nearest = text === undefined ? undefined : findNearest(text, Object.keys(TYPES));
  const fix =
    nearest === undefined
      ? 'write none, bearer, basic, headers, hmac, oauth or passthrough; a token goes under "token"'
      : `did you mean "${nearest}"?`;
  reading.problems.error(node, { text: 'this kind of "auth" is not known', fix });
  return undefined;
}

function splitPair(
  reading: Reading,
  credentials: Found<Secret>,
): { username: Found<string>; password: Found<Secret> } | undefined {
  const text = credentials.value.reveal();
  const colon = text.indexOf(':');
  if (colon === -1) {
    reading.problems.error(credentials.at, { text: '"credentials" has no colon', fix: 'write NAME:PASSWORD' });
    return undefined;
  }
  const password = reading.secrets.add(text.slice(colon + 1));
  return {
    username: { value: text.slice(0, colon), at: credentials.at },
    password: { value: password, at: credentials.at },
  };
}

function only<V>(reading: Reading, name: string, places: readonly (Found<V> | undefined)[]): Found<V> | undefined {
  const [first, second] = places.filter((found) => found !== undefined);
  if (second !== undefined) reading.problems.error(second.at, { text: `"${name}" is given twice`, fix: 'delete one' });
  return first;
}

function readHeaders(reading: Reading, found: Found<readonly Pair[]> | undefined): readonly Pair[] {
  const kept: Pair[] = [];
  const seen = new Set<string>();
  for (const header of found?.value ?? []) {
    const [name, value] = header;
    const node = found?.at.kind === 'map' ? found.at.pairs.find((pair) => pair.name === name) : undefined;
    const lowerName = name.toLowerCase();
    if (!HEADER_NAME.test(name)) {
      reading.problems.error(node?.key, {
        text: 'a header name has a character that header names cannot have',
        fix: 'write letters, digits and "-"',
      });
    } else if (TRANSPORT_HEADERS.has(lowerName)) {
      reading.problems.warning(node?.key, {
        text: `the header ${showName(name)} is set by mcproxy itself; this one is ignored`,
        fix: 'delete it',
      });
    } else if (seen.has(lowerName)) {
      reading.problems.error(node?.key, {
        text: `the header ${showName(name)} is given twice`,
        fix: 'delete one; case makes no difference',
      });
    } else if (checkValue(reading, value, node?.value)) kept.push(header);
    seen.add(lowerName);
  }
  return kept;
}

function checkValue(reading: Reading, value: Secret, at: YamlNode | undefined): boolean {
  const text = value.reveal();
  const remark = HEADER_VALUE.test(text)
    ? { text: 'this value is empty', fix: 'write it, or set the variable that it comes from' }
    : {
        text: 'this value has a character that cannot stand in a header field',
        fix: 'check it for line breaks and letters beyond ASCII',
      };
  if (HEADER_VALUE.test(text) && text.trim() !== '') return true;
  reading.problems.error(at, remark);
  return false;
}

/** One credential of all parts; contradictions are reported at `at`. */
function assemble(reading: Reading, parts: Parts, at: YamlNode): Credential | undefined {
  const { token, username, password, secretHeaders } = parts;
  const type = parts.type?.value ?? inferType(parts);
  const refuse = (text: string, fix: string): undefined => {
    reading.problems.error(at, { text, fix });
    return undefined;
  };
  const hasBasic = username !== undefined || password !== undefined;
  if ((type === 'none' || type === 'passthrough') && (token !== undefined || hasBasic || secretHeaders.length > 0)) {
    return refuse(`"auth: ${type}" and a credential contradict each other`, 'delete one of the two');
  }
  if (type === 'none' || type === 'passthrough') return { type };
  if (token !== undefined && hasBasic)
    return refuse('a token and a user name contradict each other', 'delete one of the two');
  const main =
    type === 'basic' || (type === 'headers' && hasBasic)
      ? readBasic(reading, parts, at)
      : readBearer(reading, parts, at);
  if (main === undefined && (type !== 'headers' || token !== undefined || hasBasic)) return undefined;
  if (secretHeaders.length === 0) return main ?? refuse('"auth: headers" needs headers', 'write them under "headers"');
  if (main === undefined) return { type: 'headers', headers: secretHeaders };
  if (secretHeaders.some(([name]) => name.toLowerCase() === 'authorization')) {
    return refuse('there are two credentials for the Authorization header', 'delete one of the two');
  }
  return { type: 'headers', headers: [authorizationOf(reading, main), ...secretHeaders] };
}

function inferType(parts: Parts): Type {
  if (parts.token !== undefined) return 'bearer';
  if (parts.username !== undefined || parts.password !== undefined) return 'basic';
  return 'headers';
}

type MainCredential = Extract<Credential, { type: 'bearer' | 'basic' }>;

function readBearer(reading: Reading, parts: Parts, at: YamlNode): MainCredential | undefined {
  const { token, type } = parts;
  if (token === undefined) {
    if (type?.value === 'bearer')
      reading.problems.error(at, { text: '"auth: bearer" needs a token', fix: 'write it under "token"' });
    return undefined;
  }
  // `token: Bearer x` is what people copy from a header; the scheme is added when it goes out.
  const bare = token.value.reveal().replace(/^bearer +/i, '');
  return checkValue(reading, makeSecret(bare), token.at)
    ? { type: 'bearer', token: reading.secrets.add(bare) }
    : undefined;
}

function readBasic(reading: Reading, parts: Parts, at: YamlNode): MainCredential | undefined {
  const { username, password } = parts;
  if (username === undefined || password === undefined) {
    reading.problems.error(at, {
      text: 'basic authentication needs a user name and a password',
      fix: 'write "username" and "password"',
    });
    return undefined;
  }
  // RFC 7617 §2: the first colon ends the name. Control characters are not allowed in either.
  if (/[:\p{Cc}]/u.test(username.value) || /\p{Cc}/u.test(password.value.reveal())) {
    reading.problems.error(username.at, {
      text: 'a user name cannot have a colon, nor it or the password a control character',
    });
    return undefined;
  }
  const pair = `${username.value}:${password.value.reveal()}`;
  reading.secrets.add(Buffer.from(pair, 'utf8').toString('base64'));
  return { type: 'basic', username: username.value, password: password.value };
}

function authorizationOf(reading: Reading, credential: MainCredential): Pair {
  if (credential.type === 'bearer')
    return ['Authorization', reading.secrets.add(`Bearer ${credential.token.reveal()}`)];
  const pair = `${credential.username}:${credential.password.reveal()}`;
  return ['Authorization', reading.secrets.add(`Basic ${Buffer.from(pair, 'utf8').toString('base64')}`)];
}
