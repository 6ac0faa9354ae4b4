/**
 * One request of the 2026-07-28 era over HTTP: a POST with the headers that mirror it, until its response.
 *
 * The headers are computed from the body that goes out, never taken over from anywhere. Whatever the HTTP status, a
 * JSON-RPC response that answers this request is its answer; a status without one is a failure. Nothing is taken up
 * again: a cut stream has lost the request (2026-07-28 streamable-http, Receiving Messages), and closing the
 * connection is how a request is cancelled. Requests of the server are against the protocol here and are dropped.
 */
import { ProxyError } from '../errors.ts';
import { REFUSAL_BYTES_MAX, REPLY_BYTES_MAX, SSE_LINGER_MS_MAX } from '../limits.ts';
import { encodeHeaderValue } from '../mcp/header-value.ts';
import type { JsonRpcNotification, JsonRpcResponse, RpcId, SingleMessage } from '../mcp/jsonrpc.ts';
import { LATEST_MODERN, META, MIRRORED_NAME } from '../mcp/protocol.ts';
import type { JsonObject } from '../mcp/waist.ts';
import { askHttp, statusError, type HttpAnswer, type RemoteOptions } from './mcp-http.ts';
import { cutError, drain, messagesOfEvent, readEventStream, readMessages } from './mcp-reply.ts';

export interface ModernAsk {
  readonly id: RpcId;
  readonly method: string;
  /** Complete, with the `_meta` of the era. */
  readonly params: JsonObject;
  /** `Mcp-Param-*`, flat. */
  readonly paramFields?: readonly string[];
  readonly headMsMax?: number;
  /** A subscription: its stream may be silent for ever. */
  readonly endless?: boolean;
  onNotification(notification: JsonRpcNotification): void;
  onAttempt?(): void;
}

export interface ModernExchange {
  /** Rejects with a ProxyError UPSTREAM_* (`data.notProcessed` where that is certain), or CLIENT_GONE after `abort`. */
  readonly response: Promise<JsonRpcResponse>;
  /** Cancels: closes the connection. */
  abort(): void;
}

/** Sends one request. */
export function askModern(remote: RemoteOptions, ask: ModernAsk): ModernExchange {
  const { id, method, params } = ask;
  const asked = askHttp(remote, {
    method: 'POST',
    fields: mirroredFields(ask),
    message: { jsonrpc: '2.0', id, method, params },
    traceparent: (params['_meta'] as JsonObject | undefined)?.[META.traceparent],
    ...(ask.headMsMax === undefined ? {} : { headMsMax: ask.headMsMax }),
    ...(ask.endless === undefined ? {} : { endless: ask.endless }),
    onAttempt: () => ask.onAttempt?.(),
  });
  let giveUp: (error: ProxyError) => void;
  let cut = (): void => asked.abort();
  const givenUp = new Promise<never>((_, reject) => {
    giveUp = reject;
  });
  const read = async (): Promise<JsonRpcResponse> => {
    const answer = await asked.answer;
    cut = () => answer.abort();
    return readResponse(remote, ask, answer);
  };
  return {
    response: Promise.race([read(), givenUp]),
    abort() {
      giveUp(new ProxyError('CLIENT_GONE', `the request to server ${remote.server.name} was given up`));
      cut();
    },
  };
}

function mirroredFields({ method, params, paramFields = [] }: ModernAsk): string[] {
  const fields = ['MCP-Protocol-Version', LATEST_MODERN, 'Mcp-Method', method];
  const member = MIRRORED_NAME.get(method);
  const name = member === undefined ? undefined : params[member];
  if (typeof name === 'string') fields.push('Mcp-Name', encodeHeaderValue(name));
  return [...fields, ...paramFields];
}

async function readResponse(remote: RemoteOptions, ask: ModernAsk, answer: HttpAnswer): Promise<JsonRpcResponse> {
  const { name } = remote.server;
  const isGood = answer.status >= 200 && answer.status < 300;
  if (isGood && answer.mediaType === 'text/event-stream') return readStream(remote, ask, answer);
  if (answer.mediaType === 'application/json') {
    const messages = await readMessages(remote, answer, isGood ? REPLY_BYTES_MAX : REFUSAL_BYTES_MAX);
    for (const message of messages ?? []) {
      const response = responseTo(ask, message);
      if (response !== undefined && (isGood || message.kind === 'error')) return response;
    }
  } else drain(answer, REFUSAL_BYTES_MAX);
  if (!isGood) throw statusError(name, answer);
  throw new ProxyError(
    'UPSTREAM_PROTOCOL',
    `server ${name} answered ${ask.method} with something else than a response`,
  );
}

function readStream(remote: RemoteOptions, ask: ModernAsk, answer: HttpAnswer): Promise<JsonRpcResponse> {
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined;
    const take = (message: SingleMessage): void => {
      if (timer !== undefined) return;
      if (message.kind === 'notification') return ask.onNotification(message.message);
      const response = responseTo(ask, message);
      if (response === undefined) {
        const text = 'a server sent what may not be on the stream of a request; it is dropped';
        return remote.onDiag('warn', text, { server: remote.server.name, kind: message.kind });
      }
      // Most servers end the stream with it, and the connection can be used again.
      timer = setTimeout(() => answer.abort(), SSE_LINGER_MS_MAX);
      resolve(response);
    };
    readEventStream(remote, answer, {
      onEvent: (event) => messagesOfEvent(remote, event).forEach(take),
      onEnd(error) {
        clearTimeout(timer);
        reject(error ?? cutError(remote.server.name));
      },
    });
  });
}

/** The message as the response to this request; an error that names no request is about this one. */
function responseTo({ id }: ModernAsk, message: SingleMessage): JsonRpcResponse | undefined {
  if (message.kind === 'result') return message.message.id === id ? message.message : undefined;
  if (message.kind !== 'error') return undefined;
  return message.message.id === id || message.message.id == null ? message.message : undefined;
}
