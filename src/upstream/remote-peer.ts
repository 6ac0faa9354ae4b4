/**
 * A configured remote server as a peer of the waist, whatever transport and era it speaks.
 *
 * Each life begins with the question which of them that is, whose answer is kept for a while. A modern server has no
 * connection that could end, so its life lasts; a legacy one has a session or an event stream, and when that ends the
 * supervisor begins the next life. A legacy verdict that proves wrong at the handshake is forgotten. Everything on
 * the wire belongs to the transports. Source: MCP 2026-07-28 basic/versioning, Backward Compatibility.
 */
import { ProxyError } from '../errors.ts';
import { DETECT_MS_MAX } from '../limits.ts';
import { detectRemote, forgetVerdict, type RemoteKind } from './detect.ts';
import { openLegacyPeer, type MortalPeer } from './legacy-peer.ts';
import type { RemoteOptions } from './mcp-http.ts';
import { openModernHttp } from './modern-http.ts';
import { openSseChannel } from './sse-channel.ts';
import { openStreamableChannel } from './streamable-channel.ts';
import { supervise, type Life, type SupervisedPeer } from './supervisor.ts';

export function openRemotePeer(options: RemoteOptions): SupervisedPeer {
  return supervise({
    serverName: options.server.name,
    clock: options.clock,
    onDiag: (level, message, data) => options.onDiag(level, message, data),
    jitter: true,
    begin: (closing) => beginUnless(options, closing),
  });
}

/** A life, unless it is no longer wanted before it has begun: then nobody waits, and it is stopped when it is there. */
async function beginUnless(options: RemoteOptions, closing: AbortSignal): Promise<Life> {
  const beginning = beginLife(options);
  let onAbort!: () => void;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => {
      reject(new ProxyError('UPSTREAM_NOT_READY', `server ${options.server.name} is no longer used`));
      beginning.then(
        (life) => void life.stop(),
        () => undefined,
      );
    };
    closing.addEventListener('abort', onAbort);
    if (closing.aborted) onAbort();
  });
  try {
    return await Promise.race([beginning, aborted]);
  } finally {
    closing.removeEventListener('abort', onAbort);
  }
}

async function beginLife(options: RemoteOptions): Promise<Life> {
  const remote = await detectRemote(options);
  const peer = remote.kind === 'modern' ? immortal(openModernHttp(options, remote.card)) : openLegacy(options, remote);
  try {
    const card = await peer.describe();
    const era = remote.kind === 'modern' ? 'modern' : 'legacy';
    return { peer, card, era, pid: undefined, stop: () => peer.close() };
  } catch (error) {
    await peer.close();
    // It may have become a modern one since it was asked.
    if (error instanceof ProxyError && error.code === 'UPSTREAM_PROTOCOL') forgetVerdict(options.upstream);
    throw error;
  }
}

function openLegacy(options: RemoteOptions, { kind }: RemoteKind): MortalPeer {
  const { server } = options;
  return openLegacyPeer({
    serverName: server.name,
    timeouts: server.timeouts,
    startMs: DETECT_MS_MAX,
    roots: true,
    onDiag: (level, message, data) => options.onDiag(level, message, data),
    open: async (events) =>
      kind === 'legacy-sse' ? openSseChannel(options, events) : openStreamableChannel(options, events),
  });
}

/** Without a connection there is nothing to end: each request fails or succeeds by itself. */
function immortal(peer: ReturnType<typeof openModernHttp>): MortalPeer {
  return Object.assign(peer, { ended: new Promise<Error>(() => undefined) });
}
