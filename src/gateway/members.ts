/**
 * Which peer serves which server for which principal; the only file that opens and closes peers.
 *
 * A command without anything of the user's own runs once for all, whatever each is shown of it; every other server
 * has a peer per principal, which is opened on first use and closed when nobody used it for `PEER_IDLE_MS`; `share`
 * and `idle` of a server say otherwise. Two principals never share what either has a credential or an environment of
 * their own for. Nothing is opened for who lacks what each user brings. Over a reload a server that means the same
 * keeps its peer; what is gone is closed when its calls have ended.
 */
import { ProxyError } from '../errors.ts';
import { requireCredential } from '../auth/credentials.ts';
import { currentPrincipal } from '../auth/unlisted.ts';
import { usersLacking } from '../config/lacking.ts';
import { PEER_COUNT_MAX, PEER_IDLE_MS } from '../limits.ts';
import type { Clock, Config, MemberStatus, Principal, ServerConfig } from '../model.ts';
import { asProxyError } from './catalog.ts';
import type { OnDiag } from './diag.ts';
import { createMember, type Member, type Peer } from './member.ts';
import { isSameServer } from './same-server.ts';

export type OpenPeer = (server: ServerConfig, scope: { readonly principalId: string | undefined }) => Peer;

export interface MembersOptions {
  readonly config: Config;
  readonly openPeer: OpenPeer;
  readonly clock: Clock;
  readonly onDiag: OnDiag;
  /** Nothing is started before somebody needs it. */
  readonly isLazy?: boolean;
}

export interface Members {
  /**
   * The member for a principal's server, opened if needed.
   *
   * @throws {ProxyError} CREDENTIAL_MISSING; OVERLOADED when there are too many
   */
  get(principalId: string, server: ServerConfig): Member;
  /** The same without opening. */
  find(principalId: string, server: ServerConfig): Member | undefined;
  /** Keeps what means the same, closes what is gone or changed, starts what all share. Does not wait for the end of calls. */
  reload(config: Config): void;
  status(): readonly MemberStatus[];
  /** All that are open. */
  all(): readonly Member[];
  close(): Promise<void>;
}

/** Whether mcproxy itself can speak to it; a passthrough server needs the client's own header, so it is relayed only. */
export function isServable(server: ServerConfig): boolean {
  return server.enabled && !(server.kind === 'http' && server.credential.type === 'passthrough');
}

/** What the functions below work on. */
interface Table {
  readonly options: MembersOptions;
  readonly members: Map<string, Member>;
  readonly closing: Set<Promise<void>>;
  config: Config;
  sweep: { readonly timer: NodeJS.Timeout; readonly periodMs: number } | undefined;
  closed: boolean;
}

export function createMembers(options: MembersOptions): Members {
  const table: Table = {
    options,
    members: new Map(), // Bounded by PEER_COUNT_MAX.
    closing: new Set(), // Bounded by PEER_COUNT_MAX.
    config: options.config,
    sweep: undefined,
    closed: false,
  };
  const { members } = table;
  warmUp(table);
  return {
    get: (principalId, server) => get(table, principalId, server),
    find: (principalId, server) => members.get(keyOf(server.name, scopeOf(table, principalId, server))),
    reload: (next) => reload(table, next),
    all: () => [...members.values()],
    status: () => [...[...members.values()].map((member) => member.status()), ...lacking(table)],
    async close() {
      table.closed = true;
      clearTimeout(table.sweep?.timer);
      // Whoever waited for an answer was given the grace before, and is gone.
      for (const [key, member] of members) retire(table, key, member, 0);
      await Promise.all(table.closing);
    },
  };
}

/** Undefined is the scope of all: of a server to which the user added nothing but what is shown of it. */
function scopeOf({ config }: Table, principalId: string, server: ServerConfig): string | undefined {
  const shared = config.servers.get(server.name);
  const isShared = shared !== undefined && isSharable(server) && (shared === server || isInherited(shared, server));
  return isShared ? undefined : principalId;
}

/** What a user wrote is theirs alone, also when it says the same. */
function isInherited(shared: ServerConfig, server: ServerConfig): boolean {
  const isBare =
    shared.kind === 'stdio'
      ? server.kind === 'stdio' && shared.args === server.args && shared.env === server.env
      : server.kind === 'http' && shared.credential === server.credential && shared.headers === server.headers;
  return isBare && isSameServer(shared, server);
}

function isSharable({ kind, share }: ServerConfig): boolean {
  return share === 'all' || (share === 'auto' && kind === 'stdio');
}

/** Users named in one row; more are not shown. */
const LACKING_COUNT_SHOWN = 20;

const NOTHING_RUNS = {
  principal: null,
  state: 'lacking',
  since: null,
  era: null,
  revision: null,
  tools: null,
  calls: 0,
  restarts: 0,
  pid: null,
  last_error_code: 'CREDENTIAL_MISSING',
} as const;

/** Servers that some may not use yet, a row each. */
function lacking({ config }: Table): MemberStatus[] {
  const servers = [...config.servers.values()].filter(({ enabled, lacks }) => enabled && lacks.length > 0);
  return servers.flatMap(({ name, lacks }) => {
    const who = usersLacking(config, name);
    if (who.length === 0) return [];
    const reason = `these users have no ${lacks.join(' and ')} of their own: ${who
      .slice(0, LACKING_COUNT_SHOWN)
      .map(({ id }) => id)
      .join(', ')}${who.length > LACKING_COUNT_SHOWN ? ' …' : ''}`;
    return [{ ...NOTHING_RUNS, server: name, last_error: reason }];
  });
}

function get(table: Table, principalId: string, server: ServerConfig): Member {
  // Looked for only where it is needed: this is asked for every call.
  if (server.lacks.length > 0)
    requireCredential(server, table.config.principals.find(({ id }) => id === principalId) ?? { id: principalId });
  const scope = scopeOf(table, principalId, server);
  const key = keyOf(server.name, scope);
  const member = table.members.get(key);
  if (member !== undefined && isSameServer(member.server, server)) return member;
  if (member !== undefined) retire(table, key, member);
  return open(table, server, scope);
}

function open(table: Table, server: ServerConfig, principalId: string | undefined): Member {
  const { members, options } = table;
  if (table.closed) throw new ProxyError('SHUTTING_DOWN', 'mcproxy is stopping; try again shortly');
  if (members.size >= PEER_COUNT_MAX) makeRoom(table);
  const { clock, onDiag } = options;
  const peer = openPeer(table, server, principalId);
  const member = createMember({ server, principalId, peer, clock, onDiag });
  members.set(keyOf(server.name, principalId), member);
  if (idleMsOf(member) !== undefined) scheduleSweep(table);
  return member;
}

/** @throws {ProxyError} INTERNAL when it cannot even be opened, which a peer that only connects later never does */
function openPeer({ options }: Table, server: ServerConfig, principalId: string | undefined): Peer {
  try {
    return options.openPeer(server, { principalId });
  } catch (error) {
    options.onDiag('warn', 'a server could not be opened', { server: server.name, error: String(error) });
    throw asProxyError(error, server.name);
  }
}

/** Takes it out of use at once and closes it when its calls have ended. */
// oxlint-disable-next-line max-params -- the grace is nearly always that of the configuration
function retire(table: Table, key: string, member: Member, graceMs = table.config.shutdownGraceMs): void {
  const { closing, members, options } = table;
  members.delete(key);
  const end = member
    .close(graceMs)
    .catch((error: unknown) => {
      options.onDiag('warn', 'a server was not closed well', { server: member.server.name, error: String(error) });
    })
    .finally(() => closing.delete(end));
  closing.add(end);
}

/** After how long without use it is closed; undefined: never. */
function idleMsOf({ server, principalId }: Member): number | undefined {
  const { idleMs = principalId === undefined ? 0 : PEER_IDLE_MS } = server;
  return idleMs === 0 ? undefined : idleMs;
}

function makeRoom(table: Table): void {
  const idle = ownMembers(table).filter(([, member]) => member.idleSinceMs !== undefined);
  const oldest = idle.toSorted(([, a], [, b]) => (a.idleSinceMs ?? 0) - (b.idleSinceMs ?? 0))[0];
  if (oldest === undefined) throw new ProxyError('OVERLOADED', 'too many servers are in use; try again shortly');
  retire(table, ...oldest);
}

/** One look at all of them now and then, so that a call costs no timer. */
function scheduleSweep(table: Table): void {
  const spans = [...table.members.values()].flatMap((member) => idleMsOf(member) ?? []);
  const periodMs = spans.reduce((least, span) => Math.min(least, span / 2), Number.POSITIVE_INFINITY);
  if (spans.length === 0 || (table.sweep !== undefined && table.sweep.periodMs <= periodMs)) return;
  clearTimeout(table.sweep?.timer);
  const timer = setTimeout(() => {
    table.sweep = undefined;
    const nowMs = table.options.clock.monotonicMs();
    for (const [key, member] of table.members) {
      const idleMs = idleMsOf(member);
      if (idleMs !== undefined && (member.idleSinceMs ?? nowMs) <= nowMs - idleMs) retire(table, key, member);
    }
    scheduleSweep(table);
  }, periodMs).unref();
  table.sweep = { timer, periodMs };
}

function ownMembers({ members }: Table): [string, Member][] {
  return [...members].filter(([, member]) => member.principalId !== undefined);
}

function reload(table: Table, next: Config): void {
  table.config = next;
  const principals = new Map(next.principals.map((principal) => [principal.id, principal]));
  const find = (id: string): Principal | undefined => principals.get(id) ?? currentPrincipal(next, id);
  for (const [key, member] of table.members) {
    const { principalId } = member;
    const servers = principalId === undefined ? next.servers : find(principalId)?.servers;
    const server = servers?.get(member.server.name);
    const isUsable = server?.enabled === true && server.lacks.length === 0;
    const sameScope = isUsable && scopeOf(table, principalId ?? '', server) === principalId;
    if (sameScope && isSameServer(member.server, server)) member.adopt(server);
    else retire(table, key, member);
  }
  warmUp(table);
}

/** Commands that all share start before anybody asks, because starting takes long. */
function warmUp(table: Table): void {
  if (table.options.isLazy === true) return;
  for (const server of table.config.servers.values()) {
    if (server.kind !== 'stdio' || !server.enabled || !isSharable(server) || server.lacks.length > 0) continue;
    if (table.members.has(keyOf(server.name, undefined))) continue;
    void startMember(table, server);
  }
}

async function startMember(table: Table, server: ServerConfig): Promise<void> {
  try {
    await open(table, server, undefined).describe();
  } catch {
    // The member remembers why, and who could not be opened is in the diagnostic log.
  }
}

function keyOf(serverName: string, principalId: string | undefined): string {
  return principalId === undefined ? serverName : `${serverName}\0${principalId}`;
}
