/**
 * The configuration that MCP_UPSTREAM_URL, MCP_API_KEY and MCP_API_SECRET stand for where there is no file: a local
 * proxy that signs the requests to one server.
 *
 * It is a document like any other, so that everything else means what it always does: the variables stay references,
 * and a missing one is a problem with its place. Names are the server's own, since there is only one. Without a user
 * everybody who can connect may use it, and so it does that on loopback alone; elsewhere somebody has to be let in
 * (MCP_API_KEYS). Source: the environment of go-core-stack/mcp-auth-proxy.
 */

/** Text of a configuration file; undefined when the environment names no server. */
export function singleUpstreamText(env: Readonly<Record<string, string | undefined>>): string | undefined {
  const url = env['MCP_UPSTREAM_URL']?.trim() ?? '';
  if (url === '') return undefined;
  const listen = env['MCP_LISTEN_ADDR']?.trim() ?? '';
  const isLocal = listen === '' || /^(?:localhost|127\.[\d.]+|\[::1\])(?::\d+)?$/.test(listen);
  const auth = { type: 'hmac', key_id: '${MCP_API_KEY}', secret: '${MCP_API_SECRET}' };
  return JSON.stringify(
    {
      listen: '${MCP_LISTEN_ADDR:-127.0.0.1:8080}',
      auth: isLocal ? 'none' : 'tokens',
      servers: { upstream: { url: withPath(url), prefix: '', auth } },
    },
    null,
    2,
  );
}

/** Such a proxy serves `/mcp` and hands the path on, so a URL without one means that. */
function withPath(url: string): string {
  if (!URL.canParse(url)) return url;
  const parsed = new URL(url);
  if (parsed.pathname !== '/') return url;
  parsed.pathname = '/mcp';
  return parsed.href;
}
