/**
 * Where clients learn at which authorization server to log in, for each path that they may have been given.
 *
 * Without an issuer, and at a passthrough server, there is nothing to say: clients would start a login that cannot
 * succeed. The documents are the same for servers that exist and for those that do not. Source: RFC 9728 §3, §5.1; MCP
 * 2026-07-28 authorization, protected resource metadata.
 */
import {
  isServerMetadata,
  metadataPath,
  metadataSubject,
  resourceMetadata,
  serverMetadata,
} from '../admin/well-known.ts';
import type { Login } from '../auth/authenticate.ts';
import { FACADE_SCOPE } from '../auth/facade-tokens.ts';
import type { Exchange } from '../http/exchange.ts';
import type { Config, OAuthConfig } from '../model.ts';
import { findRoute, type Route } from './routes.ts';

/** What a challenge at this route says about logging in; undefined when there is no authorization server for it. */
export function loginAt(exchange: Exchange, route: Route, config: Config): Login | undefined {
  const server = loginServer(config);
  if (server === undefined || isPassthrough(route, config)) return undefined;
  const base = new URL(baseUrl(exchange, config));
  const path = isEndpoint(route) ? exchange.path.replace(/\/messages$/, '/sse') : '';
  const metadataUrl =
    server.issuer === undefined ? undefined : `${base.origin}${metadataPath(base.pathname.replace(/\/$/, '') + path)}`;
  return { metadataUrl, scopes: server.scopes };
}

/** The authorization server whose tokens are let in. */
function loginServer({ oauth, facade }: Config): Pick<OAuthConfig, 'issuer' | 'scopes'> | undefined {
  return facade === undefined ? oauth : { issuer: facade.issuer, scopes: [] };
}

/** The document that the exchange asks for, when it is one of a protected resource or of mcproxy as their server. */
export function metadataAt(exchange: Exchange, config: Config): unknown {
  const server = loginServer(config);
  if (server?.issuer === undefined) return undefined;
  const base = baseUrl(exchange, config);
  const basePath = new URL(base).pathname.replace(/\/$/, '');
  if (config.facade !== undefined && isServerMetadata(exchange.path, basePath))
    return serverMetadata(config.facade.issuer, FACADE_SCOPE);
  const path = metadataSubject(exchange.path, basePath);
  if (path === undefined) return undefined;
  const route = findRoute(path);
  const isMounted = path === '' || (isEndpoint(route) && route.part !== 'messages' && !isPassthrough(route, config));
  return isMounted
    ? resourceMetadata({ resource: `${base}${path}`, issuer: server.issuer, scopes: server.scopes })
    : undefined;
}

/** Without `public_url` the Host names this service: the configuration allows that only where it is a loopback name. */
function baseUrl({ request }: Exchange, config: Config): string {
  return config.publicUrl ?? `http://${request.headers.host ?? ''}${config.pathPrefix}`;
}

function isEndpoint(route: Route): route is Extract<Route, { part: unknown }> {
  return route.kind === 'all' || route.kind === 'server';
}

function isPassthrough(route: Route, config: Config): boolean {
  const server = route.kind === 'server' ? config.servers.get(route.serverName) : undefined;
  return server?.kind === 'http' && server.credential.type === 'passthrough';
}
