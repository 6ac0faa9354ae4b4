/**
 * Who comes in by an access token and is no user of the files: from what the token names to a principal.
 *
 * They have what `auth.servers` gives to everybody, what the roles give that the role claim names, and the servers that
 * the servers claim names, all added up as the rules of one user are. Only names of the configuration count, as they
 * are: no pattern, no `*`, and `admin` only by the value that the operator chose for it. The id says it all, the name
 * first and then roles and servers, so that whoever has an id has its rights as the configuration is now, and two
 * tokens with different rights share nothing that is kept for one of them. Pure.
 */
import { NO_LIMITS_SAID, resolveLimits } from '../config/limits.ts';
import { admitsUnlisted } from '../config/oauth.ts';
import { ALLOWS_NOTHING, rightsOf, type Allowing } from '../config/rights.ts';
import { CLAIMED_RIGHTS_COUNT_MAX } from '../limits.ts';
import type { AccessRule, Config, OAuthConfig, Principal } from '../model.ts';

/** What a token names, whether there is such a role or server or not. */
export interface Named {
  readonly roles: readonly string[];
  readonly servers: readonly string[];
}

/** No name of the files has a colon, so that nobody is taken for somebody else. */
export const UNLISTED = 'oauth:';

/** What an issuer may call somebody: it stands in the log and in names that are derived from it. */
const SUBJECT = /^[\x21-\x7e]{1,255}$/;

/** No role of the files can be called like this. */
const ADMIN = 'admin';

/**
 * The id of a subject with what a token names, as far as the configuration has it.
 *
 * @returns undefined for what cannot be a name: a blank in it would begin what the id says of rights
 */
export function unlistedId({ oauth, servers }: Config, subject: string, named: Named): string | undefined {
  if (!SUBJECT.test(subject)) return undefined;
  const roles = oauth === undefined ? [] : named.roles.flatMap((name) => roleOf(oauth, name));
  const own = named.servers.filter((name) => servers.has(name));
  return `${UNLISTED}${subject}${part('roles', roles)}${part('servers', own)}`;
}

function roleOf({ claims }: OAuthConfig, name: string): string[] {
  return [...(name === claims.adminRole ? [ADMIN] : []), ...(claims.roles.has(name) ? [name] : [])];
}

function part(name: string, values: readonly string[]): string {
  return values.length === 0 ? '' : ` ${name}=${[...new Set(values)].toSorted().join(',')}`;
}

/** What a token names that the configuration has not. */
export function strangeNames({ oauth, servers }: Config, { roles, servers: own }: Named): Named {
  return {
    roles: roles.filter((name) => oauth === undefined || roleOf(oauth, name).length === 0),
    servers: own.filter((name) => !servers.has(name)),
  };
}

/** The id without the rights that it says: who it is, for the log and for what is counted. */
export function nameOf(principalId: string): string {
  return principalId.startsWith(UNLISTED) ? (principalId.split(' ', 1)[0] ?? '') : principalId;
}

/** Who has this id as the configuration is now; undefined when it lets nobody of that id in. */
export function currentPrincipal(config: Config, id: string): Principal | undefined {
  if (!id.startsWith(UNLISTED)) return config.principals.find((principal) => principal.id === id);
  const [name = '', ...parts] = id.split(' ');
  const { oauth } = config;
  if (oauth === undefined || !admitsUnlisted(oauth) || !SUBJECT.test(name.slice(UNLISTED.length))) return undefined;
  const rights = claimedRights(config, oauth, parts.join(' '));
  const isNobody = rights.servers.size === 0 && rights.role === 'user';
  return isNobody ? undefined : { id, tokenDigests: [], ...rights };
}

type ClaimedRights = Omit<Principal, 'id' | 'tokenDigests'>;

/** Put together once for all who have the same, as long as the configuration is in force. */
const known = new WeakMap<Config, Map<string, ClaimedRights>>();

function claimedRights(config: Config, oauth: OAuthConfig, text: string): ClaimedRights {
  const held = known.get(config) ?? new Map<string, ClaimedRights>(); // Bounded by CLAIMED_RIGHTS_COUNT_MAX.
  known.set(config, held);
  const found = held.get(text);
  if (found !== undefined) return found;
  const made = resolve(config, oauth, readNamed(text));
  held.set(text, made);
  const [oldest] = held.keys();
  if (held.size > CLAIMED_RIGHTS_COUNT_MAX && oldest !== undefined) held.delete(oldest);
  return made;
}

function readNamed(text: string): Named {
  const values = (name: string): string[] => new RegExp(`(?:^| )${name}=(\\S*)`).exec(text)?.[1]?.split(',') ?? [];
  return { roles: values('roles'), servers: values('servers') };
}

function resolve(config: Config, oauth: OAuthConfig, named: Named): ClaimedRights {
  const { claims } = oauth;
  const role = named.roles.includes(ADMIN) && claims.adminRole !== undefined ? 'admin' : 'user';
  // In the order of the configuration, so that it does not matter in which the token names them.
  const roles = [...claims.roles].filter(([name]) => named.roles.includes(name));
  const everybody = oauth.servers === config.servers ? ['*'] : [...oauth.servers.keys()];
  const ruled = claims.servers === undefined ? [] : named.servers;
  const first: Allowing = {
    ...ALLOWS_NOTHING,
    servers: { allow: [...rules(everybody, 'auth.servers'), ...rules(ruled, 'auth.servers_claim')], deny: [] },
  };
  const said = config.userLimits ?? NO_LIMITS_SAID;
  const limits =
    roles.length === 0
      ? config.userLimits
      : resolveLimits(
          NO_LIMITS_SAID,
          roles.map(([, one]) => one.limits),
          said,
        );
  return {
    role,
    ...rightsOf([first, ...roles.map(([, one]) => one)], config.servers),
    ...(roles.length === 0 ? {} : { roles: roles.map(([name]) => name) }),
    ...(limits === undefined ? {} : { limits }),
  };
}

function rules(patterns: readonly string[], from: string): AccessRule[] {
  return patterns.map((pattern) => ({ pattern, from, at: undefined }));
}
