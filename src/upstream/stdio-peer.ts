/**
 * A configured command as a peer of the waist: started when first needed, started again when it ends.
 *
 * Each life is a process of its own: spawned, asked for its era, and spoken to in that era for as long as it runs.
 * `startMs` bounds it all, because `npx` may have to download first. That a command is legacy is believed for a
 * while, so that a crash does not cost the wait for an answer again; `era: legacy` spares the first question too, and
 * with `era: modern` silence means nothing. Restarting is the supervisor's.
 */
import { ProxyError } from '../errors.ts';
import { LEGACY_VERDICT_MS_MAX } from '../limits.ts';
import type { ChannelEvents } from '../mcp/waist.ts';
import type { Clock, StdioServerConfig } from '../model.ts';
import { spawnChild, type Child, type StopMs } from './child.ts';
import type { OnDiag } from './conversation.ts';
import { openLegacyPeer } from './legacy-peer.ts';
import { openModernChannelPeer } from './modern-channel-peer.ts';
import { openStdioChannel, type StdioChannel } from './stdio-channel.ts';
import { askEra, type EraVerdict } from './stdio-era.ts';
import { supervise, type Life, type SupervisedPeer } from './supervisor.ts';

export interface StdioPeerOptions {
  readonly server: StdioServerConfig;
  readonly ambientEnv: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly onDiag: OnDiag;
  readonly stopMs?: StopMs | undefined;
}

export function openStdioPeer(options: StdioPeerOptions): SupervisedPeer {
  const { server, clock, onDiag } = options;
  /** When the command was last found to be legacy. */
  const memory: Memory = { legacyMs: undefined };
  return supervise({
    serverName: server.name,
    clock,
    onDiag,
    jitter: false,
    begin: (signal) => beginWithin(options, memory, signal),
  });
}

interface Memory {
  legacyMs: number | undefined;
}

/** A process with its pipe, whose events go to whoever listens now. */
interface Piped {
  readonly child: Child;
  readonly channel: StdioChannel;
  readonly listen: (events: ChannelEvents) => void;
}

/** Begins a life, or stops what it began when the time is up or nobody wants it any more. */
async function beginWithin(options: StdioPeerOptions, memory: Memory, closing: AbortSignal): Promise<Life> {
  const { server } = options;
  const children: Child[] = [];
  let isLate = false;
  const stop = (): void => children.forEach((child) => void child.stop());
  const timer = setTimeout(() => {
    isLate = true;
    stop();
  }, server.startMs);
  closing.addEventListener('abort', stop);
  const spawn = async (): Promise<Piped> => {
    const piped = await openPipe(options);
    children.push(piped.child);
    if (isLate || closing.aborted) stop();
    return piped;
  };
  try {
    return await beginLife(options, memory, spawn);
  } catch (error) {
    await Promise.all(children.map((child) => child.stop()));
    throw isLate ? lateError(server) : error;
  } finally {
    clearTimeout(timer);
    closing.removeEventListener('abort', stop);
  }
}

async function beginLife(options: StdioPeerOptions, memory: Memory, spawn: () => Promise<Piped>): Promise<Life> {
  const { server, clock, onDiag } = options;
  const { name: serverName, timeouts, startMs } = server;
  let piped = await spawn();
  const nowMs = clock.monotonicMs();
  const isKnownLegacy = memory.legacyMs !== undefined && nowMs - memory.legacyMs < LEGACY_VERDICT_MS_MAX;
  const verdict = await findEra(server, piped, isKnownLegacy);
  if (verdict.era === 'ended') {
    await piped.child.stop();
    piped = await spawn();
  }
  const { child, channel, listen } = piped;
  const open = async (events: ChannelEvents): Promise<StdioChannel> => {
    listen(events);
    return channel;
  };
  const peer =
    verdict.era === 'modern'
      ? openModernChannelPeer({ serverName, timeouts, onDiag, open, card: verdict.card })
      : openLegacyPeer({ serverName, timeouts, onDiag, open, startMs, roots: server.roots });
  const card = await peer.describe();
  const era = verdict.era === 'modern' ? 'modern' : 'legacy';
  memory.legacyMs = era === 'legacy' ? (isKnownLegacy ? memory.legacyMs : nowMs) : undefined;
  return {
    peer,
    card,
    era,
    pid: child.pid,
    async stop() {
      await peer.close();
      await child.stop();
    },
  };
}

async function findEra(server: StdioServerConfig, piped: Piped, isKnownLegacy: boolean): Promise<EraVerdict> {
  const { name: serverName, era, startMs } = server;
  if (era === 'legacy' || (era === 'auto' && isKnownLegacy)) return { era: 'legacy' };
  const { channel, listen } = piped;
  if (era === 'auto') return askEra(channel, { serverName, listen });
  const verdict = await askEra(channel, { serverName, listen, silenceMs: startMs });
  if (verdict.era === 'modern') return verdict;
  const text = `server ${serverName} does not say that it speaks MCP 2026-07-28, as \`era: modern\` in its configuration says`;
  throw new ProxyError('UPSTREAM_PROTOCOL', text);
}

async function openPipe({ server, ambientEnv, onDiag, stopMs }: StdioPeerOptions): Promise<Piped> {
  const onStderr = (line: string): void => onDiag('info', 'a server wrote to stderr', { server: server.name, line });
  const child = await spawnChild({ server, ambientEnv, onStderr, stopMs });
  let target: ChannelEvents | undefined;
  const channel = openStdioChannel(
    child,
    { serverName: server.name, onDiag },
    {
      onMessage: (message, relatedTo) => target?.onMessage(message, relatedTo),
      onClose: (error) => target?.onClose(error),
      onLost: (requestId, error) => target?.onLost(requestId, error),
    },
  );
  return {
    child,
    channel,
    listen(events) {
      target = events;
    },
  };
}

function lateError({ name, startMs }: StdioServerConfig): ProxyError {
  const text = `server ${name} was not ready within ${startMs} ms and was stopped; see \`timeout\` in mcproxy.yml`;
  return new ProxyError('UPSTREAM_TIMEOUT', text);
}
