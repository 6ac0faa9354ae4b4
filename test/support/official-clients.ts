/**
 * The official MCP clients, major versions 1 and 2, connected over any transport and made to look alike.
 *
 * Every HTTP request they send carries a request id of its own, so that a test can ask the access log for exactly
 * one entry per request.
 */
import {
  Client as Client2,
  SSEClientTransport as Sse2,
  StreamableHTTPClientTransport as Streamable2,
  type VersionNegotiationOptions,
} from '@modelcontextprotocol/client';
import { StdioClientTransport as Stdio2 } from '@modelcontextprotocol/client/stdio';
import { Client as Client1 } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport as Sse1 } from '@modelcontextprotocol/sdk/client/sse.js';
import { StdioClientTransport as Stdio1 } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport as Streamable1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  LoggingMessageNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { CLIENT_ANSWERS, CLIENT_CAPABILITIES, type ConnectedClient } from './transcript.ts';

export type ClientOptions = Connecting & {
  /** Version 2 only. */
  readonly negotiation?: VersionNegotiationOptions;
};

/** Bearer token; none is sent without it. */
type Connecting = Launch | { readonly url: string; readonly transport: 'streamable' | 'sse'; readonly token?: string };

/** A command that the client starts and speaks with on its standard input and output. */
export interface Launch {
  readonly transport: 'stdio';
  readonly command: string;
  readonly args: readonly string[];
  /** Added to the few variables that the clients pass on by themselves. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface Change {
  readonly method: string;
  readonly params?: Readonly<Record<string, unknown>>;
}

export interface OfficialClient extends ConnectedClient {
  /** Notifications received so far that have no handler of their own: changes of lists and of resources. */
  readonly changes: readonly Change[];
  /** `X-Request-Id` of every HTTP request sent so far. */
  readonly requestIds: readonly string[];
  /** Of the command that was launched. */
  readonly pid: number | null;
  /** The revision that was negotiated. */
  readonly revision: string | undefined;
  /** Ends the session where there is one, and the connection. */
  close(): Promise<void>;
}

export interface OfficialClient2 extends OfficialClient {
  readonly client: Client2;
}

type AnswerName = keyof typeof CLIENT_ANSWERS;

const CLIENT_INFO = { name: 'contract-test', version: '1.0.0' };

/** `@modelcontextprotocol/sdk` 1.x. */
export async function connectClient1(options: ClientOptions): Promise<OfficialClient> {
  const client = new Client1(CLIENT_INFO, { capabilities: CLIENT_CAPABILITIES });
  const record = makeRecord();
  client.setRequestHandler(CreateMessageRequestSchema, () => record.answer('sampling/createMessage'));
  client.setRequestHandler(ElicitRequestSchema, () => record.answer('elicitation/create'));
  client.setRequestHandler(ListRootsRequestSchema, () => record.answer('roots/list'));
  client.setNotificationHandler(LoggingMessageNotificationSchema, (message) => void record.logMessages.push(message));
  client.fallbackNotificationHandler = async (message) => void record.changes.push(message as Change);
  const { fetch, requestIds } = makeTaggedFetch('token' in options ? options.token : undefined);
  const transport = openTransport1(options, fetch);
  await client.connect(transport);
  return {
    client,
    requestIds,
    ...record,
    pid: transport instanceof Stdio1 ? transport.pid : null,
    revision: transport instanceof Streamable1 ? transport.protocolVersion : undefined,
    callTool: ({ onprogress, signal, ...call }) =>
      client.callTool(call, undefined, { ...(onprogress && { onprogress }), ...(signal && { signal }) }),
    async close() {
      if (transport instanceof Streamable1) await transport.terminateSession();
      await client.close();
    },
  };
}

/** `@modelcontextprotocol/client` 2.x. */
export async function connectClient2(options: ClientOptions): Promise<OfficialClient2> {
  const { negotiation } = options;
  const settings = { capabilities: CLIENT_CAPABILITIES, ...(negotiation && { versionNegotiation: negotiation }) };
  const client = new Client2(CLIENT_INFO, settings);
  const record = makeRecord();
  client.setRequestHandler('sampling/createMessage', () => record.answer('sampling/createMessage'));
  client.setRequestHandler('elicitation/create', () => record.answer('elicitation/create'));
  client.setRequestHandler('roots/list', () => record.answer('roots/list'));
  client.setNotificationHandler('notifications/message', (message) => void record.logMessages.push(message));
  client.fallbackNotificationHandler = async (message) => void record.changes.push(message as Change);
  const { fetch, requestIds } = makeTaggedFetch('token' in options ? options.token : undefined);
  const transport = openTransport2(options, fetch);
  await client.connect(transport);
  return {
    client,
    requestIds,
    ...record,
    pid: transport instanceof Stdio2 ? transport.pid : null,
    revision: client.getNegotiatedProtocolVersion(),
    callTool: ({ onprogress, signal, ...call }) =>
      client.callTool(call, { ...(onprogress && { onprogress }), ...(signal && { signal }) }),
    async close() {
      if (transport instanceof Streamable2) await transport.terminateSession();
      await client.close();
    },
  };
}

function openTransport1(options: ClientOptions, tagged: typeof fetch): Sse1 | Stdio1 | Streamable1 {
  if (options.transport === 'stdio') return new Stdio1(launched(options));
  const url = new URL(options.url);
  return options.transport === 'sse' ? new Sse1(url, { fetch: tagged }) : new Streamable1(url, { fetch: tagged });
}

function openTransport2(options: ClientOptions, tagged: typeof fetch): Sse2 | Stdio2 | Streamable2 {
  if (options.transport === 'stdio') return new Stdio2(launched(options));
  const url = new URL(options.url);
  return options.transport === 'sse' ? new Sse2(url, { fetch: tagged }) : new Streamable2(url, { fetch: tagged });
}

function launched({ command, args, env = {} }: Launch) {
  const own = { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '' };
  return { command, args: [...args], env: { ...own, ...env }, stderr: 'ignore' as const };
}

interface Recorder {
  readonly logMessages: unknown[];
  readonly changes: Change[];
  readonly answered: string[];
  answer<Name extends AnswerName>(name: Name): (typeof CLIENT_ANSWERS)[Name];
}

function makeRecord(): Recorder {
  const answered: string[] = [];
  return {
    answered,
    logMessages: [],
    changes: [],
    answer(name) {
      answered.push(name);
      return CLIENT_ANSWERS[name];
    },
  };
}

function makeTaggedFetch(token: string | undefined): { fetch: typeof fetch; requestIds: string[] } {
  const requestIds: string[] = [];
  const tagged: typeof fetch = (input, init) => {
    const headers = new Headers(init?.headers);
    const id = crypto.randomUUID();
    requestIds.push(id);
    headers.set('x-request-id', id);
    if (token !== undefined) headers.set('authorization', `Bearer ${token}`);
    return fetch(input, { ...init, headers });
  };
  return { fetch: tagged, requestIds };
}
