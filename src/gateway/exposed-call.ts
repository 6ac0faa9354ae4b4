/**
 * A call of a tool or prompt on its way to the server: its own name, and the arguments that the operator adds.
 *
 * The name was looked up before; arguments are those of a tool alone. What goes out is what headers are made from at
 * the door to the server, so that they agree (MCP 2026-07-28 streamable-http). Pure.
 */
import { ProxyError } from '../errors.ts';
import type { Exposure } from '../mcp/exposure.ts';
import { isObject } from '../mcp/jsonrpc.ts';
import type { JsonObject } from '../mcp/waist.ts';

/**
 * The params for the server. @param params with the server's own name
 * @throws {ProxyError} RPC_PARAMS when arguments cannot be added to what the client sent
 */
export function namedParams(exposure: Exposure, params: JsonObject, kind: 'tools' | 'prompts'): JsonObject {
  const { name, arguments: given } = params;
  if (kind === 'prompts' || typeof name !== 'string' || exposure.isPlain('tools')) return params;
  const completed = exposure.completeArguments(name, isObject(given) ? given : {});
  if (Object.keys(completed).length === 0) return params;
  if (given !== undefined && !isObject(given)) throw new ProxyError('RPC_PARAMS', '"arguments" must be an object');
  return { ...params, arguments: completed };
}
