/**
 * Whose resource a URI is in a merged view, and the reversible form for those that collide. Pure.
 *
 * A URI passes through when the view would lead it back to the server it came from, and is wrapped as
 * `mcproxy:SERVER/URI` when not, so that `https:` resources stay fetchable and nothing is ever read at a server that
 * did not offer it. The owner of an exact URI is the first server that lists it; else the template with the longest
 * fixed text that matches decides. The wrapped form has no authority, so that no URL parser normalises what is in it.
 */
import type { ServerList } from './catalog-read.ts';

const WRAPPED = /^mcproxy:([A-Za-z0-9_-]+)\/(.+)$/s;
const EXPRESSION = /\{[^{}]*\}/;
/** A template that does not even fix the scheme would claim every URI there is. */
const FIXED_SCHEME = /^[A-Za-z][A-Za-z0-9+.-]*:/;

export function wrapUri(serverName: string, uri: string): string {
  return `mcproxy:${serverName}/${uri}`;
}

/** The server and its own URI (or template), or undefined when it is not wrapped. */
export function unwrapUri(uri: string): { serverName: string; uri: string } | undefined {
  const match = WRAPPED.exec(uri);
  const [serverName, original] = [match?.[1], match?.[2]];
  return serverName === undefined || original === undefined ? undefined : { serverName, uri: original };
}

/** What one server lists, as far as known. */
export interface Offer {
  readonly serverName: string;
  readonly resources: ServerList | undefined;
  readonly templates: ServerList | undefined;
}

export interface Ownership {
  /** The server that a URI belongs to by the lists. */
  ownerOf(uri: string): string | undefined;
  ownerOfTemplate(template: string): string | undefined;
}

/** @param offers in the order of the view, which decides between servers that offer the same */
export function findOwners(offers: readonly Offer[]): Ownership {
  const byUri = new Map<string, string>(); // Bounded by CATALOG_ITEM_COUNT_MAX.
  // Bounded by CATALOG_ITEM_COUNT_MAX.
  const byTemplate = new Map<string, { serverName: string; literals: string[] }>();
  for (const { serverName, resources, templates } of offers) {
    for (const uri of resources?.keys ?? []) if (!byUri.has(uri)) byUri.set(uri, serverName);
    for (const template of templates?.keys ?? []) {
      const literals = literalsOf(template);
      const shape = literals.join('{}');
      if (!byTemplate.has(shape)) byTemplate.set(shape, { serverName, literals });
    }
  }
  const ranked = [...byTemplate.values()]
    .filter(({ literals }) => FIXED_SCHEME.test(literals[0] ?? ''))
    .toSorted((a, b) => b.literals.join('').length - a.literals.join('').length);
  return {
    ownerOf: (uri) => byUri.get(uri) ?? ranked.find(({ literals }) => matches(literals, uri))?.serverName,
    ownerOfTemplate: (template) => byTemplate.get(literalsOf(template).join('{}'))?.serverName,
  };
}

/** The fixed texts around the expressions of RFC 6570, so that templates that differ in variable names are the same. */
function literalsOf(template: string): string[] {
  return template.split(EXPRESSION);
}

/** Whether the fixed texts come in this order from start to end; linear, whatever the server wrote. */
function matches(literals: readonly string[], uri: string): boolean {
  const first = literals[0] ?? '';
  const last = literals.at(-1) ?? '';
  if (literals.length === 1) return uri === first;
  if (!uri.startsWith(first) || !uri.endsWith(last) || uri.length < first.length + last.length) return false;
  let at = first.length;
  const end = uri.length - last.length;
  for (const literal of literals.slice(1, -1)) {
    const found = uri.indexOf(literal, at);
    if (found === -1 || found + literal.length > end) return false;
    at = found + literal.length;
  }
  return at <= end;
}

/** Whether an update of `uri` concerns somebody subscribed to `parent` (MCP resources: it may be a sub-resource). */
export function isWithin(uri: string, parent: string): boolean {
  if (uri === parent) return true;
  if (!uri.startsWith(parent)) return false;
  return /[/?#]$/.test(parent) || /^[/?#]/.test(uri.slice(parent.length));
}
