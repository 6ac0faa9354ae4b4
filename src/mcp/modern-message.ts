/**
 * The narrow waist and the wire of 2026-07-28: a request's `params` for the next hop, and what its result means.
 *
 * Both stdio and HTTP servers of the modern era are spoken to with these. `_meta` is made anew for each hop: keys of
 * the protocol are ours, trace and vendor keys travel on. A result is believed only as far as the request allows it:
 * questions for three methods and only of declared kinds, a task only for who declared the extension, nothing of an
 * unknown type. Source: MCP 2026-07-28 basic (`_meta`, resultType), basic/patterns/mrtr; SEP-2663.
 */
import { ProxyError } from '../errors.ts';
import { isObject, type RpcId } from './jsonrpc.ts';
import { INPUT_METHODS, LATEST_MODERN, META, META_PREFIX, TASKS_EXTENSION } from './protocol.ts';
import type { InputRequest, JsonObject, McpOutcome, McpRequest } from './waist.ts';

/** The `params` of a request as they go to a modern server, with a complete `_meta`. */
export function modernParams(request: McpRequest, progressToken: RpcId | undefined): JsonObject {
  const { params, clientInfo, logLevel } = request;
  const own: Record<string, unknown> = {
    [META.protocolVersion]: LATEST_MODERN,
    [META.clientCapabilities]: request.clientCapabilities,
  };
  if (clientInfo !== undefined) own[META.clientInfo] = clientInfo;
  if (logLevel !== undefined) own[META.logLevel] = logLevel;
  if (progressToken !== undefined) own[META.progressToken] = progressToken;
  const { [META.progressToken]: _token, ...kept } = withoutProtocolKeys(params['_meta']);
  return { ...params, _meta: { ...kept, ...own } };
}

function withoutProtocolKeys(meta: unknown): Record<string, unknown> {
  if (!isObject(meta)) return {};
  return Object.fromEntries(Object.entries(meta).filter(([key]) => !key.startsWith(META_PREFIX)));
}

/**
 * What a modern server's result means for the request that it answers.
 *
 * @throws {ProxyError} UPSTREAM_PROTOCOL when the request does not allow such a result
 */
export function readModernResult(request: McpRequest, result: JsonObject, serverName: string): McpOutcome {
  const { resultType = 'complete', ...rest } = result;
  switch (resultType) {
    case 'complete':
      return { kind: 'complete', result: withoutProtocolMeta(rest) };
    case 'input_required':
      return readQuestion(request, rest, serverName);
    case 'task':
      if (request.method !== 'tools/call' || !declaresTasks(request)) throw invalid(serverName, 'a task unasked');
      return { kind: 'task', task: withoutProtocolMeta(rest) };
    default:
      throw invalid(serverName, 'a result of an unknown type');
  }
}

function withoutProtocolMeta(result: JsonObject): JsonObject {
  if (!isObject(result['_meta'])) return result;
  const { _meta: meta, ...rest } = result;
  const kept = withoutProtocolKeys(meta);
  return Object.keys(kept).length === 0 ? rest : { ...rest, _meta: kept };
}

function declaresTasks({ clientCapabilities }: McpRequest): boolean {
  const extensions = clientCapabilities['extensions'];
  return isObject(extensions) && isObject(extensions[TASKS_EXTENSION]);
}

function readQuestion(request: McpRequest, result: JsonObject, serverName: string): McpOutcome {
  const { inputRequests = {}, requestState } = result;
  if (!INPUT_METHODS.has(request.method)) throw invalid(serverName, `a question in answer to ${request.method}`);
  if (!isObject(inputRequests) || (requestState !== undefined && typeof requestState !== 'string')) {
    throw invalid(serverName, 'a question without its form');
  }
  if (Object.keys(inputRequests).length === 0 && requestState === undefined) {
    throw invalid(serverName, 'a question that asks nothing');
  }
  const requests: [string, InputRequest][] = Object.entries(inputRequests).map(([key, value]) => {
    if (!isInputRequest(value)) throw invalid(serverName, 'a question of an unknown kind');
    if (!mayAsk(request.clientCapabilities, value)) {
      throw invalid(serverName, `a question (${value.method}) that the client did not declare`);
    }
    // Some servers leave out the params of `roots/list`.
    return [key, { method: value.method, params: isObject(value.params) ? value.params : {} }];
  });
  return { kind: 'input_required', inputRequests: Object.fromEntries(requests), requestState };
}

const QUESTIONS: ReadonlySet<unknown> = new Set(['elicitation/create', 'sampling/createMessage', 'roots/list']);

function isInputRequest(value: unknown): value is Pick<InputRequest, 'method'> & { readonly params?: unknown } {
  return isObject(value) && QUESTIONS.has(value['method']);
}

/** Whether a client that declared these capabilities may be asked this (2026-07-28 client features). */
export function mayAsk(
  capabilities: JsonObject,
  question: Pick<InputRequest, 'method'> & { readonly params?: unknown },
): boolean {
  switch (question.method) {
    case 'roots/list':
      return isObject(capabilities['roots']);
    case 'sampling/createMessage':
      return isObject(capabilities['sampling']);
    case 'elicitation/create': {
      const { elicitation } = capabilities as { elicitation?: unknown };
      if (!isObject(elicitation)) return false;
      const isUrl = isObject(question.params) && question.params['mode'] === 'url';
      // An empty object means forms only.
      return isUrl ? isObject(elicitation['url']) : isObject(elicitation['form']) || !isObject(elicitation['url']);
    }
  }
}

function invalid(serverName: string, what: string): ProxyError {
  return new ProxyError('UPSTREAM_PROTOCOL', `server ${serverName} sent ${what}; it is not passed on`);
}

/** A failure of ours as the end of a call: the HTTP status as the code, and who says so. */
export function failureOutcome(error: ProxyError): McpOutcome {
  const data = { ...error.data, source: 'mcproxy', code: error.code };
  return { kind: 'error', code: error.spec.rpc, message: error.message, data };
}
