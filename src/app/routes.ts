/**
 * What a path leads to.
 *
 * Pure; the table of URLs in the README is this file in prose. Whether the caller may go there is decided later.
 */

export type RoutePart = 'mcp' | 'sse' | 'messages';

export type Route =
  /** One server: `/{server}/mcp`, `/{server}/sse`, `/{server}/messages`. */
  | { readonly kind: 'server'; readonly serverName: string; readonly part: RoutePart }
  | { readonly kind: 'health'; readonly path: '/healthz' | '/readyz' | '/health' }
  | { readonly kind: 'unknown' };

const SERVER_PATH = /^\/([A-Za-z0-9_-]{1,32})\/(mcp|sse|messages)$/;

/** @param path below the prefix, normalised by the guard */
export function findRoute(path: string): Route {
  if (path === '/healthz' || path === '/readyz' || path === '/health') return { kind: 'health', path };
  const match = SERVER_PATH.exec(path);
  if (match?.[1] !== undefined && match[2] !== undefined) {
    return { kind: 'server', serverName: match[1], part: match[2] as RoutePart };
  }
  return { kind: 'unknown' };
}

/** HTTP methods of each part (MCP transports of all revisions). */
export const METHODS: Readonly<Record<RoutePart, readonly string[]>> = {
  mcp: ['POST', 'GET', 'DELETE'],
  sse: ['GET'],
  messages: ['POST'],
};
