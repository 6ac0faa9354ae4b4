/**
 * A remote MCP server of 2026-07-28 that lets in access tokens of an authorization server, and says where to get them.
 *
 * Every token is asked about at the authorization server. `refuse` makes it refuse tokens that it took before, as after a
 * revocation; `tokens` are those it was shown, in order. Its tool `who` answers with the client of the token.
 */
import type { AuthorizationServer } from './authorization-server.ts';
import type { Json } from './downstream-clients.ts';
import { startUpstream, type Conversation, type RecordingUpstream } from './recording-upstream.ts';
import type { Cleanup } from './temp-dir.ts';
import { startTlsFront } from './tls-front.ts';

export interface GuardedOptions {
  /** Who is asked about tokens. */
  readonly issuer: AuthorizationServer;
  /** What its metadata says, where that is not the truth. */
  readonly metadata?: Readonly<Record<string, unknown>>;
  /** Where the metadata is: beside the path, at the root, or where only the challenge says. */
  readonly place?: 'path' | 'root' | 'challenge';
  /** It is named by an address that speaks TLS (`tls-front`). */
  readonly secure?: boolean;
}

export interface GuardedServer {
  readonly upstream: RecordingUpstream;
  /** Of the MCP endpoint, which is its name as a resource. */
  readonly url: string;
  /** Access tokens that it was shown, each once. */
  tokens(): string[];
  /** The value of `scope` with which a token is refused (403) that has not all of them; undefined: none are wanted. */
  wants: string | undefined;
  /** Takes no token any more that it was shown until now. */
  refuse(): void;
}

/** The authorization server gives opaque tokens for it, which it can be asked about. */
const PATH = '/opaque/mcp';
const PLACES = {
  path: `/.well-known/oauth-protected-resource${PATH}`,
  root: '/.well-known/oauth-protected-resource',
  challenge: '/elsewhere/metadata',
} as const;

export async function startGuarded(cleanup: Cleanup, options: GuardedOptions): Promise<GuardedServer> {
  const { issuer, metadata = {}, place = 'path' } = options;
  const refused = new Set<string>();
  const state: Pick<GuardedServer, 'wants'> = { wants: undefined };
  const challenge = (): string => {
    const more = place === 'challenge' ? `, resource_metadata="${upstream.url}${PLACES.challenge}"` : '';
    return `Basic realm="x, y", Bearer error="invalid_token"${more}, scope="mcp"`;
  };
  const answer = async ({ request, response }: Conversation): Promise<void> => {
    const json = (status: number, body: unknown): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    };
    if (request.url === PLACES[place])
      return json(200, { resource: url, authorization_servers: [issuer.issuer], ...metadata });
    if (request.url !== PATH) return void response.writeHead(404).end();
    const token = tokenOf(request.values('authorization')[0]);
    const facts = token === undefined || refused.has(token) ? undefined : await issuer.introspect(token);
    if (facts === undefined || facts.aud !== url)
      return void response.writeHead(401, { 'www-authenticate': challenge() }).end();
    const lacks = state.wants?.split(' ').some((scope) => facts.scope?.split(' ').includes(scope) !== true);
    if (lacks === true) {
      const more = `error="insufficient_scope", scope="${state.wants}", error_description="more is needed"`;
      return void response.writeHead(403, { 'www-authenticate': `Bearer ${more}` }).end();
    }
    if (request.method !== 'POST') return void response.writeHead(405).end();
    const { id, method } = request.json() as Json;
    if (id === undefined) return void response.writeHead(202).end();
    json(200, { jsonrpc: '2.0', id, result: resultOf(String(method), facts.client_id) });
  };
  const upstream = await startUpstream(cleanup, { answer });
  const url = (options.secure ? await startTlsFront(cleanup, upstream.port) : upstream.url) + PATH;
  const tokens = (): string[] => [
    ...new Set(upstream.requests.flatMap((request) => tokenOf(request.values('authorization')[0]) ?? [])),
  ];
  return {
    upstream,
    url,
    tokens,
    get wants() {
      return state.wants;
    },
    set wants(scope) {
      state.wants = scope;
    },
    refuse() {
      for (const token of tokens()) refused.add(token);
    },
  };
}

function tokenOf(field: string | undefined): string | undefined {
  return /^Bearer (\S+)$/.exec(field ?? '')?.[1];
}

function resultOf(method: string, client: string): Json {
  const cached = { resultType: 'complete', ttlMs: 0, cacheScope: 'private' };
  if (method === 'server/discover')
    return { ...cached, supportedVersions: ['2026-07-28'], capabilities: { tools: {} } };
  if (method === 'tools/list') return { ...cached, tools: [{ name: 'who', inputSchema: { type: 'object' } }] };
  return { resultType: 'complete', content: [{ type: 'text', text: `client ${client}` }] };
}
