/**
 * The parameters of a Bearer challenge: `WWW-Authenticate` as a server answers 401 with it.
 *
 * One field may hold challenges of several schemes; only those of Bearer are read, the first of each name. Total: what
 * does not follow the grammar gives nothing. Sources: RFC 9110 §11.6.1, RFC 6750 §3, RFC 9728 §5.1.
 */

const ITEM = /([\w!#$%&'*+.^`|~-]+)(?:[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+)))?/gs;

export interface BearerChallenge {
  /** Where the metadata of the resource is. */
  readonly resourceMetadata: string | undefined;
  /** Separated by blanks, as they are written. */
  readonly scope: string | undefined;
}

export function parseBearerChallenge(field: string | undefined): BearerChallenge {
  let scheme = '';
  let resourceMetadata: string | undefined;
  let scope: string | undefined;
  for (const [, name = '', quoted, bare] of (field ?? '').matchAll(ITEM)) {
    const value = quoted?.replaceAll(/\\(.)/gs, '$1') ?? bare;
    if (value === undefined) scheme = name.toLowerCase();
    else if (scheme === 'bearer' && name.toLowerCase() === 'resource_metadata') resourceMetadata ??= value;
    else if (scheme === 'bearer' && name.toLowerCase() === 'scope') scope ??= value;
  }
  return { resourceMetadata, scope };
}
