/**
 * `check --connect`: is a server there, and does it take the credential that would go out?
 *
 * Asks what a client of each era asks first, newest first: `server/discover` (MCP 2026-07-28), `initialize`
 * (2025-11-25 and before), an event stream (2024-11-05). The first accepted one is the answer. A session that came
 * of it is ended. Bounded by `PROBE_MS_MAX` and `PROBE_REPLY_BYTES_MAX`. The text of a result never holds a secret
 * or what the server said: only status codes and Node's error codes.
 */
import { readFile } from 'node:fs/promises';
import { request as httpRequest, type IncomingMessage } from 'node:http';

import { ProxyError } from '../errors.ts';
import { PROBE_MS_MAX, PROBE_REPLY_BYTES_MAX } from '../limits.ts';
import type { HttpServerConfig, OutgoingCredential } from '../model.ts';
import { lackedScopes } from '../text/challenge.ts';
import { VERSION } from './version.ts';

export interface ProbeResult {
  readonly ok: boolean;
  /** Short, for a line of output. */
  readonly text: string;
}

const DISCOVER = {
  revision: '2026-07-28',
  method: 'server/discover',
  params: {
    _meta: {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientCapabilities': {},
      'io.modelcontextprotocol/clientInfo': { name: 'mcproxy-check', version: VERSION },
    },
  },
} as const;

const INITIALIZE = {
  revision: '2025-11-25',
  method: 'initialize',
  params: {
    protocolVersion: '2025-11-25',
    capabilities: {},
    clientInfo: { name: 'mcproxy-check', version: VERSION },
  },
} as const;

interface Reply {
  readonly status: number;
  readonly body: string;
  readonly contentType: string;
  readonly session: string | undefined;
  readonly challenge: string | undefined;
}

interface Question {
  readonly method: 'POST' | 'GET' | 'DELETE';
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

/** Asks one server as one principal would. Never throws. */
export async function probe(server: HttpServerConfig, credential: OutgoingCredential): Promise<ProbeResult> {
  try {
    const ca = server.caFile === undefined ? undefined : await readFile(server.caFile);
    const { renewal } = credential;
    const ask = async (question: Question): Promise<Reply> => {
      await renewal?.prepare();
      const fields = credentialOf(server, credential, question);
      const reply = await send(server, { ...question, fields }, ca);
      const { status, challenge } = reply;
      if (renewal === undefined || (status !== 401 && status !== 403)) return reply;
      const again = renewal.rejected(fields, { status, challenge });
      if (again === false) return reply;
      await (again === true ? renewal.prepare() : again);
      return send(server, { ...question, fields: credentialOf(server, credential, question) }, ca);
    };
    return await converse(server, ask);
  } catch (error) {
    if (error instanceof ProxyError) return { ok: false, text: error.message };
    return { ok: false, text: reasonOf(error as NodeJS.ErrnoException) };
  }
}

async function converse(server: HttpServerConfig, ask: (question: Question) => Promise<Reply>): Promise<ProbeResult> {
  let last: Reply | undefined;
  if (server.transport !== 'sse') {
    for (const { revision, method, params } of [DISCOVER, INITIALIZE]) {
      last = await ask({
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          ...(method === 'initialize' ? {} : { 'mcp-protocol-version': revision, 'mcp-method': method }),
        },
        body: JSON.stringify({ jsonrpc: '2.0', id: 'mcproxy-check', method, params }),
      });
      if (last.session !== undefined) {
        const headers = { 'mcp-session-id': last.session, 'mcp-protocol-version': revision };
        await ask({ method: 'DELETE', headers, body: undefined }).catch(() => undefined);
      }
      if (last.status === 200 && /"result"\s*:/.test(last.body))
        return { ok: true, text: `reachable, MCP ${revision}` };
      if (last.status === 401 || last.status === 403) return refused(server, last);
    }
  }
  if (server.transport !== 'streamable') {
    const stream = await ask({ method: 'GET', headers: { accept: 'text/event-stream' }, body: undefined });
    if (stream.status === 200 && /event:\s*endpoint/.test(stream.body)) {
      return { ok: true, text: 'reachable, MCP 2024-11-05 (HTTP+SSE)' };
    }
    if (stream.status === 401 || stream.status === 403) return refused(server, stream);
    last ??= stream;
  }
  return {
    ok: false,
    text: `answers, but not as an MCP server (HTTP ${last?.status ?? 0}); check the path of its url`,
  };
}

/** A server that wants the client's own credential is right to refuse us, who have none. */
function refused(server: HttpServerConfig, { status, challenge }: Reply): ProbeResult {
  if (server.credential.type === 'passthrough') {
    return { ok: true, text: `reachable, asks for the client's own credential (HTTP ${status})` };
  }
  // What the server calls it may quote what it was sent.
  if (status === 403 && lackedScopes(challenge) !== undefined)
    return { ok: false, text: 'wants a scope that the credential lacks (HTTP 403); its use tells which, in the log' };
  const what =
    server.credential.type === 'none' ? 'wants a credential and none is configured' : 'refuses the credential';
  return { ok: false, text: `${what} (HTTP ${status})` };
}

async function send(
  server: HttpServerConfig,
  question: Question & { readonly fields: readonly string[] },
  ca: Buffer | undefined,
): Promise<Reply> {
  const url = new URL(server.url);
  const headers = headersOf(server, question);
  const { fields } = question;
  for (let i = 0; i + 1 < fields.length; i += 2) headers[(fields[i] ?? '').toLowerCase()] = fields[i + 1] ?? '';
  if (question.body !== undefined) headers['content-length'] = String(Buffer.byteLength(question.body));

  // Loading TLS costs the service 5 MB, for a command that only `check` has.
  const { request: httpsRequest } = url.protocol === 'https:' ? await import('node:https') : { request: httpRequest };
  return new Promise((done, failed) => {
    const options = { method: question.method, headers, agent: false, signal: AbortSignal.timeout(PROBE_MS_MAX) };
    const onResponse = (response: IncomingMessage): void => readReply(response, done);
    const sent =
      url.protocol === 'https:'
        ? httpsRequest(url, ca === undefined ? options : { ...options, ca }, onResponse)
        : httpRequest(url, options, onResponse);
    sent.on('error', failed);
    sent.end(question.body);
  });
}

/** Without the credential. */
function headersOf(server: HttpServerConfig, question: Question): Record<string, string> {
  const headers: Record<string, string> = { ...question.headers, 'user-agent': `mcproxy-check/${VERSION}` };
  for (const [name, value] of server.headers) headers[name.toLowerCase()] = value.reveal();
  return headers;
}

function credentialOf(server: HttpServerConfig, credential: OutgoingCredential, question: Question): readonly string[] {
  const { method, body } = question;
  const headers = headersOf(server, question);
  const { pathname, search, protocol, host } = new URL(server.url);
  const signed = credential.signature?.sign({
    method,
    path: pathname,
    query: search,
    scheme: protocol === 'https:' ? 'https' : 'http',
    host,
    body: Buffer.from(body ?? ''),
    header: (name) => headers[name],
  });
  // One of the two is empty; the other is given as it is, so that it is known again.
  return signed ?? credential.fields();
}

/** Reads until the end, the bound, or the first event: a stream need not end. */
function readReply(response: IncomingMessage, done: (reply: Reply) => void): void {
  const contentType = response.headers['content-type'] ?? '';
  const session = response.headers['mcp-session-id'];
  const chunks: Buffer[] = [];
  let length = 0;
  const finish = (): void => {
    const body = Buffer.concat(chunks).toString();
    done({
      status: response.statusCode ?? 0,
      body,
      contentType,
      session: typeof session === 'string' ? session : undefined,
      challenge: response.headers['www-authenticate'],
    });
    response.destroy();
  };
  response.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    length += chunk.length;
    const hasEvent = contentType.startsWith('text/event-stream') && /data: ?[^\s][^\n]*\n/.test(chunk.toString());
    if (length > PROBE_REPLY_BYTES_MAX || hasEvent) finish();
  });
  response.on('end', finish);
  response.on('error', finish); // the deadline, or a cut: what has come is judged
}

const REASONS: Readonly<Record<string, string>> = {
  ENOTFOUND: 'the host name is unknown (ENOTFOUND)',
  EAI_AGAIN: 'the name server does not answer (EAI_AGAIN)',
  ECONNREFUSED: 'nobody listens there (ECONNREFUSED)',
  ECONNRESET: 'the connection was cut (ECONNRESET)',
  ABORT_ERR: `no answer within ${PROBE_MS_MAX / 1000} s`,
  ENOENT: 'the file of ca_file does not exist',
  CERT_HAS_EXPIRED: 'TLS: the certificate has expired',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'TLS: the certificate is self-signed; name its CA with ca_file',
  SELF_SIGNED_CERT_IN_CHAIN: 'TLS: the CA is private; name it with ca_file',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'TLS: the CA is unknown; name it with ca_file',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'TLS: the CA is unknown; name it with ca_file',
  ERR_TLS_CERT_ALTNAME_INVALID: 'TLS: the certificate is for another host name',
};

function reasonOf(error: NodeJS.ErrnoException): string {
  const code = error.code ?? 'UNKNOWN';
  if (error.name === 'TimeoutError' || error.name === 'AbortError') return REASONS['ABORT_ERR'] ?? code;
  return (
    REASONS[code] ??
    (code.startsWith('ERR_SSL') || code === 'EPROTO' ? `TLS failed (${code})` : `no connection (${code})`)
  );
}
