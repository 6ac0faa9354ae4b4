/**
 * `${VAR}` and `${VAR:-default}` in a string, as shells and Compose files have them.
 *
 * The default also stands in for an empty variable (POSIX.1-2024, Shell 2.6.2). `$${` is a literal `${`; a `$` before
 * anything else is itself. `${env:VAR}`, the spelling of some editors, means `${VAR}`. References do not nest, and what
 * a variable holds is not expanded again. Every reference that cannot be resolved is returned, none is guessed. Pure:
 * the caller brings the variables. Linear in the length of the text.
 */

const REFERENCE = /^(?:env:)?([A-Za-z_][A-Za-z0-9_]*)(?::-([^]*))?$/;

export interface Variable {
  readonly name: string;
  readonly value: string;
}

export interface Interpolation {
  /** The result; a reference that could not be resolved stands in it as the empty string. */
  readonly text: string;
  /** The variables that were used, in order; a default that was used is not among them. */
  readonly variables: readonly Variable[];
  /** Names without value and without default, in order. */
  readonly missing: readonly string[];
  /** Offset of the first `${` that is no reference (not closed, nested, or with a name no variable can have). */
  readonly malformedAt: number | undefined;
}

/** Replaces the references in `text`; `lookup` gives undefined for a variable that is not set. */
export function interpolate(text: string, lookup: (name: string) => string | undefined): Interpolation {
  const variables: Variable[] = [];
  const missing: string[] = [];
  let malformedAt: number | undefined;
  let out = '';
  let position = 0;
  for (;;) {
    const open = text.indexOf('${', position);
    if (open === -1) break;
    if (open > position && text[open - 1] === '$') {
      out += text.slice(position, open - 1) + '${';
      position = open + 2;
      continue;
    }
    out += text.slice(position, open);
    const close = text.indexOf('}', open);
    const match = close === -1 ? null : REFERENCE.exec(text.slice(open + 2, close));
    const fallback = match?.[2];
    if (match?.[1] === undefined || fallback?.includes('${') === true) {
      malformedAt ??= open;
      if (close === -1) return { text: out, variables, missing, malformedAt };
    } else {
      const name = match[1];
      const value = lookup(name);
      const defaulted = fallback !== undefined && (value === undefined || value === '');
      if (defaulted) out += fallback;
      else if (value === undefined) missing.push(name);
      else {
        variables.push({ name, value });
        out += value;
      }
    }
    position = close + 1;
  }
  return { text: out + text.slice(position), variables, missing, malformedAt };
}
