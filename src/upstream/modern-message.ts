/**
 * What a request and a result of 2026-07-28 look like on the wire, from and to the waist.
 *
 * A request carries who asks, what the client can do and what it wants in `_meta`; a result says in `resultType` what
 * it is. A kind of result that the request did not allow, or that nobody knows, is an invalid answer and is never
 * passed on; so is a question that the client did not declare. Pure. Source: MCP 2026-07-28 basic (`_meta`, Result
 * types), basic/patterns/mrtr.
 */
import { ProxyError } from '../errors.ts';
import { isObject } from '../mcp/jsonrpc.ts';
import { INPUT_METHODS, LATEST_MODERN, META, isModernRevision } from '../mcp/protocol.ts';
import { mayAsk, readQuestions } from '../mcp/questions.ts';
import { declaresTasks } from '../mcp/tasks.ts';
import type { JsonObject, McpOutcome, McpRequest, ServerCard } from '../mcp/waist.ts';
import { CLIENT_INFO } from './legacy-handshake.ts';
import { vendorMeta } from './legacy-questions.ts';
import { failureOutcome } from './peer-outcome.ts';

/** The params of a request with the envelope of the era; `token` is its progress token, if progress is wanted. */
export function modernParams(request: McpRequest, token: number): JsonObject {
  const { _meta, ...rest } = request.params;
  return {
    ...rest,
    _meta: {
      ...vendorMeta(_meta),
      [META.protocolVersion]: LATEST_MODERN,
      [META.clientCapabilities]: request.clientCapabilities,
      [META.clientInfo]: request.clientInfo ?? CLIENT_INFO,
      ...(request.logLevel === undefined ? {} : { [META.logLevel]: request.logLevel }),
      ...(request.wantsProgress ? { [META.progressToken]: token } : {}),
    },
  };
}

/** Params of a notification without the protocol's own metadata. */
export function withoutHopMeta({ _meta, ...rest }: JsonObject): JsonObject {
  const meta = vendorMeta(_meta);
  return meta === undefined ? rest : { ...rest, _meta: meta };
}

/** The `_meta` of a request that mcproxy makes for itself. */
export const OWN_META: JsonObject = {
  [META.protocolVersion]: LATEST_MODERN,
  [META.clientCapabilities]: {},
  [META.clientInfo]: CLIENT_INFO,
};

export function readModernResult(serverName: string, request: McpRequest, result: JsonObject): McpOutcome {
  const { resultType = 'complete', ...rest } = result;
  const content = withoutHopMeta(rest);
  if (resultType === 'complete') return { kind: 'complete', result: content };
  if (resultType === 'input_required' && INPUT_METHODS.has(request.method)) {
    return readInputRequired(serverName, request, rest);
  }
  if (resultType === 'task' && request.method === 'tools/call' && declaresTasks(request.clientCapabilities)) {
    return { kind: 'task', task: content };
  }
  return invalid(serverName, `answered ${request.method} with a kind of result that was not allowed`);
}

function readInputRequired(serverName: string, request: McpRequest, result: JsonObject): McpOutcome {
  const { inputRequests = {}, requestState } = result;
  const questions = readQuestions(inputRequests);
  if (questions === undefined || (requestState !== undefined && typeof requestState !== 'string')) {
    return invalid(serverName, 'asked something in a form that is not of the protocol');
  }
  const undeclared = Object.values(questions).find((question) => !mayAsk(request.clientCapabilities, question));
  if (undeclared !== undefined) {
    return invalid(serverName, `asked for ${undeclared.method}, which the client did not declare`);
  }
  return { kind: 'input_required', inputRequests: questions, requestState };
}

function invalid(serverName: string, text: string): McpOutcome {
  return failureOutcome(new ProxyError('UPSTREAM_PROTOCOL', `server ${serverName} ${text}`));
}

/** What a `server/discover` result says; undefined when it is none, or none of a modern revision that is known. */
export function readDiscovery(result: JsonObject): ServerCard | undefined {
  const { supportedVersions, capabilities, instructions, _meta } = result;
  if (!Array.isArray(supportedVersions)) return undefined;
  const revision = (supportedVersions as unknown[]).findLast(isModernRevision);
  if (revision === undefined) return undefined;
  const serverInfo = isObject(_meta) ? _meta[META.serverInfo] : undefined;
  return {
    revision,
    capabilities: isObject(capabilities) ? capabilities : {},
    instructions: typeof instructions === 'string' ? instructions : undefined,
    serverInfo: isObject(serverInfo) ? serverInfo : undefined,
  };
}
