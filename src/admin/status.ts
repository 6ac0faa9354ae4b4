/**
 * What an operator sees of the servers: one row for each, or for each user who has one of their own, and what to do
 * about those that do not work.
 *
 * Built from the configuration and what the gateway reports of its members. Names and states only: no url, no
 * argument, no environment. Reasons are those that clients get, which never hold a secret. Pure; how a row is laid
 * out is the business of who shows it.
 */
import { usersLacking } from '../config/lacking.ts';
import type { Config, MemberStatus, ServerConfig } from '../model.ts';
import { compareText } from '../text/order.ts';

/** `snake_case`, because it is printed as it is. */
export interface ServerRow extends Omit<MemberStatus, 'principal' | 'state' | 'since'> {
  /** Whose own it is; null: all share it. */
  readonly user: string | null;
  readonly transport: ServerConfig['transport'];
  /** `relayed`: only with the client's own credential, so mcproxy does not know how it is. */
  readonly state: MemberStatus['state'] | 'disabled' | 'relayed';
  /** Of the state; null where it never changed. */
  readonly since: string | null;
  /** Memory of its process. */
  readonly rss_bytes: number | null;
  /** The command to run or the edit to make; null when all is well. */
  readonly action: string | null;
}

/** @param rssBytes the memory of a process, null when it cannot be told */
export function serverRows(
  config: Config,
  members: readonly MemberStatus[],
  rssBytes: (pid: number) => number | null,
): ServerRow[] {
  const rows = members.flatMap((member) => {
    const server = configOf(config, member);
    if (server === undefined) return [];
    const row = rowOf(server, member, rssBytes);
    // Whoever asks from the command line without a name is no user whom a command or a file could name.
    const user = config.principals.some(({ id }) => id === row.user) ? row.user : null;
    const action = row.state === 'lacking' ? actionForLacking(config, server) : actionFor(server, { ...row, user });
    return [{ ...row, action }];
  });
  for (const server of config.servers.values()) {
    if (rows.some((row) => row.server === server.name)) continue;
    const row = rowOf(server, undefined, rssBytes);
    rows.push({ ...row, action: actionFor(server, row) });
  }
  const order = [...config.servers.keys()];
  return rows.toSorted(
    (a, b) => order.indexOf(a.server) - order.indexOf(b.server) || compareText(a.user ?? '', b.user ?? ''),
  );
}

type Row = Omit<ServerRow, 'action'>;

function configOf(config: Config, { server, principal }: MemberStatus): ServerConfig | undefined {
  const own = config.principals.find(({ id }) => id === principal)?.servers.get(server);
  return own ?? config.servers.get(server);
}

function rowOf(server: ServerConfig, member: MemberStatus | undefined, rssBytes: (pid: number) => number | null): Row {
  const { pid = null } = member ?? {};
  return {
    server: server.name,
    user: member?.principal ?? null,
    transport: server.transport,
    state: member?.state ?? restingState(server),
    since: member?.since ?? null,
    era: member?.era ?? null,
    revision: member?.revision ?? null,
    tools: member?.tools ?? null,
    calls: member?.calls ?? 0,
    restarts: member?.restarts ?? 0,
    pid,
    rss_bytes: pid === null ? null : rssBytes(pid),
    last_error: member?.last_error ?? null,
    last_error_code: member?.last_error_code ?? null,
    ...(member?.replicas === undefined ? {} : { replicas: member.replicas }),
  };
}

function restingState(server: ServerConfig): ServerRow['state'] {
  if (!server.enabled) return 'disabled';
  return server.kind === 'http' && server.credential.type === 'passthrough' ? 'relayed' : 'idle';
}

/** A cell is to stay readable; the reason below the table names more. */
const LACKING_COUNT_SHOWN = 3;

/** The edit that gives users what each of them brings. */
function actionForLacking(config: Config, server: ServerConfig): string | null {
  const who = usersLacking(config, server.name).map(({ id }) => id);
  const [first, ...others] = who;
  if (first === undefined) return null;
  const places = (user: string): string =>
    server.lacks.map((what) => `users.${user}.servers.${server.name}.${what}`).join(' and ');
  if (others.length === 0) return `add ${places(first)} to tokens.yml`;
  const more = who.length > LACKING_COUNT_SHOWN ? ` and ${who.length - LACKING_COUNT_SHOWN} more` : '';
  return `add ${places('NAME')} to tokens.yml for ${who.slice(0, LACKING_COUNT_SHOWN).join(', ')}${more}`;
}

/** What puts it right; null when there is nothing to do. */
function actionFor(server: ServerConfig, row: Row): string | null {
  const { name, kind } = server;
  if (row.state === 'disabled') return `remove "enabled: false" of ${name} in mcproxy.yml`;
  if (row.state !== 'down') return null;
  if (row.last_error_code === 'UPSTREAM_CREDENTIAL') {
    const isUsers = kind === 'http' && server.credentialFrom === 'user' && row.user !== null;
    return isUsers
      ? `correct the token of ${name} for ${row.user} in tokens.yml`
      : `correct the credential of ${name} in mcproxy.yml`;
  }
  if (kind === 'http')
    return row.user === null ? 'mcproxy check --connect' : `mcproxy tools ${name} --user ${row.user}`;
  if (row.last_error_code === 'UPSTREAM_TIMEOUT') return `set a longer "timeout" for ${name} in mcproxy.yml`;
  if (row.last_error_code === 'UPSTREAM_UNREACHABLE') return `correct "command" of ${name} in mcproxy.yml`;
  const user = row.user === null ? '' : ` --user ${row.user}`;
  return `mcproxy tools ${name}${user} --no-service --verbose`;
}
