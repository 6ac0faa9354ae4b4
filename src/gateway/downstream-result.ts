/**
 * Outcomes of the narrow waist as a client of each era gets them. Pure.
 *
 * Modern: every result says its type and who served it, and the cacheable ones how long they may be kept. Legacy: what
 * a newer revision brought is taken off or said in plain text, so that a strict client of an older one can read it;
 * error numbers are those of its revision. A failure of ours gets the request id, with which the logs are searched.
 * Source: MCP 2026-07-28 basic (resultType, Error Codes), server/utilities/caching; schema.ts of each revision.
 */
import { ERRORS, type ErrorCode, type ProxyError } from '../errors.ts';
import { asProxyError } from '../http/exchange.ts';
import { errorResponse, isObject, result as resultMessage } from '../mcp/jsonrpc.ts';
import type { JsonRpcResponse, RpcId } from '../mcp/jsonrpc.ts';
import { CACHEABLE_METHODS, META, RPC_ERROR, type LegacyRevision } from '../mcp/protocol.ts';
import type { JsonObject, McpOutcome } from '../mcp/waist.ts';
import { failureOutcome } from '../upstream/peer-outcome.ts';

export type ErrorOutcome = Extract<McpOutcome, { kind: 'error' }>;

export interface Answering {
  readonly id: RpcId;
  readonly method: string;
  readonly requestId: string;
}

/** @param serverInfo mcproxy's own: the client speaks with mcproxy */
export function modernResponse(outcome: McpOutcome, to: Answering, serverInfo: JsonObject): JsonRpcResponse {
  const sign = (result: JsonObject, resultType: string): JsonRpcResponse => {
    const meta = isObject(result['_meta']) ? result['_meta'] : {};
    return resultMessage(to.id, { ...result, resultType, _meta: { ...meta, [META.serverInfo]: serverInfo } });
  };
  switch (outcome.kind) {
    case 'complete':
      return sign(CACHEABLE_METHODS.has(to.method) ? { ...NOT_KEPT, ...outcome.result } : outcome.result, 'complete');
    case 'input_required': {
      const { inputRequests, requestState } = outcome;
      return sign({ inputRequests, ...(requestState === undefined ? {} : { requestState }) }, 'input_required');
    }
    case 'task':
      return sign(outcome.task, 'task');
    case 'error':
      return errorMessage(outcome, to);
  }
}

const NOT_KEPT = { ttlMs: 0, cacheScope: 'private' } as const;

/** Error numbers whose answer has a status of its own (MCP 2026-07-28 streamable-http). */
const STATUS_OF_ERROR: ReadonlyMap<number, number> = new Map([
  [RPC_ERROR.methodNotFound, 404],
  [RPC_ERROR.headerMismatch, 400],
  [RPC_ERROR.missingCapability, 400],
  [RPC_ERROR.versionUnsupported, 400],
]);

/** The HTTP status of a modern answer. */
export function modernStatus(outcome: McpOutcome): number {
  return outcome.kind === 'error' ? (STATUS_OF_ERROR.get(outcome.code) ?? 200) : 200;
}

export function legacyResponse(
  outcome: McpOutcome,
  to: Answering & { readonly params: JsonObject },
  revision: LegacyRevision,
): JsonRpcResponse {
  switch (outcome.kind) {
    case 'complete':
      return resultMessage(to.id, legacyResult(to.method, outcome.result, revision));
    case 'error':
      return legacyError(outcome, to);
    case 'input_required':
    case 'task':
      return errorMessage(unservable('The server answered in a way that this MCP revision has no form for.'), to);
  }
}

export function unservable(message: string): ErrorOutcome {
  return { kind: 'error', code: RPC_ERROR.internal, message, data: undefined };
}

function legacyError(outcome: ErrorOutcome, to: Answering & { readonly params: JsonObject }): JsonRpcResponse {
  const { code, message, data } = outcome;
  if (code === RPC_ERROR.missingCapability) {
    // The number describes the hop to the server. A model can act on a tool's error, but not on this.
    if (to.method === 'tools/call') return resultMessage(to.id, toolFailure(message));
    return errorMessage({ ...outcome, code: RPC_ERROR.internal }, to);
  }
  const isMissing = to.method === 'resources/read' && code === RPC_ERROR.invalidParams && isObject(data);
  if (isMissing && data['uri'] === to.params['uri']) {
    return errorMessage({ ...outcome, code: RPC_ERROR.resourceNotFound }, to);
  }
  return errorMessage(outcome, to);
}

export function toolFailure(text: string): JsonObject & Record<string, unknown> {
  return { content: [{ type: 'text', text }], isError: true };
}

function errorMessage({ code, message, data }: ErrorOutcome, to: Answering): JsonRpcResponse {
  return errorResponse(to.id, { code, message, data: withRequestId(data, to.requestId) });
}

function withRequestId(data: unknown, requestId: string): unknown {
  return isObject(data) && data['source'] === 'mcproxy' ? { ...data, request_id: requestId } : data;
}

/** Which of our own failures an error is; undefined for a server's. */
export function ownFailure(data: unknown): ErrorCode | undefined {
  if (!isObject(data) || data['source'] !== 'mcproxy') return undefined;
  const { code } = data as { code?: unknown };
  return typeof code === 'string' && Object.hasOwn(ERRORS, code) ? (code as ErrorCode) : undefined;
}

export function failed(error: ProxyError): ErrorOutcome {
  return failureOutcome(error) as ErrorOutcome;
}

interface Report {
  onInternal(error: unknown): void;
}

/** A failure that was thrown, as what can be told; one that nobody foresaw is reported. */
export function reported(thrown: unknown, report: Report): ProxyError {
  const error = asProxyError(thrown);
  if (error.code === 'INTERNAL') report.onInternal(thrown);
  return error;
}

/** As `reported`, as the outcome of a request. */
export function failureOf(thrown: unknown, report: Report): ErrorOutcome {
  return failed(reported(thrown, report));
}

function legacyResult(method: string, result: JsonObject, revision: LegacyRevision): Record<string, unknown> {
  const { ttlMs: _ttlMs, cacheScope: _cacheScope, ...rest } = result;
  const kept: Record<string, unknown> = CACHEABLE_METHODS.has(method) ? rest : { ...result };
  if (method === 'tools/list' && Array.isArray(kept['tools'])) {
    return { ...kept, tools: (kept['tools'] as unknown[]).map(legacyTool) };
  }
  if (method === 'tools/call') return legacyCallResult(kept, revision);
  if (method === 'prompts/get' && Array.isArray(kept['messages'])) {
    const messages = (kept['messages'] as unknown[]).map((message) =>
      isObject(message) ? { ...message, content: legacyContent(message['content'], revision) } : message,
    );
    return { ...kept, messages };
  }
  return kept;
}

/** Older revisions know structured content only as an object. */
function legacyTool(tool: unknown): unknown {
  if (!isObject(tool) || tool['outputSchema'] === undefined) return tool;
  const { outputSchema, ...rest } = tool;
  return isObject(outputSchema) && outputSchema['type'] === 'object' ? tool : rest;
}

function legacyCallResult(result: Record<string, unknown>, revision: LegacyRevision): Record<string, unknown> {
  const { structuredContent, ...rest } = result;
  const kept = structuredContent === undefined || isObject(structuredContent) ? result : rest;
  const { content } = kept;
  if (!Array.isArray(content)) return kept;
  return { ...kept, content: content.map((block) => legacyContent(block, revision)) };
}

/** A content block in a form that the revision has. */
export function legacyContent(block: unknown, revision: LegacyRevision): unknown {
  if (!isObject(block)) return block;
  if (block['type'] === 'resource_link' && revision < '2025-06-18') {
    return { type: 'text', text: typeof block['uri'] === 'string' ? block['uri'] : 'a resource' };
  }
  if (block['type'] === 'audio' && revision < '2025-03-26') return { type: 'text', text: '[audio]' };
  return block;
}
