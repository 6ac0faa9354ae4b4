/**
 * How a view of several servers answers: lists are merged here, everything else goes to the server that it is for.
 *
 * Names are `prefix__name`; URIs pass through where they can (`resource-ownership`). What the operator hides or changes
 * is so in the lists already (`exposed-catalog`), in which names are looked up too.
 */
import { ProxyError } from '../errors.ts';
import { isObject } from '../mcp/jsonrpc.ts';
import type { JsonObject, McpRequest } from '../mcp/waist.ts';
import { mergeLists, pageOf } from './catalog-merge.ts';
import { KIND_OF_METHOD, type ListKind, type ServerList } from './catalog-read.ts';
import type { KnownList } from './catalog.ts';
import { namedParams } from './exposed-call.ts';
import type { NameRouter } from './name-router.ts';
import { rewriteResult, rewriteTool } from './rewrite.ts';
import type { Servers } from './servers-of.ts';
import type { UriRouter } from './uri-router.ts';
import type { Found, Target } from './target.ts';

export interface MergedView {
  readonly servers: () => Servers;
  readonly names: NameRouter;
  readonly uris: UriRouter;
  readonly uniform: () => boolean;
}

/** @throws {ProxyError} RPC_METHOD, RPC_PARAMS or what the server's list could not be read for */
export async function findInMerged(view: MergedView, { method, params }: McpRequest): Promise<Found> {
  const listed = KIND_OF_METHOD.get(method);
  if (listed !== undefined) return { kind: 'answer', result: await mergedPage(view, listed, params['cursor']) };
  switch (method) {
    case 'tools/call':
    case 'prompts/get': {
      const kind = method === 'tools/call' ? 'tools' : 'prompts';
      const { serverName, name } = await view.names.resolve(kind, textOf(params, 'name'));
      return target(view, serverName, namedParams(view.servers().exposure(serverName), { ...params, name }, kind));
    }
    case 'resources/read': {
      const { serverName, uri } = await view.uris.resolve(textOf(params, 'uri'));
      return target(view, serverName, { ...params, uri });
    }
    case 'completion/complete':
      return findCompletion(view, params);
    default:
      throw new ProxyError('RPC_METHOD', 'Method not found');
  }
}

/** A later page is cut from what is known: asking again would change what the cursor belongs to. */
async function mergedPage(view: MergedView, kind: ListKind, cursor: unknown): Promise<JsonObject> {
  const servers = view.servers();
  const parts = await Promise.all(
    servers.names.map(async (serverName) => {
      const known = await knownList(servers, { serverName, kind, again: cursor === undefined });
      return { serverName, known };
    }),
  );
  // Only now, because whose a name or a URI is depends on the lists of all.
  const tables =
    kind === 'tools' || kind === 'prompts'
      ? view.names.show(kind, { servers, lists: parts.map(({ known }) => known.list) })
      : undefined;
  const shown = parts.map(({ serverName, known }) => ({
    known,
    items:
      known.list === undefined
        ? []
        : exposeItems(view, { serverName, kind, list: known.list, names: tables?.get(serverName)?.exposed }),
  }));
  return pageOf(kind, mergeLists(kind, shown, view.uniform()), cursor);
}

async function knownList(
  servers: Servers,
  { serverName, kind, again }: { serverName: string; kind: ListKind; again: boolean },
): Promise<KnownList> {
  try {
    const catalog = servers.catalog(serverName);
    const last = catalog.peek(kind);
    if (!again && last !== undefined) return { list: last, ttlMs: 0, missing: undefined };
    return await catalog.get(kind);
  } catch (error) {
    // One server that cannot even be opened must not take the others with it.
    if (error instanceof ProxyError) return { list: undefined, ttlMs: 0, missing: error };
    throw error;
  }
}

interface ShownList {
  readonly serverName: string;
  readonly kind: ListKind;
  readonly list: ServerList;
  /** Exposed names of tools and prompts. */
  readonly names: ReadonlyMap<string, string> | undefined;
}

function exposeItems({ uris }: MergedView, { serverName, kind, list, names }: ShownList): JsonObject[] {
  const expose = (uri: string): string => uris.expose(serverName, uri);
  return list.items.map((item, at) => {
    const key = list.keys[at] ?? '';
    if (kind === 'resources') return { ...item, uri: expose(key) };
    if (kind === 'templates') return { ...item, uriTemplate: uris.exposeTemplate(serverName, key) };
    const named = { ...item, name: names?.get(key) ?? key };
    return kind === 'tools' ? rewriteTool(named, expose) : named;
  });
}

async function findCompletion(view: MergedView, params: JsonObject): Promise<Found> {
  const ref = isObject(params['ref']) ? params['ref'] : {};
  if (ref['type'] === 'ref/prompt') {
    const { serverName, name } = await view.names.resolve('prompts', textOf(ref, 'name'));
    return target(view, serverName, { ...params, ref: { ...ref, name } });
  }
  if (ref['type'] === 'ref/resource') {
    const { serverName, uri } = await view.uris.resolveTemplate(textOf(ref, 'uri'));
    return target(view, serverName, { ...params, ref: { ...ref, uri } });
  }
  throw new ProxyError('RPC_PARAMS', '"ref" must be a ref/prompt or a ref/resource');
}

function target(view: MergedView, serverName: string, params: JsonObject): Found {
  return { kind: 'target', ...targetInMerged(view, serverName, params) };
}

/** How results of a server are shown. */
export function targetInMerged(view: MergedView, serverName: string, params: JsonObject): Target {
  const expose = (uri: string): string => view.uris.expose(serverName, uri);
  return {
    member: view.servers().member(serverName),
    params,
    asker: serverName,
    show: (result) => rewriteResult(result, expose),
    showError: (data) =>
      isObject(data) && typeof data['uri'] === 'string' ? { ...data, uri: expose(data['uri']) } : data,
  };
}

function textOf(params: JsonObject, member: string): string {
  const value = params[member];
  if (typeof value === 'string') return value;
  throw new ProxyError('RPC_PARAMS', `"${member}" must be a string`);
}
