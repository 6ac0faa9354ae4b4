/**
 * The tokens of a user: a text alone, a map with a label and the terms on which it is good, or a list of these.
 *
 * Promises: plain-text tokens leave here only as SHA-256, and nothing that could never arrive is taken for a token.
 * Whether a token is good now is for `auth` to say, which has a clock.
 */
import { TOKEN_BYTES_MAX, USER_NAME_CHARS_MAX } from '../limits.ts';
import type { TokenTerms } from '../model.ts';
import type { YamlNode } from '../text/yaml.ts';
import { decodeMap, type Decoded } from './decode.ts';
import { placeOf, showName, type Place } from './problems.ts';
import { isReference, readSecretText, type Reading } from './reading.ts';
import { TOKEN } from './schema-users.ts';

export interface TokenDraft {
  readonly digest: string;
  readonly at: Place | undefined;
  readonly terms: TokenTerms | undefined;
}

/** Lower-case hex SHA-256. */
export type Sha256 = (text: string) => string;

/** RFC 6750 §2.1: what can stand after `Bearer`. */
const TOKEN_TEXT = /^[A-Za-z0-9._~+/-]+=*$/;
const DIGEST = /^sha256:([\da-f]{64})$/i;
const HEX = /^(?:sha256:)?([\da-f]{64})$/i;
const LABEL = new RegExp(`^[A-Za-z0-9._@-]{1,${USER_NAME_CHARS_MAX}}$`);

interface Owner {
  readonly reading: Reading;
  readonly name: string;
  readonly sha256: Sha256;
}

/** Whether `text` can be the label of a token. */
export function isTokenLabel(text: string): boolean {
  return LABEL.test(text);
}

export function decodeTokens(owner: Owner, node: YamlNode): TokenDraft[] {
  const nodes = node.kind === 'seq' ? node.items : [node];
  return nodes.flatMap((one) => (one.kind === 'map' ? decodeTerms(owner, one) : decodeText(owner, one)) ?? []);
}

function decodeText(owner: Owner, node: YamlNode): TokenDraft | undefined {
  const { reading } = owner;
  const text = readSecretText(reading, node, 'open')?.trim();
  if (text === undefined) {
    if (node.kind !== 'scalar' || node.value === null)
      reading.problems.error(node, {
        text: '"token" is not valid',
        fix: 'write sha256:HEX as `mcproxy token add` stores it, or a list of them',
      });
    return undefined;
  }
  const digest = DIGEST.exec(text)?.[1]?.toLowerCase() ?? digestPlain(owner, text, node);
  return digest === undefined ? undefined : { digest, at: node, terms: undefined };
}

function decodeTerms(owner: Owner, node: YamlNode): TokenDraft | undefined {
  const { reading } = owner;
  const before = reading.problems.errorCount();
  const fields = decodeMap({ reading, node }, TOKEN);
  const { label, expires, not_before: notBefore, networks } = fields;
  if (label !== undefined && !isTokenLabel(label.value)) {
    reading.problems.error(label.at, {
      text: '"label" is not valid',
      fix: `use 1 to ${USER_NAME_CHARS_MAX} of the characters A-Z a-z 0-9 . _ @ -`,
    });
  }
  if (expires !== undefined && notBefore !== undefined && expires.value <= notBefore.value)
    reading.problems.error(expires.at, { text: 'the token expires before it is valid', fix: 'correct one of the two' });
  // What is wrong in one part would be told again as missing from the whole.
  const digest = reading.problems.errorCount() > before ? undefined : digestOf(owner, fields, node);
  if (digest === undefined || reading.problems.errorCount() > before) return undefined;
  const terms: TokenTerms = {
    label: label?.value,
    notBeforeMs: notBefore?.value,
    expiresMs: expires?.value,
    networks: networks?.value ?? [],
    at: placeOf(reading.path, node),
  };
  return { digest, at: node, terms };
}

function digestOf(owner: Owner, fields: Decoded<typeof TOKEN>, node: YamlNode): string | undefined {
  const { reading } = owner;
  const { sha256, token } = fields;
  if ((sha256 === undefined) === (token === undefined)) {
    reading.problems.error(node, {
      text: sha256 === undefined ? 'this token has no "sha256"' : '"sha256" and "token" are given both',
      fix: 'write sha256: and 64 hexadecimal digits; `mcproxy token add` does it',
    });
    return undefined;
  }
  if (token !== undefined) {
    const text = token.value.reveal();
    return DIGEST.exec(text)?.[1]?.toLowerCase() ?? digestPlain(owner, text, token.at);
  }
  const digest = HEX.exec(sha256?.value.trim() ?? '')?.[1]?.toLowerCase();
  if (digest === undefined) reportDigest(reading, sha256?.at ?? node);
  return digest;
}

function digestPlain({ reading, name, sha256 }: Owner, text: string, at: YamlNode): string | undefined {
  if (/^sha256:/i.test(text)) {
    reportDigest(reading, at);
    return undefined;
  }
  reading.secrets.add(text);
  if (text.length <= TOKEN_BYTES_MAX && TOKEN_TEXT.test(text)) {
    if (!isReference(at)) {
      reading.problems.warning(at, {
        text: `a token of ${showName(name)} is stored in plain text`,
        fix: '`mcproxy token add` makes a token and stores only its SHA-256',
      });
    }
    return sha256(text).toLowerCase();
  }
  reading.problems.error(at, {
    text:
      text === ''
        ? 'the token is empty'
        : 'this token can never arrive: it is too long or has characters that a bearer token cannot have',
    fix: 'use letters, digits and - . _ ~ + / only, or let `mcproxy token add` make one',
  });
  return undefined;
}

function reportDigest(reading: Reading, at: YamlNode): void {
  reading.problems.error(at, {
    text: 'after "sha256:" there must be 64 hexadecimal digits',
    fix: '`mcproxy token add` makes a token and stores it in this form',
  });
}
