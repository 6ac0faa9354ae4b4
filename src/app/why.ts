/**
 * Why somebody may use a tool or a server, or may not: who they are, which rule decides, what would go out, what is up.
 *
 * Asks the same functions that serve requests (`mcp/access`, `mcp/exposure`, `mcp/names`), so that it cannot say
 * something else than what happens. What only a running service knows, lists and states, is handed in; without it the
 * files alone speak. Holds no secret: of a credential it tells the kind, and where it was written.
 */
import { lackText } from '../auth/credentials.ts';
import { nameOf } from '../auth/unlisted.ts';
import { hasRules, judgeAccess } from '../mcp/access.ts';
import { makeExposure, type Exposure } from '../mcp/exposure.ts';
import { exposeName, findOwnersByName, stripPrefix } from '../mcp/names.ts';
import type { AccessFilter, AccessRule, Credential, FilePlace } from '../model.ts';
import type { HttpServerConfig, Principal, ServerConfig, TokenState } from '../model.ts';
import { matchesGlob } from '../text/glob.ts';
import { findNearest } from '../text/nearest.ts';
import { findWho, type WhoQuestion, type WhyToken } from './why-who.ts';

/** What a running service knows of a server. */
export interface UpstreamNow {
  readonly state: string;
  /** The server's own names of its tools; undefined when nobody has asked it yet. */
  readonly tools: readonly string[] | undefined;
}

export interface WhyQuestion extends WhoQuestion {
  /** A server, a tool as it is in /mcp, or a tool without prefix. */
  readonly target: string;
  upstream(principal: Principal, server: ServerConfig): UpstreamNow;
  /** Of the access tokens for it; undefined where nobody has needed one. */
  tokenState(server: HttpServerConfig): TokenState | undefined;
}

export type WhyAsked = Pick<WhyQuestion, 'user' | 'target' | 'named'>;

export interface WhyMatch {
  readonly server: string;
  /** Null where a server was asked about. */
  readonly tool: string | null;
  readonly exposed_name: string | null;
  /** Null when the server's list is not known. */
  readonly exists: boolean | null;
  /** Null when the name is only a guess: it names no server, and this one's list is not known. */
  readonly allowed: boolean | null;
  readonly reason: string;
  /** The rule that decides; null when it is the absence of one. */
  readonly rule: { readonly pattern: string; readonly from: string; readonly at: string | null } | null;
  readonly credential: {
    readonly sent: string;
    readonly from: string;
    readonly at: string | null;
    /** Of the access token; null where none goes out, or nobody has needed one. */
    readonly token: TokenState | null;
  };
  readonly upstream: string;
}

export interface WhyAnswer {
  readonly user: string;
  readonly role: string;
  readonly roles: readonly string[];
  readonly tokens: readonly WhyToken[];
  /** What has to be known besides. */
  readonly note: string | null;
  readonly target: string;
  readonly allowed: boolean;
  readonly matches: readonly WhyMatch[];
  /** Names that may have been meant, when there is no such user or target. */
  readonly nearest: readonly string[];
  /** `user` or `target` when it is not known. */
  readonly unknown: 'user' | 'target' | null;
}

export function explainAccess(question: WhyQuestion): WhyAnswer {
  const { user, target } = question;
  const who = findWho(question);
  if ('nearest' in who) {
    const nobody = { user, role: '', roles: [], tokens: [], note: null, target, allowed: false, matches: [] };
    return { ...nobody, nearest: who.nearest, unknown: 'user' };
  }
  const { principal, tokens, note } = who;
  const all = serversAround(question, principal);
  const matches = findMatches(question, principal, all);
  return {
    user: nameOf(principal.id),
    role: principal.role,
    roles: principal.roles ?? [],
    tokens,
    note,
    target,
    allowed: matches.some(({ allowed }) => allowed === true),
    matches,
    nearest: matches.length > 0 ? [] : nearestTo(target, all),
    unknown: matches.length > 0 ? null : 'target',
  };
}

/** A question as the query of a URL, and back. */
export function whyQuery({ user, target, named }: WhyAsked): URLSearchParams {
  const query = new URLSearchParams({ user, target });
  for (const role of named?.roles ?? []) query.append('role', role);
  for (const server of named?.servers ?? []) query.append('server', server);
  return query;
}

export function readWhyQuery(query: URLSearchParams): WhyAsked {
  const named = { roles: query.getAll('role'), servers: query.getAll('server') };
  const isSaid = named.roles.length + named.servers.length > 0;
  return { user: query.get('user') ?? '', target: query.get('target') ?? '', named: isSaid ? named : undefined };
}

/** A server with everything that names are made from. */
interface Around {
  readonly server: ServerConfig;
  readonly prefix: string;
  readonly prefixes: readonly string[];
  readonly exposure: Exposure;
  readonly now: UpstreamNow;
  readonly token: TokenState | undefined;
}

/** Theirs, then those that only others may use. */
function serversAround(question: WhyQuestion, principal: Principal): Around[] {
  const { config } = question;
  const theirs = [...principal.servers.values()];
  const others = [...config.servers.values()].filter(({ name }) => !principal.servers.has(name));
  const prefixes = theirs.filter(isMerged).map(({ exposure }) => exposure.prefix);
  return [...theirs, ...others].map((server) => ({
    server,
    prefix: server.exposure.prefix,
    prefixes,
    exposure: makeExposure(server.exposure),
    now: question.upstream(principal, server),
    token: server.kind === 'http' ? question.tokenState(server) : undefined,
  }));
}

function isMerged(server: ServerConfig): boolean {
  return server.enabled && !(server.kind === 'http' && server.credential.type === 'passthrough');
}

function findMatches({ target }: WhyQuestion, principal: Principal, all: readonly Around[]): WhyMatch[] {
  const named = all.find(({ server }) => server.name === target);
  if (named !== undefined) return [matchServer(principal, named)];
  const owners = all.map((around) => ({ server: around.server.name, prefix: around.prefix, around }));
  const exact = findOwnersByName(target, owners).flatMap(({ around }) => matchTool(principal, around, target) ?? []);
  const known = exact.filter(({ exists }) => exists === true);
  if (known.length > 0) return known;
  const prefixed = exact.filter(({ exposed_name: name }) => name === target);
  const bare = all.flatMap((around) => matchBare(principal, around, target) ?? []);
  const certain = bare.filter(({ exists }) => exists === true);
  if (certain.length > 0) return certain;
  return prefixed.some(({ server }) => all.some((around) => around.server.name === server && around.prefix !== ''))
    ? prefixed
    : bare.filter(({ server }) => principal.servers.has(server)).map((match) => guessed(match));
}

/** Nobody ever listed this name: that no rule is against it says nothing. */
function guessed(match: WhyMatch): WhyMatch {
  if (match.allowed === false) return match;
  const [state = ''] = match.upstream.split(/[:;]/);
  const reason = `unknown while server ${match.server} is ${state}; nobody has listed a tool of this name`;
  return { ...match, allowed: null, reason, rule: null };
}

/** As it is in the merged catalog. */
function matchTool(principal: Principal, around: Around, exposed: string): WhyMatch | undefined {
  const { exposure, now, prefix } = around;
  const shown = stripPrefix(exposed, prefix);
  if (now.tools !== undefined) {
    const own = now.tools.find((name) => mergedName(around, name) === exposed);
    return own === undefined ? undefined : judgeTool(principal, around, own);
  }
  return judgeTool(principal, around, exposure.ownName('tools', shown) ?? shown);
}

/** Without a prefix: by the server's own name, or by the one it is shown under. */
function matchBare(principal: Principal, around: Around, name: string): WhyMatch | undefined {
  const { exposure, now } = around;
  const own = now.tools?.find((tool) => tool === name || exposure.shownName('tools', tool) === name);
  if (now.tools !== undefined) return own === undefined ? undefined : judgeTool(principal, around, own);
  return judgeTool(principal, around, exposure.ownName('tools', name) ?? name);
}

function mergedName({ server, prefix, prefixes, exposure }: Around, own: string): string {
  return exposeName(exposure.shownName('tools', own), { server: server.name, prefix, prefixes });
}

function matchServer(principal: Principal, around: Around): WhyMatch {
  const verdict = judgeServer(principal, around.server);
  const note =
    verdict.allowed === true && hasRules(principal.access)
      ? `${verdict.reason}; of its tools and the rest what further rules allow`
      : verdict.reason;
  return { ...describe(principal, around), tool: null, exposed_name: null, exists: true, ...verdict, reason: note };
}

function judgeTool(principal: Principal, around: Around, own: string): WhyMatch {
  const { exposure, prefix, prefixes, server, now } = around;
  const common = {
    ...describe(principal, around),
    tool: own,
    exposed_name: mergedName(around, own),
    exists: now.tools === undefined ? null : now.tools.includes(own),
  };
  const access = judgeServer(principal, server);
  if (!access.allowed) return { ...common, ...access };
  if (!exposure.shows('tools', own)) {
    const reason = `the server hides it from everybody ("tools.allow" or "tools.deny" of ${server.name})`;
    return { ...common, allowed: false, reason, rule: null };
  }
  const scope = { server: server.name, prefix, prefixes };
  const { allowed, rule } = judgeAccess(principal.access, 'tools', { exposure, scope, own });
  if (rule !== undefined) {
    return { ...common, allowed, reason: allowed ? 'a rule allows it' : 'a rule denies it', rule: showRule(rule) };
  }
  const reason = allowed
    ? 'no rule is against it, and the server is theirs'
    : 'there is a list of tools for this user, and none of its patterns matches';
  return { ...common, allowed, reason, rule: allowed ? access.rule : null };
}

type Judged = Pick<WhyMatch, 'allowed' | 'reason' | 'rule'>;

function judgeServer(principal: Principal, { name }: ServerConfig): Judged {
  const { servers, access } = principal;
  const server = servers.get(name);
  const rule = findServerRule(access?.servers, name);
  if (server === undefined) {
    const reason = rule === undefined ? 'no rule gives this user the server' : 'a rule denies the server';
    return { allowed: false, reason, rule: rule === undefined ? null : showRule(rule) };
  }
  if (server.kind === 'http' && server.credential.type === 'passthrough') {
    return { allowed: false, reason: 'the server takes its own token (passthrough), not that of mcproxy', rule: null };
  }
  if (server.lacks.length > 0) return { allowed: false, reason: lackText(server, principal), rule: null };
  const reason = rule === undefined ? 'everybody may use all servers' : 'a rule gives this user the server';
  return { allowed: true, reason, rule: rule === undefined ? null : showRule(rule) };
}

function findServerRule(filter: AccessFilter | undefined, name: string): AccessRule | undefined {
  const matches = ({ pattern }: AccessRule): boolean => matchesGlob(pattern, name);
  return filter?.deny.find(matches) ?? filter?.allow?.find(matches);
}

function showRule({ pattern, from, at }: AccessRule): NonNullable<WhyMatch['rule']> {
  return { pattern, from, at: showPlace(at) };
}

function showPlace(at: FilePlace | undefined): string | null {
  return at === undefined ? null : `${at.file}:${at.line}:${at.column}`;
}

function describe(
  principal: Principal,
  { server, now, token }: Around,
): Pick<WhyMatch, 'server' | 'credential' | 'upstream'> {
  const upstream = server.enabled ? now.state : 'disabled in the configuration';
  return {
    server: server.name,
    upstream,
    credential: {
      ...showCredential(principal, server),
      token: principal.servers.has(server.name) ? (token ?? null) : null,
    },
  };
}

function showCredential(principal: Principal, server: ServerConfig): Omit<WhyMatch['credential'], 'token'> {
  // Where something is lacking that users bring, nothing goes out, whatever theirs would stand on.
  const isLacking = server.kind === 'http' && server.lacks.length > 0;
  if (!principal.servers.has(server.name) || isLacking) return { sent: 'nothing', from: 'none', at: null };
  if (server.kind === 'stdio') {
    const names = server.env.map(([name]) => `${name}=****`);
    return { sent: names.length === 0 ? 'nothing' : `environment: ${names.join(' ')}`, from: 'environment', at: null };
  }
  return { sent: mask(server.credential), from: server.credentialFrom, at: showPlace(server.credentialAt) };
}

function mask(credential: Credential): string {
  switch (credential.type) {
    case 'none':
      return 'nothing';
    case 'passthrough':
      return "the client's own Authorization";
    case 'bearer':
      return 'Authorization: Bearer ****';
    case 'basic':
      return `Authorization: Basic ${credential.username}:****`;
    case 'hmac':
      return 'a signature (hmac)';
    case 'oauth': {
      const { clientId, refreshToken, tokenUrl, issuer } = credential.client;
      const from = tokenUrl ?? issuer;
      const where = from === undefined ? 'the authorization server that the server names' : new URL(from).origin;
      const how = refreshToken === undefined ? 'client credentials' : 'a refresh token';
      return `Authorization: Bearer **** (an access token of ${where}, by ${how} of the client ${clientId})`;
    }
    case 'headers':
      return credential.headers.map(([name]) => `${name}: ****`).join(', ');
  }
}

function nearestTo(target: string, all: readonly Around[]): string[] {
  const tools = all.flatMap((around) =>
    (around.now.tools ?? []).map((own) => ({ own, merged: mergedName(around, own) })),
  );
  const byOwn = findNearest(
    target,
    tools.map(({ own }) => own),
  );
  const found = [
    findNearest(
      target,
      tools.map(({ merged }) => merged),
    ),
    tools.find(({ own }) => own === byOwn)?.merged,
    findNearest(
      target,
      all.map(({ server }) => server.name),
    ),
  ];
  return [...new Set(found.filter((name) => name !== undefined))];
}
