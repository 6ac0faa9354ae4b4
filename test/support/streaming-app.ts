/**
 * mcproxy before an upstream that answers byte by byte as a test wants, and the small parts that such tests share.
 *
 * One user, one server named `up`, a heartbeat of a second. The upstream gets requests when their headers are there,
 * so that it can answer early, late, in pieces or never.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { startUpstream, type RecordingUpstream } from './recording-upstream.ts';
import { startApp, type LoggedEntry, type RunningApp } from './start-app.ts';
import type { Cleanup } from './temp-dir.ts';
import { waitFor } from './wait.ts';

export type ByteAnswer = (incoming: IncomingMessage, response: ServerResponse) => void | Promise<void>;

export interface StreamingApp {
  readonly app: RunningApp;
  readonly upstream: RecordingUpstream;
  /** The MCP endpoint of the server. */
  readonly url: string;
  /** Answers requests so from now on. */
  readonly answerWith: (answer: ByteAnswer) => void;
  /** The entry of a request, or undefined while it is not in the file; two are an error. */
  readonly entryOf: (requestId: string) => LoggedEntry | undefined;
  readonly entryWhenWritten: (requestId: string) => Promise<LoggedEntry>;
}

export const TOKEN = 'streaming-test-token-0123456789';
const AUTH = ['Authorization', `Bearer ${TOKEN}`];
/** Header lists of a client that may come in. */
export const GET: readonly string[] = [...AUTH, 'Accept', 'text/event-stream'];
export const POST: readonly string[] = [
  ...AUTH,
  'Content-Type',
  'application/json',
  'Accept',
  'application/json, text/event-stream',
];

/** Content types of answers. */
export const STREAM = { 'content-type': 'text/event-stream' };
export const JSON_TYPE = { 'content-type': 'application/json' };

const SETTINGS = `
listen: 127.0.0.1:0
heartbeat: 1s
log: { file: access.log }
admin: { socket: admin.sock }
`;

/** Starts both; they end with the tests of the file. */
export async function startStreamingApp(cleanup: Cleanup): Promise<StreamingApp> {
  const upstream = await startUpstream(cleanup, { streamed: true });
  const tokens = `
users:
  alice:
    token: sha256:${createHash('sha256').update(TOKEN).digest('hex')}
    servers:
      up: { url: "${upstream.url}/mcp", token: upstream-secret }
`;
  const app = await startApp(cleanup, { files: { 'mcproxy.yml': SETTINGS, 'tokens.yml': tokens } });
  cleanup.after(() => assert.deepEqual(upstream.failures, []));
  const entryOf = (requestId: string): LoggedEntry | undefined => {
    const found = app.entries().filter((entry) => entry['request_id'] === requestId);
    assert.ok(found.length <= 1, `one entry for ${requestId}`);
    return found[0];
  };
  return {
    app,
    upstream,
    url: `${app.url}/up/mcp`,
    answerWith: (answer) => upstream.answerWith(({ incoming, response }) => answer(incoming, response)),
    entryOf,
    entryWhenWritten: async (requestId) => {
      const entry = await waitFor(() => entryOf(requestId), { what: `the entry of ${requestId}` });
      return entry ?? assert.fail('no entry');
    },
  };
}

/** The text of a tools/call. */
export function call(id: number, name = 'tool'): string {
  return JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: {} } });
}

/** Reads to the end and gives digest and length; throws when the connection breaks. */
export async function digestOf(chunks: AsyncIterable<Buffer>): Promise<{ digest: string; bytes: number }> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of chunks) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { digest: hash.digest('hex'), bytes };
}

/** A promise that a test keeps by hand. */
export function deferred(): { readonly promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
