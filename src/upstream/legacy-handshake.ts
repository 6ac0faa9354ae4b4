/**
 * The handshake of MCP 2024-11-05 … 2025-11-25: `initialize`, then `notifications/initialized`.
 *
 * The newest legacy revision is offered and whichever the server answers is kept; one refused offer is followed by
 * the newest that the refusal names. What is asked before the server has taken `initialized` may be refused, so that
 * is waited for. Source: MCP 2025-11-25 basic/lifecycle, Version Negotiation.
 */
import { ProxyError } from '../errors.ts';
import { QUOTED_CHARS_MAX } from '../limits.ts';
import { isObject } from '../mcp/jsonrpc.ts';
import { LATEST_LEGACY, LEGACY_REVISIONS, isLegacyRevision } from '../mcp/protocol.ts';
import type { JsonObject, ServerCard } from '../mcp/waist.ts';
import { askOnce } from './conversation.ts';
import type { Answer, Conversation } from './conversation.ts';
import { LEGACY_CLIENT_CAPABILITIES } from './legacy-questions.ts';

/** Who asks. The version is of what mcproxy does as a client, not that of the package. */
export const CLIENT_INFO: JsonObject = { name: 'mcproxy', version: '1' };

/**
 * Makes the handshake; the caller bounds its time. Without `roots` the server is not told that it could ask for them.
 *
 * @throws {ProxyError} UPSTREAM_PROTOCOL when the server refuses or answers a revision that is not known; whatever
 * ended the conversation
 */
export async function shakeHands(
  conversation: Conversation,
  { serverName, roots }: { readonly serverName: string; readonly roots: boolean },
): Promise<ServerCard> {
  const { roots: withheld, ...others } = LEGACY_CLIENT_CAPABILITIES;
  const capabilities = roots ? { ...others, roots: withheld } : others;
  let answer = await initialize(conversation, LATEST_LEGACY, capabilities);
  const other = findOtherRevision(answer);
  if (other !== undefined) answer = await initialize(conversation, other, capabilities);
  if (answer.kind === 'failed') throw answer.error;
  if (answer.kind === 'error') throw refused(serverName, `refused the handshake: ${quote(answer.message)}`);
  const card = readCard(answer.result, serverName);
  conversation.setRevision(card.revision);
  await conversation.notify('notifications/initialized', {});
  return card;
}

function initialize(conversation: Conversation, protocolVersion: string, capabilities: JsonObject): Promise<Answer> {
  const params = { protocolVersion, capabilities, clientInfo: CLIENT_INFO };
  return askOnce(conversation, 'initialize', params);
}

function findOtherRevision(answer: Answer): string | undefined {
  if (answer.kind !== 'error' || !isObject(answer.data) || !Array.isArray(answer.data['supported'])) return undefined;
  const supported = answer.data['supported'] as unknown[];
  return LEGACY_REVISIONS.findLast((revision) => revision !== LATEST_LEGACY && supported.includes(revision));
}

function readCard(result: JsonObject, serverName: string): ServerCard {
  const { protocolVersion, capabilities, instructions, serverInfo } = result;
  if (!isLegacyRevision(protocolVersion)) {
    const text = `answered the handshake with revision ${quote(String(protocolVersion))}, which mcproxy does not speak`;
    throw refused(serverName, text);
  }
  return {
    revision: protocolVersion,
    capabilities: isObject(capabilities) ? capabilities : {},
    instructions: typeof instructions === 'string' ? instructions : undefined,
    serverInfo: isObject(serverInfo) ? serverInfo : undefined,
  };
}

function refused(serverName: string, text: string): ProxyError {
  return new ProxyError('UPSTREAM_PROTOCOL', `server ${serverName} ${text}`);
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, QUOTED_CHARS_MAX));
}
