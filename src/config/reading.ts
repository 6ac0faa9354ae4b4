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
}

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

/** Tells whether the scalar is one reference and nothing else, so that the file itself does not hold the value. */
export function isReference(node: YamlNode): boolean {
  return (
    node.kind === 'scalar' &&
    typeof node.value === 'string' &&
    /^\$\{[^}]*\}$/.test(node.value) &&
    !node.value.includes(':-')
  );
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
