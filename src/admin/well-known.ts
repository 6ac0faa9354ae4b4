/**
 * The OAuth discovery paths that MCP clients probe after a 401, answered locally.
 *
 * Clients ask for these whether or not anything is there (RFC 9728 §3, RFC 8414 §3, OpenID Connect Discovery, and
 * dynamic registration at the origin's root). Where an authorization server is configured the metadata of each protected
 * resource names it; where that is mcproxy itself its own metadata are here too. To everything else the answer is a small JSON 404: it ends the probing at once, reaches no upstream
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

/** And where it is here. */
export const DISCOVERY_HERE = {
  error: 'not_found',
  error_description: 'there is no such document; /.well-known/oauth-authorization-server is that of the service',
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

/**
 * Whether a path is that of the authorization server's metadata, in one of the forms that clients try (RFC 8414 §3.1,
 * OpenID Connect Discovery §4; MCP 2025-03-26 clients leave the path of the service out).
 */
export function isServerMetadata(path: string, basePath: string): boolean {
  return ['oauth-authorization-server', 'openid-configuration'].some(
    (name) => path === `/.well-known/${name}` || path === `/.well-known/${name}${basePath}`,
  );
}

/** The document about mcproxy as an authorization server (RFC 8414 §2, RFC 9207 §3, draft-ietf-oauth-client-id-metadata-document §5). */
export function serverMetadata(issuer: string, scope: string): Readonly<Record<string, unknown>> {
  return {
    issuer,
    authorization_endpoint: `${issuer}/oauth/authorize`,
    token_endpoint: `${issuer}/oauth/token`,
    registration_endpoint: `${issuer}/oauth/register`,
    revocation_endpoint: `${issuer}/oauth/revoke`,
    scopes_supported: [scope],
    response_types_supported: ['code'],
    response_modes_supported: ['query'],
    grant_types_supported: ['authorization_code', 'refresh_token'],
    token_endpoint_auth_methods_supported: ['none'],
    revocation_endpoint_auth_methods_supported: ['none'],
    code_challenge_methods_supported: ['S256'],
    authorization_response_iss_parameter_supported: true,
    client_id_metadata_document_supported: true,
  };
}
