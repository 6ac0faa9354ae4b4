/**
 * The lists of one server as the clients of a view see them, before names get prefixes and URIs are wrapped.
 *
 * A list in, a list out: hidden items are left out, tools are renamed, described and shortened by the operator's rules
 * (`mcp/exposure`), and everything behind it works as if the server had said so. The same list always gives the same
 * object, as long as the rules are the same, so that what is made from it can be kept with it.
 */
import { makeExposure, type Exposure, type ItemKind } from '../mcp/exposure.ts';
import type { JsonObject } from '../mcp/waist.ts';
import type { ExposureConfig } from '../model.ts';
import { LISTS, type ListKind, type ServerList } from './catalog-read.ts';
import type { Catalog, KnownList } from './catalog.ts';

/** The part of a catalog that views read. */
export type ExposedCatalog = Pick<Catalog, 'peek' | 'get' | 'getAfterMiss' | 'finished' | 'failure'>;

const exposures = new WeakMap<ExposureConfig, Exposure>();
const exposedLists = new WeakMap<Exposure, WeakMap<ServerList, ServerList>>();

/** The rules of a configuration, made once for all who share it. */
export function exposureOf(config: ExposureConfig): Exposure {
  const known = exposures.get(config) ?? makeExposure(config);
  exposures.set(config, known);
  return known;
}

export function exposeCatalog(catalog: Catalog, exposure: Exposure): ExposedCatalog {
  const show = (kind: ListKind, { list, ...known }: KnownList): KnownList => ({
    ...known,
    list: list && exposeList(kind, list, exposure),
  });
  return {
    peek(kind) {
      const list = catalog.peek(kind);
      return list && exposeList(kind, list, exposure);
    },
    get: async (kind) => show(kind, await catalog.get(kind)),
    getAfterMiss: async (kind) => show(kind, await catalog.getAfterMiss(kind)),
    finished: (kind) => catalog.finished(kind),
    failure: (kind) => catalog.failure(kind),
  };
}

/** Items as clients see them; what has no usable key is left out where anything is hidden. */
export function exposeItems(kind: ListKind, items: readonly unknown[], exposure: Exposure): readonly unknown[] {
  const of = kindOf(kind);
  if (exposure.isPlain(of)) return items;
  return items.flatMap((item) => {
    const own = (item as JsonObject | null)?.[LISTS[kind].key];
    if (typeof own !== 'string' || !exposure.shows(of, own)) return [];
    return [kind === 'tools' ? exposure.showTool(item as JsonObject) : item];
  });
}

function exposeList(kind: ListKind, list: ServerList, exposure: Exposure): ServerList {
  if (exposure.isPlain(kindOf(kind))) return list;
  const lists = exposedLists.get(exposure) ?? new WeakMap<ServerList, ServerList>();
  exposedLists.set(exposure, lists);
  const known = lists.get(list);
  if (known !== undefined) return known;
  const items = exposeItems(kind, list.items, exposure) as readonly JsonObject[];
  const made = { ...list, items, keys: items.map((item) => String(item[LISTS[kind].key])) };
  lists.set(list, made);
  return made;
}

function kindOf(kind: ListKind): ItemKind {
  return kind === 'templates' ? 'resources' : kind;
}
