/**
 * The client's side of the gateway on a real socket, over a view whose answers the test writes.
 *
 * Exchanges begin and end as in the app, but without routes and users: the header `x-test-user` says who asks, and the
 * first path segment is the scope. Each entry is kept when it is committed, in order with what leaves the socket.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { beginExchange } from '../../src/app/begin.ts';
import { makeSealer } from '../../src/auth/seal.ts';
import { createDownstream, type Downstream } from '../../src/gateway/downstream.ts';
import type { GatewayView } from '../../src/gateway/view.ts';
import type { Exchange } from '../../src/http/exchange.ts';
import type { JsonObject, McpCall, McpEvents, McpOutcome, McpRequest } from '../../src/mcp/waist.ts';
import type { Entry } from '../../src/model.ts';

export type Change = Parameters<Parameters<GatewayView['onChange']>[0]>[0];

export interface Asked {
  readonly request: McpRequest;
  readonly events: McpEvents;
  cancelled: string | undefined;
  end(outcome: McpOutcome): void;
}

export interface ScriptedView extends GatewayView {
  /** Every call so far. */
  readonly calls: Asked[];
  readonly subscribed: Map<string, number>;
  readonly listenerCount: number;
  change(change: Change): void;
}

/** @param script answers at once; undefined leaves the call open for the test to end */
export function scriptView(
  script: (request: McpRequest, events: McpEvents) => McpOutcome | undefined = () => undefined,
): ScriptedView {
  const calls: Asked[] = [];
  const subscribed = new Map<string, number>();
  const listeners = new Set<(change: Change) => void>();
  return {
    calls,
    subscribed,
    get listenerCount() {
      return listeners.size;
    },
    change(change) {
      for (const listener of listeners) listener(change);
    },
    discover: () => Promise.resolve({ capabilities: CAPABILITIES, instructions: 'Be kind.' }),
    call(request, events): McpCall {
      let end: (outcome: McpOutcome) => void = () => undefined;
      const outcome = new Promise<McpOutcome>((resolve) => {
        end = resolve;
      });
      const asked: Asked = { request, events, cancelled: undefined, end };
      calls.push(asked);
      const scripted = script(request, events);
      if (scripted !== undefined) end(scripted);
      return {
        outcome,
        cancel(reason) {
          asked.cancelled = reason ?? '';
        },
      };
    },
    paramHeaders: () => Promise.resolve([]),
    servers: () => Promise.resolve([]),
    ownTools: () => [],
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    subscribe(uri) {
      if (uri.startsWith('deaf:')) return Promise.resolve(false);
      subscribed.set(uri, (subscribed.get(uri) ?? 0) + 1);
      return Promise.resolve(true);
    },
    unsubscribe(uri) {
      subscribed.set(uri, (subscribed.get(uri) ?? 0) - 1);
      return Promise.resolve();
    },
    watchTasks: () => Promise.resolve({ agreed: [], stop: () => undefined }),
    locate: ({ params }) => {
      const name = typeof params['name'] === 'string' ? params['name'] : null;
      return { upstream: name === null ? null : 'files', name };
    },
  };
}

const CAPABILITIES: JsonObject = {
  tools: { listChanged: true },
  resources: { listChanged: true, subscribe: true },
  logging: {},
};

export interface DownstreamServer {
  readonly url: string;
  readonly entries: Entry[];
  readonly internal: unknown[];
  /** Messages for the diagnostic log. */
  readonly diags: string[];
  readonly open: Set<Exchange>;
  readonly downstream: Downstream;
  /** Forgets everything but the key, as a restart does. */
  restart(): void;
  /** With `holdLog`: the entries so far are in the file from now on. */
  writeLog(): void;
  close(): Promise<void>;
}

export async function startDownstream(
  view: GatewayView,
  options: { readonly heartbeatMs?: number; readonly key?: string; readonly holdLog?: boolean } = {},
): Promise<DownstreamServer> {
  const clock = { wallMs: () => Date.now(), monotonicMs: () => performance.now(), random: () => 0.5 };
  const entries: Entry[] = [];
  const internal: unknown[] = [];
  const diags: string[] = [];
  const open = new Set<Exchange>();
  const unwritten: (() => void)[] = [];
  const make = (): Downstream =>
    createDownstream({
      clock,
      sealer: makeSealer(Buffer.from(options.key ?? 'a key of the test')),
      heartbeatMs: options.heartbeatMs ?? 0,
      pathPrefix: '',
      serverInfo: { name: 'mcproxy', version: '0.0.0' },
      keepParams: undefined,
      onDiag: (_level, message) => diags.push(message),
      onInternal: (error) => internal.push(error),
    });
  let downstream = make();
  const server = createServer((request, response) => {
    const exchange = beginExchange(request, response, {
      clock,
      trusted: undefined,
      append(entry, done) {
        entries.push(structuredClone(entry));
        if (options.holdLog === true) unwritten.push(() => done(true));
        else setImmediate(() => done(true));
      },
    });
    open.add(exchange);
    response.on('close', () => open.delete(exchange));
    const url = new URL(request.url ?? '/', 'http://test');
    exchange.path = url.pathname;
    exchange.query = url.search;
    const segments = url.pathname.split('/').filter((segment) => segment !== '');
    const user = request.headers['x-test-user'] ?? 'alice';
    const principal = { id: String(user), role: 'user' as const, tokenDigests: [], servers: new Map() };
    const part = segments.at(-1) as 'mcp' | 'sse' | 'messages';
    downstream.serve(exchange, { view, principal, scope: segments.length > 1 ? (segments[0] ?? '') : '', part });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    entries,
    internal,
    diags,
    open,
    get downstream() {
      return downstream;
    },
    writeLog() {
      for (const done of unwritten.splice(0)) done();
    },
    restart() {
      downstream = make();
    },
    async close() {
      downstream.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
