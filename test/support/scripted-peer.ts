/**
 * Servers for tests of the gateway that are no processes and no sockets: what each says and offers is written down.
 *
 * A scripted peer answers lists from its `offer`, echoes calls unless the test says otherwise, records what it was
 * asked, and tells changes when the test wants it to.
 */
import { ProxyError } from '../../src/errors.ts';
import type { ChangeEvent, JsonObject, McpOutcome, McpRequest } from '../../src/mcp/waist.ts';
import type { Clock, Config, HttpServerConfig, Principal, ServerConfig, StdioServerConfig } from '../../src/model.ts';
import type { Peer } from '../../src/gateway/member.ts';
import { failureOutcome } from '../../src/upstream/peer-outcome.ts';
import { commonSettings } from './server-config.ts';

export interface Offer {
  tools?: JsonObject[];
  prompts?: JsonObject[];
  resources?: JsonObject[];
  resourceTemplates?: JsonObject[];
  capabilities?: JsonObject;
  instructions?: string;
  /** Members of every list result: `ttlMs`, `cacheScope`. */
  freshness?: JsonObject;
}

export interface ScriptedPeer extends Peer {
  offer: Offer;
  /** Says that it is down to everything. */
  down: boolean;
  /** Overrides the answer to a request. */
  answer: ((request: McpRequest) => McpOutcome | Promise<McpOutcome | undefined> | undefined) | undefined;
  readonly name: string;
  readonly principalId: string | undefined;
  readonly requests: McpRequest[];
  readonly cancelled: McpRequest[];
  readonly subscribed: Set<string>;
  /** Every subscription to tasks so far. */
  readonly taskListens: { readonly taskIds: readonly string[]; onTask(task: JsonObject): void; stop(): void }[];
  readonly closed: boolean;
  tell(event: ChangeEvent): void;
}

const MEMBERS: Readonly<Record<string, keyof Offer>> = {
  'tools/list': 'tools',
  'prompts/list': 'prompts',
  'resources/list': 'resources',
  'resources/templates/list': 'resourceTemplates',
};

export function scriptedPeer(name: string, offer: Offer, principalId?: string): ScriptedPeer {
  const listeners = new Set<(event: ChangeEvent) => void>();
  const requests: McpRequest[] = [];
  const cancelled: McpRequest[] = [];
  const subscribed = new Set<string>();
  const taskListens: ScriptedPeer['taskListens'] = [];
  let closed = false;
  const downError = (): ProxyError => new ProxyError('UPSTREAM_NOT_READY', `server ${name} is down since noon`);

  async function reply(asked: McpRequest): Promise<McpOutcome> {
    if (peer.down) return failureOutcome(downError());
    const own = await peer.answer?.(asked);
    if (own !== undefined) return own;
    const member = MEMBERS[asked.method];
    if (member === undefined) return { kind: 'complete', result: { echo: asked.params, by: name } };
    return { kind: 'complete', result: { [member]: peer.offer[member] ?? [], ...peer.offer.freshness } };
  }

  const peer: ScriptedPeer = {
    name,
    principalId,
    offer,
    down: false,
    answer: undefined,
    requests,
    cancelled,
    subscribed,
    taskListens,
    get closed() {
      return closed;
    },
    async describe() {
      if (peer.down) throw downError();
      const capabilities = peer.offer.capabilities ?? { tools: {}, prompts: {}, resources: { subscribe: true } };
      return { revision: '2026-07-28', capabilities, instructions: peer.offer.instructions, serverInfo: { name } };
    },
    call(asked) {
      requests.push(asked);
      return { outcome: reply(asked), cancel: () => cancelled.push(asked) };
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async subscribe(uri) {
      subscribed.add(uri);
      return true;
    },
    async unsubscribe(uri) {
      subscribed.delete(uri);
    },
    async listenTasks({ taskIds }, onTask) {
      let stop = (): void => undefined;
      const ended = new Promise<void>((resolve) => {
        stop = resolve;
      });
      taskListens.push({ taskIds, onTask, stop });
      return { agreed: taskIds, ended, stop };
    },
    async close() {
      closed = true;
    },
    state: () => ({
      state: closed ? 'idle' : 'ready',
      sinceMs: 0,
      era: undefined,
      revision: undefined,
      restarts: 0,
      lastError: undefined,
      lastErrorCode: undefined,
      pid: undefined,
    }),
    tell(event) {
      for (const listener of listeners) listener(event);
    },
  };
  return peer;
}

const TIMEOUTS = { connectMs: 1_000, firstByteMs: 1_000, idleMs: 1_000 };

export function httpServer(name: string, more: Partial<HttpServerConfig> = {}): HttpServerConfig {
  return {
    kind: 'http',
    ...commonSettings(name),
    timeouts: TIMEOUTS,
    transport: 'auto',
    url: `https://${name}.example/mcp`,
    otherUrls: [],
    credential: { type: 'none' },
    credentialFrom: 'none',
    headers: [],
    caFile: undefined,
    ...more,
  };
}

export function stdioServer(name: string, more: Partial<StdioServerConfig> = {}): StdioServerConfig {
  return {
    kind: 'stdio',
    ...commonSettings(name),
    timeouts: TIMEOUTS,
    transport: 'stdio',
    command: name,
    args: [],
    env: [],
    cwd: undefined,
    startMs: 1_000,
    replicas: 1,
    roots: true,
    ...more,
  };
}

/** A configuration with these servers; each user has all of them unless given a map of their own. */
export function configOf(
  servers: readonly ServerConfig[],
  users: Readonly<Record<string, readonly ServerConfig[] | '*'>> = { alice: '*' },
): Config {
  const shared = new Map(servers.map((server) => [server.name, server]));
  const principals = Object.entries(users).map(([id, own]): Principal => ({
    id,
    role: 'user',
    tokenDigests: [],
    servers: own === '*' ? shared : new Map(own.map((server) => [server.name, server])),
  }));
  return {
    listen: { host: '127.0.0.1', port: 0 },
    pathPrefix: '',
    auth: 'tokens',
    oauth: undefined,
    publicUrl: undefined,
    servers: shared,
    principals,
    log: { file: '-', params: 'none', onFailure: 'continue', level: 'info', chain: false },
    bodyBytesMax: 1_000_000,
    heartbeatMs: 0,
    shutdownGraceMs: 1_000,
    drainMs: 0,
    allowedHosts: [],
    allowedOrigins: [],
    trustedProxies: [],
    adminSocket: undefined,
    toolLock: new Map(),
    secrets: [],
  };
}

/** A clock that stands still until it is told to go on. */
export function standingClock(): Clock & { advance(ms: number): void } {
  let ms = 1_000_000;
  return {
    wallMs: () => ms,
    monotonicMs: () => ms,
    random: () => 0.5,
    advance(by) {
      ms += by;
    },
  };
}

/** A request as a client sends it through a view. */
export function request(method: string, params: JsonObject = {}, more: Partial<McpRequest> = {}): McpRequest {
  return {
    method,
    params,
    clientCapabilities: {},
    clientInfo: undefined,
    logLevel: undefined,
    wantsProgress: false,
    ...more,
  };
}
