/**
 * What a reload changes, in the operator's words: servers, users, settings; never a secret.
 *
 * Secrets are compared by value and named by what they are for ("credential for github changed"). A change of a shared
 * server is told once, at the server, and not again for everybody who uses it.
 */
import type { AccessFilter, AccessRule, Config, Credential, Principal, ServerConfig } from '../model.ts';
import type { Pair } from './decode.ts';

export interface ConfigDiff {
  readonly servers: {
    readonly added: readonly string[];
    readonly removed: readonly string[];
    readonly changed: readonly string[];
    readonly enabled: readonly string[];
    readonly disabled: readonly string[];
  };
  readonly users: {
    readonly added: readonly string[];
    readonly removed: readonly string[];
    readonly changed: readonly string[];
  };
  /** Names of changed settings, as they are written in mcproxy.yml. */
  readonly settings: readonly string[];
  /** One sentence for each part of a server or user that changed. */
  readonly notes: readonly string[];
}

/** Compares two configurations. */
export function diffConfig(before: Config, after: Config): ConfigDiff {
  const both = [...after.servers.values()].flatMap((now) => {
    const old = before.servers.get(now.name);
    return old === undefined ? [] : [{ old, now, parts: changedParts(old, now) }];
  });
  const oldUsers = new Map(before.principals.map((user) => [user.id, user]));
  const newUsers = new Map(after.principals.map((user) => [user.id, user]));
  const users = [...newUsers].flatMap(([id, now]) => {
    const old = oldUsers.get(id);
    return old === undefined
      ? []
      : [{ id, parts: changedAccess({ user: old, config: before }, { user: now, config: after }) }];
  });
  return {
    servers: {
      added: missingFrom(after.servers, before.servers),
      removed: missingFrom(before.servers, after.servers),
      changed: both.filter(({ parts }) => parts.length > 0).map(({ now }) => now.name),
      enabled: both.filter(({ old, now }) => !old.enabled && now.enabled).map(({ now }) => now.name),
      disabled: both.filter(({ old, now }) => old.enabled && !now.enabled).map(({ now }) => now.name),
    },
    users: {
      added: missingFrom(newUsers, oldUsers),
      removed: missingFrom(oldUsers, newUsers),
      changed: users.filter(({ parts }) => parts.length > 0).map(({ id }) => id),
    },
    settings: changedSettings(before, after),
    notes: [
      ...both.flatMap(({ now, parts }) => parts.map((part) => `server ${now.name}: ${part} changed`)),
      ...users.flatMap(({ id, parts }) => parts.map((part) => `user ${id}: ${part}`)),
    ],
  };
}

/** One plain line for each change; none when nothing changed. */
export function describeDiff(diff: ConfigDiff): string[] {
  const { servers, users, settings, notes } = diff;
  return [
    ...servers.added.map((name) => `server ${name}: added`),
    ...servers.removed.map((name) => `server ${name}: removed`),
    ...servers.enabled.map((name) => `server ${name}: enabled`),
    ...servers.disabled.map((name) => `server ${name}: disabled`),
    ...users.added.map((name) => `user ${name}: added`),
    ...users.removed.map((name) => `user ${name}: removed`),
    ...notes,
    ...settings.map((name) => `setting ${name}: changed`),
  ];
}

/** What differs between two forms of a server, besides whether it is enabled. */
function changedParts(old: ServerConfig, now: ServerConfig): string[] {
  if (old === now) return [];
  const a = partsOf(old);
  const b = partsOf(now);
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].filter(
    (part) => JSON.stringify(a[part]) !== JSON.stringify(b[part]),
  );
}

/** Everything that makes a server what it is, comparable; the result holds secrets and stays in this file. */
function partsOf(server: ServerConfig): Record<string, unknown> {
  const { kind, transport, timeouts, retries, era, share, idleMs, lacks, exposure, limits, ownLimits, lock } = server;
  const { prefix, tools, prompts, resources, rename, describe, arguments: rules } = exposure;
  const shown = { prefix, tools: { ...tools, rename, describe, rules }, prompts, resources };
  const reach = { era, share, idle: idleMs, 'what each user brings': lacks };
  const shared = { kind, transport, timeouts, retries, lock, limits: [limits, ownLimits], ...reach, ...shown };
  if (server.kind === 'http') {
    const { url, otherUrls, credential, headers, caFile } = server;
    return {
      ...shared,
      url: [url, ...otherUrls],
      credential: revealCredential(credential),
      headers: revealPairs(headers),
      ca_file: caFile,
    };
  }
  const { command, args, env, cwd, startMs, roots, replicas } = server;
  return { ...shared, command, args, env: revealPairs(env), cwd, timeout: startMs, roots, replicas };
}

function revealCredential(credential: Credential): readonly unknown[] {
  const { type } = credential;
  switch (type) {
    case 'none':
    case 'passthrough':
      return [type];
    case 'bearer':
      return [type, credential.token.reveal()];
    case 'basic':
      return [type, credential.username, credential.password.reveal()];
    case 'headers':
      return [type, revealPairs(credential.headers)];
    case 'hmac':
      return [type, credential.keyId, credential.secret.reveal(), credential.scheme];
    case 'oauth': {
      const { clientSecret, refreshToken } = credential.client;
      return [type, credential.client, clientSecret?.reveal(), refreshToken?.reveal()];
    }
  }
}

function revealPairs(pairs: readonly Pair[]): readonly unknown[] {
  return pairs.map(([name, value]) => [name, value.reveal()]);
}

interface Seen {
  readonly user: Principal;
  readonly config: Config;
}

function changedAccess(old: Seen, now: Seen): string[] {
  const tokens = (seen: Seen): string => tokensOf(seen.user);
  const parts = [
    ...(old.user.role === now.user.role ? [] : [`role is ${now.user.role} now`]),
    ...(tokens(old) === tokens(now) ? [] : ['token changed']),
    ...changedRules(old, now),
  ];
  // Somebody who may use all servers is not worth a line for each.
  if (old.user.servers === old.config.servers && now.user.servers === now.config.servers) return parts;
  for (const name of missingFrom(now.user.servers, old.user.servers)) parts.push(`may use ${name} now`);
  for (const name of missingFrom(old.user.servers, now.user.servers)) parts.push(`may no longer use ${name}`);
  for (const [name, server] of now.user.servers) {
    const earlier = old.user.servers.get(name);
    if (earlier === undefined || (isShared(old, earlier) && isShared(now, server))) continue;
    const enabled = earlier.enabled === server.enabled ? [] : ['enabled'];
    for (const part of [...enabled, ...changedParts(earlier, server)]) {
      if (!isToldAtServer({ part, name }, old.config, now.config)) parts.push(`${part} for ${name} changed`);
    }
  }
  return parts;
}

/** Comparable, with the terms on which each is good; where they stand is no difference. */
function tokensOf({ tokenDigests, tokenTerms }: Principal): string {
  return JSON.stringify(tokenDigests.toSorted().map((digest) => [digest, { ...tokenTerms?.get(digest), at: null }]));
}

/** Servers are told one by one. */
function changedRules({ user: old, config: before }: Seen, { user: now, config: after }: Seen): string[] {
  const kinds = ['tools', 'prompts', 'resources'] as const;
  const changed = kinds.filter((kind) => rulesText(old.access?.[kind]) !== rulesText(now.access?.[kind]));
  const isDefault = old.limits === before.userLimits && now.limits === after.userLimits;
  const isSame = isDefault || JSON.stringify(old.limits) === JSON.stringify(now.limits);
  const limits = isSame ? [] : ['limits changed'];
  return [...changed.map((kind) => `rules for ${kind} changed`), ...limits];
}

function rulesText(filter: AccessFilter | undefined): string {
  return JSON.stringify([filter?.allow, filter?.deny].map(patternsOf));
}

function patternsOf(rules: readonly AccessRule[] | undefined): readonly string[] | undefined {
  return rules?.map(({ pattern }) => pattern).toSorted();
}

function isShared(seen: Seen, server: ServerConfig): boolean {
  return seen.config.servers.get(server.name) === server;
}

/** A part that a user inherits changes with the shared server; only a credential is always worth a line. */
function isToldAtServer(changed: { part: string; name: string }, before: Config, after: Config): boolean {
  if (changed.part === 'credential') return false;
  const old = before.servers.get(changed.name);
  const now = after.servers.get(changed.name);
  return old !== undefined && now !== undefined && changedParts(old, now).includes(changed.part);
}

function changedSettings(before: Config, after: Config): string[] {
  const a = settingsOf(before);
  const b = settingsOf(after);
  return Object.keys(b).filter((name) => JSON.stringify(a[name]) !== JSON.stringify(b[name]));
}

/** Comparable; the result holds a secret and stays in this file. */
function settingsOf(config: Config): Record<string, unknown> {
  return {
    listen: config.listen,
    path_prefix: config.pathPrefix,
    public_url: config.publicUrl,
    auth: [config.auth, oauthOf(config)],
    roles: rolesOf(config),
    oauth: config.facade,
    allowed_hosts: config.allowedHosts,
    allowed_origins: config.allowedOrigins,
    trusted_proxies: config.trustedProxies,
    shutdown_grace: config.shutdownGraceMs,
    drain: config.drainMs,
    heartbeat: config.heartbeatMs,
    'cluster.key': config.clusterKey?.reveal(),
    'limits.body': config.bodyBytesMax,
    limits: config.userLimits,
    'log.file': config.log.file,
    'log.params': config.log.params,
    'log.on_failure': config.log.onFailure,
    'log.level': config.log.level,
    'log.chain': config.log.chain,
    'admin.socket': config.adminSocket,
    'mcproxy.lock': [...config.toolLock].map(([server, tools]) => [server, [...tools]]),
  };
}

/** Of who gets them by a claim; what a role means for users of the files is told for each of them. */
function rolesOf({ oauth, servers }: Config): unknown {
  return [...(oauth?.claims.roles ?? [])].map(([name, { own, ...role }]) => {
    const lists = [role.servers, role.tools, role.prompts, role.resources].map((filter) => filter && rulesText(filter));
    const special = [...own.values()].filter((server) => server !== servers.get(server.name)).map(partsOf);
    return [name, lists, role.limits, special];
  });
}

/** Only compared, never shown. */
function oauthOf({ oauth }: Config): unknown {
  return { ...oauth, servers: [...(oauth?.servers.keys() ?? [])], secret: oauth?.introspection?.clientSecret.reveal() };
}

function missingFrom<V, W>(here: ReadonlyMap<string, V>, there: ReadonlyMap<string, W>): string[] {
  return [...here.keys()].filter((name) => !there.has(name));
}
