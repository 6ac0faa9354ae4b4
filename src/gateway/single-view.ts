/**
 * How a view of one server answers: everything goes there as it came, so that the client cannot tell.
 *
 * Pages, cursors, unknown names and errors are the server's own. What is not passed through is what a gateway cannot
 * keep up: methods that it does not serve, and header annotations in tool schemas that break the rules (`rewrite`).
 * Where the operator hides or changes items of a kind, names of that kind are looked up in the list first, so that
 * what is hidden gets the answer of what does not exist.
 */
import { ProxyError } from '../errors.ts';
import { isObject } from '../mcp/jsonrpc.ts';
import type { JsonObject, McpRequest } from '../mcp/waist.ts';
import { KIND_OF_METHOD, LISTS, type ListKind } from './catalog-read.ts';
import { namedParams } from './exposed-call.ts';
import { unknownName, type NameKind } from './name-router.ts';
import { rewriteTool } from './rewrite.ts';
import type { Servers } from './servers-of.ts';
import type { Found, Target } from './target.ts';
import { notFound } from './uri-router.ts';

const SERVED: ReadonlySet<string> = new Set([
  ...KIND_OF_METHOD.keys(),
  'tools/call',
  'prompts/get',
  'resources/read',
  'completion/complete',
]);

/** @throws {ProxyError} RPC_METHOD, RPC_PARAMS; ROUTE_UNKNOWN when the server is no longer this principal's; OVERLOADED */
export async function findInSingle(servers: Servers, serverName: string, request: McpRequest): Promise<Found> {
  const { method } = request;
  if (!SERVED.has(method)) throw new ProxyError('RPC_METHOD', 'Method not found');
  requireServer(servers, serverName);
  const kind = KIND_OF_METHOD.get(method);
  const target = targetInSingle(servers, serverName, await ownParams(servers, serverName, request));
  if (kind === undefined) return { kind: 'target', ...target };
  return { kind: 'target', ...target, show: (result) => showItems(kind, result, { servers, serverName }) };
}

/** Results are shown as they are. */
export function targetInSingle(servers: Servers, serverName: string, params: JsonObject): Target {
  const member = servers.member(serverName);
  return { member, params, asker: undefined, show: (result) => result, showError: (data) => data };
}

/** The URI, if clients may have it. @throws {ProxyError} RPC_PARAMS, ROUTE_UNKNOWN */
export function findUriInSingle(
  servers: Servers,
  serverName: string,
  uri: string,
): { serverName: string; uri: string } {
  requireServer(servers, serverName);
  if (!servers.exposure(serverName).shows('resources', uri)) throw notFound(uri);
  return { serverName, uri };
}

function requireServer(servers: Servers, serverName: string): void {
  if (servers.names.includes(serverName)) return;
  throw new ProxyError('ROUTE_UNKNOWN', 'there is no such path or server for this user');
}

/** What goes to the server, by its own names. What is no name or URI is the server's to judge. */
async function ownParams(servers: Servers, serverName: string, { method, params }: McpRequest): Promise<JsonObject> {
  const { name, uri, ref } = params;
  if (method === 'tools/call' || method === 'prompts/get') {
    const kind = method === 'tools/call' ? 'tools' : 'prompts';
    if (typeof name !== 'string') return params;
    const own = await ownName(servers, serverName, { kind, shown: name });
    return namedParams(servers.exposure(serverName), { ...params, name: own }, kind);
  }
  if (method === 'resources/read' && typeof uri === 'string') findUriInSingle(servers, serverName, uri);
  if (method === 'completion/complete' && isObject(ref)) {
    if (ref['type'] === 'ref/prompt' && typeof ref['name'] === 'string') {
      await ownName(servers, serverName, { kind: 'prompts', shown: ref['name'] });
    } else if (typeof ref['uri'] === 'string') findUriInSingle(servers, serverName, ref['uri']);
  }
  return params;
}

async function ownName(
  servers: Servers,
  serverName: string,
  { kind, shown }: { kind: NameKind; shown: string },
): Promise<string> {
  const exposure = servers.exposure(serverName);
  if (exposure.isPlain(kind)) return shown;
  const known = exposure.ownName(kind, shown);
  const catalog = servers.catalog(serverName);
  if (known !== undefined && catalog.peek(kind)?.keys.includes(shown) === true) return known;
  const { list, missing } = await catalog.getAfterMiss(kind);
  const own = exposure.ownName(kind, shown);
  // Whoever cannot tell its list says why, or serves.
  if (own !== undefined && (missing !== undefined || list?.keys.includes(shown) === true)) return own;
  throw missing ?? unknownName(kind, shown);
}

function showItems(
  kind: ListKind,
  result: JsonObject,
  { servers, serverName }: { servers: Servers; serverName: string },
): JsonObject {
  const { member } = LISTS[kind];
  const items = result[member];
  // The configuration of now: the server may be gone since the request was made.
  if (!Array.isArray(items) || !servers.names.includes(serverName)) return result;
  const shown = servers.showItems(serverName, kind, items as unknown[]);
  if (kind !== 'tools') return { ...result, [member]: shown };
  return { ...result, [member]: shown.map((tool) => (isObject(tool) ? rewriteTool(tool, (uri) => uri) : tool)) };
}
