/**
 * mcproxy as an authorization server, with the parts of a login played one by one: a client that registers and asks, a
 * person with a browser who pastes a token, and the exchange of what came of it.
 *
 * The person follows a page as a browser without scripts does: the fields of its form, then the address that the page
 * leads on to. Nothing is checked here but that the pages have what is needed.
 */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { send, type Answer } from './http-client.ts';
import { findClosedPort } from './ports.ts';
import { digestOf } from './proxied-app.ts';
import { startApp, type RunningApp } from './start-app.ts';
import { collectCleanup, makeTempDir, type Cleanup } from './temp-dir.ts';

export const FORM = { 'content-type': 'application/x-www-form-urlencoded' } as const;
export const CALLBACK = 'http://127.0.0.1:9/callback';
export const ALICE = 'token-of-alice-0123456789abcdef';

export interface FacadeOptions {
  /** Rows under `servers`, flow mappings by name. */
  readonly servers: Readonly<Record<string, string>>;
  readonly tokens?: string;
  /** More of mcproxy.yml. */
  readonly settings?: string;
  /** Instead of `oauth: facade`. */
  readonly oauth?: string;
  readonly pathPrefix?: string;
  /** Another public URL than its own: that of an instance beside it. */
  readonly issuer?: string;
  readonly env?: Readonly<Record<string, string>>;
}

export interface RunningFacade {
  /** Also the issuer. */
  readonly url: string;
  readonly dir: string;
  readonly app: RunningApp;
  /** Stops the process and starts another with the same files, at the same address. */
  restart(): Promise<void>;
}

export async function startFacade(cleanup: Cleanup, options: FacadeOptions): Promise<RunningFacade> {
  const port = await findClosedPort();
  const prefix = options.pathPrefix ?? '';
  const url = `http://127.0.0.1:${port}${prefix}`;
  // A hook that is registered inside a test runs at the end of that test, which a restart has to outlive.
  const all = collectCleanup();
  cleanup.after(() => all.run());
  const dir = makeTempDir(all);
  const servers = Object.entries(options.servers).map(([name, text]) => `  ${name}: ${text}\n`);
  const lines = [
    `listen: 127.0.0.1:${port}`,
    `public_url: ${options.issuer ?? url}`,
    `oauth: ${options.oauth ?? 'facade'}`,
    'log: { file: access.log, params: full, level: debug }',
    'admin: { socket: admin.sock }',
    ...(prefix === '' ? [] : [`path_prefix: ${prefix}`]),
  ];
  const files = {
    'mcproxy.yml': `${lines.join('\n')}\n${options.settings ?? ''}servers:\n${servers.join('')}`,
    'tokens.yml': options.tokens ?? `users:\n  alice: { token: ${digestOf(ALICE)}, servers: "*" }\n`,
  };
  const env = { XDG_STATE_HOME: `${dir}/state`, ...options.env };
  let app = await startApp(all, { dir, files, env });
  return {
    url,
    dir,
    get app() {
      return app;
    },
    async restart() {
      await app.stop();
      app = await startApp(all, { dir, env });
    },
  };
}

export interface Pkce {
  readonly verifier: string;
  readonly challenge: string;
}

export function makePkce(): Pkce {
  const verifier = randomBytes(32).toString('base64url');
  return { verifier, challenge: createHash('sha256').update(verifier).digest('base64url') };
}

/** Registers a client (RFC 7591). */
export async function register(url: string, metadata: Readonly<Record<string, unknown>> = {}): Promise<string> {
  const answer = await send(`${url}/oauth/register`, { body: { redirect_uris: [CALLBACK], ...metadata } });
  assert.equal(answer.status, 201, answer.text());
  return (answer.json() as { client_id: string }).client_id;
}

export type Parameters = Readonly<Record<string, string | undefined>>;

/** The parameters of a sound authorization request. */
export function requestOf(clientId: string, { challenge }: Pkce, changed: Parameters = {}): Parameters {
  return {
    response_type: 'code',
    client_id: clientId,
    redirect_uri: CALLBACK,
    code_challenge: challenge,
    code_challenge_method: 'S256',
    state: 'state-of-client',
    ...changed,
  };
}

export function encode(parameters: Parameters): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) if (value !== undefined) query.append(name, value);
  return query.toString();
}

export function authorizeUrl(url: string, parameters: Parameters): string {
  return `${url}/oauth/authorize?${encode(parameters)}`;
}

const unescape = (text: string): string =>
  text.replaceAll(
    /&(amp|lt|gt|quot|#39);/g,
    (_, name: string) => ({ amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" })[name] ?? '',
  );

/** The hidden field of the consent page, and where its form goes. */
export function formOf(page: Answer): { readonly action: string; readonly request: string } {
  const text = page.text();
  const action = /<form method="post" action="([^"]+)">/.exec(text)?.[1];
  const request = /name="request" value="([^"]+)"/.exec(text)?.[1];
  assert.ok(action !== undefined && request !== undefined, text);
  return { action: unescape(action), request: unescape(request) };
}

/** Where a page leads on to by itself. */
export function returnOf(page: Answer): URL {
  const target = /<meta http-equiv="refresh" content="0;url=([^"]+)">/.exec(page.text())?.[1];
  assert.ok(target !== undefined, `${page.status} ${page.text()}`);
  return new URL(unescape(target));
}

/** Sends the form of the consent page, as a browser on it does. */
export async function submit(page: Answer, fields: Parameters, origin: string): Promise<Answer> {
  const { action, request } = formOf(page);
  const body = encode({ request, ...fields });
  return send(new URL(action, origin).href, { body, headers: { ...FORM, origin: new URL(origin).origin } });
}

/** Opens the page, pastes the token, and gives where the browser goes then. */
export async function approve(url: string, token: string): Promise<URL> {
  const page = await send(url);
  assert.equal(page.status, 200, page.text());
  return returnOf(await submit(page, { token, decision: 'allow' }, url));
}

export interface Tokens {
  readonly access_token: string;
  readonly refresh_token: string;
  readonly expires_in: number;
}

/** Asks the token endpoint. */
export function askToken(url: string, parameters: Parameters): Promise<Answer> {
  return send(`${url}/oauth/token`, { body: encode(parameters), headers: FORM });
}

export interface Login {
  readonly clientId: string;
  readonly pkce: Pkce;
  readonly code: string;
  /** What the exchange of the code is asked with. */
  readonly exchange: Parameters;
}

/** A login as far as the client has come, with what it exchanges its code with. */
export function loginOf(from: Omit<Login, 'exchange'>): Login {
  const { clientId, pkce, code } = from;
  const exchange = {
    grant_type: 'authorization_code',
    code,
    client_id: clientId,
    redirect_uri: CALLBACK,
    code_verifier: pkce.verifier,
  };
  return { ...from, exchange };
}

/** A login up to its code. */
export async function logIn(url: string, token = ALICE, changed: Parameters = {}): Promise<Login> {
  const [clientId, pkce] = [await register(url), makePkce()];
  const back = await approve(authorizeUrl(url, requestOf(clientId, pkce, changed)), token);
  const code = back.searchParams.get('code') ?? assert.fail(back.href);
  return loginOf({ clientId, pkce, code });
}

export async function tokensOf(answer: Promise<Answer>): Promise<Tokens> {
  const { status, json, text } = await answer;
  assert.equal(status, 200, text());
  return json() as Tokens;
}

/** A whole login. */
export async function getTokens(
  url: string,
  token = ALICE,
  changed: Parameters = {},
): Promise<Login & { tokens: Tokens }> {
  const login = await logIn(url, token, changed);
  return { ...login, tokens: await tokensOf(askToken(url, login.exchange)) };
}

export function refreshOf(login: Login, refreshToken: string): Parameters {
  return { grant_type: 'refresh_token', refresh_token: refreshToken, client_id: login.clientId };
}
