/**
 * The OAuth discovery paths that MCP clients probe after a 401, answered locally.
 *
 * Clients ask for these whether or not anything is there (RFC 9728 §3, RFC 8414 §3, OpenID Connect Discovery, and
 * dynamic registration at the origin's root). Without OAuth configured the answer is a small JSON 404: it ends the
 * probing at once, reaches no upstream and is no failure of access.
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
