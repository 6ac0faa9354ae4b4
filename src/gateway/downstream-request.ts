/**
 * What a client sent, as a request of the narrow waist.
 *
 * A modern request describes itself; a legacy one is completed from its session, and loses members that only a modern
 * server would understand. `_meta` keeps trace and vendor keys and gets the trace of the exchange when it has none.
 * Capabilities of an older revision are said in the form of 2026-07-28, and only as far as that revision has them, so
 * that nobody asks a client what it cannot answer. Pure. Source: MCP 2026-07-28 basic (`_meta`); 2025-11-25
 * basic/lifecycle.
 */
import { SESSION_CLAIM_BYTES_MAX } from '../limits.ts';
import type { ModernClass } from '../mcp/classify.ts';
import { isObject, isRpcId, type JsonRpcRequest, type RpcId } from '../mcp/jsonrpc.ts';
import { isLogLevel, LOG_LEVELS, META, META_PREFIX, type LegacyRevision } from '../mcp/protocol.ts';
import { withoutTasks } from '../mcp/tasks.ts';
import type { JsonObject, LogLevel, McpRequest } from '../mcp/waist.ts';

export interface DownstreamRequest {
  readonly request: McpRequest;
  /** The client's own, with its type; undefined when it wants no progress. */
  readonly progressToken: RpcId | undefined;
}

export function modernRequest({ message, envelope }: ModernClass, traceparent: string): DownstreamRequest {
  const params = message.params ?? {};
  const progressToken = progressTokenOf(params);
  return {
    progressToken,
    request: {
      method: message.method,
      params: withMeta(params, traceparent),
      clientCapabilities: envelope.clientCapabilities,
      clientInfo: envelope.clientInfo,
      logLevel: envelope.logLevel,
      wantsProgress: progressToken !== undefined,
    },
  };
}

/** What a session adds to the requests of its client. */
export interface LegacyClaims {
  readonly capabilities: JsonObject;
  readonly clientInfo: JsonObject | undefined;
  readonly logLevel: LogLevel | undefined;
}

export function legacyRequest(message: JsonRpcRequest, claims: LegacyClaims, traceparent: string): DownstreamRequest {
  const given = message.params ?? {};
  const progressToken = progressTokenOf(given);
  // Not reserved in older revisions, but a modern server would act on the first two.
  const { inputResponses: _responses, requestState: _state, task: _task, ...params } = given;
  return {
    progressToken,
    request: {
      method: message.method,
      params: withMeta(params, traceparent),
      clientCapabilities: claims.capabilities,
      clientInfo: claims.clientInfo,
      logLevel: claims.logLevel,
      wantsProgress: progressToken !== undefined,
    },
  };
}

/** Whether a log message is as severe as wanted; a server shared by several clients logs for the most curious. */
export function reachesLevel({ level }: JsonObject, wanted: LogLevel | undefined): boolean {
  return wanted !== undefined && (!isLogLevel(level) || LOG_LEVELS.indexOf(level) >= LOG_LEVELS.indexOf(wanted));
}

function progressTokenOf(params: JsonObject): RpcId | undefined {
  const meta = params['_meta'];
  const token = isObject(meta) ? meta[META.progressToken] : undefined;
  return isRpcId(token) ? token : undefined;
}

function withMeta(params: JsonObject, traceparent: string): JsonObject {
  const given = isObject(params['_meta']) ? params['_meta'] : {};
  const kept = Object.entries(given).filter(([key]) => !key.startsWith(META_PREFIX) && key !== META.progressToken);
  return { ...params, _meta: { [META.traceparent]: traceparent, ...Object.fromEntries(kept) } };
}

/** What `initialize` declared, in the form of 2026-07-28 and short enough for the id of a session. */
export function claimsOf(
  params: JsonObject,
  revision: LegacyRevision,
): { capabilities: JsonObject; clientInfo: JsonObject | undefined } {
  const declared = isObject(params['capabilities']) ? params['capabilities'] : {};
  const clientInfo = clientInfoOf(params['clientInfo']);
  const capabilities = modernCapabilities(declared, revision);
  if (Buffer.byteLength(JSON.stringify(capabilities)) <= SESSION_CLAIM_BYTES_MAX) return { capabilities, clientInfo };
  const { extensions: _, ...core } = capabilities;
  return { capabilities: core, clientInfo };
}

function modernCapabilities(declared: JsonObject, revision: LegacyRevision): JsonObject {
  const { roots, sampling, elicitation, extensions } = declared;
  const isLatest = revision >= '2025-11-25';
  return {
    ...(isObject(roots) ? { roots: {} } : {}),
    ...(isObject(sampling) ? { sampling: isLatest ? members(sampling, ['context', 'tools']) : {} } : {}),
    ...(isObject(elicitation) && revision >= '2025-06-18'
      ? { elicitation: isLatest ? members(elicitation, ['form', 'url']) : {} }
      : {}),
    // The tasks extension may not be used by a client of an older revision (SEP-2663).
    ...withoutTasks(isObject(extensions) ? { extensions } : {}),
  };
}

function members(value: JsonObject, names: readonly string[]): JsonObject {
  return Object.fromEntries(names.flatMap((name) => (isObject(value[name]) ? [[name, {}]] : [])));
}

const INFO_CHARS_MAX = 128;

function clientInfoOf(info: unknown): JsonObject | undefined {
  if (!isObject(info)) return undefined;
  const texts = ['name', 'title', 'version'].flatMap((member) => {
    const text = info[member];
    return typeof text === 'string' ? [[member, text.slice(0, INFO_CHARS_MAX)]] : [];
  });
  return texts.length === 0 ? undefined : Object.fromEntries(texts);
}
