/**
 * Reading one list of one server to its end: all pages, bounded in pages, items, size and time.
 *
 * A server whose cursors repeat or never end gives what it gave until then, and the diagnostic log says so: a bad
 * list hides neither the rest of itself nor other servers. An empty cursor is a real one (MCP 2026-07-28
 * server/utilities/pagination). Caching, and what to show meanwhile, is `catalog`.
 */
import { ProxyError } from '../errors.ts';
import {
  CATALOG_CHARS_MAX,
  CATALOG_ITEM_COUNT_MAX,
  CATALOG_PAGE_COUNT_MAX,
  CATALOG_READ_MS_MAX,
  QUOTED_CHARS_MAX,
} from '../limits.ts';
import { isObject } from '../mcp/jsonrpc.ts';
import { RPC_ERROR } from '../mcp/protocol.ts';
import type { JsonObject, McpOutcome, McpPeer, McpRequest } from '../mcp/waist.ts';
import { settleWithin } from './deadline.ts';
import type { OnDiag } from './diag.ts';

export type ListKind = 'tools' | 'prompts' | 'resources' | 'templates';

interface ListSpec {
  readonly method: string;
  /** The member of the result that holds the items. */
  readonly member: string;
  /** The member of an item that identifies it. */
  readonly key: string;
  readonly capability: 'tools' | 'prompts' | 'resources';
}

export const LISTS: Readonly<Record<ListKind, ListSpec>> = {
  tools: { method: 'tools/list', member: 'tools', key: 'name', capability: 'tools' },
  prompts: { method: 'prompts/list', member: 'prompts', key: 'name', capability: 'prompts' },
  resources: { method: 'resources/list', member: 'resources', key: 'uri', capability: 'resources' },
  templates: {
    method: 'resources/templates/list',
    member: 'resourceTemplates',
    key: 'uriTemplate',
    capability: 'resources',
  },
};

export const KIND_OF_METHOD: ReadonlyMap<string, ListKind> = new Map(
  (Object.keys(LISTS) as ListKind[]).map((kind) => [LISTS[kind].method, kind]),
);

/** One list as the server gave it, without items that cannot be used. */
export interface ServerList {
  readonly items: readonly JsonObject[];
  /** The keys of the items, in the same order, each once. */
  readonly keys: readonly string[];
  /** How long it may be served without asking again; 0 when the server did not say. */
  readonly ttlMs: number;
  readonly scope: 'public' | 'private';
  /** A bound ended it early. */
  readonly cut: boolean;
}

export interface ReadOptions {
  readonly serverName: string;
  readonly peer: Pick<McpPeer, 'describe' | 'call'>;
  readonly onDiag: OnDiag;
}

const EMPTY: ServerList = { items: [], keys: [], ttlMs: 0, scope: 'private', cut: false };

/**
 * All pages of a list; empty when the server has no such capability.
 *
 * @throws {ProxyError} UPSTREAM_* when the server cannot be reached, answers no list, or not in time
 */
export async function readList(kind: ListKind, options: ReadOptions): Promise<ServerList> {
  const card = await options.peer.describe();
  if (card.capabilities[LISTS[kind].capability] === undefined) return EMPTY;
  const reading = collectPages(kind, options);
  const settled = await settleWithin(reading.list, CATALOG_READ_MS_MAX);
  if (settled.kind === 'value') return settled.value;
  reading.cancel();
  const { serverName } = options;
  throw new ProxyError('UPSTREAM_TIMEOUT', `server ${serverName} did not answer ${LISTS[kind].method} in time`);
}

function collectPages(kind: ListKind, options: ReadOptions): { list: Promise<ServerList>; cancel(): void } {
  const pages = createPages(LISTS[kind].key);
  const abort = new AbortController();
  const { signal } = abort;
  let cancelPage: (() => void) | undefined;
  async function collect(): Promise<ServerList> {
    let cursor: string | undefined;
    do {
      const call = options.peer.call(listRequest(LISTS[kind].method, cursor), SILENT);
      cancelPage = () => call.cancel('the list takes too long');
      // oxlint-disable-next-line no-await-in-loop -- each page names the next
      const page = readPage(await call.outcome, { kind, serverName: options.serverName });
      if (page === undefined) return pages.finish(false);
      cursor = pages.add(page);
    } while (cursor !== undefined && !pages.isFull && !signal.aborted);
    if (cursor !== undefined && !signal.aborted) {
      const count = pages.count;
      options.onDiag('warn', 'a list of a server is too long or never ends; the rest of it is not served', {
        server: options.serverName,
        method: LISTS[kind].method,
        items: count,
      });
    }
    return pages.finish(cursor !== undefined);
  }
  return {
    list: collect(),
    cancel() {
      abort.abort();
      cancelPage?.();
    },
  };
}

const SILENT = { onProgress(): void {}, onLog(): void {} };

function listRequest(method: string, cursor: string | undefined): McpRequest {
  const params = cursor === undefined ? {} : { cursor };
  // What is listed goes to several clients, so it must not depend on what one of them can do.
  return { method, params, clientCapabilities: {}, clientInfo: undefined, logLevel: undefined, wantsProgress: false };
}

interface Pages {
  readonly count: number;
  readonly isFull: boolean;
  /** Takes a page and returns the cursor to go on with; undefined at the end. */
  add(page: Page): string | undefined;
  finish(cut: boolean): ServerList;
}

/** What the pages of one list add up to. */
function createPages(key: string): Pages {
  const items: JsonObject[] = [];
  const keys = new Set<string>(); // Bounded by CATALOG_ITEM_COUNT_MAX.
  const cursors = new Set<string>(); // Bounded by CATALOG_PAGE_COUNT_MAX.
  let pageCount = 0;
  let charCount = 0;
  let ttlMs = Number.POSITIVE_INFINITY;
  let scope: 'public' | 'private' = 'public';
  const hasRoom = (): boolean => charCount < CATALOG_CHARS_MAX && items.length < CATALOG_ITEM_COUNT_MAX;
  return {
    get count() {
      return items.length;
    },
    get isFull() {
      return pageCount >= CATALOG_PAGE_COUNT_MAX || !hasRoom();
    },
    add(page) {
      pageCount += 1;
      ttlMs = Math.min(ttlMs, page.ttlMs);
      if (page.scope === 'private') scope = 'private';
      for (const item of page.items) {
        if (!isObject(item)) continue;
        const name = item[key];
        if (typeof name !== 'string' || keys.has(name) || !hasRoom()) continue;
        keys.add(name);
        items.push(item);
        charCount += JSON.stringify(item).length;
      }
      if (page.cursor === undefined) return undefined;
      // A cursor that was there before would lead in a circle.
      if (cursors.has(page.cursor)) pageCount = CATALOG_PAGE_COUNT_MAX;
      cursors.add(page.cursor);
      return page.cursor;
    },
    finish: (cut) => ({
      items,
      keys: [...keys],
      ttlMs: Number.isFinite(ttlMs) ? ttlMs : 0,
      scope: pageCount === 0 ? 'private' : scope,
      cut,
    }),
  };
}

interface Page {
  readonly items: readonly unknown[];
  readonly cursor: string | undefined;
  readonly ttlMs: number;
  readonly scope: 'public' | 'private';
}

/** The page, or undefined when the server does not serve the method although it has the capability. */
function readPage(outcome: McpOutcome, from: { kind: ListKind; serverName: string }): Page | undefined {
  const { method, member } = LISTS[from.kind];
  if (outcome.kind === 'error' && outcome.code === RPC_ERROR.methodNotFound) return undefined;
  if (outcome.kind === 'error') throw listError(outcome, `server ${from.serverName}, ${method}`);
  const result = outcome.kind === 'complete' ? outcome.result : {};
  const items = result[member];
  if (!Array.isArray(items)) {
    throw new ProxyError('UPSTREAM_PROTOCOL', `server ${from.serverName} answered ${method} without a list`);
  }
  const { nextCursor, ttlMs, cacheScope } = result;
  return {
    items,
    cursor: typeof nextCursor === 'string' ? nextCursor : undefined,
    ttlMs: typeof ttlMs === 'number' && ttlMs > 0 ? ttlMs : 0,
    scope: cacheScope === 'public' ? 'public' : 'private',
  };
}

/** An error of ours below keeps its code, so that "down since …" reaches the client as it is. */
function listError(outcome: Extract<McpOutcome, { kind: 'error' }>, where: string): ProxyError {
  const code = isObject(outcome.data) && outcome.data['source'] === 'mcproxy' ? outcome.data['code'] : undefined;
  if (code === 'UPSTREAM_NOT_READY' || code === 'UPSTREAM_UNREACHABLE' || code === 'UPSTREAM_CREDENTIAL') {
    return new ProxyError(code, outcome.message);
  }
  if (code === 'UPSTREAM_TIMEOUT' || code === 'UPSTREAM_CLOSED' || code === 'ISSUER_UNREACHABLE')
    return new ProxyError(code, outcome.message);
  const text = outcome.message.slice(0, QUOTED_CHARS_MAX);
  return new ProxyError('UPSTREAM_PROTOCOL', `${where}: error ${outcome.code}: ${text}`);
}
