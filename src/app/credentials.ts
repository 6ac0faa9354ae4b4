/**
 * The credentials that go out, as the app holds them: those of the files, and access tokens that are got with them.
 *
 * Here the doors meet that may not know each other: OAuth clients (auth), their requests and the servers' challenges
 * (upstream), the files that keep tokens, and the redaction of the logs.
 */
import { tokenRows, type TokenRow } from '../admin/token-rows.ts';
import { outgoingCredential } from '../auth/credentials.ts';
import { createGrants } from '../auth/grants.ts';
import { OAUTH_CLOSE_MS_MAX } from '../limits.ts';
import type { Diag } from '../log/diag.ts';
import { holdPassingSecrets, type PassingSecrets } from '../log/passing-secrets.ts';
import type { Clock, Config, HttpServerConfig, OutgoingCredential, ServerConfig, TokenState } from '../model.ts';
import { askChallenge } from '../upstream/challenge.ts';
import { requestControl } from '../upstream/control.ts';
import type { UpstreamPool } from '../upstream/pool.ts';
import { settlesWithin } from '../upstream/settles-within.ts';
import { httpServers } from './snapshot.ts';
import { openTokenFiles } from './token-files.ts';

export interface CredentialsOptions {
  readonly clock: Clock;
  readonly diag: Pick<Diag, 'info' | 'warn' | 'redact'>;
  readonly pool: UpstreamPool;
  /** Where tokens are kept for a restart; undefined: nowhere. */
  readonly stateDirectory: string | undefined;
  /** Which configuration this is, the same after a restart: files of it that are not needed may be removed. */
  readonly owner?: string | undefined;
}

export interface Credentials {
  readonly passingSecrets: PassingSecrets;
  for(server: HttpServerConfig): OutgoingCredential;
  /** Of the access tokens for a server; undefined where nobody has needed one. */
  tokenState(server: HttpServerConfig): TokenState | undefined;
  /** The same for all servers, for operators. */
  tokenRows(): readonly TokenRow[];
  /** Goes by this configuration from now on. */
  apply(config: Config): void;
  /** Waits a moment for a token that is on its way, so that it is kept. */
  close(): Promise<void>;
}

export function openCredentials(options: CredentialsOptions): Credentials {
  const { clock, diag, pool, stateDirectory, owner } = options;
  const passingSecrets = holdPassingSecrets();
  const onDiag = (level: 'info' | 'warn', message: string, data: Readonly<Record<string, unknown>>): void =>
    diag[level](message, data);
  const files = openTokenFiles({
    directory: stateDirectory,
    owner: owner ?? '',
    nowMs: () => clock.wallMs(),
    onTrouble: (message, data) => diag.warn(message, data),
  });
  let current: Config | undefined;
  const grants = createGrants({
    clock,
    ask: requestControl,
    challenge: (server) => askChallenge(server, pool.get(server)),
    storeOf: (name) => files.storeOf(name),
    hide: (text) => passingSecrets.hide(text),
    redact: (text) => diag.redact(text),
    labelOf: (servers) => labelOf(servers, current),
    onDiag,
  });
  let isWarned = false;
  let wanted: ReadonlySet<string> = new Set(); // Bounded by configuration.
  let pruning: Promise<void> = Promise.resolve();
  return {
    passingSecrets,
    for: (server) => outgoingCredential(server, { clock, grants }),
    tokenState: (server) => grants.state(server),
    tokenRows: () => (current === undefined ? [] : tokenRows(current, (server) => grants.state(server))),
    apply(config) {
      current = config;
      wanted = grants.retain(httpServers(config));
      if (owner !== undefined) pruning = pruning.then(() => files.prune(wanted));
      if (stateDirectory !== undefined || isWarned || !hasRefreshToken(config)) return;
      isWarned = true;
      diag.warn('refresh tokens that are replaced are lost with this process', {
        reason: 'there is no state directory (STATE_DIRECTORY, XDG_STATE_HOME)',
      });
    },
    close: async () => void (await settlesWithin(grants.idle(), OAUTH_CLOSE_MS_MAX)),
  };
}

/** Who it is about: one user, where nobody else has the client, for others are told of its failures too. */
function labelOf(servers: readonly HttpServerConfig[], config: Config | undefined): string {
  const name = servers[0]?.name ?? '';
  const label = `server ${name}`;
  // Bounded by configuration.
  const all: ReadonlySet<ServerConfig | undefined> = new Set(servers);
  const has = (those: ReadonlyMap<string, ServerConfig>): boolean => all.has(those.get(name));
  const claims = [...(config?.oauth?.claims.roles.values() ?? [])];
  // Who has it by a claim is in no file.
  if (config === undefined || has(config.servers) || claims.some(({ own }) => has(own))) return label;
  const [only, ...others] = config.principals.filter((principal) => has(principal.servers));
  return only === undefined || others.length > 0 ? label : `${label} of user ${only.id}`;
}

function hasRefreshToken(config: Config): boolean {
  for (const { credential } of httpServers(config)) {
    if (credential.type === 'oauth' && credential.client.refreshToken !== undefined) return true;
  }
  return false;
}
