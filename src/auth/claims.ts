/**
 * Reads what a claim of an access token names, however its issuer writes it.
 *
 * A claim is found by its exact name, which may be a URL, else by a path of names with dots between, into objects only;
 * of names that have dots themselves the longest is tried first. Its value is a list of texts, or one text with blanks
 * between. What cannot be a name of this configuration is left out, because most issuers name groups that are none of
 * ours. Pure. Source: RFC 7519 §4 (names of claims), RFC 9068 §2.2.3.1 (roles and groups in access tokens).
 */
import { CLAIM_VALUE_COUNT_MAX } from '../limits.ts';
import { isObject } from '../mcp/jsonrpc.ts';
import type { JwtClaims } from './jwt.ts';

/** The value of a claim; undefined when there is none. */
export function findClaim(claims: JwtClaims, name: string): unknown {
  if (Object.hasOwn(claims, name)) return claims[name];
  for (let dot = name.lastIndexOf('.'); dot > 0; dot = name.lastIndexOf('.', dot - 1)) {
    const part = name.slice(0, dot);
    const inner = Object.hasOwn(claims, part) ? claims[part] : undefined;
    const found = isObject(inner) ? findClaim(inner, name.slice(dot + 1)) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

/**
 * The names in a claim, each once.
 *
 * @param isName what may be one
 * @returns undefined when there are too many: to leave some out could leave out the one that denies something
 */
export function namesIn(
  claims: JwtClaims,
  claim: string | undefined,
  isName: (text: string) => boolean,
): readonly string[] | undefined {
  if (claim === undefined) return [];
  const value = findClaim(claims, claim);
  const texts: readonly unknown[] = Array.isArray(value) ? value : typeof value === 'string' ? value.split(' ') : [];
  const names = new Set(texts.filter((text): text is string => typeof text === 'string' && isName(text)));
  return names.size > CLAIM_VALUE_COUNT_MAX ? undefined : [...names];
}
