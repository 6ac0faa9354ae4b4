/**
 * From exposed URIs of resources to servers, and back, for one merged view.
 *
 * Reads are never broadcast: a URI belongs to the server that lists it, whose template it matches, or whose result
 * linked to it (links need not be in any list, MCP 2026-07-28 server/tools); failing all, to the only server with
 * resources. What the operator hides is found nowhere. The rule for which URIs are wrapped is in `resource-ownership`.
 */
import { ProxyError } from '../errors.ts';
import { RESOURCE_LINK_COUNT_MAX } from '../limits.ts';
import { findOwners, unwrapUri, wrapUri, type Offer, type Ownership } from './resource-ownership.ts';
import type { Servers } from './servers-of.ts';

export interface Located {
  readonly serverName: string;
  readonly uri: string;
}

export interface UriRouter {
  /** What clients call a URI that a server sent; it is remembered when only this tells whose it is. */
  expose(serverName: string, uri: string): string;
  exposeTemplate(serverName: string, template: string): string;
  /** @throws {ProxyError} RPC_PARAMS with `data.uri` when no server has it; UPSTREAM_* when one that may cannot tell */
  resolve(uri: string): Promise<Located>;
  resolveTemplate(template: string): Promise<Located>;
  guess(uri: string): Located | undefined;
}

export function createUriRouter(servers: () => Servers): UriRouter {
  const links = new Map<string, string>(); // Bounded by RESOURCE_LINK_COUNT_MAX.
  const ownership = rememberOwnership();

  function owners(): Ownership {
    const now = servers();
    return ownership(
      now.names.map((serverName) => {
        const catalog = now.knownCatalog(serverName);
        return { serverName, resources: catalog?.peek('resources'), templates: catalog?.peek('templates') };
      }),
    );
  }

  function remember(uri: string, serverName: string): void {
    links.set(uri, serverName);
    const oldest = links.size > RESOURCE_LINK_COUNT_MAX ? links.keys().next().value : undefined;
    if (oldest !== undefined) links.delete(oldest);
  }

  function guess(uri: string): Located | undefined {
    const wrapped = unwrapUri(uri);
    if (wrapped !== undefined) return servers().names.includes(wrapped.serverName) ? wrapped : undefined;
    const serverName = owners().ownerOf(uri) ?? links.get(uri);
    return serverName !== undefined && servers().names.includes(serverName) ? { serverName, uri } : undefined;
  }

  function guessTemplate(template: string): Located | undefined {
    const serverName = unwrapUri(template) === undefined ? owners().ownerOfTemplate(template) : undefined;
    return serverName === undefined ? guess(template) : { serverName, uri: template };
  }

  /** What is hidden may be matched by a template, linked or wrapped all the same, and is not found either. */
  async function resolve(uri: string, find: (uri: string) => Located | undefined): Promise<Located> {
    const located = await locate(uri, find);
    if (servers().exposure(located.serverName).shows('resources', located.uri)) return located;
    throw notFound(uri);
  }

  async function locate(uri: string, find: (uri: string) => Located | undefined): Promise<Located> {
    const found = find(uri);
    if (found !== undefined) return found;
    if (unwrapUri(uri) !== undefined) throw notFound(uri);
    const missing = await readAll(servers());
    const afterwards = find(uri) ?? onlyServer(servers(), uri);
    if (afterwards !== undefined) return afterwards;
    throw missing ?? notFound(uri);
  }

  return {
    expose(serverName, uri) {
      if (unwrapUri(uri) !== undefined) return wrapUri(serverName, uri);
      const owner = owners().ownerOf(uri) ?? links.get(uri);
      if (owner === undefined) remember(uri, serverName);
      return owner === undefined || owner === serverName ? uri : wrapUri(serverName, uri);
    },
    exposeTemplate(serverName, template) {
      const wrapped = unwrapUri(template) !== undefined || owners().ownerOfTemplate(template) !== serverName;
      return wrapped ? wrapUri(serverName, template) : template;
    },
    guess,
    resolve: (uri) => resolve(uri, guess),
    resolveTemplate: (template) => resolve(template, guessTemplate),
  };
}

/** Reads what is not known or old; the reason why a list is missing, if one is. */
async function readAll(servers: Servers): Promise<ProxyError | undefined> {
  const lists = servers.names.flatMap((serverName) => {
    const catalog = servers.catalog(serverName);
    return [catalog.getAfterMiss('resources'), catalog.getAfterMiss('templates')];
  });
  const missing = (await Promise.all(lists)).map((known) => known.missing);
  return missing.find((error) => error !== undefined);
}

/** Where only one server has resources, a URI that it did not list can be meant for no other. */
function onlyServer(servers: Servers, uri: string): Located | undefined {
  const cards = servers.names.map((serverName) => ({ serverName, card: servers.known(serverName)?.card }));
  const having = cards.filter(({ card }) => card === undefined || card.capabilities['resources'] !== undefined);
  const [only, other] = having;
  return only === undefined || other !== undefined ? undefined : { serverName: only.serverName, uri };
}

/** Owners are found again only when a list was read anew. */
function rememberOwnership(): (offers: readonly Offer[]) => Ownership {
  let last: { offers: readonly Offer[]; ownership: Ownership } | undefined;
  return (offers) => {
    const same =
      last !== undefined &&
      last.offers.length === offers.length &&
      last.offers.every((offer, at) => {
        const now = offers[at];
        return (
          offer.serverName === now?.serverName && offer.resources === now.resources && offer.templates === now.templates
        );
      });
    if (!same || last === undefined) last = { offers, ownership: findOwners(offers) };
    return last.ownership;
  };
}

/** The same for what does not exist and what is hidden. */
export function notFound(uri: string): ProxyError {
  // The member that MCP 2026-07-28 server/resources (Error Handling) asks for.
  return new ProxyError('RPC_PARAMS', 'Resource not found', { data: { uri } });
}
