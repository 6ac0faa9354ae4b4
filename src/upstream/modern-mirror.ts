/**
 * Which tools of a server want arguments mirrored in headers, as far as its lists have told.
 *
 * Every `tools/list` result of the server passes through here. A tool whose annotations break the rules must not be
 * offered over HTTP and is left out, with a line in the diagnostic log. Knows nothing of HTTP; what is not known here
 * is found out by the refusal of a call. Source: MCP 2026-07-28 streamable-http, Custom Headers from Tool Parameters.
 */
import { MIRROR_PAGE_COUNT_MAX, MIRRORED_TOOL_COUNT_MAX } from '../limits.ts';
import { isObject } from '../mcp/jsonrpc.ts';
import { findParamHeaders, paramFields, type ParamHeader } from '../mcp/param-headers.ts';
import type { JsonObject } from '../mcp/waist.ts';
import type { RemoteOptions } from './mcp-http.ts';

export interface Mirror {
  /** `Mcp-Param-*` fields for the params of a `tools/call`, flat. */
  fields(params: JsonObject): string[];
  /** Remembers a page of tools, and gives it back without those that may not be offered. */
  readTools(result: JsonObject): JsonObject;
  /** Reads pages until the tool has been seen. */
  learn(toolName: unknown, list: (cursor: string | undefined) => Promise<JsonObject>): Promise<void>;
}

export function createMirror(remote: Pick<RemoteOptions, 'server' | 'onDiag'>): Mirror {
  // Bounded by MIRRORED_TOOL_COUNT_MAX.
  const headersOf = new Map<string, readonly ParamHeader[]>();

  /** Whether the tool may be offered. */
  function remember(tool: unknown): boolean {
    if (!isObject(tool) || typeof tool['name'] !== 'string') return true;
    const { name } = tool;
    const found = findParamHeaders(tool['inputSchema']);
    headersOf.delete(name);
    if (!found.ok) {
      const text = 'a tool is left out, because a client over HTTP may not offer it';
      remote.onDiag('warn', text, { server: remote.server.name, tool: name, problem: found.reason });
      return false;
    }
    if (found.headers.length > 0 && headersOf.size < MIRRORED_TOOL_COUNT_MAX) headersOf.set(name, found.headers);
    return true;
  }

  const readTools = (result: JsonObject): JsonObject => {
    const { tools } = result;
    return Array.isArray(tools) ? { ...result, tools: tools.filter(remember) } : result;
  };

  return {
    fields({ name, arguments: args }) {
      const headers = typeof name === 'string' ? headersOf.get(name) : undefined;
      return headers === undefined ? [] : paramFields(headers, args);
    },
    readTools,
    async learn(toolName, list) {
      let cursor: string | undefined;
      for (let page = 1; page <= MIRROR_PAGE_COUNT_MAX; page += 1) {
        // oxlint-disable-next-line no-await-in-loop -- each page names the next
        const { tools, nextCursor } = readTools(await list(cursor));
        const isSeen = Array.isArray(tools) && tools.some((tool) => isObject(tool) && tool['name'] === toolName);
        if (isSeen || typeof nextCursor !== 'string') return;
        cursor = nextCursor;
      }
    },
  };
}
