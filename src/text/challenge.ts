/**
 * The parameters of a Bearer challenge: `WWW-Authenticate` as a server answers 401 or 403 with it.
 *
 * One field may hold challenges of several schemes; only those of Bearer are read, the first of each name. Total: what
 * does not follow the grammar gives nothing. Sources: RFC 9110 §11.6.1, RFC 6750 §3, RFC 9728 §5.1.
 */
import { OAUTH_SCOPE_CHARS_MAX, OAUTH_SCOPE_COUNT_MAX } from '../limits.ts';

const ITEM = /([\w!#$%&'*+.^`|~-]+)(?:[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+)))?/gs;

export interface BearerChallenge {
  /** Where the metadata of the resource is. */
  readonly resourceMetadata: string | undefined;
  /** Separated by blanks, as they are written. */
  readonly scope: string | undefined;
  readonly error: string | undefined;
}

export function parseBearerChallenge(field: string | undefined): BearerChallenge {
  let scheme = '';
  const found = new Map<string, string>(); // Bounded by the length of a header.
  for (const [, name = '', quoted, bare] of (field ?? '').matchAll(ITEM)) {
    const value = quoted?.replaceAll(/\\(.)/gs, '$1') ?? bare;
    const lower = name.toLowerCase();
    if (value === undefined) scheme = lower;
    else if (scheme === 'bearer' && !found.has(lower)) found.set(lower, value);
  }
  return { resourceMetadata: found.get('resource_metadata'), scope: found.get('scope'), error: found.get('error') };
}

/** RFC 6749 §3.3. */
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]+$/;

/** Whether a text is one scope. */
export function isScope(text: string): boolean {
  return SCOPE.test(text);
}

/**
 * The scopes that a token lacks, as the field of a 403 says (RFC 6750 §3.1).
 *
 * @returns undefined when it was refused for another reason; none when no scope is named, or what nobody could ask for
 */
export function lackedScopes(field: string | undefined): readonly string[] | undefined {
  const { error, scope = '' } = parseBearerChallenge(field);
  if (error !== 'insufficient_scope') return undefined;
  if (scope.length > OAUTH_SCOPE_CHARS_MAX) return [];
  const scopes = [...new Set(scope.split(' ').filter((part) => part !== ''))];
  return scopes.length <= OAUTH_SCOPE_COUNT_MAX && scopes.every(isScope) ? scopes : [];
}
