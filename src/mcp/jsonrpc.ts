/**
 * JSON-RPC messages as MCP uses them: reading what a peer sent, and making answers.
 *
 * Reading never throws: a text or value becomes a message of known kind or a problem with the id to answer to, if
 * one could be read. MCP is narrower than JSON-RPC: ids are strings or integers, `params` and `result` are objects,
 * and null is no id. Integers beyond the safe range are refused as ids, because two of them can look alike. Members
 * that are not of the envelope are kept. Source: JSON-RPC 2.0; MCP `schema.ts` of every revision.
 */
import type { ErrorCode } from '../errors.ts';
import { RPC_BATCH_COUNT_MAX, RPC_DEPTH_MAX } from '../limits.ts';

/** `1` and `"1"` are different ids. */
export type RpcId = string | number;

export type JsonObject = Record<string, unknown>;

export interface JsonRpcRequest {
  readonly jsonrpc: '2.0';
  readonly id: RpcId;
  readonly method: string;
  readonly params?: JsonObject;
}

export interface JsonRpcNotification {
  readonly jsonrpc: '2.0';
  readonly method: string;
  readonly params?: JsonObject;
}

export interface JsonRpcResult {
  readonly jsonrpc: '2.0';
  readonly id: RpcId;
  readonly result: JsonObject;
}

export interface JsonRpcError {
  readonly jsonrpc: '2.0';
  /** Null or absent when the sender could not tell which request it answers. */
  readonly id?: RpcId | null;
  readonly error: RpcErrorBody;
}

export interface RpcErrorBody {
  readonly code: number;
  readonly message: string;
  readonly data?: unknown;
}

export type JsonRpcResponse = JsonRpcResult | JsonRpcError;
export type JsonRpcMessage = JsonRpcRequest | JsonRpcNotification | JsonRpcResponse;

export type SingleMessage =
  | { readonly kind: 'request'; readonly message: JsonRpcRequest }
  | { readonly kind: 'notification'; readonly message: JsonRpcNotification }
  | { readonly kind: 'result'; readonly message: JsonRpcResult }
  | { readonly kind: 'error'; readonly message: JsonRpcError };

export interface MessageProblem {
  readonly kind: 'problem';
  readonly code: Extract<ErrorCode, 'RPC_PARSE' | 'RPC_INVALID'>;
  /** What is wrong, safe to show. */
  readonly text: string;
  /** The id to answer to, if it could be read. */
  readonly id: RpcId | undefined;
}

export type ParsedMessage =
  | SingleMessage
  | { readonly kind: 'batch'; readonly messages: readonly SingleMessage[] }
  | MessageProblem;

/** Reads a text: one message, a batch (which only MCP 2025-03-26 allows), or a problem. */
export function parseMessage(text: string): ParsedMessage {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { kind: 'problem', code: 'RPC_PARSE', text: 'The message is not JSON.', id: undefined };
  }
  return decodeMessage(value);
}

/** As `parseMessage`, from a value that has been parsed. One bad message makes its whole batch a problem. */
export function decodeMessage(value: unknown): ParsedMessage {
  if (!Array.isArray(value)) return decodeSingle(value);
  if (value.length === 0) return invalid('A batch may not be empty.', undefined);
  if (value.length > RPC_BATCH_COUNT_MAX)
    return invalid(`A batch may not have more than ${RPC_BATCH_COUNT_MAX} messages.`, undefined);
  const messages: SingleMessage[] = [];
  for (const item of value) {
    const decoded = decodeSingle(item);
    if (decoded.kind === 'problem') return { ...decoded, id: undefined, text: `In a batch: ${decoded.text}` };
    messages.push(decoded);
  }
  return { kind: 'batch', messages };
}

function decodeSingle(value: unknown): SingleMessage | MessageProblem {
  if (!isObject(value)) return invalid('A message has to be a JSON object.', undefined);
  const id = isRpcId(value['id']) ? value['id'] : undefined;
  if (value['jsonrpc'] !== '2.0') return invalid('A message needs `"jsonrpc": "2.0"`.', id);
  if (isDeeper(value, RPC_DEPTH_MAX)) return invalid(`A message may not be nested deeper than ${RPC_DEPTH_MAX}.`, id);
  const isCall = Object.hasOwn(value, 'method');
  const isResult = Object.hasOwn(value, 'result');
  const isError = Object.hasOwn(value, 'error');
  if (Number(isCall) + Number(isResult) + Number(isError) !== 1) {
    return invalid('A message needs exactly one of `method`, `result` and `error`.', id);
  }
  if (isCall) return decodeCall(value, id);
  return isResult ? decodeResult(value, id) : decodeError(value, id);
}

/** JSON.parse reads any depth, and JSON.stringify then ends in the middle of an answer. Looks no deeper than it must. */
function isDeeper(value: object, depth: number): boolean {
  if (depth === 0) return true;
  const members: unknown[] = Array.isArray(value) ? value : Object.values(value);
  return members.some((member) => typeof member === 'object' && member !== null && isDeeper(member, depth - 1));
}

function decodeCall(value: JsonObject, id: RpcId | undefined): SingleMessage | MessageProblem {
  if (typeof value['method'] !== 'string') return invalid('`method` has to be a string.', id);
  if (value['params'] !== undefined && !isObject(value['params'])) return invalid('`params` has to be an object.', id);
  if (!Object.hasOwn(value, 'id')) return { kind: 'notification', message: value as unknown as JsonRpcNotification };
  if (id === undefined) return invalid('`id` has to be a string or an integer within ±(2^53 − 1).', undefined);
  return { kind: 'request', message: value as unknown as JsonRpcRequest };
}

function decodeResult(value: JsonObject, id: RpcId | undefined): SingleMessage | MessageProblem {
  if (id === undefined) return invalid('A result needs the `id` of its request.', undefined);
  if (!isObject(value['result'])) return invalid('`result` has to be an object.', id);
  return { kind: 'result', message: value as unknown as JsonRpcResult };
}

function decodeError(value: JsonObject, id: RpcId | undefined): SingleMessage | MessageProblem {
  const { error } = value as { error: unknown };
  const hasNoId = value['id'] === undefined || value['id'] === null;
  if (id === undefined && !hasNoId)
    return invalid('`id` has to be a string or an integer within ±(2^53 − 1).', undefined);
  if (!isObject(error) || !Number.isInteger(error['code']) || typeof error['message'] !== 'string') {
    return invalid('`error` needs an integer `code` and a string `message`.', id);
  }
  return { kind: 'error', message: value as unknown as JsonRpcError };
}

function invalid(text: string, id: RpcId | undefined): MessageProblem {
  return { kind: 'problem', code: 'RPC_INVALID', text, id };
}

export function isRpcId(value: unknown): value is RpcId {
  return typeof value === 'string' || Number.isSafeInteger(value);
}

/** Whether the value is an object in JSON's sense: neither null nor an array. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An answer that failed; without a known id it carries null (JSON-RPC 2.0 §5). */
export function errorResponse(id: RpcId | undefined, error: RpcErrorBody): JsonRpcError {
  const { code, message, data } = error;
  return { jsonrpc: '2.0', id: id ?? null, error: data === undefined ? { code, message } : { code, message, data } };
}

/** An answer that succeeded. */
export function result(id: RpcId, value: JsonObject): JsonRpcResult {
  return { jsonrpc: '2.0', id, result: value };
}
