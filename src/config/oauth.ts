/**
 * What the settings say about access tokens of an authorization server, judged as a whole.
 *
 * Promises: what is let in was said completely. A token has to be for this service, so that its audience is written or
 * follows from `public_url`; without that the address of the service is known only where it is a loopback address, for
 * there no other Host gets past the guard. Source: RFC 9728 §2, RFC 8707 §2, MCP 2026-07-28 authorization.
 */
import type { ClaimsConfig, Config, FacadeConfig, OAuthConfig, RoleConfig, ServerConfig } from '../model.ts';
import { findNearest } from '../text/nearest.ts';
import type { Values } from './decode.ts';
import { isLoopbackHost } from './loopback.ts';
import { showName, type FileProblems } from './problems.ts';
import type { SETTINGS } from './schema.ts';

type Settings = Values<typeof SETTINGS>;

export interface OAuthSaid {
  readonly oauth: OAuthConfig | undefined;
  readonly facade?: FacadeConfig;
  readonly publicUrl: string | undefined;
}

/** What the block is judged against. */
interface Known {
  readonly servers: ReadonlyMap<string, ServerConfig>;
  readonly roles: ReadonlyMap<string, RoleConfig>;
}

/** Whether users may come in without a token of their own in the files. */
export function hasIssuer(settings: Settings): boolean {
  return settings['auth.jwt.issuer'] !== undefined || settings['auth.introspection.url'] !== undefined;
}

/** Reports to `problems` what is missing or contradicts itself. */
export function decodeOAuth(settings: Settings, known: Known, problems: FileProblems): OAuthSaid {
  const publicUrl = publicUrlOf(settings, problems);
  const refuse = (text: string, fix: string): void => problems.error(undefined, { text, fix });
  // What is wrong was reported, and is not missing as well.
  const isSound = problems.errorCount() === 0;
  const miss: Refuse = (text, fix) => (isSound ? refuse(text, fix) : undefined);
  const started = Object.keys(settings).filter((name) => name.startsWith('auth.'));
  const facade = facadeOf(settings, publicUrl, { refuse, miss });
  if (facade !== undefined) {
    if (started.length > 0)
      refuse(
        '"oauth" and a block under "auth" contradict each other: a service has one authorization server',
        'delete one',
      );
    return { oauth: undefined, facade, publicUrl };
  }
  // The environment may say `none` beside a file with a block: everybody is let in then.
  if (started.length === 0 || settings.auth === 'none') return { oauth: undefined, publicUrl };
  if (!hasIssuer(settings)) {
    refuse('"auth" lets nobody in', 'write "issuer" under auth.jwt, or "url" under auth.introspection');
    return { oauth: undefined, publicUrl };
  }
  const allowPrivate = settings['auth.allow_private'] ?? false;
  const issuer = settings['auth.jwt.issuer'] ?? settings['auth.introspection.issuer'];
  checkUrls(settings, allowPrivate, refuse);
  const scopes = settings['auth.scopes'] ?? [];
  if (scopes.some((scope) => !/^[\x21\x23-\x5b\x5d-\x7e]+$/.test(scope)))
    refuse('a scope has a character that scopes cannot have', 'write each scope as an item of its own');
  if (scopes.includes('offline_access'))
    refuse('"offline_access" is no scope of a server but a wish of a client', 'delete it from auth.scopes');
  const audiences = settings['auth.audience'] ?? [];
  if (audiences.length === 0 && publicUrl === undefined)
    miss('for whom access tokens have to be is not known', 'write "public_url", or "audience" under auth');
  const isLoopback = isLoopbackHost(settings.listen?.host ?? '127.0.0.1');
  if (publicUrl === undefined && (!isLoopback || (settings.allowed_hosts ?? []).length > 0))
    miss('what clients call this service is not known', 'write "public_url"');
  return {
    publicUrl,
    oauth: {
      issuer,
      jwt: settings['auth.jwt.issuer'] === undefined ? undefined : { jwksUrl: settings['auth.jwt.jwks_url'] },
      introspection: introspectionOf(settings, miss),
      audiences,
      scopes,
      userClaim: settings['auth.user_claim'] ?? 'sub',
      allowPrivate,
      caFile: settings['auth.ca_file'],
      servers: serversOf(settings, known.servers, refuse),
      claims: claimsOf(settings, known.roles, { refuse, problems }),
    },
  };
}

type Refuse = (text: string, fix: string) => void;

/** A login sends the person's browser to this service, so that it needs a URL that a browser and a client both reach. */
function facadeOf(
  settings: Settings,
  publicUrl: string | undefined,
  { refuse, miss }: { readonly refuse: Refuse; readonly miss: Refuse },
): FacadeConfig | undefined {
  const isBlock = settings['oauth.facade'] !== undefined || settings['oauth.allow_private'] !== undefined;
  // The word is stronger, because the environment says it.
  const isOn =
    settings.oauth === undefined ? isBlock && settings['oauth.facade'] !== false : settings.oauth === 'facade';
  if (!isOn) return undefined;
  if (settings.auth === 'none')
    refuse('with "auth: none" everybody is let in, so that "oauth" is of no use', 'delete one of the two');
  if (publicUrl === undefined) {
    miss('where clients log in is not known', 'write "public_url", such as https://mcp.example.com');
    return undefined;
  }
  const { protocol, hostname } = new URL(publicUrl);
  if (protocol !== 'https:' && !/^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(hostname))
    refuse('"public_url" has to be https:// for "oauth": tokens are pasted there', 'correct it');
  return { issuer: publicUrl, allowPrivate: settings['oauth.allow_private'] ?? false };
}

/** A change of the prefix must not make the public URL wrong: it belongs to it where the URL names no path. */
function publicUrlOf(settings: Settings, problems: FileProblems): string | undefined {
  const text = settings.public_url;
  if (text === undefined) return undefined;
  const url = new URL(text);
  if (url.search !== '') problems.error(undefined, { text: '"public_url" has a query', fix: 'delete it' });
  const path = url.pathname.replace(/\/+$/, '');
  return `${url.origin}${path === '' ? (settings.path_prefix ?? '') : path}`;
}

function checkUrls(settings: Settings, allowPrivate: boolean, refuse: Refuse): void {
  for (const name of [
    'auth.jwt.issuer',
    'auth.jwt.jwks_url',
    'auth.introspection.url',
    'auth.introspection.issuer',
  ] as const) {
    const text = settings[name];
    if (text === undefined) continue;
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (url?.protocol === 'https:' || (allowPrivate && url?.protocol === 'http:')) continue;
    refuse(`"${name}" is no https:// URL`, 'correct it, or set "allow_private: true" for one in your own network');
  }
}

function introspectionOf(settings: Settings, miss: Refuse): OAuthConfig['introspection'] {
  const url = settings['auth.introspection.url'];
  const clientId = settings['auth.introspection.client_id'];
  const clientSecret = settings['auth.introspection.client_secret'];
  if (url !== undefined && clientId !== undefined && clientSecret !== undefined) return { url, clientId, clientSecret };
  if (url !== undefined || clientId !== undefined || clientSecret !== undefined)
    miss('auth.introspection is not complete', 'write "url", "client_id" and "client_secret" under it');
  return undefined;
}

function serversOf(
  settings: Settings,
  all: ReadonlyMap<string, ServerConfig>,
  refuse: Refuse,
): ReadonlyMap<string, ServerConfig> {
  const names = settings['auth.servers'] ?? [];
  if (names.includes('*')) return all;
  const found = new Map<string, ServerConfig>(); // Bounded by configuration.
  for (const name of names) {
    const server = all.get(name);
    if (server !== undefined) found.set(name, server);
    else {
      const nearest = findNearest(name, all.keys());
      const fix =
        nearest === undefined ? 'define it under "servers", or delete it there' : `did you mean "${nearest}"?`;
      refuse(`the server ${showName(name)} of auth.servers is defined nowhere`, fix);
    }
  }
  return found;
}

function claimsOf(
  settings: Settings,
  roles: ReadonlyMap<string, RoleConfig>,
  { refuse, problems }: { refuse: Refuse; problems: FileProblems },
): ClaimsConfig {
  const role = settings['auth.role_claim'];
  const adminRole = settings['auth.admin_role'];
  if (adminRole !== undefined && role === undefined)
    refuse('"admin_role" is a value of a claim that is not named', 'write "role_claim" beside it, or delete it');
  if (role !== undefined && roles.size === 0 && adminRole === undefined)
    problems.warning(undefined, {
      text: 'the claim of "role_claim" gives nothing: there are no roles',
      fix: 'define them under "roles" of tokens.yml',
    });
  const isNamed = role !== undefined;
  return { role, adminRole, servers: settings['auth.servers_claim'], roles: isNamed ? roles : new Map() };
}

/** Whether somebody may come in who is no user of the files. */
export function admitsUnlisted({ servers, claims }: OAuthConfig): boolean {
  return servers.size > 0 || claims.role !== undefined || claims.servers !== undefined;
}

/** Whether what was verified by one is verified by the other. */
export function verifiesSame(a: Config, b: Config): boolean {
  return keyOf(a) === keyOf(b);
}

function keyOf({ oauth, publicUrl }: Config): string {
  const secret = oauth?.introspection?.clientSecret.reveal();
  const claims = [oauth?.claims.role, oauth?.claims.servers, oauth?.claims.adminRole];
  return JSON.stringify([publicUrl, { ...oauth, servers: undefined, scopes: undefined, claims }, secret]);
}
