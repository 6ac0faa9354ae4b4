/**
 * The OAuth discovery paths that MCP clients probe after a 401, answered locally.
 *
 * Clients ask for these whether or not anything is there (RFC 9728 §3, RFC 8414 §3, OpenID Connect Discovery, and
 * dynamic registration at the origin's root). Where an authorization server is configured the metadata of each protected
 * resource names it. To everything else the answer is a small JSON 404: it ends the probing at once, reaches no upstream
 * and is no failure of access.
 */

const DISCOVERY =
  /(?:^|\/)\.well-known\/(?:oauth-protected-resource|oauth-authorization-server|openid-configuration)(?:\/|$)/;
const OAUTH_ENDPOINT = /^\/(?:register|authorize|token)$/;

/** Whether a path is one of the probes. */
export function isDiscoveryProbe(path: string): boolean {
  return path.startsWith('/.well-known/') || DISCOVERY.test(path) || OAUTH_ENDPOINT.test(path);
}

/** The body of the 404, in the form of RFC 6749 §5.2. */
export const NO_DISCOVERY = {
  error: 'not_found',
  error_description: 'this server uses bearer tokens that its operator hands out; there is no OAuth flow here',
} as const;

/** The same where there is one elsewhere. */
export const DISCOVERY_ELSEWHERE = {
  error: 'not_found',
  error_description: 'this server is no authorization server; /.well-known/oauth-protected-resource names it',
} as const;

const METADATA = '/.well-known/oauth-protected-resource';

/** Whether a path is one where such metadata would be: it has no secret, and clients in browsers look for it. */
export function isResourceMetadata(path: string): boolean {
  return path === METADATA || path.startsWith(`${METADATA}/`);
}

/** Where the metadata of a resource is, by the path of the resource (RFC 9728 §3.1). */
export function metadataPath(path: string): string {
  return `${METADATA}${path}`;
}

/**
 * The path, below `basePath`, of the resource that a metadata path is about: empty for the service as a whole.
 *
 * @returns undefined when it is no such path
 */
export function metadataSubject(path: string, basePath: string): string | undefined {
  if (!isResourceMetadata(path)) return undefined;
  const subject = path.slice(METADATA.length);
  return subject === basePath || subject.startsWith(`${basePath}/`) ? subject.slice(basePath.length) : subject;
}

/** The document (RFC 9728 §2). */
export function resourceMetadata(about: {
  readonly resource: string;
  readonly issuer: string;
  readonly scopes: readonly string[];
}): Readonly<Record<string, unknown>> {
  return {
    resource: about.resource,
    authorization_servers: [about.issuer],
    ...(about.scopes.length === 0 ? {} : { scopes_supported: about.scopes }),
    bearer_methods_supported: ['header'],
    resource_name: 'mcproxy',
  };
}
