/**
 * Which arguments a client has to mirror in headers when it calls a tool of a view over HTTP.
 *
 * Who shows `x-mcp-header` in a tool must enforce it, and a call may come from a client that saw the list elsewhere or
 * before a restart; so the list of the server is read when it is not known yet. What cannot be found out is not
 * enforced: the call says why, or the server judges by itself. Only what the client is shown counts: an argument that
 * the operator hides has no header from it. The comparison with the request is the adapter's.
 * Source: MCP 2026-07-28 streamable-http, Server Behavior for Custom Headers.
 */
import { ProxyError } from '../errors.ts';
import { findParamHeaders, type ParamHeader } from '../mcp/param-headers.ts';
import type { ServerList } from './catalog-read.ts';
import type { NameRouter } from './name-router.ts';
import type { Servers } from './servers-of.ts';
import type { GatewayView } from './view.ts';

export interface ToolHeadersOptions {
  /** Undefined for a view of all servers. */
  readonly serverName: string | undefined;
  readonly servers: () => Servers;
  readonly names: NameRouter;
}

export function createToolHeaders({ serverName, servers, names }: ToolHeadersOptions): GatewayView['paramHeaders'] {
  async function find(toolName: string, again: boolean): Promise<readonly ParamHeader[]> {
    const tool = serverName === undefined ? await names.resolve('tools', toolName) : { serverName, shown: toolName };
    const now = servers();
    if (!now.names.includes(tool.serverName)) return [];
    const catalog = now.catalog(tool.serverName);
    const known = again ? undefined : catalog.peek('tools');
    const list = known ?? (await catalog.getAfterMiss('tools')).list;
    return list === undefined ? [] : (annotated(list).get(tool.shown) ?? []);
  }
  return async (toolName, again) => {
    try {
      return await find(toolName, again);
    } catch (error) {
      if (error instanceof ProxyError) return [];
      throw error;
    }
  };
}

type Annotated = ReadonlyMap<string, readonly ParamHeader[]>;

/** Read once for each list, as long as the catalog keeps it. */
const annotatedIn = new WeakMap<ServerList, Annotated>();

function annotated(list: ServerList): Annotated {
  const known = annotatedIn.get(list);
  if (known !== undefined) return known;
  const tools = new Map<string, readonly ParamHeader[]>(); // Bounded by CATALOG_ITEM_COUNT_MAX.
  list.items.forEach((item, at) => {
    const found = findParamHeaders(item['inputSchema']);
    const name = list.keys[at];
    if (name !== undefined && found.ok && found.headers.length > 0) tools.set(name, found.headers);
  });
  annotatedIn.set(list, tools);
  return tools;
}
