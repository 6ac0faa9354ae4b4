/**
 * Path 1, bytes: one request to one HTTP upstream and its answer back, untouched but for the credential.
 *
 * Order: body → credential → attempts → head → bytes. Status, end-to-end fields and bytes of the upstream's answer
 * pass as they are, with these exceptions, each because the client would act on it in the wrong place: a 401 to
 * what mcproxy sent, and a 403 that wants another scope, are 502 (it would log in at the wrong server), a redirect is
 * 502 (it would carry our token to another URL), and fields that speak for an origin (`Set-Cookie`, …) are left out.
 * Authentication, routing and the choice of the upstream are the caller's.
 */
import type { IncomingMessage } from 'node:http';

import { requireCredential } from '../auth/credentials.ts';
import type { Sealer } from '../auth/seal.ts';
import { ProxyError } from '../errors.ts';
import { pumpBody, takeBody, type RequestBody } from '../http/body.ts';
import { asProxyError, recordFailure, type Exchange } from '../http/exchange.ts';
import { sendFailure, streamThrough, type StreamOptions } from '../http/reply.ts';
import type { Clock, HttpServerConfig, OutgoingCredential } from '../model.ts';
import { connectionTokens, HOP_BY_HOP, parseMediaType } from '../text/headers.ts';
import { createEndpointRewriter } from '../text/sse-endpoint.ts';
import { redirectError } from '../upstream/elsewhere.ts';
import type { Attempt, Outbound, OutboundBody } from '../upstream/forward.ts';
import { outboundFields, withCredential } from '../upstream/outbound.ts';
import type { HttpUpstream } from '../upstream/pool.ts';
import { forwardRenewed } from '../upstream/renewal.ts';
import { scopeError } from '../upstream/scope-error.ts';
import { announceEndpoint, openEndpoint } from './legacy-endpoint.ts';
import { observeRequest, observeResponse, type RequestObserver } from './observe.ts';

export interface RelayContext {
  readonly clock: Clock;
  readonly sealer: Sealer;
  readonly pathPrefix: string;
  readonly bodyBytesMax: number;
  readonly heartbeatMs: number;
  readonly credentialFor: (server: HttpServerConfig) => OutgoingCredential;
  /** Keeps the content of a call for the log, or undefined when it is not logged. */
  readonly keepParams: ((body: Buffer) => unknown) | undefined;
  /** A text of a server's without secrets. */
  redact(text: string): string;
  /** Answers the exchange after an error that nobody expected. */
  onThrown(thrown: unknown): void;
}

export interface RelayTarget {
  readonly server: HttpServerConfig;
  readonly upstream: HttpUpstream;
  readonly principalId: string;
  /** `endpoint`: the server's URL itself; `messages`: where a sealed endpoint handle says. */
  readonly part: 'endpoint' | 'messages';
  /** For a request that the server may be unable to take at this URL. */
  readonly otherwise: Otherwise | undefined;
}

/** Another way to serve an exchange whose body is held whole. */
export interface Otherwise {
  /** Asked when the server says that nothing takes a POST there. Never rejects. */
  isNeeded(): Promise<boolean>;
  /** Answers the exchange in every case. */
  serve(): void;
}

/** Relays one exchange; answers it in every case. */
export function relay(exchange: Exchange, target: RelayTarget, context: RelayContext): void {
  const observer = observeRequest(exchange.request.headers);
  let path: string;
  try {
    requireCredential(target.server, { id: target.principalId });
    path = upstreamPath(exchange, target, context);
  } catch (thrown) {
    return sendFailure(exchange, asProxyError(thrown));
  }
  takeBody(exchange, {
    bodyBytesMax: context.bodyBytesMax,
    onBytes(chunk) {
      exchange.entry.bytesIn += chunk.length;
      observer.feed(chunk);
    },
    onReady(body) {
      try {
        if (body.kind === 'whole' && context.keepParams !== undefined)
          exchange.entry.params = context.keepParams(body.bytes);
        new Relayed({ exchange, target, context, observer, body, path }).start();
      } catch (thrown) {
        // Called from a socket's event, where nobody above catches.
        context.onThrown(thrown);
      }
    },
    onFailure: (error) => sendFailure(exchange, error),
  });
}

function upstreamPath(exchange: Exchange, target: RelayTarget, context: RelayContext): string {
  const { upstream, server, principalId } = target;
  if (target.part === 'messages') {
    return openEndpoint(exchange.query, { serverName: server.name, principalId, base: upstream.url }, context);
  }
  const own = upstream.url.search;
  if (exchange.query.length < 2) return upstream.url.pathname + own;
  if (own === '') return upstream.url.pathname + exchange.query;
  return upstream.url.pathname + [own, ...partsBeside(exchange.query, upstream.url.searchParams)].join('&');
}

/** The client's parameters without those that the operator set: of two of one name many servers take the last. */
function partsBeside(query: string, configured: URLSearchParams): string[] {
  const parts = query.slice(1).split('&');
  return parts.filter((part) => !parameterNames(part).some((name) => configured.has(name)));
}

/** Some servers still take `;` for `&`. */
function parameterNames(part: string): string[] {
  return [...new URLSearchParams(part.replaceAll(';', '&')).keys()];
}

interface RelayedOptions {
  readonly exchange: Exchange;
  readonly target: RelayTarget;
  readonly context: RelayContext;
  readonly observer: RequestObserver;
  readonly body: RequestBody;
  readonly path: string;
}

/** One relayed exchange; a class because it has an attempt to cut when the client goes. */
class Relayed {
  readonly #options: RelayedOptions;
  #attempt: Attempt | undefined;
  #answered = false;

  constructor(options: RelayedOptions) {
    this.#options = options;
  }

  start(): void {
    const { exchange, target, context, observer, body } = this.#options;
    const { request, response, entry } = exchange;
    observer.fill(entry);
    const onGone = (): void => {
      if (this.#answered) return;
      this.#fail(new ProxyError('CLIENT_GONE', 'the client closed the connection before it was answered'));
    };
    response.on('close', onGone);
    exchange.stop = (reason) => {
      // Without an answer there is nothing to end cleanly: a shutdown lets the exchange finish within its grace.
      if (reason === 'revoked') this.#fail(new ProxyError('AUTH_INVALID', 'the token was revoked'));
      if (reason === 'abort') this.#fail(new ProxyError('SHUTTING_DOWN', 'mcproxy is stopping'));
    };
    this.#attempt = forwardRenewed(target.upstream, this.#outbound(), {
      clock: context.clock,
      timeouts: target.server.timeouts,
      retries: target.server.retries,
      readOnly: request.method === 'GET' || observer.readOnly(),
      onAttempt: (attempt) => {
        entry.attempts = attempt;
      },
      onHead: (head) => this.#onHead(head),
      onFailure: (error) => this.#fail(error),
    });
    if (body.kind === 'whole') return;
    // Large bodies: the observer may know more by the time the entry is written.
    request.on('end', () => observer.fill(entry));
  }

  #outbound(): Outbound {
    const { exchange, target, context, body, path } = this.#options;
    const { request, entry } = exchange;
    const { server, upstream } = target;
    const extra = server.headers.flatMap(([name, value]) => [name, value.reveal()]);
    const credential = context.credentialFor(server);
    const method = request.method ?? 'GET';
    const fields = outboundFields({
      rawHeaders: request.rawHeaders,
      connection: request.headers.connection,
      passthrough: server.credential.type === 'passthrough',
      credential: [...extra, ...credential.fields()],
      reserved: credential.signature?.names ?? [],
      host: upstream.host,
      requestId: entry.requestId,
      traceparent: exchange.traceparent,
      body: bodyFraming(body, method),
    });
    const outbound = { serverName: server.name, method, path, fields, body: this.#outboundBody() };
    return withCredential(credential, outbound, upstream);
  }

  #outboundBody(): OutboundBody {
    const { exchange, body, context, observer } = this.#options;
    if (body.kind === 'whole') return body;
    return {
      kind: 'stream',
      pump: (sink) =>
        pumpBody(exchange.request, {
          head: body.head,
          bodyBytesMax: context.bodyBytesMax,
          onBytes(chunk) {
            exchange.entry.bytesIn += chunk.length;
            observer.feed(chunk);
          },
          write: (chunk) => sink.write(chunk),
          onEnd: () => sink.end(),
          onFailure: (error) => sink.fail(error),
        }),
    };
  }

  #onHead(head: IncomingMessage): void {
    const { exchange, target, context } = this.#options;
    const refusal = refuseHead(head, target, {
      method: exchange.request.method ?? '',
      redact: (text) => context.redact(text),
    });
    if (refusal !== undefined) {
      head.on('error', () => undefined);
      return this.#fail(refusal);
    }
    const { otherwise } = target;
    if (otherwise !== undefined && isNothingHere(head)) return this.#reconsider(head, otherwise);
    this.#pass(head);
  }

  #pass(head: IncomingMessage): void {
    const { exchange, observer } = this.#options;
    this.#answered = true;
    observer.fill(exchange.entry);
    streamThrough(exchange, head, this.#streamOptions(head));
  }

  #reconsider(head: IncomingMessage, otherwise: Otherwise): void {
    const { exchange, context, target } = this.#options;
    head.on('error', () => undefined);
    void otherwise.isNeeded().then((is) => {
      if (this.#answered) return;
      try {
        if (!is && !head.destroyed) return this.#pass(head);
        if (!is)
          return this.#fail(new ProxyError('UPSTREAM_CLOSED', `server ${target.server.name} broke off its answer`));
        this.#answered = true;
        exchange.stop = undefined;
        exchange.entry.bytesIn = 0; // whoever serves it now counts them again
        this.#attempt?.abort();
        otherwise.serve();
      } catch (thrown) {
        context.onThrown(thrown);
      }
    });
  }

  #streamOptions(head: IncomingMessage): StreamOptions {
    const { exchange, context, observer } = this.#options;
    const { request, entry } = exchange;
    const mediaType = parseMediaType(head.headers['content-type'] ?? '')?.type;
    const isStream = mediaType === 'text/event-stream';
    const coded = isCoded(head);
    const passthrough = this.#options.target.server.credential.type === 'passthrough';
    const response = observeResponse(coded ? undefined : mediaType, () => observer.expectsResponse());
    const rewriter =
      isStream && request.method === 'GET' && !coded ? createEndpointRewriter((uri) => this.#announce(uri)) : undefined;
    exchange.streaming = isStream;
    entry.outcome = outcomeOf(head.statusCode ?? 502);
    return {
      status: head.statusCode ?? 502,
      headers: answerFields(head, { isStream, passthrough }, entry.requestId),
      heartbeatMs: isStream && !coded ? context.heartbeatMs : 0,
      onChunk(chunk) {
        const complete = response.feed(chunk);
        response.fill(entry);
        return { chunks: rewriter === undefined ? [chunk] : rewriter.feed(chunk), complete };
      },
      onSilent: () => (response.atBoundary && rewriter?.atBoundary !== false ? ': keep-alive\n\n' : undefined),
      onEnd: () => rewriter?.end() ?? [],
      abortUpstream: () => {
        head.on('error', () => undefined);
        this.#attempt?.abort();
      },
    };
  }

  #announce(uri: string): string {
    const { target, context } = this.#options;
    const scope = { serverName: target.server.name, principalId: target.principalId, base: target.upstream.url };
    return announceEndpoint(uri, scope, { ...context, prefix: context.pathPrefix });
  }

  #fail(error: ProxyError): void {
    if (this.#answered) return;
    this.#answered = true;
    const { exchange, observer } = this.#options;
    exchange.stop = undefined;
    observer.fill(exchange.entry);
    this.#attempt?.abort();
    if (error.code === 'CLIENT_GONE') {
      recordFailure(exchange.entry, error);
      exchange.entry.httpStatus = error.spec.http;
      return exchange.commit(() => undefined);
    }
    sendFailure(exchange, error);
  }
}

function bodyFraming(body: RequestBody, method: string): number | 'chunked' | 'none' {
  if (body.kind === 'stream') return body.length ?? 'chunked';
  if (body.bytes.length === 0 && method !== 'POST') return 'none';
  return body.bytes.length;
}

function isCoded(head: IncomingMessage): boolean {
  return (head.headers['content-encoding'] ?? 'identity').toLowerCase() !== 'identity';
}

/** Answers that must not be passed on; see the header. */
function refuseHead(
  head: IncomingMessage,
  target: RelayTarget,
  { method, redact }: { readonly method: string; readonly redact: RelayContext['redact'] },
): ProxyError | undefined {
  const { server, principalId } = target;
  const status = head.statusCode ?? 0;
  if (status === 401 && server.credential.type !== 'passthrough') {
    const message =
      server.credential.type === 'none'
        ? `server ${server.name} asks for a credential and none is configured for user ${principalId}`
        : `server ${server.name} refused the credential configured for user ${principalId}`;
    return new ProxyError('UPSTREAM_CREDENTIAL', message);
  }
  const lacking = scopeError(server, head, { whose: `user ${principalId}`, redact });
  if (lacking !== undefined) return lacking;
  if (status >= 300 && status < 400 && status !== 304 && head.headers.location !== undefined) {
    return redirectError(server.name, head.headers.location, target.upstream.url);
  }
  const isStream = parseMediaType(head.headers['content-type'] ?? '')?.type === 'text/event-stream';
  if (method === 'GET' && isStream && isCoded(head)) {
    // An `endpoint` event in it could not be seen, and would lead the client past mcproxy.
    const message = `server ${server.name} compresses its event stream though mcproxy asks it not to`;
    return new ProxyError('UPSTREAM_PROTOCOL', message);
  }
  return undefined;
}

/** As a server of HTTP+SSE alone answers a POST (MCP 2025-11-25 transports, Backwards Compatibility). */
function isNothingHere({ statusCode, headers }: IncomingMessage): boolean {
  if (statusCode !== 400 && statusCode !== 404 && statusCode !== 405) return false;
  return parseMediaType(headers['content-type'] ?? '')?.type !== 'application/json';
}

function outcomeOf(status: number): 'ok' | 'client_error' | 'upstream_error' {
  if (status >= 500) return 'upstream_error';
  return status >= 400 ? 'client_error' : 'ok';
}

/** Fields that would make the client act towards our origin on the upstream's word. */
const ORIGIN_SCOPED = new Set([
  'set-cookie',
  'set-cookie2',
  'clear-site-data',
  'alt-svc',
  'strict-transport-security',
  'x-request-id',
  'proxy-authenticate',
  'proxy-authentication-info',
]);

/** End-to-end fields of the answer, flat, with ours added. */
function answerFields(
  head: IncomingMessage,
  kind: { isStream: boolean; passthrough: boolean },
  requestId: string,
): string[] {
  const { isStream, passthrough } = kind;
  const named = head.headers.connection === undefined ? [] : connectionTokens(head.headers.connection);
  const fields: string[] = [];
  for (let i = 0; i + 1 < head.rawHeaders.length; i += 2) {
    const rawName = head.rawHeaders[i] ?? '';
    const name = rawName.toLowerCase();
    // A challenge to our credential would send the client to log in at the wrong server (RFC 9110 §11.6.1).
    if (name === 'www-authenticate' && !passthrough) continue;
    if (HOP_BY_HOP.has(name) || ORIGIN_SCOPED.has(name) || named.includes(name)) continue;
    // Which pages may read the answer says `allowed_origins`.
    if (name.startsWith('access-control-')) continue;
    if (name === 'content-length' && isStream) continue; // heartbeats and the endpoint rewrite change the length
    if (name === 'x-accel-buffering' && isStream) continue;
    fields.push(rawName, head.rawHeaders[i + 1] ?? '');
  }
  if (isStream) fields.push('X-Accel-Buffering', 'no');
  fields.push('X-Request-Id', requestId);
  return fields;
}
