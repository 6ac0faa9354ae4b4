/**
 * The OAuth clients of a configuration: one grant for each, whoever uses it, over changes of the configuration.
 *
 * The same client at the same server is the same grant, so that many users of a shared one have one token, and a reload
 * that changes nothing about it keeps it. Files are named by a digest of what a refresh token belongs to: a new secret or
 * other scopes go on with it, another client or refresh token starts afresh.
 */
import { createHash } from 'node:crypto';
import type { HttpServerConfig, OAuthClient, OutgoingCredential, TokenState } from '../model.ts';
import type { IssuerCa } from './issuer-metadata.ts';
import { createGrant, type Grant, type GrantOptions, type KeptTokens, type TokenStore } from './grant.ts';

export interface GrantsOptions extends Pick<GrantOptions, 'clock' | 'ask' | 'hide' | 'redact' | 'onDiag'> {
  /** @param servers all that have this client, whoever uses it; at least one */
  labelOf(servers: readonly HttpServerConfig[]): string;
  /** @param name of hexadecimal digits, which says nothing of what is kept under it */
  storeOf(name: string): TokenStore;
  challenge(server: HttpServerConfig): Promise<string | undefined>;
}

export interface Grants {
  /** What goes out to a server that has an OAuth client. */
  outgoing(server: HttpServerConfig, client: OAuthClient): OutgoingCredential;
  /** Of its access tokens; undefined while nobody needed one, or where it has no OAuth client that is in force. */
  state(server: HttpServerConfig): TokenState | undefined;
  /** Forgets the grants of all others. @returns the names of what is kept for these */
  retain(servers: Iterable<HttpServerConfig>): ReadonlySet<string>;
  /** Resolves when no token is on its way. */
  idle(): Promise<void>;
}

const NAMES = ['authorization'] as const;

export function createGrants(options: GrantsOptions): Grants {
  // Bounded by configuration: one for each client in it, and those of the one before it.
  const grants = new Map<string, Named>();
  const found = new WeakMap<HttpServerConfig, Grant>();
  /** Of the servers in force. Bounded by configuration. */
  let digests: ReadonlyMap<HttpServerConfig, string> = new Map();
  /** As they are in force, by their digest: what is no part of that may have changed. Bounded by configuration. */
  let servers: ReadonlyMap<string, readonly HttpServerConfig[]> = new Map();
  let leaving: Grant[] = [];
  const stores = createStores(options);

  const find = (server: HttpServerConfig, client: OAuthClient): Grant => {
    const known = found.get(server);
    if (known !== undefined) return known;
    const digest = digestOf(server, client);
    const named = grants.get(digest) ?? open(server, client, digest);
    grants.set(digest, named);
    found.set(server, named.grant);
    return named.grant;
  };
  const open = (server: HttpServerConfig, client: OAuthClient, digest: string): Named => {
    const { clock, hide, redact, onDiag } = options;
    const all = (): readonly HttpServerConfig[] => servers.get(digest) ?? [server];
    const now = (): HttpServerConfig => all()[0] ?? server;
    const name = nameOf(server, client);
    const grant = createGrant({
      // Who has it besides may have changed.
      get label() {
        return options.labelOf(all());
      },
      client,
      serverUrl: server.url,
      digest,
      clock,
      store: stores.open(name),
      ask: (asked) => options.ask({ ...asked, ca: caFor(now(), asked.url) }),
      challenge: () => options.challenge(now()),
      hide,
      redact,
      onDiag,
    });
    return { name, grant };
  };
  return {
    outgoing(server, client) {
      const grant = find(server, client);
      return { fields: () => [], signature: { names: NAMES, sign: () => grant.fields() }, renewal: grant };
    },
    state: (server) => grants.get(digests.get(server) ?? '')?.grant.state(),
    retain(wanted) {
      const now = listClients(wanted);
      // Requests with their tokens may still be on their way: they are hidden until the next change.
      for (const grant of leaving) grant.forget();
      leaving = [];
      ({ servers, digests } = now);
      for (const [digest, { name, grant }] of grants) {
        if (servers.has(digest)) continue;
        grants.delete(digest);
        leaving.push(grant);
        stores.leave(name, grant);
      }
      stores.retain(now.names);
      return now.names;
    },
    async idle() {
      const held = [...grants.values()].map(({ grant }) => grant);
      await Promise.all([...held, ...leaving].map((grant) => grant.idle()));
    },
  };
}

interface Named {
  /** Of what is kept. */
  readonly name: string;
  readonly grant: Grant;
}

interface Stores {
  open(name: string): TokenStore;
  /** The grant is not configured any more, but may be getting something. */
  leave(name: string, grant: Grant): void;
  /** Forgets what is kept in memory for others. */
  retain(names: ReadonlySet<string>): void;
}

/**
 * A refresh token has one owner also while the configuration changes: the next grant of the name waits for the one before
 * to be done, and goes on with what that got, kept or not. Used a second time the token would take all others with it.
 */
function createStores({ storeOf }: Pick<GrantsOptions, 'storeOf'>): Stores {
  const ending = new Map<string, Promise<void>>(); // Bounded by configuration, and in time as requests for tokens are.
  const kept = new Map<string, KeptTokens>(); // Bounded by configuration.
  return {
    open(name) {
      const store = storeOf(name);
      const before = ending.get(name);
      return {
        async read() {
          await before;
          return (await store.read()) ?? kept.get(name);
        },
        async write(tokens) {
          kept.set(name, tokens);
          await store.write(tokens);
        },
      };
    },
    leave(name, grant) {
      const ended = Promise.all([ending.get(name), grant.idle()]).then(() => {
        if (ending.get(name) === ended) ending.delete(name);
      });
      ending.set(name, ended);
    },
    retain(names) {
      for (const name of kept.keys()) if (!names.has(name)) kept.delete(name);
    },
  };
}

interface Clients {
  readonly servers: ReadonlyMap<string, readonly HttpServerConfig[]>;
  readonly digests: ReadonlyMap<HttpServerConfig, string>;
  readonly names: ReadonlySet<string>;
}

function listClients(wanted: Iterable<HttpServerConfig>): Clients {
  const servers = new Map<string, HttpServerConfig[]>(); // Bounded by configuration.
  const digests = new Map<HttpServerConfig, string>(); // Bounded by configuration.
  const names = new Set<string>(); // Bounded by configuration.
  for (const server of wanted) {
    const { credential } = server;
    // Without what each user brings it is what theirs stand on, and gets no token.
    if (credential.type !== 'oauth' || server.lacks.length > 0) continue;
    const digest = digestOf(server, credential.client);
    const same = servers.get(digest);
    if (same === undefined) servers.set(digest, [server]);
    else same.push(server);
    digests.set(server, digest);
    names.add(nameOf(server, credential.client));
  }
  return { servers, digests, names };
}

/** What the server says of itself comes over TLS as its answers do; everybody else is vouched for under `auth`. */
function caFor({ url, otherUrls, caFile, credential }: HttpServerConfig, asked: string): IssuerCa {
  const origins = [url, ...otherUrls].map((each) => new URL(each).origin);
  if (URL.canParse(asked) && origins.includes(new URL(asked).origin)) return { file: caFile, option: CA_OF_SERVER };
  return { file: credential.type === 'oauth' ? credential.client.caFile : undefined, option: CA_UNDER_AUTH };
}

const CA_OF_SERVER = '`ca_file` of the server';
const CA_UNDER_AUTH = '`ca_file` under its auth';

function nameOf({ name }: HttpServerConfig, client: OAuthClient): string {
  const { clientId, refreshToken, tokenUrl, issuer, resource } = client;
  return hash([name, clientId, refreshToken?.reveal(), tokenUrl, issuer, resource]).slice(0, 32);
}

function digestOf(server: HttpServerConfig, client: OAuthClient): string {
  const { clientSecret, scopes, clientAuth, allowPrivate } = client;
  return hash([nameOf(server, client), server.url, clientSecret?.reveal(), scopes, clientAuth, allowPrivate]);
}

function hash(parts: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}
