/**
 * The HTTP upstreams that are in use: parsed address and keep-alive agent of each, shared by all principals.
 *
 * Connections carry no identity (credentials travel in each request), so that one agent per address serves
 * everybody. TLS is loaded only when an https address exists: it costs about 5 MB. Agents of addresses that left
 * the configuration are closed once their requests are done; the file of a CA is read again with each configuration,
 * and new connections trust what it holds then.
 */
import { Agent as HttpAgent, request as httpRequest, type ClientRequest, type RequestOptions } from 'node:http';
import type { Agent as HttpsAgent } from 'node:https';

import { ProxyError } from '../errors.ts';
import { HEADER_BYTES_MAX, UPSTREAM_IDLE_CONNECTION_COUNT_MAX } from '../limits.ts';
import { TCP_KEEP_ALIVE_MS, UPSTREAM_KEEP_ALIVE_MS } from '../limits.ts';
import type { HttpServerConfig } from '../model.ts';
import { readCaFile } from './ca-file.ts';

export interface HttpUpstream {
  readonly url: URL;
  readonly secure: boolean;
  /** `Host` field value. */
  readonly host: string;
  /** Opens a request on a pooled connection; the caller sets method, path and headers. */
  request(options: RequestOptions): ClientRequest;
}

export interface UpstreamPool {
  /**
   * Makes every upstream of these servers ready, besides those that are.
   *
   * @throws {ProxyError} CONFIG_INVALID when the file of `ca_file` cannot be used
   */
  prepare(servers: Iterable<HttpServerConfig>): Promise<void>;
  /** Lets go of those that are in none of these servers. */
  retain(servers: Iterable<HttpServerConfig>): void;
  /**
   * @param url one of the server's addresses; the first unless told
   * @throws {ProxyError} INTERNAL for a server that was not prepared
   */
  get(server: HttpServerConfig, url?: string): HttpUpstream;
  close(): void;
}

interface Pooled extends HttpUpstream {
  agent: HttpAgent | HttpsAgent;
  /** What the file of `ca_file` held when the agent was made. */
  readonly ca: Buffer | undefined;
}

/** An empty pool. */
export function createUpstreamPool(): UpstreamPool {
  // Bounded by configuration: one agent per distinct address and CA.
  const pooled = new Map<string, Pooled>();
  return {
    async prepare(servers) {
      const done = new Set<string>(); // Bounded by configuration.
      for (const server of servers) {
        const { name, caFile } = server;
        for (const url of [server.url, ...server.otherUrls]) {
          const key = poolKey(server, url);
          // Many users may have the server, each with a credential of their own.
          if (done.has(key)) continue;
          done.add(key);
          const ca = caFile === undefined ? undefined : readCaFile(caFile, `ca_file of server ${name}`);
          const known = pooled.get(key);
          if (known === undefined) pooled.set(key, await open(url, ca));
          else if (known.secure && ca !== undefined && known.ca?.equals(ca) === false) await renew(known, ca);
        }
      }
    },
    retain(servers) {
      const wanted = new Set<string>(); // Bounded by configuration.
      for (const server of servers)
        for (const url of [server.url, ...server.otherUrls]) wanted.add(poolKey(server, url));
      for (const [key, upstream] of pooled) {
        if (wanted.has(key)) continue;
        pooled.delete(key);
        retire(upstream.agent);
      }
    },
    get(server, url = server.url) {
      const upstream = pooled.get(poolKey(server, url));
      if (upstream === undefined) throw new ProxyError('INTERNAL', `server ${server.name} is not prepared`);
      return upstream;
    },
    close() {
      for (const upstream of pooled.values()) upstream.agent.destroy();
      pooled.clear();
    },
  };
}

function poolKey({ caFile }: HttpServerConfig, url: string): string {
  return caFile === undefined ? url : `${url}\n${caFile}`;
}

const AGENT = {
  keepAlive: true,
  keepAliveMsecs: TCP_KEEP_ALIVE_MS,
  maxFreeSockets: UPSTREAM_IDLE_CONNECTION_COUNT_MAX,
  timeout: UPSTREAM_KEEP_ALIVE_MS,
  scheduling: 'lifo',
} as const;

async function open(address: string, ca: Buffer | undefined): Promise<Pooled> {
  const url = new URL(address);
  const fixed = {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? undefined : Number(url.port),
    maxHeaderSize: HEADER_BYTES_MAX,
  };
  if (url.protocol === 'http:') {
    const agent = new HttpAgent(AGENT);
    const request = (options: RequestOptions): ClientRequest => httpRequest({ ...options, ...fixed, agent });
    return { url, secure: false, host: url.host, agent, ca, request };
  }
  const https = await import('node:https');
  const pooled: Pooled = {
    url,
    secure: true,
    host: url.host,
    agent: new https.Agent({ ...AGENT, ...trust(ca) }),
    ca,
    request: (options) => https.request({ ...options, ...fixed, agent: pooled.agent }),
  };
  return pooled;
}

/** The same upstream for all who hold it, with connections that are verified by another CA. */
async function renew(pooled: Pooled, ca: Buffer): Promise<void> {
  const old = pooled.agent;
  const https = await import('node:https');
  Object.assign(pooled, { agent: new https.Agent({ ...AGENT, ...trust(ca) }), ca });
  retire(old);
}

function trust(ca: Buffer | undefined): { ca?: Buffer } {
  return ca === undefined ? {} : { ca };
}

/** Idle connections go now; busy ones when their request is done, since nothing is kept alive any more. */
function retire(agent: HttpAgent | HttpsAgent): void {
  agent.maxFreeSockets = 0;
  for (const sockets of Object.values(agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
}
