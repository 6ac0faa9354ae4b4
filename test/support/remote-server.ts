/**
 * What the tests of the remote transports start from: options for a server at a URL, and a conversation that records.
 */
import type { HttpServerConfig } from '../../src/model.ts';
import type { ChannelEvents, JsonObject, MessageChannel } from '../../src/mcp/waist.ts';
import type { RemoteOptions } from '../../src/upstream/mcp-http.ts';
import { createUpstreamPool } from '../../src/upstream/pool.ts';
import { commonSettings } from './server-config.ts';
import type { Cleanup } from './temp-dir.ts';
import { waitFor } from './wait.ts';

export interface Remote extends RemoteOptions {
  readonly diags: { readonly level: string; readonly message: string; readonly data: unknown }[];
}

export interface RemoteSpec extends Partial<Omit<HttpServerConfig, 'kind'>> {
  /** Flat fields of the credential. */
  readonly fields?: readonly string[];
}

/** Options for the server at `url`; its connections close with the test. */
export async function remoteAt(cleanup: Cleanup, url: string, spec: RemoteSpec = {}): Promise<Remote> {
  const { fields = [], ...config } = spec;
  const server: HttpServerConfig = {
    kind: 'http',
    ...commonSettings('peer'),
    timeouts: { connectMs: 2_000, firstByteMs: 10_000, idleMs: 10_000 },
    transport: 'auto',
    url,
    otherUrls: [],
    credential: { type: 'none' },
    credentialFrom: 'none',
    headers: [],
    caFile: undefined,
    ...config,
  };
  const pool = createUpstreamPool();
  await pool.prepare([server]);
  cleanup.after(() => pool.close());
  const diags: Remote['diags'] = [];
  return {
    server,
    upstream: pool.get(server),
    credential: { fields: () => fields, signature: undefined },
    clock: { wallMs: () => Date.now(), monotonicMs: () => performance.now(), random: () => 0.5 },
    onDiag: (level, message, data) => void diags.push({ level, message, data }),
    diags,
  };
}

export interface Recorded {
  readonly messages: { readonly message: JsonObject; readonly relatedTo: string | number | undefined }[];
  readonly closes: Error[];
  readonly losses: { readonly requestId: string | number; readonly error: Error }[];
  readonly events: ChannelEvents;
  /** The response to a request. */
  readonly response: (id: string | number) => Promise<JsonObject>;
}

/** Records what a channel reports. */
export function recordEvents(): Recorded {
  const messages: Recorded['messages'] = [];
  const closes: Error[] = [];
  const losses: Recorded['losses'] = [];
  return {
    messages,
    closes,
    losses,
    events: {
      onMessage: (message, relatedTo) => void messages.push({ message, relatedTo }),
      onClose: (error) => void closes.push(error),
      onLost: (requestId, error) => void losses.push({ requestId, error }),
    },
    response: async (id) => {
      const isResponse = (message: JsonObject): boolean => message['id'] === id && message['method'] === undefined;
      const what = `the response to ${id}`;
      const found = await waitFor(() => messages.find(({ message }) => isResponse(message)), { what });
      return found?.message ?? {};
    },
  };
}

type Shaken = MessageChannel & { setRevision(revision: string): void };

/** The handshake of the legacy era over a channel; resolves to the server's answer. */
export async function shakeHands(channel: Shaken, recorded: Recorded, revision: string): Promise<JsonObject> {
  const params = { protocolVersion: revision, capabilities: {}, clientInfo: { name: 'test', version: '1' } };
  await channel.send({ jsonrpc: '2.0', id: 1, method: 'initialize', params });
  const answer = await recorded.response(1);
  const { protocolVersion } = answer['result'] as { protocolVersion: string };
  channel.setRevision(protocolVersion);
  await channel.send({ jsonrpc: '2.0', method: 'notifications/initialized' });
  return answer;
}
