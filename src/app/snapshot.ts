/**
 * One configuration with everything derived from it, frozen: what a request sees from its beginning to its end.
 *
 * A reload builds the next one beside it and swaps one reference; nothing here is ever changed. Connections, files
 * and whatever else has to be closed are not part of it.
 */
import { oauthEndpoint } from '../admin/oauth-endpoints.ts';
import { isResourceMetadata, isServerMetadata } from '../admin/well-known.ts';
import { createTokenVerifier, type TokenVerifier } from '../auth/access-token.ts';
import { makeAuthenticator, type Authenticator } from '../auth/authenticate.ts';
import { currentPrincipal } from '../auth/unlisted.ts';
import { verifiesSame } from '../config/oauth.ts';
import { makeTrustedProxies, type TrustedProxies } from '../http/client-ip.ts';
import type { CorsPolicy } from '../http/cors.ts';
import type { Exchange } from '../http/exchange.ts';
import type { GuardPolicy } from '../http/guard.ts';
import type { Diag } from '../log/diag.ts';
import type { PassingSecrets } from '../log/passing-secrets.ts';
import { makeRedactor, type Redactor } from '../log/redact.ts';
import type { Clock, Config, HttpServerConfig, RoleConfig } from '../model.ts';
import { requestControl } from '../upstream/control.ts';
import type { Facade, Issuing } from './facade.ts';

export interface Snapshot {
  readonly config: Config;
  readonly authenticator: Authenticator;
  /** What it knows about access tokens outlives the snapshot, while the same is believed. */
  readonly verifier: TokenVerifier | undefined;
  /** Of mcproxy as its own authorization server. */
  readonly issuing: Issuing | undefined;
  readonly guard: GuardPolicy & CorsPolicy;
  readonly trustedProxies: TrustedProxies | undefined;
  readonly redactor: Redactor;
}

export interface SnapshotOptions {
  readonly clock: Clock;
  readonly diag: Diag;
  readonly facade: Facade;
  readonly passingSecrets: PassingSecrets;
}

/** Derives what requests need. @param before the one in force */
export function makeSnapshot(config: Config, options: SnapshotOptions, before?: Snapshot): Snapshot {
  const { clock, diag, facade, passingSecrets } = options;
  const issuing = facade.issuing(config);
  const verifier =
    before !== undefined && verifiesSame(before.config, config)
      ? before.verifier
      : createTokenVerifier(config, {
          clock,
          ask: requestControl,
          onDiag: (level, text, data) => diag[level](text, data),
        });
  return Object.freeze({
    config,
    authenticator: makeAuthenticator(config, {
      verifier,
      issued: issuing && { seals: issuing.seals, hasEnded: (family) => issuing.families.hasEnded(family) },
      nowMs: () => clock.wallMs(),
      onStrange: (subject, names) =>
        diag.debug('an access token names roles or servers that are not there', { subject, ...names }),
      makeNetworks(blocks) {
        const networks = makeTrustedProxies(blocks);
        return (ip) => networks?.trusts(ip) ?? false;
      },
    }),
    verifier,
    issuing,
    guard: {
      pathPrefix: config.pathPrefix,
      listenHost: config.listen.host,
      authenticated: config.auth === 'tokens',
      allowedHosts: config.allowedHosts,
      allowedOrigins: config.allowedOrigins,
      isPublic: issuing === undefined ? isResourceMetadata : (path) => isPublicOf(issuing, path),
      ...(config.publicUrl === undefined ? {} : { publicOrigin: new URL(config.publicUrl).origin }),
    },
    trustedProxies: makeTrustedProxies(config.trustedProxies),
    redactor: makeRedactor(config.secrets, passingSecrets),
  });
}

/** Programs prove themselves by what they send. A person's form is not public: it is taken from our own page alone. */
function isPublicOf({ issuer }: Issuing, path: string): boolean {
  const endpoint = oauthEndpoint(path);
  if (endpoint !== undefined) return endpoint !== 'authorize';
  return isResourceMetadata(path) || isServerMetadata(path, new URL(issuer).pathname.replace(/\/$/, ''));
}

/** Every HTTP server as somebody sees it, shared or a user's own. */
export function httpServers(config: Config): ReadonlySet<HttpServerConfig> {
  const own = [...config.principals.map(({ servers }) => servers), ...rolesOf(config).map((role) => role.own)];
  // Most users have the very map of all.
  const maps = new Set([config.servers, ...own]);
  const found = new Set<HttpServerConfig>(); // Bounded by configuration.
  for (const servers of maps) for (const server of servers.values()) if (server.kind === 'http') found.add(server);
  return found;
}

function rolesOf({ oauth }: Config): RoleConfig[] {
  return [...(oauth?.claims.roles.values() ?? [])];
}

/** Whether the token that let the exchange in would not do so now. */
export function isRevoked(exchange: Exchange, { authenticator, config }: Snapshot): boolean {
  const { tokenDigest, principalId } = exchange;
  const { principal, upstream, clientIp } = exchange.entry;
  if (principal === null) return false;
  if (tokenDigest !== null)
    return !authenticator.stillValid({ tokenDigest, principalId: principalId ?? principal, clientIp });
  // Without a token of ours only a passthrough server lets anybody in.
  const server = config.servers.get(upstream ?? '');
  return server?.kind === 'http' && server.credential.type !== 'passthrough';
}

/** When the next token expires after `nowMs`; undefined when none will. */
export function nextExpiryMs({ principals }: Config, nowMs: number): number | undefined {
  let next: number | undefined;
  for (const { tokenTerms } of principals) {
    for (const { expiresMs } of tokenTerms?.values() ?? []) {
      if (expiresMs !== undefined && expiresMs > nowMs && expiresMs < (next ?? Number.POSITIVE_INFINITY))
        next = expiresMs;
    }
  }
  return next;
}

/** Whether the server of the exchange is still there for its principal. */
export function hasServer({ entry, principalId }: Exchange, { config }: Snapshot): boolean {
  if (entry.upstream === null) return true;
  return (currentPrincipal(config, principalId ?? '')?.servers ?? config.servers).get(entry.upstream)?.enabled === true;
}
