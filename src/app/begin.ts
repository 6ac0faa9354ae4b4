/**
 * The beginning of an exchange: clock, request id, trace and an empty log entry, before anything can fail; and the
 * register of those that have begun and are not over.
 *
 * `X-Request-Id` and `traceparent` are taken over when they are sane and minted otherwise (design: request ids), so
 * that one id finds a request in the client's log, in ours and in the upstream's.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

import { clientIp, type TrustedProxies } from '../http/client-ip.ts';
import type { StdioExchange } from '../gateway/stdio.ts';
import type { Exchange } from '../http/exchange.ts';
import { REQUEST_ID_CHARS_MAX } from '../limits.ts';
import type { Clock, Entry } from '../model.ts';
import { parseTraceparent } from '../text/headers.ts';

export interface BeginOptions {
  readonly clock: Clock;
  readonly trusted: TrustedProxies | undefined;
  /** Writes an entry; `done` follows when it is in the file or could not be put there. */
  readonly append: (entry: Entry, done: (ok: boolean) => void) => void;
}

/** A new exchange; its `commit` writes the entry once, with the latency of the first call. */
export function beginExchange(request: IncomingMessage, response: ServerResponse, options: BeginOptions): Exchange {
  const { clock } = options;
  const entry = emptyEntry(clock);
  entry.requestId = requestIdOf(request.headers['x-request-id']) ?? entry.requestId;
  const forwarded = request.headers['x-forwarded-for'];
  const hops = typeof forwarded === 'string' ? forwarded : undefined;
  entry.clientIp = clientIp(request.socket.remoteAddress, hops, options.trusted);

  return {
    request,
    response,
    entry,
    traceparent: traceparentOf(request.headers['traceparent']),
    path: '',
    query: '',
    body: undefined,
    tokenDigest: null,
    principalId: null,
    streaming: false,
    stop: undefined,
    commit: makeCommit(entry, options),
  };
}

/** A request that came over a pipe, with nothing of HTTP in its entry. */
export function beginPiped(principalId: string, options: Omit<BeginOptions, 'trusted'>): StdioExchange {
  const entry = emptyEntry(options.clock);
  entry.principal = principalId;
  entry.route = 'stdio';
  return { entry, traceparent: traceparentOf(undefined), commit: makeCommit(entry, options) };
}

function makeCommit(entry: Entry, { clock, append }: Omit<BeginOptions, 'trusted'>): Exchange['commit'] {
  const startedMs = clock.monotonicMs();
  let waiting: ((ok: boolean) => void)[] | undefined;
  let written: boolean | undefined;
  return (done) => {
    if (written !== undefined) return done(written);
    if (waiting !== undefined) return void waiting.push(done);
    waiting = [done];
    entry.latencyMs = clock.monotonicMs() - startedMs;
    append(entry, (ok) => {
      written = ok;
      for (const each of waiting ?? []) each(ok);
    });
  };
}

/** The exchanges that are open, as they are when the iteration begins. */
export interface OpenExchanges extends Iterable<Exchange> {
  readonly size: number;
}

export interface Registry {
  readonly open: OpenExchanges;
  /** Holds the exchange until its answer or its connection is over. */
  add(exchange: Exchange): void;
  /** The open exchanges of one connection, in the order of their requests. */
  on(socket: Duplex): readonly Exchange[];
  /** Resolves when none is open. */
  idle(): Promise<void>;
}

/** No exchange yet. */
export function createRegistry(): Registry {
  // Arrays, because a Set that is added to and deleted from all the time makes a new table again and again, and each
  // dead table keeps what it held alive until the next full collection: ten times the cost of collecting.
  const held: Held[] = [];
  const bySocket = new WeakMap<Duplex, Exchange[]>();
  let waiting: (() => void)[] = [];

  const watch = (socket: Duplex): Exchange[] => {
    const mine: Exchange[] = [];
    bySocket.set(socket, mine);
    socket.once('close', () => {
      for (const { response } of mine.slice()) closeQueued(response);
    });
    return mine;
  };
  return {
    open: {
      get size() {
        return held.length;
      },
      [Symbol.iterator]: () => held.map(({ exchange }) => exchange)[Symbol.iterator](),
    },
    add(exchange) {
      const { socket } = exchange.request;
      const mine = bySocket.get(socket) ?? watch(socket);
      mine.push(exchange);
      const place = { exchange, index: held.length };
      held.push(place);
      exchange.response.once('close', () => {
        mine.splice(mine.indexOf(exchange), 1);
        release(held, place);
        if (held.length > 0) return;
        for (const resolve of waiting) resolve();
        waiting = [];
      });
    },
    on: (socket) => [...(bySocket.get(socket) ?? [])],
    idle: () => (held.length === 0 ? Promise.resolve() : new Promise((resolve) => void waiting.push(resolve))),
  };
}

/** An open exchange and where it stands in the list. */
interface Held {
  readonly exchange: Exchange;
  index: number;
}

/** Takes one out; the last one takes its place. */
function release(held: Held[], place: Held): void {
  const last = held.pop();
  if (last === undefined || last === place) return;
  held[place.index] = last;
  last.index = place.index;
}

/**
 * When a connection ends, Node tells so only the answer whose turn it is. One of a pipelined request that still
 * waits for its turn never hears of it (Node 20 to 24) and would be open for ever.
 */
function closeQueued(response: ServerResponse): void {
  if (response.closed || response.socket !== null) return;
  response.destroy();
  response.emit('close');
}

/** An entry of which nothing is known but when it began. */
export function emptyEntry(clock: Clock): Entry {
  return {
    tsMs: clock.wallMs(),
    requestId: randomUUID(),
    principal: null,
    clientIp: null,
    route: null,
    upstream: null,
    rpcMethod: null,
    rpcName: null,
    httpStatus: null,
    rpcError: null,
    latencyMs: 0,
    attempts: 0,
    bytesIn: 0,
    bytesOut: 0,
    outcome: 'ok',
    errorCode: null,
    error: null,
    toolError: false,
    params: undefined,
  };
}

const REQUEST_ID = /^[A-Za-z0-9._:/+=@-]+$/;

function requestIdOf(sent: string | string[] | undefined): string | undefined {
  return typeof sent === 'string' && sent.length <= REQUEST_ID_CHARS_MAX && REQUEST_ID.test(sent) ? sent : undefined;
}

/** W3C Trace Context: a valid one travels on, otherwise a new trace begins here, not sampled. */
function traceparentOf(sent: string | string[] | undefined): string {
  if (typeof sent === 'string' && parseTraceparent(sent)) return sent;
  // UUIDs come from a pool of random bytes; a call for bytes of its own costs more than the rest of this function.
  const traceId = randomUUID().replaceAll('-', '');
  const parentId = randomUUID().replaceAll('-', '').slice(16);
  return `00-${traceId}-${parentId}-00`;
}

/** What may be ended from outside; what is no stream is a call: it began with a valid token and gets its answer. */
export function isStream(exchange: Exchange): boolean {
  return exchange.streaming || (isOpenEnded(exchange) && !exchange.response.headersSent);
}

/** A stream that no answer ends: it would outlast every grace. A GET with a method took up the answer to a request. */
export function isOpenEnded({ request, entry }: Exchange): boolean {
  return (request.method === 'GET' && entry.rpcMethod === null) || entry.rpcMethod === 'subscriptions/listen';
}
