/**
 * What a path leads to.
 *
 * The table of URLs in the README is this file in prose. A path is compared as it is: the guard let only plain ones
 * pass. Whether the caller may go there is decided later.
 */
import { changesItems } from '../config/exposure.ts';
import type { ServerConfig } from '../model.ts';

export type RoutePart = 'mcp' | 'sse' | 'messages';

export type Route =
  /** Everything that the principal may use, as one server: `/mcp`, `/sse`, `/messages`. */
  | { readonly kind: 'all'; readonly part: RoutePart }
  /** One server: `/{server}/mcp`, `/{server}/sse`, `/{server}/messages`. */
  | { readonly kind: 'server'; readonly serverName: string; readonly part: RoutePart }
  | { readonly kind: 'health'; readonly path: '/healthz' | '/readyz' | '/health' }
  | { readonly kind: 'status' }
  | { readonly kind: 'unknown' };

const SERVER_PATH = /^\/([A-Za-z0-9_-]{1,32})\/(mcp|sse|messages)$/;

/** @param path below the prefix, normalised by the guard */
export function findRoute(path: string): Route {
  if (path === '/healthz' || path === '/readyz' || path === '/health') return { kind: 'health', path };
  if (path === '/status') return { kind: 'status' };
  if (path === '/mcp' || path === '/sse' || path === '/messages') {
    return { kind: 'all', part: path.slice(1) as RoutePart };
  }
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

/** Path 1, bytes, or path 2, messages. */
export type Path = 'relay' | 'messages';

export interface PathAsked {
  /**
   * A GET without a session: a client that found no Streamable HTTP here and tries HTTP+SSE at the same URL (MCP
   * 2025-11-25 transports, Backwards Compatibility).
   */
  readonly fallsBack: boolean;
  /** Somebody has to see which tool is called, or when a call ends. */
  readonly looksInside: boolean;
}

/**
 * Which path serves a part of one server: bytes are relayed where client and server speak the same, else messages are
 * translated. `ask`: that depends on what the request needs and on what the server speaks (`choose`). Passthrough is
 * relayed always, because only the relay leaves the client's token in place; what is shown otherwise than the server
 * says it never is, nor what rules or limits of the caller have to look into, nor what is compared with the lock file, nor
 * a server with replicas, because sessions have to stay with theirs.
 */
export function choosePath(server: ServerConfig, part: RoutePart, asked: PathAsked): Path | 'ask' {
  const { fallsBack, looksInside } = asked;
  if (server.kind === 'stdio') return 'messages';
  if (server.credential.type === 'passthrough') return 'relay';
  if (looksInside || changesItems(server.exposure) || server.lock !== 'off') return 'messages';
  if (server.otherUrls.length > 0) return 'messages';
  if (server.transport === 'sse') return part === 'mcp' && !fallsBack ? 'messages' : 'relay';
  if (server.transport === 'streamable' && part !== 'mcp') return 'messages';
  return part === 'mcp' && fallsBack ? 'relay' : 'ask';
}
