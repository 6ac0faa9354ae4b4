/**
 * Whom `why` is asked about: a user of the files, or somebody who comes in by an access token, with their tokens.
 *
 * Of access tokens the files say only what their claims would give. What the tokens really name is known to a service
 * that has let one in and remembers it, or is said in the question. A subject is written as in the log, `oauth:NAME`;
 * without that only where a token of it is remembered, so that a slip of the pen is not taken for somebody.
 */
import type { Grant } from '../auth/access-token.ts';
import { currentPrincipal, UNLISTED, unlistedId, type Named } from '../auth/unlisted.ts';
import { admitsUnlisted } from '../config/oauth.ts';
import type { Config, Principal } from '../model.ts';
import { formatInstant } from '../text/instant.ts';
import { findNearest } from '../text/nearest.ts';

export interface WhoQuestion {
  readonly config: Config;
  readonly user: string;
  /** What an access token is to name; undefined: what those name that are remembered. */
  readonly named?: Named | undefined;
  readonly nowMs: number;
  /** What access tokens of a subject said that are remembered, the newest first. */
  seen(subject: string): readonly Grant[];
}

export interface WhyToken {
  readonly label: string | null;
  readonly state: string;
  readonly networks: readonly string[];
}

export interface Who {
  readonly principal: Principal;
  readonly tokens: readonly WhyToken[];
  /** What has to be known besides; null: nothing. */
  readonly note: string | null;
}

const ACCESS_TOKEN = 'access token';
/** Tokens of one subject that are shown. */
const GRANT_COUNT_SHOWN = 5;

/** @returns names that may have been meant, when there is nobody of that name */
export function findWho(question: WhoQuestion): Who | { readonly nearest: readonly string[] } {
  const { config, user, named } = question;
  const subject = user.startsWith(UNLISTED) ? user.slice(UNLISTED.length) : user;
  const grants = config.oauth === undefined ? [] : question.seen(subject);
  const listed = config.principals.find(({ id }) => id === subject);
  const mayBeListed = listed !== undefined && (subject === user || config.oauth !== undefined);
  if (mayBeListed) {
    const tokens = tokensOf(listed, grants, question.nowMs);
    return { principal: listed, tokens, note: noteOfUser(question, tokens.length > 0) };
  }
  // A slip of the pen is not taken for somebody who comes in by an access token.
  const isMeant = subject !== user || grants.length > 0;
  if (config.oauth === undefined || !isMeant) return { nearest: nearestUser(config, user) };
  const names = named ?? grants[0]?.named ?? { roles: [], servers: [] };
  const id = unlistedId(config, subject, names);
  const principal = id === undefined ? undefined : currentPrincipal(config, id);
  // Bounded by configuration: none of its servers.
  const nobody: Principal = { id: `${UNLISTED}${subject}`, role: 'user', tokenDigests: [], servers: new Map() };
  const sights = grants.slice(0, GRANT_COUNT_SHOWN).map((grant) => describeGrant(grant));
  const note = noteOf({ isLetIn: principal !== undefined, named, grants }, config);
  return { principal: principal ?? nobody, tokens: sights, note };
}

function tokensOf(principal: Principal, grants: readonly Grant[], nowMs: number): readonly WhyToken[] {
  const own = principal.tokenDigests.map((digest) => tokenState(principal, digest, nowMs));
  return [...own, ...grants.slice(0, GRANT_COUNT_SHOWN).map((grant) => describeGrant(grant))];
}

function noteOfUser({ config, user, named }: WhoQuestion, hasTokens: boolean): string | null {
  if (config.oauth === undefined) return null;
  if (!hasTokens) return 'an access token that names this user lets them in; none is remembered';
  if (named === undefined && !user.startsWith(UNLISTED)) return null;
  return 'this is a user of the files, also with an access token: what the token names counts for nothing';
}

function noteOf(
  found: { readonly isLetIn: boolean; readonly named: Named | undefined; readonly grants: readonly Grant[] },
  { oauth }: Config,
): string | null {
  const { isLetIn, named, grants } = found;
  const sets = new Set(grants.map((grant) => JSON.stringify(grant.named)));
  const claims = [oauth?.claims.role, oauth?.claims.servers].filter((claim) => claim !== undefined);
  const parts = [
    ...(isLetIn ? [] : ['refused (403): this user has no server and is no administrator']),
    ...(named === undefined && grants.length === 0 && claims.length > 0
      ? [`what their token names in ${claims.join(' and ')} is not known; say it with --role and --server`]
      : []),
    ...(named === undefined && sets.size > 1 ? ['their tokens name different rights; this is about the newest'] : []),
  ];
  return parts.length === 0 ? null : parts.join('; ');
}

function describeGrant({ named, endsMs }: Grant): WhyToken {
  const roles = named.roles.length === 0 ? '' : `roles ${named.roles.join(', ')}; `;
  const servers = named.servers.length === 0 ? '' : `servers ${named.servers.join(', ')}; `;
  return { label: ACCESS_TOKEN, state: `${roles}${servers}valid until ${formatInstant(endsMs)}`, networks: [] };
}

function nearestUser({ principals, oauth }: Config, user: string): readonly string[] {
  const ids = principals.map(({ id }) => id);
  const nearest = findNearest(user, ids);
  const isOther = oauth !== undefined && admitsUnlisted(oauth) && !user.startsWith(UNLISTED);
  return [...(nearest === undefined ? [] : [nearest]), ...(isOther ? [`${UNLISTED}${user}`] : [])];
}

function tokenState(principal: Principal, digest: string, nowMs: number): WhyToken {
  const terms = principal.tokenTerms?.get(digest);
  const { label = null, expiresMs, notBeforeMs, networks = [] } = terms ?? {};
  return { label, state: describeTerms({ expiresMs, notBeforeMs }, nowMs), networks };
}

function describeTerms(
  { expiresMs, notBeforeMs }: { expiresMs: number | undefined; notBeforeMs: number | undefined },
  nowMs: number,
): string {
  if (expiresMs !== undefined && expiresMs <= nowMs) return `expired at ${formatInstant(expiresMs)}`;
  if (notBeforeMs !== undefined && notBeforeMs > nowMs) return `valid from ${formatInstant(notBeforeMs)} on`;
  return expiresMs === undefined ? 'valid' : `valid until ${formatInstant(expiresMs)}`;
}
