/**
 * What a server says to whoever asks it without a credential: its `WWW-Authenticate` field, which leads to where
 * credentials come from (RFC 9728 §5.1).
 *
 * Asked as detection asks first, so that a server that refuses before it looks at a message says so. Whatever it does
 * instead is no failure: the well-known places are tried then.
 */
import { CONTROL_MS_MAX } from '../limits.ts';
import { LATEST_MODERN } from '../mcp/protocol.ts';
import type { HttpServerConfig } from '../model.ts';
import { forward } from './forward.ts';
import { OWN_META } from './modern-message.ts';
import { outboundFields } from './outbound.ts';
import type { HttpUpstream } from './pool.ts';

const QUESTION = {
  jsonrpc: '2.0',
  id: 'mcproxy-challenge',
  method: 'server/discover',
  params: { _meta: OWN_META },
} as const;

/** The field of a 401; undefined when there is no such answer. */
export function askChallenge(server: HttpServerConfig, upstream: HttpUpstream): Promise<string | undefined> {
  const isStream = server.transport === 'sse';
  const bytes = isStream ? Buffer.alloc(0) : Buffer.from(JSON.stringify(QUESTION));
  const modern = ['MCP-Protocol-Version', LATEST_MODERN, 'Mcp-Method', 'server/discover'];
  const own = isStream ? [] : ['Content-Type', 'application/json', ...modern];
  const fields = outboundFields({
    rawHeaders: ['User-Agent', 'mcproxy', 'Accept', 'application/json, text/event-stream', ...own],
    connection: undefined,
    passthrough: false,
    credential: server.headers.flatMap(([name, value]) => [name, value.reveal()]),
    host: upstream.host,
    requestId: undefined,
    traceparent: undefined,
    body: isStream ? 'none' : bytes.length,
  });
  const { pathname, search } = upstream.url;
  const outbound = {
    serverName: server.name,
    method: isStream ? 'GET' : 'POST',
    path: pathname + search,
    fields,
    body: { kind: 'whole', bytes },
  } as const;
  const { connectMs } = server.timeouts;
  return new Promise((resolve) => {
    const attempt = forward(upstream, outbound, {
      connectMs: Math.min(connectMs, CONTROL_MS_MAX),
      headMs: CONTROL_MS_MAX,
      idleMs: 0,
      onHead(response) {
        response.on('error', () => undefined);
        resolve(response.statusCode === 401 ? response.headers['www-authenticate'] : undefined);
        attempt.abort();
      },
      onFailure: () => resolve(undefined),
    });
  });
}
