/**
 * A real authorization server (`oidc-provider`) on a port of its own: tokens for clients, metadata, keys, introspection.
 *
 * The name of the client is the subject of its tokens. For resources whose URL has `opaque` in it access tokens are
 * opaque, for all others they are JWTs. `forge` signs with the server's own key what the server itself would never say.
 * Refresh tokens are good once; one that is used again ends all that came of it.
 */
import { generateKeyPairSync, randomUUID, sign, type KeyObject } from 'node:crypto';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Provider } from 'oidc-provider';
import { send } from './http-client.ts';
import type { Cleanup } from './temp-dir.ts';
import { startTlsFront } from './tls-front.ts';

export const CLIENTS = ['alice', 'bob', 'nobody', 'gateway', 'public', 'poster'] as const;
export const SECRET_OF_CLIENT = 'client-secret-0123456789-abcdefghij';

export interface TokenWish {
  readonly client: (typeof CLIENTS)[number];
  readonly resource: string;
  readonly scope?: string;
  /** Seconds; 600 unless told. */
  readonly lifetime?: number;
  /** Further claims of the token, as a configuration of the server would add them. */
  readonly claims?: Readonly<Record<string, unknown>>;
}

export interface AuthorizationServer {
  readonly issuer: string;
  /** Paths that were asked for, in order. */
  readonly asked: string[];
  /** An access token by the client-credentials grant. */
  token(wish: TokenWish): Promise<string>;
  /** A JWT with any claims, signed with the key in use. */
  forge(claims: Readonly<Record<string, unknown>>, header?: Readonly<Record<string, unknown>>): string;
  /** A refresh token of a user who has logged in; its client has no secret when it is `public`. */
  refreshToken(wish: TokenWish): Promise<string>;
  /** Who an access token is for; undefined when it is not good. */
  introspect(token: string): Promise<TokenFacts | undefined>;
  /** Seconds that access tokens live from now on. */
  lifetime: number;
  /** Throws the key away and uses a new one. */
  rotate(): void;
  /** Whether it answers; else connections are cut, or stay without an answer: for ever, or until it does. */
  answers: boolean | 'never' | 'later';
  /** Calls back for each request that comes, answered or not. */
  onConnection(listener: () => void): void;
}

export interface TokenFacts {
  readonly client_id: string;
  readonly aud: string;
  readonly scope?: string;
}

export interface AuthorizationServerOptions {
  /** Of the issuer, as `/tenant`; none unless told. */
  readonly path?: string;
  /** It is named by an address that speaks TLS (`tls-front`). */
  readonly secure?: boolean;
}

type Algorithm = 'RS256' | 'Ed25519' | 'EdDSA';

interface SigningKey {
  readonly algorithm: Algorithm;
  readonly privateKey: KeyObject;
  readonly kid: string;
}

/** @param algorithm of the keys and of the tokens, as the server names it */
export async function startAuthorizationServer(
  cleanup: Cleanup,
  algorithm: Algorithm = 'RS256',
  { path = '', secure = false }: AuthorizationServerOptions = {},
): Promise<AuthorizationServer> {
  let provider: Provider | undefined;
  let listener: RequestListener | undefined;
  const asked: string[] = [];
  const listeners: (() => void)[] = [];
  const held: (() => void)[] = [];
  const state: Pick<AuthorizationServer, 'answers'> = { answers: true };
  const server = createServer((request, response) => {
    listeners.forEach((tell) => tell());
    if (state.answers === false) return void request.socket.destroy();
    asked.push(request.url ?? '');
    const url = request.url ?? '';
    if (!url.startsWith(path)) return void response.writeHead(404).end();
    // As a router in front would hand it on; URLs are made for the side on which TLS was spoken.
    if (secure) Object.assign(request.socket, { encrypted: true });
    const routed = Object.assign(request, { originalUrl: url, url: url.slice(path.length) });
    if (state.answers === 'later') held.push(() => listener?.(routed, response));
    if (state.answers === true) listener?.(routed, response);
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  cleanup.after(() => {
    server.closeAllConnections();
    return new Promise<void>((resolve) => void server.close(() => resolve()));
  });
  const { port } = server.address() as AddressInfo;
  const own = `http://127.0.0.1:${port}${path}`;
  const issuer = secure ? (await startTlsFront(cleanup, port)) + path : own;
  let key = newKey(algorithm);
  const next: Wished = { lifetime: 600, claims: {} };
  const open = (): void => {
    provider = new Provider(issuer, configurationFor(key, next));
    listener = provider.callback();
  };
  open();
  return {
    issuer,
    asked,
    get lifetime() {
      return next.lifetime;
    },
    set lifetime(seconds) {
      next.lifetime = seconds;
    },
    refreshToken: (wish) => makeRefreshToken(provider ?? fail(), wish),
    async introspect(token) {
      const answer = await send(`${own}/token/introspection`, {
        method: 'POST',
        body: new URLSearchParams({ token }).toString(),
        headers: {
          authorization: `Basic ${Buffer.from(`gateway:${SECRET_OF_CLIENT}`).toString('base64')}`,
          'content-type': 'application/x-www-form-urlencoded',
        },
      });
      const facts = answer.json() as TokenFacts & { active: boolean };
      return facts.active ? facts : undefined;
    },
    get answers() {
      return state.answers;
    },
    set answers(value) {
      state.answers = value;
      if (value === true) for (const answer of held.splice(0)) answer();
    },
    onConnection: (tell) => void listeners.push(tell),
    async token(wish) {
      next.lifetime = wish.lifetime ?? 600;
      next.claims = wish.claims ?? {};
      const form = { grant_type: 'client_credentials', resource: wish.resource, scope: wish.scope ?? 'mcp' };
      const basic = Buffer.from(`${wish.client}:${SECRET_OF_CLIENT}`).toString('base64');
      const answer = await send(`${own}/token`, {
        method: 'POST',
        body: new URLSearchParams(form).toString(),
        headers: { authorization: `Basic ${basic}`, 'content-type': 'application/x-www-form-urlencoded' },
      });
      const { access_token: token } = answer.json() as { access_token?: string };
      if (token === undefined) throw new Error(`no token: ${answer.text()}`);
      return token;
    },
    forge(claims, header = {}) {
      const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
      const signed = `${part({ alg: algorithm, typ: 'at+jwt', kid: key.kid, ...header })}.${part(claims)}`;
      const hash = algorithm === 'RS256' ? 'sha256' : null;
      return `${signed}.${sign(hash, Buffer.from(signed), key.privateKey).toString('base64url')}`;
    },
    rotate() {
      key = newKey(algorithm);
      open();
    },
  };
}

function fail(): never {
  throw new Error('the authorization server has not started');
}

async function makeRefreshToken(provider: Provider, { client, resource, scope = 'mcp' }: TokenWish): Promise<string> {
  const accountId = client;
  const grant = new provider.Grant({ accountId, clientId: client });
  grant.addOIDCScope('openid offline_access');
  grant.addResourceScope(resource, scope);
  return new provider.RefreshToken({
    accountId,
    client: await provider.Client.find(client),
    grantId: await grant.save(),
    gty: 'authorization_code',
    resource,
    scope: `openid offline_access ${scope}`,
    claims: {},
  }).save();
}

function newKey(algorithm: Algorithm): SigningKey {
  const { privateKey } =
    algorithm === 'RS256' ? generateKeyPairSync('rsa', { modulusLength: 2048 }) : generateKeyPairSync('ed25519');
  return { algorithm, privateKey, kid: randomUUID() };
}

/** What the token that is asked for next is to be. */
interface Wished {
  lifetime: number;
  claims: Readonly<Record<string, unknown>>;
}

function configurationFor(key: SigningKey, next: Wished): Record<string, unknown> {
  return {
    jwks: { keys: [{ ...key.privateKey.export({ format: 'jwk' }), kid: key.kid, use: 'sig', alg: key.algorithm }] },
    clients: CLIENTS.map((client) => ({
      client_id: client,
      grant_types: client === 'public' ? ['refresh_token'] : ['client_credentials', 'refresh_token'],
      token_endpoint_auth_method: methodOf(client),
      ...(client === 'public' ? {} : { client_secret: SECRET_OF_CLIENT }),
      id_token_signed_response_alg: key.algorithm,
      redirect_uris: [],
      response_types: [],
    })),
    scopes: ['mcp', 'other', 'offline_access'],
    rotateRefreshToken: () => true,
    findAccount: (_context: unknown, id: string) => ({ accountId: id, claims: () => ({ sub: id }) }),
    ttl: { ClientCredentials: () => next.lifetime },
    extraTokenClaims: () => next.claims,
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_context: unknown, resource: string) => ({
          scope: 'mcp other',
          audience: resource,
          accessTokenTTL: next.lifetime,
          accessTokenFormat: resource.includes('opaque') ? 'opaque' : 'jwt',
          jwt: { sign: { alg: key.algorithm } },
        }),
      },
    },
  };
}

function methodOf(client: (typeof CLIENTS)[number]): string {
  if (client === 'public') return 'none';
  return client === 'poster' ? 'client_secret_post' : 'client_secret_basic';
}
