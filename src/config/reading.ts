/**
 * One file while it is read: its text with variables put in, its problems, and the secrets that came to light.
 *
 * A scalar where text is wanted gives what the operator wrote: `token: 0123` is `0123`, not the number 123. References
 * to variables are resolved here and nowhere else, so that each missing one is reported once, at its place.
 */
import type { Secret } from '../model.ts';
import { interpolate } from '../text/interpolate.ts';
import { makeSecret } from '../text/secret.ts';
import type { YamlNode, YamlScalar } from '../text/yaml.ts';
import type { FileProblems, Place } from './problems.ts';

export interface SecretList {
  /** Remembers `text` for redaction; the empty text is no secret. */
  add(text: string): Secret;
  list(): Secret[];
}

/** A secret that stands elsewhere: in a file of its own, or among the credentials of the service. */
export interface SecretReference {
  readonly kind: 'file' | 'cred';
  /** A path, or the name of a credential. */
  readonly name: string;
}

export type SecretRead =
  | { readonly text: string }
  /** Neither holds the secret. */
  | { readonly problem: string; readonly fix: string };

export interface Reading {
  /** The file's path, as the operator knows it. */
  readonly path: string;
  readonly text: string;
  readonly problems: FileProblems;
  readonly secrets: SecretList;
  /** The value of a variable. */
  readonly lookup: (name: string) => string | undefined;
  /** `path` as seen from this file. */
  readonly resolvePath: (path: string) => string;
  readonly readSecret: (reference: SecretReference) => SecretRead;
}

const REFERENCE = /^(file|cred):/;
const CREDENTIAL_NAME = /^(?!\.{1,2}$)[A-Za-z0-9_.-]{1,255}$/;
/** Stands before a text that only looks like a reference. */
const LITERAL = /^text:(?=(?:file|cred):)/;

/**
 * `secret`: the whole value is one. `variables`: what variables bring in is. `open`: nothing is, as in a port number.
 */
export type Secrecy = 'secret' | 'variables' | 'open';

/** An empty list; each text is held once. */
export function collectSecrets(): SecretList {
  const known = new Map<string, Secret>();
  return {
    add(text) {
      const secret = known.get(text) ?? makeSecret(text);
      if (text !== '') known.set(text, secret);
      return secret;
    },
    list: () => [...known.values()],
  };
}

/** The text of a scalar with its variables put in; undefined after a problem was reported, or when it is no text. */
export function readText(reading: Reading, node: YamlNode, secrecy: Secrecy): string | undefined {
  if (node.kind !== 'scalar' || node.value === null) return undefined;
  const written = typeof node.value === 'string' ? node.value : reading.text.slice(node.start, node.end);
  const { text, variables, missing, malformedAt } = interpolate(written, reading.lookup);
  for (const name of missing) {
    const found = findReference(reading.text, node, name);
    reading.problems.error(found.place, {
      text: `the variable ${name} is not set`,
      fix: `set ${name} in the environment, or write \${${name}:-default}`,
      shown: found.shown,
    });
  }
  if (malformedAt !== undefined) {
    reading.problems.error(node, {
      text: 'a "${" here does not begin a reference to a variable',
      fix: 'write ${NAME} or ${NAME:-default}; for the characters themselves write $${',
    });
  }
  if (secrecy === 'secret') reading.secrets.add(text);
  if (secrecy !== 'open') for (const { value } of variables) reading.secrets.add(value);
  return missing.length > 0 || malformedAt !== undefined ? undefined : text;
}

/**
 * The same where a secret is expected: `file:PATH` and `cred:NAME` stand for what is there. Only what is written begins a
 * reference, never what a variable brings in; its name may hold variables.
 */
export function readSecretText(reading: Reading, node: YamlNode, secrecy: Secrecy): string | undefined {
  const written = node.kind === 'scalar' && typeof node.value === 'string' ? node.value : '';
  if (LITERAL.test(written)) {
    const text = readText(reading, node, secrecy)?.replace(LITERAL, '');
    if (text !== undefined && secrecy === 'secret') reading.secrets.add(text);
    return text;
  }
  const [start, kind] = REFERENCE.exec(written) ?? [];
  if (start === undefined) return readText(reading, node, secrecy);
  const name = readText(reading, node, 'open')?.slice(start.length).trim();
  if (name === undefined) return undefined;
  const read = readReferred(reading, { kind: kind === 'cred' ? 'cred' : 'file', name });
  if ('text' in read) return reading.secrets.add(read.text).reveal();
  reading.problems.error(node, { text: read.problem, fix: read.fix });
  return undefined;
}

function readReferred(reading: Reading, { kind, name }: SecretReference): SecretRead {
  if (kind === 'cred' && !CREDENTIAL_NAME.test(name)) {
    return { problem: 'this cannot be the name of a credential', fix: 'write cred:NAME, with NAME of LoadCredential' };
  }
  if (name === '') return { problem: 'after "file:" there must be a path', fix: 'write file:PATH' };
  return reading.readSecret({ kind, name: kind === 'file' ? reading.resolvePath(name) : name });
}

/** The text as it has to be written where `readSecretText` reads it and no reference is meant. */
export function asLiteral(text: string): string {
  return REFERENCE.test(text) || LITERAL.test(text) ? `text:${text}` : text;
}

/** Tells whether the scalar looks like a reference that could only be meant as one. */
export function looksLikeCredential(node: YamlNode): boolean {
  return node.kind === 'scalar' && typeof node.value === 'string' && /^cred:[\w.-]{1,255}$/.test(node.value);
}

/** Tells whether the scalar is one reference and nothing else, so that the file itself does not hold the value. */
export function isReference(node: YamlNode): boolean {
  if (node.kind !== 'scalar' || typeof node.value !== 'string') return false;
  return REFERENCE.test(node.value) || (/^\$\{[^}]*\}$/.test(node.value) && !node.value.includes(':-'));
}

/** Tells whether `node` stands for "nothing written", as after a key without value. */
export function isNothing(node: YamlNode): boolean {
  return node.kind === 'scalar' && node.value === null;
}

function findReference(text: string, node: YamlScalar, name: string): { place: Place; shown: string | undefined } {
  const source = text.slice(node.start, node.end);
  const written = [`\${${name}}`, `\${env:${name}}`, `\${${name}`, `\${env:${name}`].find((reference) =>
    source.includes(reference),
  );
  if (written === undefined) return { place: node, shown: undefined };
  const before = source.slice(0, source.indexOf(written)).split(/\r\n|\r|\n/);
  const last = before.at(-1) ?? '';
  const column = before.length === 1 ? node.column + last.length : last.length + 1;
  return { place: { line: node.line + before.length - 1, column }, shown: written };
}
