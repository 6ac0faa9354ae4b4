/**
 * Users in front of one upstream: the files that let each in with a token and out with a credential of their own,
 * and the request that each makes.
 */
import { createHash } from 'node:crypto';
import type { Agent } from 'node:http';
import { request as httpRequest } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { openStream, send, type Answer, type StreamedAnswer } from './http-client.ts';

export const tokenOf = (name: string): string => `token-of-${name}-0123456789abcdef`;
export const credentialOf = (name: string): string => `credential-of-${name}-fedcba9876543210`;

/** Text of `tokens.yml` in which every user reaches `server` at `url`. */
export function tokensFile(names: readonly string[], url: string, server = 'up'): string {
  const users = names.map((name) => {
    const digest = createHash('sha256').update(tokenOf(name)).digest('hex');
    const upstream = `{ url: "${url}/mcp", token: ${credentialOf(name)} }`;
    return `  ${name}:\n    token: sha256:${digest}\n    servers:\n      ${server}: ${upstream}\n`;
  });
  return users.length === 0 ? 'users: {}\n' : `users:\n${users.join('')}`;
}

export const ACCEPT = 'application/json, text/event-stream';

export function callOf(id: number, args: Readonly<Record<string, unknown>> = {}): unknown {
  return { jsonrpc: '2.0', id, method: 'tools/call', params: { name: 'work', arguments: args } };
}

export interface CallOptions {
  readonly server?: string;
  readonly requestId?: string;
  readonly body?: unknown;
  readonly signal?: AbortSignal;
}

/** One call over a connection of its own. */
export function call(url: string, name: string, options: CallOptions = {}): Promise<Answer> {
  const { server = 'up', requestId, body = callOf(1), signal } = options;
  const headers = {
    authorization: `Bearer ${tokenOf(name)}`,
    accept: ACCEPT,
    ...(requestId === undefined ? {} : { 'x-request-id': requestId }),
  };
  return send(`${url}/${server}/mcp`, { body, headers, ...(signal && { signal }) });
}

/** The stream that a user holds open. */
export function listen(url: string, name: string, options: CallOptions = {}): Promise<StreamedAnswer> {
  const { server = 'up', requestId } = options;
  const headers = {
    authorization: `Bearer ${tokenOf(name)}`,
    accept: 'text/event-stream',
    ...(requestId === undefined ? {} : { 'x-request-id': requestId }),
  };
  return openStream(`${url}/${server}/mcp`, { headers });
}

export interface KeptCall {
  readonly url: string;
  readonly user: string;
  readonly agent: Agent;
  readonly requestId: string;
  readonly body: string;
}

/** One call over the connections of an agent; `onBytes` sees the answer as it comes. */
export function callKept(kept: KeptCall, onBytes?: (chunk: Buffer) => void): Promise<{ status: number; body: string }> {
  const headers = {
    authorization: `Bearer ${tokenOf(kept.user)}`,
    accept: ACCEPT,
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(kept.body),
    'x-request-id': kept.requestId,
  };
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest(`${kept.url}/up/mcp`, { method: 'POST', agent: kept.agent, headers }, (incoming) => {
      if (onBytes !== undefined) incoming.on('data', onBytes);
      buffer(incoming).then(
        (bytes) =>
          incoming.complete
            ? resolve({ status: incoming.statusCode ?? 0, body: bytes.toString('utf8') })
            : reject(new Error('the answer was cut')),
        reject,
      );
    });
    outgoing.on('error', reject);
    outgoing.end(kept.body);
  });
}
