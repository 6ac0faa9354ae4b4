/**
 * A request from its first byte to its log entry: begins the exchange, asks each door in turn, answers always.
 *
 * Order (design: four paths, a): exchange → guard → route → authenticate → relay. The entry exists before anything
 * can fail and is committed exactly once, by whichever answer is sent; anything thrown ends as an answer of its
 * own. The snapshot is taken once, so that a reload never shows a request two configurations.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

import { healthReply, type Readiness } from '../admin/health.ts';
import { oauthEndpoint } from '../admin/oauth-endpoints.ts';
import { DISCOVERY_ELSEWHERE, DISCOVERY_HERE, isDiscoveryProbe, NO_DISCOVERY } from '../admin/well-known.ts';
import type { Authenticated } from '../auth/authenticate.ts';
import { requireCredential } from '../auth/credentials.ts';
import type { Sealer } from '../auth/seal.ts';
import { nameOf } from '../auth/unlisted.ts';
import { ProxyError } from '../errors.ts';
import { callCharges, needsMessages } from '../gateway/charges.ts';
import { clientIp } from '../http/client-ip.ts';
import { admitOrigin } from '../http/cors.ts';
import { asProxyError, recordFailure, type Exchange } from '../http/exchange.ts';
import { guardHead, guardMcp } from '../http/guard.ts';
import { refuseOnSocket } from '../http/malformed.ts';
import { sendFailure, sendJson } from '../http/reply.ts';
import { EXCHANGE_COUNT_MAX } from '../limits.ts';
import type { Diag } from '../log/diag.ts';
import { mayRestrict } from '../mcp/access.ts';
import type { Clock, Config, Entry, HttpServerConfig, Principal, ServerConfig } from '../model.ts';
import { relay, type Otherwise } from '../relay/relay.ts';
import type { RemoteOptions } from '../upstream/mcp-http.ts';
import { cameFromHere } from '../upstream/outbound.ts';
import type { UpstreamPool } from '../upstream/pool.ts';
import { admit, noteFailedLogin, type AdmitOptions } from './admit.ts';
import { beginExchange, createRegistry, emptyEntry, type OpenExchanges } from './begin.ts';
import { choose, type Reconsider } from './choose.ts';
import type { Credentials } from './credentials.ts';
import type { MessagePath } from './messages.ts';
import { metadataAt } from './login.ts';
import { choosePath, findRoute, METHODS, type Path, type Route } from './routes.ts';
import { serveLogin } from './serve-login.ts';
import type { Snapshot } from './snapshot.ts';
import { stackOf } from './stack.ts';

export interface ServeOptions extends AdmitOptions {
  readonly clock: Clock;
  readonly pool: UpstreamPool;
  readonly sealer: Sealer;
  readonly credentials: Pick<Credentials, 'for'>;
  readonly messages: MessagePath;
  snapshot(): Snapshot;
  readiness(): Readiness;
  status(): unknown;
  /** Writes one entry; `done` follows when it is in the file (true) or could not be put there (false). */
  append(entry: Entry, done: (ok: boolean) => void): void;
  /** Refuse new requests: the log cannot be written and the operator chose so. */
  refusing(): boolean;
  draining(): boolean;
}

export interface Serve {
  onRequest(request: IncomingMessage, response: ServerResponse): void;
  onMalformed(failure: ProxyError, socket: Duplex): void;
  /** Exchanges whose answer has not left completely. */
  readonly open: OpenExchanges;
  /** Resolves when none is open. */
  idle(): Promise<void>;
}

/** The request side of a running mcproxy. */
export function createServe(options: ServeOptions): Serve {
  const registry = createRegistry();

  return {
    open: registry.open,
    idle: () => registry.idle(),
    onRequest(request, response) {
      const snapshot = options.snapshot();
      const exchange = beginExchange(request, response, {
        clock: options.clock,
        trusted: snapshot.trustedProxies,
        append: (entry, done) => options.append(entry, done),
      });
      registry.add(exchange);
      try {
        if (registry.open.size > EXCHANGE_COUNT_MAX)
          throw new ProxyError('OVERLOADED', 'too many exchanges are open', RETRY_SOON);
        dispatch(exchange, snapshot, options);
      } catch (thrown) {
        const error = asProxyError(thrown);
        if (error.code === 'INTERNAL') reportInternal(options.diag, exchange, error);
        sendFailure(exchange, error);
      }
    },
    onMalformed(failure, socket) {
      refuseMalformed(failure, socket, { ...options, exchanges: registry.on(socket) });
    },
  };
}

const RETRY_SOON = { headers: { 'retry-after': '1' } };

function dispatch(exchange: Exchange, snapshot: Snapshot, options: ServeOptions): void {
  const target = guardHead(exchange.request, snapshot.guard);
  exchange.path = target.path;
  exchange.query = target.query;
  exchange.entry.route = target.path;
  if (admitOrigin(exchange, snapshot.guard)) return;
  if (cameFromHere(exchange.request.headers.via)) throw looped();
  const route = findRoute(target.path);
  if (route.kind === 'health') return sendHealth(exchange, route, { snapshot, options });
  const { issuing } = snapshot;
  const endpoint = issuing && oauthEndpoint(target.path);
  if (endpoint === undefined && isDiscoveryProbe(target.path)) return sendDiscovery(exchange, snapshot.config);
  if (options.draining()) throw new ProxyError('SHUTTING_DOWN', 'mcproxy is stopping; try again shortly', RETRY_SOON);
  if (options.refusing()) throw refusedByLog();
  if (issuing !== undefined && endpoint !== undefined)
    return serveLogin({ exchange, endpoint, issuing, snapshot }, options, (failed, thrown) =>
      answerThrown(failed, thrown, options.diag),
    );

  admit(
    { exchange, route, snapshot, options },
    (by) => serveRoute({ exchange, route, by }, { snapshot, options }),
    (thrown) => answerThrown(exchange, thrown, options.diag),
  );
}

type AdmittedRoute = Exclude<Route, { kind: 'health' }>;

function serveRoute(
  { exchange, route, by }: { exchange: Exchange; route: AdmittedRoute; by: Authenticated },
  { snapshot, options }: { snapshot: Snapshot; options: ServeOptions },
): void {
  if (route.kind === 'unknown') throw unknownRoute();
  if (route.kind === 'status') return sendStatus(exchange, by.principal, options);
  if (route.kind === 'all') {
    guardMcp(exchange.request, METHODS[route.part]);
    return options.messages.serve(exchange, { principal: by.principal, serverName: undefined, part: route.part });
  }
  const server = by.principal.servers.get(route.serverName);
  if (server === undefined) throw unknownRoute();
  exchange.entry.upstream = server.name;
  guardMcp(exchange.request, METHODS[route.part]);
  serveOne(exchange, { server, principal: by.principal, part: route.part }, { snapshot, options });
}

/** What every request gets while `refusing`. */
export function refusedByLog(): ProxyError {
  return new ProxyError('LOG_UNWRITABLE', 'the access log cannot be written, so that requests are refused');
}

/** Otherwise it would go round until something runs out. */
function looped(): ProxyError {
  const text =
    'this request was sent by this mcproxy itself: the url of one of its servers leads back to it; correct it';
  return new ProxyError('REQUEST_INVALID', text);
}

/** One body for a server that does not exist and one that is not this user's. */
function unknownRoute(): ProxyError {
  return new ProxyError('ROUTE_UNKNOWN', 'there is no such path or server for this user');
}

interface Chosen {
  readonly server: ServerConfig;
  readonly principal: Principal;
  readonly part: 'mcp' | 'sse' | 'messages';
}

function serveOne(exchange: Exchange, chosen: Chosen, here: { snapshot: Snapshot; options: ServeOptions }): void {
  const { server, principal, part } = chosen;
  const { config } = here.snapshot;
  if (!server.enabled) throw new ProxyError('UPSTREAM_NOT_READY', `server ${server.name} is disabled`);
  requireCredential(server, principal);
  const { method, headers } = exchange.request;
  const fallsBack = method === 'GET' && headers['mcp-session-id'] === undefined;
  const serve = (path: Path, reconsider?: Reconsider): void => {
    if (server.kind === 'http' && path === 'relay') {
      const otherwise = reconsider && { isNeeded: reconsider, serve: () => serve('messages') };
      return relayBytes(exchange, { ...chosen, server, otherwise }, here);
    }
    here.options.messages.serve(exchange, { principal, serverName: server.name, part });
  };
  const looksInside = mayRestrict(principal.access, server.exposure.prefix) || needsMessages(principal, server);
  const path = choosePath(server, part, { fallsBack, looksInside });
  if (server.kind === 'stdio' || path !== 'ask') return serve(path === 'ask' ? 'messages' : path);
  const choice = { exchange, server, part, principalId: principal.id };
  const { clock, diag, pool, sealer } = here.options;
  const remote: RemoteOptions = {
    server,
    upstream: pool.get(server),
    credential: here.options.credentials.for(server),
    clock,
    onDiag: (level, message, data) => diag[level](message, data),
  };
  choose(choice, { sealer, remote, bodyBytesMax: config.bodyBytesMax }, (found, reconsider) => {
    try {
      serve(found, reconsider);
    } catch (thrown) {
      // Maybe called from an event, where nobody above catches.
      answerThrown(exchange, thrown, diag);
    }
  });
}

function relayBytes(
  exchange: Exchange,
  {
    server,
    principal,
    part,
    otherwise,
  }: Chosen & { readonly server: HttpServerConfig; otherwise: Otherwise | undefined },
  here: { snapshot: Snapshot; options: ServeOptions },
): void {
  const { config, redactor } = here.snapshot;
  if (server.limits !== undefined || server.ownLimits !== undefined)
    chargeRelayed(exchange, { server, principal, part }, here.options);
  const { params } = config.log;
  relay(
    exchange,
    {
      server,
      upstream: here.options.pool.get(server),
      principalId: principal.id,
      part: part === 'messages' ? 'messages' : 'endpoint',
      otherwise,
    },
    {
      clock: here.options.clock,
      credentialFor: (one) => here.options.credentials.for(one),
      sealer: here.options.sealer,
      pathPrefix: config.pathPrefix,
      bodyBytesMax: config.bodyBytesMax,
      heartbeatMs: config.heartbeatMs,
      keepParams: params === 'none' ? undefined : (body) => redactor.value(paramsOf(body), params),
      redact: (text) => redactor.text(text),
      onThrown: (thrown) => answerThrown(exchange, thrown, here.options.diag),
    },
  );
}

/** What is relayed is counted by the request, because nobody looks into it. @throws {ProxyError} RATE_LIMITED */
function chargeRelayed(exchange: Exchange, { server, principal }: Chosen, { limiter }: ServeOptions): void {
  if (exchange.request.method !== 'POST') return;
  const leave = limiter.enter(callCharges(principal, server));
  exchange.response.once('close', leave);
}

function paramsOf(body: Buffer): unknown {
  try {
    const message = JSON.parse(body.toString('utf8')) as { params?: unknown } | null;
    return message?.params ?? null;
  } catch {
    return null;
  }
}

function sendHealth(
  exchange: Exchange,
  route: Extract<Route, { kind: 'health' }>,
  here: { snapshot: Snapshot; options: ServeOptions },
): void {
  refuseOtherThanGet(exchange);
  const { headers } = exchange.request;
  // Nobody is asked, and nothing waits, to say that we are well.
  const from = { clientIp: exchange.entry.clientIp, elsewhere: true };
  const result = here.snapshot.authenticator.authenticate(headers.authorization, from);
  const found = result instanceof Promise ? undefined : result;
  // An opaque access token, about which nobody was asked, is no guess.
  const isOpen = here.snapshot.config.oauth?.introspection !== undefined && found?.kind === 'unknown';
  if (found !== undefined && !isOpen) noteFailedLogin(exchange, found, here.options);
  const by = found?.kind === 'known' ? found.by : undefined;
  const servers = by && [...by.principal.servers.keys()];
  if (by !== undefined) exchange.entry.principal = nameOf(by.principal.id);
  const reply = healthReply(route.path, here.options.readiness(), servers);
  sendJson(exchange, reply.status, { body: reply.body });
}

function sendDiscovery(exchange: Exchange, config: Config): void {
  const document = metadataAt(exchange, config);
  if (document === undefined) return sendJson(exchange, 404, { body: noDiscovery(config) });
  refuseOtherThanGet(exchange);
  sendJson(exchange, 200, { body: document });
}

function noDiscovery({ oauth, facade }: Config): object {
  if (facade !== undefined) return DISCOVERY_HERE;
  return oauth === undefined ? NO_DISCOVERY : DISCOVERY_ELSEWHERE;
}

function sendStatus(exchange: Exchange, { role }: Principal, options: ServeOptions): void {
  if (role !== 'admin') throw new ProxyError('ACCESS_DENIED', 'only a user with `role: admin` may see the status');
  refuseOtherThanGet(exchange);
  sendJson(exchange, 200, { body: options.status() });
}

function refuseOtherThanGet({ request }: Exchange): void {
  if (request.method === 'GET' || request.method === 'HEAD') return;
  throw new ProxyError('METHOD_NOT_ALLOWED', 'use GET', { headers: { allow: 'GET, HEAD' } });
}

function answerThrown(exchange: Exchange, thrown: unknown, diag: Diag): void {
  const error = asProxyError(thrown);
  if (error.code === 'INTERNAL') reportInternal(diag, exchange, error);
  sendFailure(exchange, error);
}

function reportInternal(diag: Diag, exchange: Exchange, error: ProxyError): void {
  diag.error('internal error', { request_id: exchange.entry.requestId, cause: stackOf(error.cause) });
}

interface MalformedOptions extends ServeOptions {
  /** Those of the connection that are not complete. */
  readonly exchanges: readonly Exchange[];
}

/** A request that could not be parsed has no exchange, but an entry all the same. */
function refuseMalformed(failure: ProxyError, socket: Duplex, options: MalformedOptions): void {
  const broken = options.exchanges.find(({ request }) => !request.complete);
  if (broken !== undefined) return breakOff(broken, failure, { socket, alone: options.exchanges.length === 1 });
  const { spec } = failure;
  const { remoteAddress } = socket as Duplex & { remoteAddress?: string };
  const entry: Entry = {
    ...emptyEntry(options.clock),
    clientIp: clientIp(remoteAddress, undefined, undefined),
    httpStatus: spec.http,
    rpcError: spec.rpc,
    outcome: spec.outcome,
    errorCode: failure.code,
    error: failure.message,
  };
  const last = options.exchanges.at(-1);
  const refuse = (): void => refuseOnSocket(socket, failure, entry.requestId);
  options.append(entry, () => {
    if (last === undefined || last.response.closed) return refuse();
    // Bytes of ours between those of an answer would be taken for a part of it.
    last.response.on('close', refuse);
  });
}

/** The body of an exchange cannot be parsed; its entry says why, and the end of the connection ends the rest of it. */
function breakOff(exchange: Exchange, failure: ProxyError, here: { socket: Duplex; alone: boolean }): void {
  const { entry, response } = exchange;
  const { socket } = here;
  // A body that merely ends too soon is a client that left, which whoever reads it says.
  if (failure.code === 'CLIENT_GONE') return void socket.destroy();
  recordFailure(entry, failure);
  if (response.headersSent || !here.alone) return void socket.destroy();
  entry.httpStatus = failure.spec.http;
  entry.rpcError = failure.spec.rpc;
  exchange.commit(() => refuseOnSocket(socket, failure, entry.requestId));
}
