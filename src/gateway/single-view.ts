/**
 * How a view of one server answers: everything goes there as it came, so that the client cannot tell.
 *
 * Pages, cursors, unknown names and errors are the server's own. What is not passed through is what a gateway cannot
 * keep up: methods that it does not serve, and header annotations in tool schemas that break the rules (`rewrite`).
 */
import { ProxyError } from '../errors.ts';
import { isObject } from '../mcp/jsonrpc.ts';
import type { JsonObject, McpRequest } from '../mcp/waist.ts';
import { rewriteTool } from './rewrite.ts';
import type { Servers } from './servers-of.ts';
import type { Found } from './view-call.ts';

const SERVED: ReadonlySet<string> = new Set([
  'tools/list',
  'tools/call',
  'prompts/list',
  'prompts/get',
  'resources/list',
  'resources/templates/list',
  'resources/read',
  'completion/complete',
]);

/** @throws {ProxyError} RPC_METHOD; ROUTE_UNKNOWN when the server is no longer this principal's; OVERLOADED */
export function findInSingle(servers: Servers, serverName: string, { method, params }: McpRequest): Found {
  if (!SERVED.has(method)) throw new ProxyError('RPC_METHOD', 'Method not found');
  if (!servers.names.includes(serverName)) {
    throw new ProxyError('ROUTE_UNKNOWN', 'there is no such path or server for this user');
  }
  const show = method === 'tools/list' ? showTools : (result: JsonObject): JsonObject => result;
  const member = servers.member(serverName);
  return { kind: 'target', member, params, asker: undefined, show, showError: (data) => data };
}

function showTools(result: JsonObject): JsonObject {
  const { tools } = result;
  if (!Array.isArray(tools)) return result;
  return { ...result, tools: tools.map((tool: unknown) => (isObject(tool) ? rewriteTool(tool, (uri) => uri) : tool)) };
}
