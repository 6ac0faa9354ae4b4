/**
 * The four endpoints of the authorization server: authorize, token, register, revoke (OAuth 2.1 §3, RFC 7591, RFC 7009).
 *
 * HTTP alone: what is right is decided in `auth/facade-*`. The authorization endpoint speaks to a person, in pages; the
 * others to programs, in JSON, and to those in browsers too. A form is taken only from our own page. Nothing that was
 * sent is repeated in an answer, but for the name and the addresses of a client, and nothing of it is logged.
 */
import type { AuthResult } from '../auth/authenticate.ts';
import type { Clients } from '../auth/facade-clients.ts';
import { placeOf } from '../auth/facade-redirect.ts';
import { errorUrl, judgeRequest, type Judged } from '../auth/facade-request.ts';
import type { AskedClaims, Seals } from '../auth/facade-seals.ts';
import { exchangeTokens, grant, revokeLogin, type TokenRules } from '../auth/facade-tokens.ts';
import { ProxyError } from '../errors.ts';
import { addressBlock } from '../http/address-block.ts';
import { readBody } from '../http/body.ts';
import { recordFailure, type Exchange } from '../http/exchange.ts';
import { sendFailure, sendJson, sendText } from '../http/reply.ts';
import { whileOpen } from '../http/while-open.ts';
import { OAUTH_BODY_BYTES_MAX } from '../limits.ts';
import { parseMediaType } from '../text/headers.ts';
import { consentPage, PAGE_FIELDS, problemPage, returnPage } from './consent-page.ts';

export type OAuthEndpoint = 'authorize' | 'token' | 'register' | 'revoke';

/** Clients of 2025-03-26 that find no metadata ask at the root (MCP 2025-03-26 authorization, §2.3.3). */
const PATH = /^(?:\/oauth\/(authorize|token|register|revoke)|\/(authorize|token|register))$/;

/** @param path below the prefix */
export function oauthEndpoint(path: string): OAuthEndpoint | undefined {
  const match = PATH.exec(path);
  return (match?.[1] ?? match?.[2]) as OAuthEndpoint | undefined;
}

/** What the endpoints ask. */
export interface OAuthDoor {
  readonly issuer: string;
  readonly seals: Seals;
  readonly clients: Clients;
  readonly tokens: TokenRules;
  nowMs(): number;
  /** Whose token of the files was pasted. */
  ofFiles(token: string, clientIp: string | null): AuthResult;
  /** Notes a token that lets nobody in. @returns what the person is told */
  refuse(exchange: Exchange, result: AuthResult): ProxyError;
  /** Somebody let a client in. */
  onGrant(user: string, client: { readonly name: string; readonly returnsTo: string }): void;
  /** Answers after something that nobody expected. */
  onThrown(exchange: Exchange, thrown: unknown): void;
}

/** Answers a request to one of the endpoints, at once or later. @throws {ProxyError} never for what was sent */
export function serveOAuth(exchange: Exchange, endpoint: OAuthEndpoint, door: OAuthDoor): void {
  const { method } = exchange.request;
  if (endpoint === 'authorize') {
    if (method === 'GET' || method === 'HEAD') return showConsent(exchange, door);
    if (method === 'POST') return takeConsent(exchange, door);
    return sendProblem(exchange, notAllowed('GET, HEAD, POST'));
  }
  if (method !== 'POST') return sendError(exchange, notAllowed('POST'));
  const type = endpoint === 'register' ? 'application/json' : FORM;
  readTyped(
    { exchange, type, door },
    {
      onText: (text) => ANSWERS[endpoint](exchange, text, door),
      onFailure: (error) => sendError(exchange, error),
    },
  );
}

const FORM = 'application/x-www-form-urlencoded';

const ANSWERS: Readonly<Record<Exclude<OAuthEndpoint, 'authorize'>, (...of: [Exchange, string, OAuthDoor]) => void>> = {
  token: giveTokens,
  register: registerClient,
  revoke,
};

function showConsent(exchange: Exchange, door: OAuthDoor): void {
  const from = addressBlock(exchange.entry.clientIp).own;
  const rules = { issuer: door.issuer, clients: door.clients, from, nowMs: () => door.nowMs() };
  const show = (judged: Judged): void => {
    if (judged.kind === 'ask') {
      const request = door.seals.seal('request', judged.asked);
      return sendConsent({ exchange, door }, { asked: judged.asked, request });
    }
    const why = judged.kind === 'page' ? judged.why : undefined;
    const error = new ProxyError('REQUEST_INVALID', judged.text);
    if (why !== undefined) recordFailure(exchange.entry, new ProxyError('REQUEST_INVALID', `${judged.text}: ${why}`));
    const back = judged.kind === 'client' ? { url: judged.url, place: placeOf(judged.redirectUri).name } : undefined;
    sendProblem(exchange, error, back);
  };
  const judged = judgeRequest(exchange.query, rules);
  if (!(judged instanceof Promise)) return show(judged);
  whileOpen(exchange, judged, (found) => guarded(exchange, door, () => show(found)));
}

interface Shown {
  readonly asked: AskedClaims;
  readonly request: string;
  /** What was wrong with the token. */
  readonly error?: ProxyError;
}

function sendConsent(here: { readonly exchange: Exchange; readonly door: OAuthDoor }, shown: Shown): void {
  const { exchange, door } = here;
  const { asked, request, error } = shown;
  const service = new URL(door.issuer);
  const text = consentPage({
    action: `${service.pathname.replace(/\/$/, '')}/oauth/authorize`,
    request,
    clientName: asked.clientName,
    clientHost: asked.clientHost,
    returnsTo: placeOf(asked.redirectUri),
    service: service.host,
    server: asked.server,
    wrong: error?.message,
  });
  if (error !== undefined) recordFailure(exchange.entry, error);
  sendText(exchange, error?.spec.http ?? 200, { text, headers: { ...PAGE_FIELDS, ...error?.headers } });
}

function takeConsent(exchange: Exchange, door: OAuthDoor): void {
  const { origin } = exchange.request.headers;
  // Browsers say where a form comes from; another page of ours, or of an allowed origin, has no business here.
  if (origin !== undefined && origin !== new URL(door.issuer).origin)
    return sendProblem(exchange, new ProxyError('ORIGIN_REJECTED', 'the form was sent by another page'));
  readTyped(
    { exchange, type: FORM, door },
    {
      onText: (text) => decide(exchange, new URLSearchParams(text), door),
      onFailure: (error) => sendProblem(exchange, error),
    },
  );
}

function decide(exchange: Exchange, form: URLSearchParams, door: OAuthDoor): void {
  const [request = '', ...others] = form.getAll('request');
  const opened = others.length > 0 ? undefined : door.seals.open('request', request);
  if (opened === undefined || opened.ended) {
    const text = opened === undefined ? 'this form was not made here' : 'this page is too old';
    return sendProblem(exchange, new ProxyError('REQUEST_INVALID', text));
  }
  const { value: asked } = opened;
  if (form.get('decision') === 'deny') {
    const failure = { error: 'access_denied', text: 'the person refused', issuer: door.issuer, state: asked.state };
    return sendBack(exchange, errorUrl(asked.redirectUri, failure), asked);
  }
  const pasted = form.getAll('token');
  const token = (pasted[0] ?? '').trim().replace(/^bearer +/i, '');
  const result: AuthResult = pasted.length === 1 ? door.ofFiles(token, exchange.entry.clientIp) : { kind: 'malformed' };
  if (result.kind !== 'known') {
    return sendConsent({ exchange, door }, { asked, request, error: door.refuse(exchange, result) });
  }
  const { principal, tokenDigest } = result.by;
  exchange.entry.principal = principal.id;
  door.onGrant(principal.id, { name: asked.clientName, returnsTo: placeOf(asked.redirectUri).name });
  sendBack(exchange, grant(asked, { user: principal.id, digest: tokenDigest }, door.tokens), asked);
}

function sendBack(exchange: Exchange, url: string, asked: AskedClaims): void {
  const text = returnPage(url, placeOf(asked.redirectUri).name);
  sendText(exchange, 200, { text, headers: { ...PAGE_FIELDS, 'referrer-policy': 'no-referrer' } });
}

function giveTokens(exchange: Exchange, text: string, door: OAuthDoor): void {
  const form = { parameters: new URLSearchParams(text), clientIp: exchange.entry.clientIp };
  const answer = exchangeTokens(form, door.tokens);
  if (answer.user !== undefined) exchange.entry.principal = answer.user;
  if (answer.ok) return sendJson(exchange, 200, { body: answer.body, headers: { pragma: 'no-cache' } });
  const isGrant = answer.error === 'invalid_grant' || answer.error === 'invalid_client';
  recordFailure(exchange.entry, new ProxyError(isGrant ? 'AUTH_INVALID' : 'REQUEST_INVALID', answer.text));
  const body = { error: answer.error, error_description: answer.text };
  // RFC 6749 §5.2; a client that used a header to prove itself would have to be answered with one, and none can.
  sendJson(exchange, answer.error === 'invalid_client' ? 401 : 400, { body });
}

function registerClient(exchange: Exchange, text: string, door: OAuthDoor): void {
  const { status, body } = door.clients.register(parse(text));
  if (status >= 400)
    recordFailure(exchange.entry, new ProxyError('REQUEST_INVALID', String(body['error_description'])));
  sendJson(exchange, status, { body });
}

function revoke(exchange: Exchange, text: string, door: OAuthDoor): void {
  const login = revokeLogin(new URLSearchParams(text), door.tokens);
  if (login !== undefined) exchange.entry.principal = login.user;
  // Also for what is none of ours: it is not valid, which is all that was asked for (RFC 7009 §2.2).
  sendJson(exchange, 200, { body: {} });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

interface BodyWanted {
  readonly exchange: Exchange;
  readonly type: string;
  readonly door: OAuthDoor;
}

function readTyped(
  { exchange, type, door }: BodyWanted,
  events: { onText(text: string): void; onFailure(error: ProxyError): void },
): void {
  const { request, entry } = exchange;
  if (parseMediaType(request.headers['content-type'] ?? '')?.type !== type)
    return events.onFailure(new ProxyError('MEDIA_TYPE', `the body must be sent as Content-Type: ${type}`));
  readBody(request, {
    bodyBytesMax: OAUTH_BODY_BYTES_MAX,
    onBytes: (chunk) => void (entry.bytesIn += chunk.length),
    onReady: (body) =>
      guarded(exchange, door, () => events.onText(body.kind === 'whole' ? body.bytes.toString('utf8') : '')),
    onFailure(error) {
      if (error.code === 'CLIENT_GONE') return sendFailure(exchange, error);
      if (error.code !== 'BODY_TOO_LARGE') return events.onFailure(error);
      events.onFailure(new ProxyError('BODY_TOO_LARGE', `the request body is over ${OAUTH_BODY_BYTES_MAX} bytes`));
    },
  });
}

/** Runs from an event, where nobody above catches. */
function guarded(exchange: Exchange, door: OAuthDoor, act: () => void): void {
  try {
    act();
  } catch (thrown) {
    door.onThrown(exchange, thrown);
  }
}

function notAllowed(allow: string): ProxyError {
  return new ProxyError('METHOD_NOT_ALLOWED', `use ${allow}`, { headers: { allow } });
}

function sendProblem(
  exchange: Exchange,
  error: ProxyError,
  back?: { readonly url: string; readonly place: string },
): void {
  recordFailure(exchange.entry, error);
  const text = problemPage(error.message, back);
  sendText(exchange, error.spec.http, { text, headers: { ...PAGE_FIELDS, ...error.headers } });
}

function sendError(exchange: Exchange, error: ProxyError): void {
  recordFailure(exchange.entry, error);
  const body = { error: 'invalid_request', error_description: error.message };
  sendJson(exchange, error.spec.http, { body, ...(error.headers === undefined ? {} : { headers: error.headers }) });
}
