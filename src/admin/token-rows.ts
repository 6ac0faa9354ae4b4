/**
 * What an operator sees of the access tokens for servers: one row for a shared OAuth client, one for all that users bring.
 *
 * Of users' own only those are named that cannot get a new token, together where the reason is the same, with the edit
 * that puts it right. Reasons are those of the grant, which never hold a token or a secret. Pure.
 */
import { STATUS_USER_COUNT_MAX } from '../limits.ts';
import type { Config, HttpServerConfig, MissingScopes, ServerConfig, TokenFailure, TokenState } from '../model.ts';

/** `snake_case`, because it is printed as it is. */
export interface TokenRow {
  readonly server: string;
  /** `user`: those that users, or roles, bring. */
  readonly from: 'shared' | 'user';
  /** OAuth clients of which this row tells. */
  readonly clients: number;
  /** Of them, those with an access token that is good now; the others get one with the next request. */
  readonly good: number;
  /** ISO 8601: the first end of those; null where there is none. */
  readonly good_until: string | null;
  /** Of the clients, those that cannot get a new one. */
  readonly failing: number;
  readonly failures: readonly TokenFailureRow[];
  /** What the server wants that tokens lack. */
  readonly missing: readonly MissingScopesRow[];
}

interface Concerned {
  /** Those who have it, at most `STATUS_USER_COUNT_MAX`; empty where all share it, or a claim gives it. */
  readonly users: readonly string[];
  readonly user_count: number;
  /** The edit to make; null where it is up to the authorization server. */
  readonly action: string | null;
}

export interface TokenFailureRow extends TokenFailure, Concerned {}
export interface MissingScopesRow extends MissingScopes, Concerned {}

/** One OAuth client at a server. */
interface Client {
  readonly server: HttpServerConfig;
  /** The shared server, where the secret is its. */
  readonly lender: HttpServerConfig | undefined;
  readonly users: readonly string[];
  readonly state: TokenState;
}

const NOTHING_YET: TokenState = { good_until: null, failing: null, missing: null };

/** @param stateOf of a server with an OAuth client; undefined where nobody has needed a token */
export function tokenRows(
  config: Config,
  stateOf: (server: HttpServerConfig) => TokenState | undefined,
): readonly TokenRow[] {
  const own = ownClients(config);
  const clients = new Map<string, { shared: Client[]; own: Client[] }>(); // Bounded by configuration.
  const add = (server: HttpServerConfig, from: 'shared' | 'own'): void => {
    const { name } = server;
    const row = clients.get(name) ?? { shared: [], own: [] };
    const lender = lenderOf(server, config.servers.get(name));
    row[from].push({ server, lender, users: own.get(server) ?? [], state: stateOf(server) ?? NOTHING_YET });
    clients.set(name, row);
  };
  for (const server of config.servers.values()) if (isClient(server)) add(server, 'shared');
  for (const server of own.keys()) add(server, 'own');
  const order = [...config.servers.keys()];
  return [...clients]
    .toSorted(([a], [b]) => order.indexOf(a) - order.indexOf(b))
    .flatMap(([name, row]) => [...rowOf(name, 'shared', row.shared), ...rowOf(name, 'user', row.own)]);
}

function rowOf(server: string, from: TokenRow['from'], clients: readonly Client[]): TokenRow[] {
  if (clients.length === 0) return [];
  const ends = clients.flatMap(({ state }) => state.good_until ?? []);
  return [
    {
      server,
      from,
      clients: clients.length,
      good: ends.length,
      good_until: earliest(ends),
      failing: clients.filter(({ state }) => state.failing !== null).length,
      failures: failuresOf(clients),
      missing: missingOf(clients),
    },
  ];
}

function failuresOf(clients: readonly Client[]): TokenFailureRow[] {
  const groups = groupBy(clients, ({ state: { failing }, lender }) =>
    failing === null ? undefined : `${lender === undefined} ${failing.reason}`,
  );
  return groups.flatMap((group) => {
    const failures = group.flatMap(({ state }) => state.failing ?? []);
    const [[failure], [client]] = [failures, group];
    if (failure === undefined || client === undefined) return [];
    const tries = failures.map(({ next_try: next }) => next);
    return {
      ...failure,
      since: earliest(failures.map(({ since }) => since)) ?? failure.since,
      next_try: tries.includes(null) ? null : earliest(tries.flatMap((at) => at ?? [])),
      ...usersOf(group),
      action: actionFor(failure, client, group),
    };
  });
}

function missingOf(clients: readonly Client[]): MissingScopesRow[] {
  const groups = groupBy(clients, ({ state: { missing }, server }) =>
    missing === null ? undefined : `${adviceFor(server)} ${missing.scopes.join(' ')}`,
  );
  return groups.flatMap((group) => {
    const all = group.flatMap(({ state }) => state.missing ?? []);
    const [[missing], [client]] = [all, group];
    if (missing === undefined || client === undefined) return [];
    const advice = adviceFor(client.server);
    return {
      ...missing,
      last:
        all
          .map(({ last }) => last)
          .toSorted()
          .at(-1) ?? missing.last,
      ...usersOf(group),
      action: advice === null ? null : `${advice} under ${placeOf(client.server, group)}`,
    };
  });
}

/** What lets a token have a scope; null: that is up to the authorization server. */
function adviceFor({ credential }: HttpServerConfig): string | null {
  if (credential.type !== 'oauth') return null;
  if (credential.client.refreshToken !== undefined) return 'log in with it and write the new refresh_token';
  return credential.client.scopes.length > 0 ? 'if it may be used, write it to scopes' : null;
}

/** Those of one key together, in order; without a key they are left out. */
function groupBy(clients: readonly Client[], keyOf: (client: Client) => string | undefined): Client[][] {
  const groups = new Map<string, Client[]>(); // Bounded by configuration.
  for (const client of clients) {
    const key = keyOf(client);
    if (key === undefined) continue;
    const same = groups.get(key) ?? [];
    same.push(client);
    groups.set(key, same);
  }
  return [...groups.values()];
}

function usersOf(group: readonly Client[]): Pick<Concerned, 'users' | 'user_count'> {
  const users = group.flatMap((client) => client.users);
  return { users: users.slice(0, STATUS_USER_COUNT_MAX), user_count: users.length };
}

/** ISO 8601 of one length sorts as text. */
function earliest(times: readonly string[]): string | null {
  return times.toSorted()[0] ?? null;
}

/** What the errors of RFC 6749 §5.2 and RFC 8707 §2 are about, as it is written under `auth`. */
const CULPRITS: Readonly<Record<string, string>> = {
  invalid_grant: 'a new refresh_token',
  invalid_client: 'the right client_id and client_secret',
  invalid_scope: 'other scopes',
  invalid_target: 'the right resource',
};

function actionFor(failure: TokenFailure, { server, lender }: Client, group: readonly Client[]): string | null {
  if (failure.code !== 'UPSTREAM_CREDENTIAL') return null;
  const what = CULPRITS[failure.oauth_error ?? ''] ?? 'another client';
  const isLent = failure.oauth_error === 'invalid_client' && lender !== undefined;
  return `write ${what} under ${isLent ? placeOf(lender, []) : placeOf(server, group)}`;
}

/** Where it is written; for several users how it is written for each. */
function placeOf({ name, credentialAt: at }: HttpServerConfig, group: readonly Client[]): string {
  const [user, ...others] = group.flatMap(({ users }) => users);
  if (others.length > 0) return `users.NAME.servers.${name}.auth in tokens.yml`;
  const place = at === undefined ? '' : ` (${at.file}:${at.line}:${at.column})`;
  return `${user === undefined ? '' : `users.${user}.`}servers.${name}.auth${place}`;
}

/** Secrets of one text are one object. */
function lenderOf(server: HttpServerConfig, shared: ServerConfig | undefined): HttpServerConfig | undefined {
  if (server === shared || server.credential.type !== 'oauth') return undefined;
  if (shared?.kind !== 'http' || shared.credential.type !== 'oauth') return undefined;
  return server.credential.client.clientSecret === shared.credential.client.clientSecret ? shared : undefined;
}

/** What users and roles bring, with the users who have it. */
function ownClients(config: Config): ReadonlyMap<HttpServerConfig, readonly string[]> {
  const owners = new Map<HttpServerConfig, string[]>(); // Bounded by configuration.
  const add = (servers: ReadonlyMap<string, ServerConfig>, user: string | undefined): void => {
    // Most users have the very map of all.
    if (servers === config.servers) return;
    for (const server of servers.values()) {
      if (!isClient(server) || server.credentialFrom !== 'user') continue;
      const users = owners.get(server) ?? [];
      if (user !== undefined) users.push(user);
      owners.set(server, users);
    }
  };
  for (const { id, servers } of config.principals) add(servers, id);
  for (const { own } of config.oauth?.claims.roles.values() ?? []) add(own, undefined);
  return owners;
}

/** Whether an OAuth client gets tokens for the server. */
function isClient(server: ServerConfig): server is HttpServerConfig {
  if (server.kind !== 'http' || !server.enabled || server.lacks.length > 0) return false;
  return server.credential.type === 'oauth';
}
