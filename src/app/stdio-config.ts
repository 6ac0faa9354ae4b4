/**
 * The configuration that `mcproxy stdio` runs: one principal, and the servers that it looks at.
 *
 * Whoever starts the command can read the files, so that no token is asked for: without a name it is the principal
 * `local` with the servers of mcproxy.yml and the credentials that all share, with `--user` that user. The bridge
 * form has one server, described by the command line in the words of a configuration, so that its values are checked
 * and its secrets known like those of a file. A server that takes the client's own token has none to take on a pipe.
 */
import { devNull } from 'node:os';

import { parseConfig } from '../config/parse.ts';
import { isServable } from '../gateway/members.ts';
import { PIPED_GRACE_MS_MAX } from '../limits.ts';
import type { Config, Principal, Problem, ServerConfig } from '../model.ts';
import { findNearest } from '../text/nearest.ts';
import { sha256 } from './operator-file.ts';
import { createSecretReader } from './secret-file.ts';

export interface Chosen {
  readonly userName: string | undefined;
  readonly serverName: string | undefined;
}

/** Who everybody is without `--user`. */
const LOCAL = 'local';

/** The configuration with the chosen principal and servers alone; who is not there any more has none. */
export function narrowConfig(config: Config, { userName, serverName }: Chosen): Config {
  const user = config.principals.find(({ id }) => id === userName);
  // Bounded by configuration.
  const all = userName === undefined ? config.servers : (user?.servers ?? new Map<string, ServerConfig>());
  const chosen = [...all].filter(([name]) => serverName === undefined || name === serverName);
  const servers = new Map(chosen.map(([name, server]) => [name, withRoots(server)]));
  const who = userName === undefined ? ({ id: LOCAL, isLocal: true } as const) : { id: userName };
  const principal: Principal = { ...who, role: 'user', tokenDigests: [], servers };
  const shutdownGraceMs = Math.min(config.shutdownGraceMs, PIPED_GRACE_MS_MAX);
  return { ...config, shutdownGraceMs, servers, principals: [principal] };
}

/** The client runs here, as the same user: its folders are those of the commands. */
function withRoots(server: ServerConfig): ServerConfig {
  return server.kind === 'stdio' ? { ...server, roots: true } : server;
}

/** The principal of a narrowed configuration. */
export function principalOf({ principals }: Config): Principal {
  const [principal] = principals;
  if (principal === undefined) throw new TypeError('the configuration was not narrowed');
  return principal;
}

/** What is wrong with the choice, for the user; undefined when it can be run. */
export function choiceProblem(config: Config, chosen: Chosen): string | undefined {
  const { userName, serverName } = chosen;
  const users = config.principals.map(({ id }) => id);
  if (userName !== undefined && !users.includes(userName))
    return `--user: there is no user "${shown(userName)}"${nearest(userName, users)}`;
  const { servers } = narrowConfig(config, { userName, serverName: undefined });
  const names = [...servers.keys()];
  if (names.length === 0 && userName === undefined && users.length > 0)
    return `mcproxy.yml has no servers; for those of a user: --user ${users[0]}`;
  if (names.length === 0) return 'there is no server to use; add one to the configuration';
  const server = servers.get(serverName ?? '');
  if (serverName !== undefined && server === undefined)
    return `--server: there is no server "${shown(serverName)}" for ${userName ?? LOCAL}${nearest(serverName, names)}`;
  if (server !== undefined && !isServable(server)) return `--server: ${server.name} ${whyNot(server)}`;
  return undefined;
}

/** Servers that cannot be used from a pipe although they are enabled. */
export function leftOut(config: Config): string[] {
  return [...config.servers.values()].filter((server) => server.enabled && !isServable(server)).map(({ name }) => name);
}

function whyNot({ enabled }: ServerConfig): string {
  return enabled ? "takes the client's own token (passthrough), which a pipe has not; use --url" : 'is disabled';
}

function nearest(word: string, names: readonly string[]): string {
  const name = findNearest(word, names);
  if (name !== undefined) return `; did you mean "${name}"?`;
  return names.length === 0 ? '' : `; there ${names.length === 1 ? 'is' : 'are'}: ${names.join(', ')}`;
}

function shown(word: string): string {
  return word.replaceAll(/\p{Cc}/gu, '·').slice(0, 80);
}

export interface Remote {
  readonly url: string;
  readonly token: string | undefined;
  /** `NAME:VALUE`, in which `${VAR}` stands for a variable. */
  readonly headers: readonly string[];
  readonly transport: string | undefined;
  /** Whether the access log is wanted, on standard error. */
  readonly log: boolean;
}

/** The name of the one server of the bridge, in its messages. */
export const REMOTE_NAME = 'remote';

/** A configuration of this one server, and without any file. */
export function remoteConfig(
  remote: Remote,
  env: NodeJS.ProcessEnv,
): { readonly config: Config | undefined; readonly problems: readonly Problem[] } {
  const headers = remote.headers.map((header) => {
    const colon = header.indexOf(':');
    return [header.slice(0, Math.max(0, colon)).trim(), header.slice(colon + 1).trim()];
  });
  const variables = new Set(
    remote.headers.flatMap((header) => [...header.matchAll(/\$\{(\w+)/g)].map(([, name]) => name)),
  );
  const entry = {
    url: '${URL}',
    ...(remote.token === undefined ? {} : { token: '${TOKEN}' }),
    ...(headers.length === 0 ? {} : { headers: Object.fromEntries(headers) as unknown }),
    ...(remote.transport === undefined ? {} : { transport: remote.transport }),
  };
  const secrets = createSecretReader(env);
  const { config, problems } = parseConfig({
    files: [{ path: '', role: 'config', text: JSON.stringify({ servers: { [REMOTE_NAME]: entry } }) }],
    env: {
      ...Object.fromEntries(Object.entries(env).filter(([name]) => variables.has(name))),
      URL: remote.url,
      TOKEN: remote.token,
    },
    hostname: '',
    resolvePath: (_base, path) => path,
    readSecret: (reference) => secrets.read(reference),
    sha256,
  });
  if (config === undefined) return { config, problems };
  const log = { ...config.log, file: remote.log ? '-' : devNull };
  return { config: narrowConfig({ ...config, log }, { userName: undefined, serverName: REMOTE_NAME }), problems };
}
