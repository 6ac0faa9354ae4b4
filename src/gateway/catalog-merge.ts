/**
 * Lists of several servers as one: order, freshness and pages. Pure.
 *
 * The order is that of the configuration, then of each server, so it is the same every time. Freshness is the least
 * that is left of any part, and none when a part is missing; the list is private as soon as one part is (MCP
 * 2026-07-28 server/utilities/caching). Normally there is one page, since not every client asks for a second; a
 * longer list is cut at item counts, with cursors that hold only for the list they were made for.
 */
import { ProxyError } from '../errors.ts';
import { CATALOG_PAGE_ITEM_COUNT_MAX } from '../limits.ts';
import type { JsonObject } from '../mcp/waist.ts';
import { LISTS, type ListKind } from './catalog-read.ts';
import type { KnownList } from './catalog.ts';

export interface ListPart {
  readonly known: KnownList;
  /** The items of this server as clients see them. */
  readonly items: readonly JsonObject[];
}

export interface MergedList {
  readonly items: readonly JsonObject[];
  readonly ttlMs: number;
  readonly scope: 'public' | 'private';
}

/** @param uniform whether everybody who may come in sees the same servers; else a public answer could reach others */
export function mergeLists(kind: ListKind, parts: readonly ListPart[], uniform: boolean): MergedList {
  const { key } = LISTS[kind];
  const items = new Map<unknown, JsonObject>(); // Bounded by CATALOG_ITEM_COUNT_MAX.
  for (const part of parts) for (const item of part.items) if (!items.has(item[key])) items.set(item[key], item);
  const complete = parts.every(({ known }) => known.missing === undefined);
  const isPublic = uniform && complete && parts.every(({ known }) => known.list?.scope === 'public');
  return {
    items: [...items.values()],
    ttlMs: complete && parts.length > 0 ? Math.floor(Math.min(...parts.map(({ known }) => known.ttlMs))) : 0,
    scope: isPublic && parts.length > 0 ? 'public' : 'private',
  };
}

/** One page as a result. @throws {ProxyError} RPC_PARAMS when the cursor is not of this list as it is now */
export function pageOf(kind: ListKind, merged: MergedList, cursor: unknown): JsonObject {
  const { member } = LISTS[kind];
  const { items, ttlMs, scope } = merged;
  const from = cursor === undefined ? 0 : readCursor(cursor, kind, items);
  const next = from + CATALOG_PAGE_ITEM_COUNT_MAX;
  return {
    [member]: items.slice(from, next),
    ...(next < items.length ? { nextCursor: `${next}.${fingerprint(kind, items)}` } : {}),
    ttlMs,
    cacheScope: scope,
  };
}

function readCursor(cursor: unknown, kind: ListKind, items: readonly JsonObject[]): number {
  const match = typeof cursor === 'string' ? /^(\d{1,9})\.([0-9a-z]+)$/.exec(cursor) : null;
  const from = Number(match?.[1]);
  const valid = from > 0 && from < items.length && from % CATALOG_PAGE_ITEM_COUNT_MAX === 0;
  if (!valid || match?.[2] !== fingerprint(kind, items)) {
    throw new ProxyError(
      'RPC_PARAMS',
      'the cursor is not valid, or the list has changed; ask for the first page again',
    );
  }
  return from;
}

/** Of the names in their order: the same list gives the same cursors after a restart. Not a secret and no guard. */
function fingerprint(kind: ListKind, items: readonly JsonObject[]): string {
  let hash = 7;
  for (const item of items) {
    const text = String(item[LISTS[kind].key]);
    for (let at = 0; at < text.length; at += 1) hash = (Math.imul(hash, 31) + text.charCodeAt(at)) | 0;
    hash = (Math.imul(hash, 31) + 1) | 0;
  }
  return (hash >>> 0).toString(36);
}
