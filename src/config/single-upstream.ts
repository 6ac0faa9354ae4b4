/**
 * The configuration that MCP_UPSTREAM_URL, MCP_API_KEY and MCP_API_SECRET stand for where there is no file: a local
 * proxy that signs the requests to one server.
 *
 * It is a document like any other, so that everything else means what it always does: the variables stay references,
 * and a missing one is a problem. Names are the server's own, since there is only one. Without users everybody who can
 * connect may use it, and so it does that on loopback alone; elsewhere, and where there is a file of users, somebody has to
 * be let in (MCP_API_KEYS, tokens.yml). Source: the environment of go-core-stack/mcp-auth-proxy.
 */
import { isLoopbackHost } from './loopback.ts';

/** Text of a configuration file; undefined when the environment names no server. */
export function singleUpstreamText(env: Readonly<Record<string, string | undefined>>): string | undefined {
  const url = env['MCP_UPSTREAM_URL']?.trim() ?? '';
  if (url === '') return undefined;
  const auth = { type: 'hmac', key_id: '${MCP_API_KEY}', secret: '${MCP_API_SECRET}' };
  const servers = { upstream: { url: withPath(url), prefix: '', auth } };
  // MCP_LISTEN_ADDR goes before it, as before any file.
  return JSON.stringify({ listen: '127.0.0.1:8080', servers }, null, 2);
}

/** Whom such a proxy lets in when nothing says so: what it listens on counts, whoever said it. */
export function singleUpstreamAuth(listenHost: string, userCount: number): 'none' | 'tokens' {
  return userCount === 0 && isLoopbackHost(listenHost) ? 'none' : 'tokens';
}

/** Such a proxy serves `/mcp` and hands the path on, so a URL without one means that. */
function withPath(url: string): string {
  if (!URL.canParse(url)) return url;
  const parsed = new URL(url);
  if (parsed.pathname !== '/') return url;
  parsed.pathname = '/mcp';
  return parsed.href;
}
