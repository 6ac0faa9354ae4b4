/**
 * Requests from the command line of this machine: for a principal, through the same view that clients have.
 *
 * One way for both forms of a command: the running service answers them over the admin socket and writes one entry
 * each, a command without a service opens the message path itself. A list is read to its last page and waited for,
 * with the servers that are missing in it. Promises: an answer always comes, also when the service stops; what is
 * cancelled here is cancelled at the server. How the bytes travel is `local-wire`; who asks, `local-principal`.
 */
import { ProxyError } from '../errors.ts';
import { KIND_OF_METHOD, LISTS, type ListKind } from '../gateway/catalog-read.ts';
import { noteMessage, noteResponse } from '../gateway/downstream-entry.ts';
import { failureOf, modernResponse } from '../gateway/downstream-result.ts';
import type { GatewayView, ViewServer } from '../gateway/view.ts';
import { LOCAL_REQUEST_COUNT_MAX, LOCAL_SILENCE_MS_MAX, QUOTED_CHARS_MAX } from '../limits.ts';
import type { JsonRpcResponse } from '../mcp/jsonrpc.ts';
import type { JsonObject, McpCall, McpEvents, McpOutcome, McpRequest } from '../mcp/waist.ts';
import type { Clock, Config, Entry, Principal } from '../model.ts';
import { findNearest } from '../text/nearest.ts';
import { emptyEntry } from './begin.ts';
import { findLocalUser } from './local-principal.ts';
import { stackOf } from './stack.ts';
import { VERSION } from './version.ts';

export interface LocalQuestion {
  /** Whose servers and credentials; undefined: all servers of mcproxy.yml with the shared ones. */
  readonly user: string | undefined;
  /** Ask this server alone, by the names that it has itself. */
  readonly server: string | undefined;
  readonly method: string;
  readonly params: JsonObject;
  readonly clientCapabilities: JsonObject;
  /** How long a list waits for servers that are starting. */
  readonly waitMs: number;
}

/** Where an item of a list comes from, in the order of the items. */
export interface Origin {
  readonly server: string | null;
  /** What it is called there. */
  readonly name: string | null;
}

export interface LocalAnswer {
  readonly response: JsonRpcResponse;
  /** Of a list: the servers that it is made of, and those that are missing. */
  readonly servers: readonly ViewServer[];
  readonly origins: readonly Origin[];
}

export interface LocalCall {
  /** Never rejects. */
  readonly answer: Promise<LocalAnswer>;
  cancel(reason: string): void;
}

export interface LocalRequests {
  ask(question: LocalQuestion, events: McpEvents): LocalCall;
  /** Resolves when none is open. */
  idle(): Promise<void>;
  /** Ends all that are open with an error. */
  stop(): void;
}

export interface LocalRequestsOptions {
  readonly clock: Clock;
  config(): Config;
  view(principal: Principal, serverName: string | undefined): GatewayView;
  keepParams(params: unknown): unknown;
  /** `done` follows when the entry is in the log. */
  append(entry: Entry, done: () => void): void;
  onInternal(cause: string): void;
}

/** Not of MCP: the tools of each server as it gave them itself, for `mcproxy lock`. Only this machine can ask it. */
export const OWN_TOOLS_METHOD = 'mcproxy/own_tools';

const CLIENT_INFO = { name: 'mcproxy', version: VERSION };
/** By which request an item of a list is located. */
const USE_OF: Readonly<Record<ListKind, string>> = {
  tools: 'tools/call',
  prompts: 'prompts/get',
  resources: 'resources/read',
  templates: 'resources/read',
};

interface Open {
  readonly ended: Promise<unknown>;
  stop(): void;
}

export function createLocalRequests(options: LocalRequestsOptions): LocalRequests {
  const open = new Set<Open>(); // Bounded by LOCAL_REQUEST_COUNT_MAX.
  return {
    ask(question, events) {
      const call = start(options, question, { events, isFull: open.size >= LOCAL_REQUEST_COUNT_MAX });
      const one: Open = { ended: call.answer, stop: () => call.stop() };
      open.add(one);
      void call.answer.then(() => open.delete(one));
      return call;
    },
    async idle() {
      await Promise.all([...open].map(({ ended }) => ended));
    },
    stop() {
      for (const one of open) one.stop();
    },
  };
}

interface Begun {
  readonly events: McpEvents;
  readonly isFull: boolean;
}

function start(
  options: LocalRequestsOptions,
  question: LocalQuestion,
  { events, isFull }: Begun,
): LocalCall & { stop(): void } {
  const { clock } = options;
  const entry = emptyEntry(clock);
  entry.route = 'admin';
  entry.rpcMethod = question.method;
  entry.attempts = 1;
  entry.bytesIn = Buffer.byteLength(JSON.stringify(question.params));
  const startedMs = clock.monotonicMs();
  let giveUp!: (error: ProxyError) => void;
  const ending = new Promise<never>((_, reject) => {
    giveUp = reject;
  });
  ending.catch(() => undefined); // nobody may be waiting any more
  let running: McpCall | undefined;
  let isOver = false;
  const end = (error: ProxyError): void => {
    isOver = true;
    running?.cancel(error.message);
    giveUp(error);
  };

  async function run(): Promise<Found> {
    if (isFull) throw new ProxyError('OVERLOADED', 'too many commands ask at once; try again shortly');
    const view = enter(options, question, entry);
    if (question.method === OWN_TOOLS_METHOD) return readOwnTools(view, question.waitMs, events);
    const make = (params: JsonObject): Promise<McpOutcome> => {
      if (isOver) return ending;
      running = view.call({ ...requestOf(question), params }, events);
      return running.outcome;
    };
    const kind = question.server === undefined ? KIND_OF_METHOD.get(question.method) : undefined;
    if (kind !== undefined) return readWhole(view, kind, { make, waitMs: question.waitMs, events });
    return { outcome: await make(question.params), servers: [], origins: [] };
  }

  async function answer(): Promise<LocalAnswer> {
    const found = await Promise.race([run(), ending]).catch((thrown: unknown) => ({
      outcome: failureOf(thrown, { onInternal: (error) => options.onInternal(stackOf(error)) }),
      servers: [],
      origins: [],
    }));
    const to = { id: 1, method: question.method, requestId: entry.requestId };
    const response = modernResponse(found.outcome, to, CLIENT_INFO);
    noteResponse(entry, response);
    entry.httpStatus = 200; // what the admin socket says of every question that it could read
    entry.bytesOut = Buffer.byteLength(JSON.stringify(response));
    entry.latencyMs = clock.monotonicMs() - startedMs;
    // As for every client: the entry is in the file before the answer leaves.
    await new Promise<void>((done) => options.append(entry, done));
    return { response, servers: found.servers, origins: found.origins };
  }

  return {
    answer: answer(),
    cancel: (reason) => end(new ProxyError('CLIENT_GONE', reason)),
    stop: () => end(new ProxyError('SHUTTING_DOWN', 'mcproxy is stopping')),
  };
}

/** The view to ask through. @throws {ProxyError} ROUTE_UNKNOWN: there is no such user or server */
function enter(options: LocalRequestsOptions, question: LocalQuestion, entry: Entry): GatewayView {
  const { user, server, method, params } = question;
  const principal = findLocalUser(options.config(), user);
  if ('unknown' in principal) throw new ProxyError('ROUTE_UNKNOWN', principal.unknown);
  entry.principal = principal.id;
  if (server !== undefined && !principal.servers.has(server)) throw unknownServer(principal, server);
  const view = options.view(principal, server);
  noteMessage(entry, { method, params }, { view, keepParams: (value) => options.keepParams(value) });
  return view;
}

function unknownServer({ servers, id }: Principal, server: string): ProxyError {
  const nearest = findNearest(server, servers.keys());
  const hint = nearest === undefined ? '; `mcproxy status` shows all' : `; did you mean "${nearest}"?`;
  return new ProxyError('ROUTE_UNKNOWN', `there is no server "${server.slice(0, QUOTED_CHARS_MAX)}" for ${id}${hint}`);
}

function requestOf({ method, params, clientCapabilities }: LocalQuestion): McpRequest {
  return { method, params, clientCapabilities, clientInfo: CLIENT_INFO, logLevel: undefined, wantsProgress: true };
}

interface Found {
  readonly outcome: McpOutcome;
  readonly servers: readonly ViewServer[];
  readonly origins: readonly Origin[];
}

interface Reading {
  readonly make: (params: JsonObject) => Promise<McpOutcome>;
  readonly waitMs: number;
  readonly events: McpEvents;
}

async function readOwnTools(view: GatewayView, waitMs: number, events: McpEvents): Promise<Found> {
  const servers = await awaitServers(view, 'tools', { waitMs, events });
  return { outcome: { kind: 'complete', result: { servers: view.ownTools() } }, servers, origins: [] };
}

/** Gives every server its time; when that is long, tells whoever waits for whom. */
async function awaitServers(
  view: GatewayView,
  kind: ListKind,
  { waitMs, events }: Pick<Reading, 'waitMs' | 'events'>,
): Promise<readonly ViewServer[]> {
  const silentMs = Math.min(waitMs, LOCAL_SILENCE_MS_MAX);
  const servers = await view.servers(kind, silentMs);
  const awaited = servers.flatMap(({ server, state }) => (state === 'waiting' ? [server] : []));
  if (awaited.length === 0 || waitMs === silentMs) return servers;
  events.onProgress({ progress: 0, message: waitingText(awaited) });
  return view.servers(kind, waitMs - silentMs);
}

/** What a command says while servers let it wait. */
export function waitingText(servers: readonly string[]): string {
  return `waiting for ${servers.join(', ')} …`;
}

/** All pages of a merged list, after every server has had its time. */
async function readWhole(view: GatewayView, kind: ListKind, { make, waitMs, events }: Reading): Promise<Found> {
  const { member, key } = LISTS[kind];
  const servers = await awaitServers(view, kind, { waitMs, events });
  const items: JsonObject[] = []; // Bounded by CATALOG_ITEM_COUNT_MAX for each server.
  let cursor: unknown;
  do {
    // oxlint-disable-next-line no-await-in-loop -- each page names the next
    const outcome = await make(cursor === undefined ? {} : { cursor });
    if (outcome.kind !== 'complete') return { outcome, servers, origins: [] };
    items.push(...(outcome.result[member] as readonly JsonObject[]));
    cursor = outcome.result['nextCursor'];
  } while (cursor !== undefined);
  const origins = items.map((item) => {
    const { upstream, name } = view.locate({ method: USE_OF[kind], params: { name: item[key], uri: item[key] } });
    return { server: upstream, name };
  });
  return { outcome: { kind: 'complete', result: { [member]: items } }, servers, origins };
}
