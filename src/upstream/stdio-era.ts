/**
 * Which era a command speaks: the question `server/discover`, once, on the pipe that will be used.
 *
 * Every error but the one that names modern revisions means legacy, whatever its code; so does silence, and an exit,
 * because some servers end on what they do not know (the caller starts those again and does not ask). A late answer
 * is dropped by whoever uses the pipe next: its id is none of theirs. Source: MCP 2026-07-28 basic/transports/stdio,
 * Backward Compatibility.
 */
import { ProxyError } from '../errors.ts';
import { ERA_PROBE_MS_MAX } from '../limits.ts';
import { decodeMessage, isObject } from '../mcp/jsonrpc.ts';
import { RPC_ERROR, isLegacyRevision, isModernRevision } from '../mcp/protocol.ts';
import type { ChannelEvents, JsonObject, MessageChannel, ServerCard } from '../mcp/waist.ts';
import { OWN_META, readDiscovery } from './modern-message.ts';

export type EraVerdict =
  | { readonly era: 'modern'; readonly card: ServerCard }
  | { readonly era: 'legacy' }
  /** Legacy, and the process has ended on the question. */
  | { readonly era: 'ended' };

/** Text, so that it cannot be an id of a conversation, which are numbers. */
const PROBE_ID = 'mcproxy-era';

export interface EraQuestion {
  readonly serverName: string;
  /** Silence so long means legacy. */
  readonly silenceMs?: number;
  /** Gives what happens on the channel to somebody else than before. */
  readonly listen: (events: ChannelEvents) => void;
}

/** Listens to the channel until it has an answer. @throws {ProxyError} UPSTREAM_PROTOCOL */
export async function askEra(channel: MessageChannel, question: EraQuestion): Promise<EraVerdict> {
  const { serverName, silenceMs = ERA_PROBE_MS_MAX, listen } = question;
  let timer: NodeJS.Timeout | undefined;
  const answered = new Promise<EraVerdict>((resolve, reject) => {
    timer = setTimeout(resolve, silenceMs, { era: 'legacy' });
    listen({
      onMessage(message) {
        if (message['id'] !== PROBE_ID) return;
        try {
          resolve(readVerdict(serverName, message));
        } catch (error) {
          reject(error);
        }
      },
      onClose: () => resolve({ era: 'ended' }),
      onLost: () => undefined,
    });
  });
  // What cannot be sent will show as the end of the channel.
  channel.send({ jsonrpc: '2.0', id: PROBE_ID, method: 'server/discover', params: { _meta: OWN_META } }).catch(() => {
    return undefined;
  });
  try {
    return await answered;
  } finally {
    clearTimeout(timer);
  }
}

function readVerdict(serverName: string, message: JsonObject): EraVerdict {
  const decoded = decodeMessage(message);
  if (decoded.kind === 'result') {
    const card = readDiscovery(decoded.message.result);
    if (card !== undefined) return { era: 'modern', card };
    return judgeVersions(serverName, decoded.message.result['supportedVersions']);
  }
  if (decoded.kind !== 'error' || decoded.message.error.code !== RPC_ERROR.versionUnsupported) return { era: 'legacy' };
  const { data } = decoded.message.error;
  return judgeVersions(serverName, isObject(data) ? data['supported'] : undefined);
}

/** A list without a modern revision that is known: legacy if it has one of those, else nothing can be spoken. */
function judgeVersions(serverName: string, versions: unknown): EraVerdict {
  if (!Array.isArray(versions) || versions.some(isLegacyRevision)) return { era: 'legacy' };
  const known = versions.some(isModernRevision) ? 'but refuses those that it lists' : 'none of which mcproxy speaks';
  const list = versions.slice(0, 5).map(String).join(', ').slice(0, 80);
  throw new ProxyError('UPSTREAM_PROTOCOL', `server ${serverName} speaks the MCP revisions ${list}, ${known}`);
}
