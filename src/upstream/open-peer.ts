/**
 * A configured server as a peer of the waist, whatever it is: a command or a remote server, one or several replicas.
 *
 * The health of a remote replica belongs to its address and is shared by all who use it; that of a process belongs to
 * the peer that started it. A replica is not asked again by itself when it cannot be reached: the next one is.
 */
import type { McpPeer } from '../mcp/waist.ts';
import type { Clock, HttpServerConfig, OutgoingCredential, ServerConfig, StdioServerConfig } from '../model.ts';
import type { StopMs } from './child.ts';
import type { OnDiag } from './conversation.ts';
import type { RemoteOptions } from './mcp-http.ts';
import type { HttpUpstream, UpstreamPool } from './pool.ts';
import { openRemotePeer } from './remote-peer.ts';
import { createReplicaHealth, type ReplicaHealth } from './replica-health.ts';
import { openReplicaPeer, replicaKey, type ReplicaSpec } from './replica-peer.ts';
import { openStdioPeer } from './stdio-peer.ts';
import type { PeerState } from './supervisor.ts';

export interface PeerOptions {
  readonly pool: UpstreamPool;
  /** What goes out to a remote server. */
  readonly credentialFor: (server: HttpServerConfig) => OutgoingCredential;
  /** What commands may inherit a few harmless variables from. */
  readonly ambientEnv: Readonly<Record<string, string | undefined>>;
  /** How long a command has to leave; the default is that of `child`. */
  readonly stopMs?: StopMs | undefined;
  readonly clock: Clock;
  readonly onDiag: OnDiag;
}

/** Opens nothing yet: it is connected to, or started, when it is first needed. */
export function openPeer(server: ServerConfig, options: PeerOptions): McpPeer & { state(): PeerState } {
  const { clock, onDiag } = options;
  const replicas = server.kind === 'http' ? remoteReplicas(server, options) : processReplicas(server, options);
  const [only] = replicas;
  if (only !== undefined && replicas.length === 1) return only.peer;
  return openReplicaPeer({ serverName: server.name, replicas, clock, onDiag });
}

/** Lives as long as the address is configured. */
const healths = new WeakMap<HttpUpstream, ReplicaHealth>();

function remoteReplicas(server: HttpServerConfig, options: PeerOptions): ReplicaSpec[] {
  const { pool, clock, onDiag } = options;
  const urls = [server.url, ...server.otherUrls];
  const credential = options.credentialFor(server);
  return urls.map((url, at) => {
    const upstream = pool.get(server, url);
    const health = healths.get(upstream) ?? createReplicaHealth(clock);
    healths.set(upstream, health);
    const one = urls.length === 1 ? server : { ...server, url, otherUrls: [], retries: 0 };
    const remote: RemoteOptions = {
      server: one,
      upstream,
      credential,
      clock,
      onDiag,
    };
    return { name: String(at + 1), key: replicaKey(url), peer: openRemotePeer(remote), health };
  });
}

function processReplicas(server: StdioServerConfig, { ambientEnv, clock, onDiag, stopMs }: PeerOptions): ReplicaSpec[] {
  return Array.from({ length: server.replicas }, (_, at) => ({
    name: String(at + 1),
    key: String(at + 1),
    peer: openStdioPeer({ server, ambientEnv, clock, onDiag, stopMs }),
    health: createReplicaHealth(clock),
  }));
}
