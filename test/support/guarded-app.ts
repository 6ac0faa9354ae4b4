/**
 * mcproxy before one guarded server, and its tool `who` as a user calls it on either path.
 */
import { SECRET_OF_CLIENT } from './authorization-server.ts';
import { modernBody, modernHeaders } from './downstream-clients.ts';
import type { GuardedServer } from './guarded-server.ts';
import { send, type Answer } from './http-client.ts';
import { tokenOf } from './users.ts';

/** The paths that a request for `who` can take. */
export const PATHS = ['/up/mcp', '/mcp'] as const;

/** The flow mapping of a server with client credentials. @param more of `auth`, with its comma first */
export function entryOf({ url }: Pick<GuardedServer, 'url'>, more = '', client = 'gateway'): string {
  return `{ url: "${url}", auth: { type: oauth, client_id: ${client}, client_secret: ${SECRET_OF_CLIENT}, allow_private: true${more} } }`;
}

/** The flow mapping of a server with a refresh token. */
export function refreshEntryOf({ url }: Pick<GuardedServer, 'url'>, refreshToken: string, client = 'alice'): string {
  const secret = client === 'public' ? '' : `client_secret: ${SECRET_OF_CLIENT}, `;
  return `{ url: "${url}", auth: { type: oauth, client_id: ${client}, ${secret}refresh_token: ${refreshToken}, allow_private: true } }`;
}

/** The tool `who` of the server `up`, relayed or through the gateway. */
export function who(
  app: { url: string },
  path = '/up/mcp',
  { user = 'alice', text = '' }: { user?: string; text?: string } = {},
): Promise<Answer> {
  const name = path === '/mcp' ? 'up__who' : 'who';
  const headers = { authorization: `Bearer ${tokenOf(user)}`, ...modernHeaders('tools/call', name) };
  return send(app.url + path, { headers, body: modernBody('tools/call', { name, arguments: { text } }) });
}
