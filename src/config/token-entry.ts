/**
 * A token as it is written into tokens.yml: the digest alone, or a map with a label and the terms on which it is good.
 *
 * Values are quoted, because a digest of digits or a day might mean something else to another reader of the file. Where
 * an entry goes in the text is the business of `edit.ts` and `edit-tokens.ts`. Pure.
 */
import { STEP, type Shape } from './edit-text.ts';

export interface TokenEntry {
  /** `sha256:` and 64 hex digits. */
  readonly digest: string;
  readonly label?: string;
  /** As `expires` is written. */
  readonly expires?: string;
  readonly networks?: readonly string[];
}

export function tokenShape({ digest, label, expires, networks = [] }: TokenEntry): Shape {
  const terms: (readonly [string, Shape])[] = [
    ...(label === undefined ? [] : [['label', label] as const]),
    ...(expires === undefined ? [] : [['expires', expires] as const]),
    ...(networks.length === 0 ? [] : [['networks', networks] as const]),
  ];
  return terms.length === 0 ? digest : { map: [['sha256', digest.replace(/^sha256:/, '')], ...terms] };
}

/** On one line. @param style `json` where the file may be JSON */
export function renderToken(entry: TokenEntry, style: 'yaml' | 'json'): string {
  return renderShape(tokenShape(entry), style);
}

export function renderShape(shape: Shape, style: 'yaml' | 'json'): string {
  if (typeof shape === 'string' && style === 'yaml' && /^sha256:[\da-f]{64}$/.test(shape)) return shape;
  if (typeof shape !== 'object' || shape === null) return JSON.stringify(shape);
  if (isList(shape)) return `[${shape.map((item) => renderShape(item, style)).join(', ')}]`;
  const key = (name: string): string => (style === 'yaml' ? name : JSON.stringify(name));
  const blank = style === 'yaml' ? STEP.slice(1) : '';
  return `{${blank}${shape.map.map(([name, value]) => `${key(name)}: ${renderShape(value, style)}`).join(', ')}${blank}}`;
}

function isList(shape: Exclude<Shape, string | number | boolean | null>): shape is readonly Shape[] {
  return Array.isArray(shape);
}
