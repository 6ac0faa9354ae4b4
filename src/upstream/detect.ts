/**
 * Which transport and era a remote server speaks: asked as a client of each era would ask, newest first.
 *
 * `server/discover`, then `initialize`, then an event stream with an `endpoint`; the first that is accepted is the
 * verdict. A session that the question opened is ended again. Refused credentials and outages say nothing about the
 * era: they are failures and leave no verdict; a 5xx with a JSON-RPC error in it is the answer of a server that does
 * not know the question. Legacy verdicts are kept for `LEGACY_VERDICT_MS_MAX`, per address and not per user; modern
 * ones need no keeping, as the question is what the peer would ask first anyway. `transport:` and `era:` in the
 * configuration skip questions. Source: MCP 2026-07-28 basic/versioning and transports, Backward Compatibility.
 */
import { ProxyError } from '../errors.ts';
import { DETECT_MS_MAX, LEGACY_VERDICT_MS_MAX, REFUSAL_BYTES_MAX, SESSION_END_MS_MAX } from '../limits.ts';
import { isObject, type JsonRpcResponse } from '../mcp/jsonrpc.ts';
import { isLegacyRevision, LATEST_LEGACY, LATEST_MODERN, META, MODERN_REVISIONS, RPC_ERROR } from '../mcp/protocol.ts';
import type { JsonObject, ServerCard } from '../mcp/waist.ts';
import { CLIENT_INFO } from './legacy-handshake.ts';
import { askHttp, statusError, type HttpAnswer, type RemoteOptions } from './mcp-http.ts';
import { drain, messagesOfEvent, readEventStream, readMessages } from './mcp-reply.ts';
import { OWN_META, readDiscovery } from './modern-message.ts';
import type { HttpUpstream } from './pool.ts';

export type RemoteKind =
  /** Without a card when it was not asked. */
  | { readonly kind: 'modern'; readonly card: ServerCard | undefined }
  | { readonly kind: 'legacy-streamable' }
  | { readonly kind: 'legacy-sse' };

interface Verdict {
  readonly kind: 'legacy-streamable' | 'legacy-sse';
  readonly untilMs: number;
}

/** Lives as long as the address is configured. */
const verdicts = new WeakMap<HttpUpstream, Verdict>();

/**
 * The way to speak to the server.
 *
 * @throws {ProxyError} UPSTREAM_CREDENTIAL for 401 and 403; UPSTREAM_* for an outage, or when it is no MCP server
 */
export async function detectRemote(remote: RemoteOptions): Promise<RemoteKind> {
  const { server, upstream, clock } = remote;
  if (server.transport === 'sse') return { kind: 'legacy-sse' };
  if (server.era === 'modern') return { kind: 'modern', card: undefined };
  // Who said `streamable` needs no proof of it: the handshake will show.
  const isStreamable = server.transport === 'streamable';
  if (server.era === 'legacy' && isStreamable) return { kind: 'legacy-streamable' };
  const known = verdicts.get(upstream);
  if (known !== undefined && clock.monotonicMs() < known.untilMs) return { kind: known.kind };
  const card = server.era === 'legacy' ? undefined : await askDiscover(remote);
  if (card !== undefined) return { kind: 'modern', card };
  if (isStreamable) return { kind: 'legacy-streamable' };
  const kind = (await acceptsInitialize(remote)) ? 'legacy-streamable' : await expectSse(remote);
  verdicts.set(upstream, { kind, untilMs: clock.monotonicMs() + LEGACY_VERDICT_MS_MAX });
  return { kind };
}

/** The verdict proved wrong: the next detection asks again. */
export function forgetVerdict(upstream: HttpUpstream): void {
  verdicts.delete(upstream);
}

/**
 * The card of a modern server; undefined for one that is asked with `initialize` next.
 *
 * @throws {ProxyError} as `detectRemote` does
 */
export async function askDiscover(
  remote: RemoteOptions,
  revision: string = LATEST_MODERN,
  isRepeat = false,
): Promise<ServerCard | undefined> {
  const { server } = remote;
  const meta = { ...OWN_META, [META.protocolVersion]: revision };
  const { answer, response } = await ask(remote, {
    fields: ['MCP-Protocol-Version', revision, 'Mcp-Method', 'server/discover'],
    message: { jsonrpc: '2.0', id: PROBE_ID, method: 'server/discover', params: { _meta: meta } },
  });
  if (isOutage(answer.status) && !isRefusal(answer.status, response)) throw statusError(server.name, answer);
  if (response === undefined) return undefined;
  if ('result' in response) return answer.status === 200 ? readCard(remote, response.result) : undefined;
  if (answer.status !== 400) return undefined;
  const { code, data } = response.error;
  switch (code) {
    case RPC_ERROR.versionUnsupported:
      return onUnsupported(remote, isRepeat ? undefined : revision, isObject(data) ? data['supported'] : undefined);
    case RPC_ERROR.headerMismatch:
    case RPC_ERROR.missingCapability: {
      // Codes of the modern era only, if the error is really about this request: falling back would be wrong.
      if (response.id !== PROBE_ID) return undefined;
      const text = `server ${server.name} speaks MCP ${revision} and refuses how it is asked (${code})`;
      throw new ProxyError('UPSTREAM_PROTOCOL', text);
    }
    default:
      return undefined;
  }
}

function isOutage(status: number): boolean {
  return status >= 500 || status === 429;
}

/** A server that fails at what it does not know, and says so in JSON-RPC. 503 means "not now" whatever is in it. */
function isRefusal(status: number, response: JsonRpcResponse | undefined): boolean {
  return status >= 500 && status !== 503 && response !== undefined && 'error' in response;
}

function readCard({ server }: RemoteOptions, result: JsonObject): ServerCard | undefined {
  const card = readDiscovery(result);
  const { supportedVersions } = result;
  if (card !== undefined || !Array.isArray(supportedVersions) || supportedVersions.some(isLegacyRevision)) return card;
  throw noCommonRevision(server.name);
}

/** Asks once more, with a revision that the server has. @param asked undefined when that was done */
async function onUnsupported(
  remote: RemoteOptions,
  asked: string | undefined,
  supported: unknown,
): Promise<ServerCard | undefined> {
  const versions: unknown[] = Array.isArray(supported) ? supported : [];
  const other = MODERN_REVISIONS.toReversed().find((revision) => revision !== asked && versions.includes(revision));
  if (other !== undefined && asked !== undefined) return askDiscover(remote, other, true);
  if (versions.some(isLegacyRevision)) return undefined;
  throw noCommonRevision(remote.server.name);
}

function noCommonRevision(serverName: string): ProxyError {
  const text = `server ${serverName} speaks no revision of MCP that mcproxy speaks; update mcproxy`;
  return new ProxyError('UPSTREAM_PROTOCOL', text);
}

/**
 * Whether the server takes a legacy handshake by POST.
 *
 * @throws {ProxyError} as `detectRemote` does
 */
export async function acceptsInitialize(remote: RemoteOptions): Promise<boolean> {
  const params = { protocolVersion: LATEST_LEGACY, capabilities: {}, clientInfo: CLIENT_INFO };
  const { answer, response } = await ask(remote, {
    fields: [],
    message: { jsonrpc: '2.0', id: PROBE_ID, method: 'initialize', params },
  });
  if (isOutage(answer.status)) throw statusError(remote.server.name, answer);
  const session = answer.head.headers['mcp-session-id'];
  if (typeof session === 'string') await endSession(remote, session);
  // An error is an answer too: the handshake will be refused with it.
  return answer.status < 300 && response !== undefined;
}

async function endSession(remote: RemoteOptions, session: string): Promise<void> {
  try {
    const fields = ['Mcp-Session-Id', session, 'MCP-Protocol-Version', LATEST_LEGACY];
    const asked = askHttp(remote, { method: 'DELETE', fields, headMsMax: SESSION_END_MS_MAX });
    drain(await asked.answer, REFUSAL_BYTES_MAX);
  } catch {
    // The server forgets it by itself.
  }
}

/** @throws {ProxyError} UPSTREAM_PROTOCOL when no stream with an `endpoint` is there: it is no MCP server */
async function expectSse(remote: RemoteOptions): Promise<'legacy-sse'> {
  const { isSse, status } = await askSse(remote);
  if (isSse) return 'legacy-sse';
  const text = `server ${remote.server.name} answers, but not as an MCP server (HTTP ${status} to GET)`;
  throw new ProxyError('UPSTREAM_PROTOCOL', `${text}; check the path of its url`);
}

/**
 * Whether there is an event stream of HTTP+SSE.
 *
 * @throws {ProxyError} as `detectRemote` does
 */
export async function askSse(remote: RemoteOptions): Promise<{ readonly isSse: boolean; readonly status: number }> {
  const answer = await askHttp(remote, { method: 'GET', fields: [], headMsMax: DETECT_MS_MAX }).answer;
  const { status } = answer;
  if (isOutage(status)) {
    drain(answer, REFUSAL_BYTES_MAX);
    throw statusError(remote.server.name, answer);
  }
  const isStream = status === 200 && answer.mediaType === 'text/event-stream';
  const isSse = isStream && (await beginsWithEndpoint(remote, answer));
  answer.abort();
  return { isSse, status };
}

function beginsWithEndpoint(remote: RemoteOptions, answer: HttpAnswer): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), DETECT_MS_MAX);
    const decide = (is: boolean): void => {
      clearTimeout(timer);
      resolve(is);
    };
    readEventStream(remote, answer, {
      onEvent: ({ event }) => decide(event === 'endpoint'),
      onEnd: () => decide(false),
    });
  });
}

const PROBE_ID = 'mcproxy-detect';

interface Asked {
  readonly answer: HttpAnswer;
  /** A response to the question, or an error that names no request; undefined when the body holds anything else. */
  readonly response: JsonRpcResponse | undefined;
}

async function ask(
  remote: RemoteOptions,
  { fields, message }: { readonly fields: readonly string[]; readonly message: JsonObject },
): Promise<Asked> {
  const asked = askHttp(remote, { method: 'POST', fields, message, headMsMax: DETECT_MS_MAX });
  const answer = await asked.answer;
  if (answer.mediaType === 'text/event-stream') return { answer, response: await firstResponse(remote, answer) };
  const timer = setTimeout(() => answer.abort(), DETECT_MS_MAX);
  // Longer than a refusal or a card can be, or cut, it is no MCP answer.
  const messages = await readMessages(remote, answer, REFUSAL_BYTES_MAX).catch(() => undefined);
  clearTimeout(timer);
  const found = messages?.find(({ kind }) => kind === 'result' || kind === 'error')?.message as
    | JsonRpcResponse
    | undefined;
  return { answer, response: found };
}

function firstResponse(remote: RemoteOptions, answer: HttpAnswer): Promise<JsonRpcResponse | undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => answer.abort(), DETECT_MS_MAX);
    const decide = (response: JsonRpcResponse | undefined): void => {
      clearTimeout(timer);
      resolve(response);
      answer.abort();
    };
    readEventStream(remote, answer, {
      onEvent(event) {
        for (const message of messagesOfEvent(remote, event)) {
          if (message.kind === 'result' || message.kind === 'error') decide(message.message);
        }
      },
      onEnd: () => decide(undefined),
    });
  });
}
