/**
 * What a legacy server answers, as an outcome of the waist.
 *
 * Results lose the protocol's own metadata and get the cache hints that a legacy server cannot give: none may be
 * kept. Error numbers whose meaning was never agreed (-32000…-32099) become internal errors that carry the original;
 * -32002 becomes invalid params with the URI. No tool speaks of the tasks of 2025-11-25: where one needs them, that is
 * between the server and `legacy-task`. Pure. Source: MCP 2026-07-28 basic, Error Codes; server/utilities/caching.
 */
import { QUESTION_COUNT_MAX } from '../limits.ts';
import { isObject } from '../mcp/jsonrpc.ts';
import { CACHEABLE_METHODS, RPC_ERROR } from '../mcp/protocol.ts';
import type { InputRequest, JsonObject, McpOutcome, McpRequest } from '../mcp/waist.ts';
import { vendorMeta } from './legacy-questions.ts';

export function completeOutcome(method: string, result: JsonObject): McpOutcome {
  const { _meta, resultType: _, ...rest } = result;
  const meta = vendorMeta(_meta);
  const hints = CACHEABLE_METHODS.has(method) ? { ttlMs: 0, cacheScope: 'private' } : {};
  const content = method === 'tools/list' ? ordinaryTools(rest) : rest;
  return { kind: 'complete', result: { ...content, ...hints, ...(meta === undefined ? {} : { _meta: meta }) } };
}

function ordinaryTools(result: JsonObject): JsonObject {
  const { tools } = result;
  if (!Array.isArray(tools)) return result;
  return { ...result, tools: tools.filter(isObject).map(withoutExecution) };
}

function withoutExecution(tool: JsonObject): JsonObject {
  const { execution: _, ...rest } = tool;
  return rest;
}

export interface LegacyError {
  readonly code: number;
  readonly message: string;
  readonly data: unknown;
}

export function errorOutcome(request: McpRequest, { code, message, data }: LegacyError): McpOutcome {
  if (code === RPC_ERROR.resourceNotFound) {
    const uri = request.params['uri'];
    const merged = { ...(isObject(data) ? data : {}), ...(uri === undefined ? {} : { uri }) };
    return { kind: 'error', code: RPC_ERROR.invalidParams, message, data: merged };
  }
  if (code <= -32_000 && code >= -32_099) {
    const original = data === undefined ? { code } : { code, data };
    return { kind: 'error', code: RPC_ERROR.internal, message, data: { original } };
  }
  return { kind: 'error', code, message, data };
}

/**
 * The pages that the user has to visit before the call can be made again (-32042, MCP 2025-11-25
 * client/elicitation), as questions; undefined when the error is another one or says nothing usable.
 */
export function readUrlElicitations(error: LegacyError): Readonly<Record<string, InputRequest>> | undefined {
  if (error.code !== RPC_ERROR.urlElicitationRequired || !isObject(error.data)) return undefined;
  const { elicitations } = error.data;
  if (!Array.isArray(elicitations)) return undefined;
  const usable = elicitations.filter((each): each is JsonObject => isObject(each) && typeof each['url'] === 'string');
  if (usable.length === 0) return undefined;
  const questions = usable
    .slice(0, QUESTION_COUNT_MAX)
    .map(({ url, message }, index): [string, InputRequest] => [
      `url-${index + 1}`,
      { method: 'elicitation/create', params: { mode: 'url', message: message ?? error.message, url } },
    ]);
  return Object.fromEntries(questions);
}
