/**
 * One HTTP request of our own to a remote MCP server, up to the head of its answer.
 *
 * For the gateway, which is a client of its own right: a POST with one message, a GET for an event stream, a DELETE.
 * Uses the pool, the retries and the outbound fields that the relay uses. Repeats only what provably did not run
 * (no connection, 429, 503): an answer that was cut is the caller's to judge. What no caller can use is refused here:
 * a credential that is not taken, a redirect, a coded body. Bodies are read by `mcp-reply`.
 */
import type { IncomingMessage } from 'node:http';

import { ProxyError } from '../errors.ts';
import type { Clock, HttpServerConfig, OutgoingCredential } from '../model.ts';
import type { JsonObject } from '../mcp/waist.ts';
import { parseMediaType, parseTraceparent } from '../text/headers.ts';
import { redirectError } from './elsewhere.ts';
import type { Attempt, Outbound } from './forward.ts';
import { outboundFields, withCredential } from './outbound.ts';
import type { HttpUpstream } from './pool.ts';
import { forwardRenewed } from './renewal.ts';
import { scopeError } from './scope-error.ts';

export interface RemoteOptions {
  readonly server: HttpServerConfig;
  readonly upstream: HttpUpstream;
  readonly credential: OutgoingCredential;
  readonly clock: Clock;
  /** Texts are constants; what varies is in the data. */
  onDiag(level: 'warn' | 'info', message: string, data?: Readonly<Record<string, unknown>>): void;
}

export interface HttpAsk {
  readonly method: 'POST' | 'GET' | 'DELETE';
  /** Path and query; those of the server's URL without it. */
  readonly path?: string;
  /** Flat: `Mcp-*`, `Last-Event-ID`. */
  readonly fields: readonly string[];
  /** Body of a POST. */
  readonly message?: JsonObject;
  /** W3C trace context of the message, if it carries one. */
  readonly traceparent?: unknown;
  /** Bound for the head when it is less than the server's `timeouts.first_byte`. */
  readonly headMsMax?: number;
  /** An event stream that may be silent for ever; TCP keep-alive notices a peer that is gone. */
  readonly endless?: boolean;
  /** Called for each time that it is sent. */
  onAttempt?(): void;
}

export interface HttpAnswer {
  readonly head: IncomingMessage;
  readonly status: number;
  /** Lower-case, without parameters; empty when absent or unreadable. */
  readonly mediaType: string;
  /** Cuts the connection; the head then reports an error that nobody needs. */
  abort(): void;
}

export interface HttpExchange {
  /** Rejects with a ProxyError UPSTREAM_* (`data.notProcessed` where that is certain), or CLIENT_GONE after `abort`. */
  readonly answer: Promise<HttpAnswer>;
  abort(): void;
}

const BOTH = 'application/json, text/event-stream';

/** Sends one request. Answers of every status are reported except those that `refusal` names. */
export function askHttp(options: RemoteOptions, ask: HttpAsk): HttpExchange {
  const { server, upstream, clock } = options;
  const { connectMs, firstByteMs, idleMs } = server.timeouts;
  const bytes = ask.message === undefined ? Buffer.alloc(0) : Buffer.from(JSON.stringify(ask.message));
  const outbound: Outbound = {
    serverName: server.name,
    method: ask.method,
    path: ask.path ?? upstream.url.pathname + upstream.url.search,
    fields: fieldsOf(options, ask, bytes.length),
    body: { kind: 'whole', bytes },
  };
  let rejectAnswer: (error: ProxyError) => void;
  let current: Attempt | undefined;
  const answer = new Promise<HttpAnswer>((resolve, reject) => {
    rejectAnswer = reject;
    const attempt = forwardRenewed(upstream, withCredential(options.credential, outbound, upstream), {
      clock,
      timeouts: {
        connectMs,
        firstByteMs: Math.min(firstByteMs, ask.headMsMax ?? firstByteMs),
        idleMs: ask.endless === true ? 0 : idleMs,
      },
      retries: server.retries,
      readOnly: false,
      onAttempt: () => ask.onAttempt?.(),
      onHead(head) {
        const mediaType = parseMediaType(head.headers['content-type'] ?? '')?.type ?? '';
        const found = { head, status: head.statusCode ?? 0, mediaType, abort: () => attempt.abort() };
        // Until somebody reads it, an error of the answer must not be thrown at the process.
        head.on('error', () => undefined);
        const refused = refusal(options, found);
        if (refused === undefined) return resolve(found);
        attempt.abort();
        reject(refused);
      },
      onFailure: (error) => reject(error.spec.retry === 'always' ? asNotProcessed(error) : error),
    });
    current = attempt;
  });
  return {
    answer,
    abort() {
      current?.abort();
      rejectAnswer(new ProxyError('CLIENT_GONE', `the request to server ${server.name} was given up`));
    },
  };
}

function fieldsOf(remote: RemoteOptions, ask: HttpAsk, bodyBytes: number): string[] {
  const { server, upstream } = remote;
  const isPost = ask.method === 'POST';
  const own = isPost ? ['Content-Type', 'application/json', 'Accept', BOTH] : ['Accept', 'text/event-stream'];
  const trace = ask.traceparent;
  return outboundFields({
    rawHeaders: ['User-Agent', 'mcproxy', ...own, ...ask.fields],
    connection: undefined,
    passthrough: false,
    credential: [...server.headers.flatMap(([name, value]) => [name, value.reveal()]), ...remote.credential.fields()],
    reserved: remote.credential.signature?.names ?? [],
    host: upstream.host,
    requestId: undefined,
    traceparent: typeof trace === 'string' && parseTraceparent(trace) ? trace : undefined,
    body: isPost ? bodyBytes : 'none',
  });
}

/** The failure that an answer stands for whatever was asked; undefined when it is for the caller to read. */
function refusal({ server, upstream }: RemoteOptions, { head, status }: HttpAnswer): ProxyError | undefined {
  if (status === 401 || status === 403) {
    const lacking = scopeError(server, head, { whose: 'it' });
    if (lacking !== undefined) return asNotProcessed(lacking);
    return new ProxyError('UPSTREAM_CREDENTIAL', credentialText(server, status), { data: { notProcessed: true } });
  }
  if (status >= 300 && status < 400) {
    return redirectError(server.name, head.headers.location, upstream.url);
  }
  if ((head.headers['content-encoding'] ?? 'identity').toLowerCase() !== 'identity') {
    const text = `server ${server.name} compresses its answer though mcproxy asks it not to`;
    return new ProxyError('UPSTREAM_PROTOCOL', text);
  }
  return undefined;
}

function credentialText({ name, credential }: HttpServerConfig, status: number): string {
  switch (credential.type) {
    case 'passthrough':
      return `server ${name} wants the client's own credential (HTTP ${status}); it is served on its own URL only`;
    case 'none':
      return `server ${name} asks for a credential (HTTP ${status}) and none is configured`;
    default:
      return `server ${name} refused the credential configured for it (HTTP ${status})`;
  }
}

/** What an HTTP status without a usable body means. 4xx: refused. 429 and 503: not now. Others: unknown. */
export function statusError(serverName: string, { status, head }: HttpAnswer): ProxyError {
  const text = `server ${serverName} answered HTTP ${status}`;
  if (status === 429 || status === 503) {
    const after = head.headers['retry-after'];
    const headers = after === undefined ? {} : { headers: { 'retry-after': after } };
    return new ProxyError('UPSTREAM_NOT_READY', `${text}; try again later`, {
      data: { notProcessed: true },
      ...headers,
    });
  }
  if (status >= 400 && status < 500) {
    const advice = status === 404 || status === 405 ? '; check the path of its url' : '';
    return new ProxyError('UPSTREAM_PROTOCOL', text + advice, { data: { notProcessed: true } });
  }
  return new ProxyError('UPSTREAM_PROTOCOL', `${text}; whether it acted is unknown`);
}

/** Whether a failed request certainly did nothing at the server, so that it may be sent again. */
export function isNotProcessed(error: ProxyError): boolean {
  return error.data?.['notProcessed'] === true;
}

/** The end of a conversation, for a message that is sent after it. */
export function asNotProcessed(error: ProxyError): ProxyError {
  return new ProxyError(error.code, error.message, {
    cause: error.cause,
    data: { ...error.data, notProcessed: true },
    headers: error.headers ?? {},
  });
}

/** The end of a conversation, for a message that was on its way: that another one was refused says nothing of it. */
export function asUncertain(error: ProxyError): ProxyError {
  if (!isNotProcessed(error)) return error;
  const { notProcessed: _, ...data } = error.data ?? {};
  return new ProxyError(error.code, error.message, { cause: error.cause, data });
}
