/**
 * Reading the answer of a remote MCP server: one JSON text, or an event stream of messages.
 *
 * Each reader reports its end exactly once and never throws into the socket. A stream may be cut at any byte: then
 * the end carries the failure, after every message that had come whole. An event that is no JSON-RPC message is told
 * to the diagnostic log and skipped; batches (2025-03-26) are taken apart. Bounded by `REPLY_BYTES_MAX` and the
 * bounds of `text/sse`; silence by the idle time of the request. What a message means is left to the caller.
 */
import type { IncomingMessage } from 'node:http';

import { ProxyError } from '../errors.ts';
import { REPLY_BYTES_MAX } from '../limits.ts';
import { parseMessage, type SingleMessage } from '../mcp/jsonrpc.ts';
import { createSseDecoder, type SseEvent } from '../text/sse.ts';
import type { HttpAnswer, RemoteOptions } from './mcp-http.ts';

type Reading = Pick<RemoteOptions, 'server' | 'onDiag'>;

export interface EventStreamEvents {
  onEvent(event: SseEvent): void;
  /** Once; undefined when the server ended the stream as HTTP foresees. An `abort` of the answer ends it too. */
  onEnd(error: ProxyError | undefined): void;
}

/** Reads an event stream until it ends. */
export function readEventStream({ server }: Reading, answer: HttpAnswer, events: EventStreamEvents): void {
  const { head } = answer;
  const decoder = createSseDecoder({ onEvent: (event) => events.onEvent(event) });
  let over = false;
  const end = (error: ProxyError | undefined): void => {
    if (over) return;
    over = true;
    events.onEnd(error);
  };
  head.on('data', (chunk: Buffer) => {
    if (over) return;
    try {
      decoder.feed(chunk);
    } catch (error) {
      end(failureOf(server.name, error));
      answer.abort();
    }
  });
  head.on('end', () => {
    if (!over) decoder.end();
    end(undefined);
  });
  head.on('error', (error) => end(failureOf(server.name, error)));
  head.on('close', () => {
    if (!over) end(cutError(server.name));
  });
}

/** The messages of an event's data; none for an event that carries no message. */
export function messagesOfEvent(remote: Reading, event: SseEvent): readonly SingleMessage[] {
  if (event.data === '' || (event.event !== '' && event.event !== 'message')) return [];
  const parsed = parseMessage(event.data);
  if (parsed.kind === 'batch') return parsed.messages;
  if (parsed.kind !== 'problem') return [parsed];
  remote.onDiag('warn', 'a server sent an event that is no MCP message; it is dropped', {
    server: remote.server.name,
    problem: parsed.text,
  });
  return [];
}

/** The messages of a whole body; undefined when it holds anything else. @throws {ProxyError} UPSTREAM_* when it is cut or too long */
export async function readMessages(
  { server }: Reading,
  { head }: HttpAnswer,
  bytesMax = REPLY_BYTES_MAX,
): Promise<readonly SingleMessage[] | undefined> {
  const body = await readBody(head, server.name, bytesMax);
  const parsed = parseMessage(body.toString('utf8'));
  if (parsed.kind === 'batch') return parsed.messages;
  return parsed.kind === 'problem' ? undefined : [parsed];
}

function readBody(head: IncomingMessage, serverName: string, bytesMax: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    head.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length <= bytesMax) return void chunks.push(chunk);
      const text = `server ${serverName} sent an answer longer than ${bytesMax} bytes`;
      reject(new ProxyError('UPSTREAM_PROTOCOL', text));
      head.destroy();
    });
    head.on('end', () => resolve(Buffer.concat(chunks)));
    head.on('error', (error) => reject(failureOf(serverName, error)));
    // After its end as well, where an error object would be made for nobody.
    head.on('close', () => {
      if (!head.readableEnded) reject(cutError(serverName));
    });
  });
}

/** Reads and forgets a body, so that its connection can be used again. */
export function drain(answer: HttpAnswer, bytesMax: number): void {
  let length = 0;
  answer.head.on('data', (chunk: Buffer) => {
    length += chunk.length;
    if (length > bytesMax) answer.abort();
  });
}

/** The server ended the stream of an answer, or it was cut, before the answer had come. */
export function cutError(serverName: string): ProxyError {
  const text = `server ${serverName} ended its answer before it was complete; whether it acted is unknown`;
  return new ProxyError('UPSTREAM_CLOSED', text);
}

function failureOf(serverName: string, error: unknown): ProxyError {
  if (error instanceof ProxyError) {
    return error.message.includes(serverName)
      ? error
      : new ProxyError(error.code, `server ${serverName}: ${error.message}`, { cause: error });
  }
  const { message } = cutError(serverName);
  return new ProxyError('UPSTREAM_CLOSED', message, { cause: error });
}
