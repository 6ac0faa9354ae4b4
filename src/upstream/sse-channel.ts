/**
 * The HTTP+SSE transport of 2024-11-05 as a conversation: one event stream in, a POST for each message out.
 *
 * The first event names the URL to POST to. Only the stream's own origin is believed, for the credential goes there
 * too. Nothing ties a message of the stream to a request, and there is no resumption: the end of the stream is the
 * end of the session, and what was asked and not answered is lost. Servers differ in the status with which they
 * accept a POST; every 2xx counts. Ids, timeouts and the handshake belong to whoever opened it.
 * Source: MCP 2024-11-05 basic/transports, HTTP with SSE.
 */
import { ProxyError } from '../errors.ts';
import { REFUSAL_BYTES_MAX, SSE_ENDPOINT_MS_MAX } from '../limits.ts';
import type { ChannelEvents, JsonObject } from '../mcp/waist.ts';
import type { SseEvent } from '../text/sse.ts';
import { endpointPath } from './elsewhere.ts';
import { asNotProcessed, askHttp, asUncertain, statusError, type HttpAnswer, type RemoteOptions } from './mcp-http.ts';
import { drain, messagesOfEvent, readEventStream } from './mcp-reply.ts';
import type { RemoteChannel } from './streamable-channel.ts';

/**
 * Opens the event stream and waits for its endpoint.
 *
 * @throws {ProxyError} UPSTREAM_* when there is no such stream, or it names no endpoint of its own origin in time
 */
export async function openSseChannel(options: RemoteOptions, events: ChannelEvents): Promise<RemoteChannel> {
  const channel = new SseChannel(options, events);
  await channel.open();
  return channel;
}

class SseChannel implements RemoteChannel {
  readonly #remote: RemoteOptions;
  readonly #events: ChannelEvents;
  /** Bounded by EXCHANGE_COUNT_MAX: each belongs to one exchange in progress. */
  readonly #posts = new Set<{ abort(): void }>();
  #stream: HttpAnswer | undefined;
  /** Path and query to POST to. */
  #endpoint: string | undefined;
  #onEndpoint: (problem?: ProxyError) => void = () => undefined;
  #revision: string | undefined;
  #end: ProxyError | undefined;

  constructor(remote: RemoteOptions, events: ChannelEvents) {
    this.#remote = remote;
    this.#events = events;
  }

  async open(): Promise<void> {
    const { name } = this.#remote.server;
    const answer = await askHttp(this.#remote, { method: 'GET', fields: [], endless: true }).answer;
    if (answer.status !== 200 || answer.mediaType !== 'text/event-stream') {
      drain(answer, REFUSAL_BYTES_MAX);
      if (answer.status >= 400) throw statusError(name, answer);
      throw new ProxyError('UPSTREAM_PROTOCOL', `server ${name} did not answer with an event stream`);
    }
    this.#stream = answer;
    const late = new ProxyError('UPSTREAM_TIMEOUT', `server ${name} began an event stream and named no endpoint`);
    const timer = setTimeout(() => this.#onEndpoint(late), SSE_ENDPOINT_MS_MAX);
    try {
      await new Promise<void>((resolve, reject) => {
        this.#onEndpoint = (problem) => (problem === undefined ? resolve() : reject(problem));
        readEventStream(this.#remote, answer, {
          onEvent: (event) => this.#onEvent(event),
          onEnd: (error) => this.#finish(error ?? endedError(name)),
        });
      });
    } catch (error) {
      this.#end ??= error as ProxyError;
      answer.abort();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  setRevision(revision: string): void {
    this.#revision = revision;
  }

  async send(message: JsonObject): Promise<void> {
    if (this.#end !== undefined) throw asNotProcessed(this.#end);
    const { name } = this.#remote.server;
    const asked = askHttp(this.#remote, {
      method: 'POST',
      path: this.#endpoint ?? '/',
      fields: this.#revision === undefined ? [] : ['MCP-Protocol-Version', this.#revision],
      message,
    });
    this.#posts.add(asked);
    try {
      const answer = await asked.answer;
      drain(answer, REFUSAL_BYTES_MAX);
      if (answer.status < 400) return;
      if (answer.status !== 404) throw statusError(name, answer);
      const lost = sessionLost(name);
      // Whoever sent it learns that it did not run before everybody learns that the session is over.
      setImmediate(() => this.#finish(lost));
      throw lost;
    } catch (error) {
      // What ended the session is the better explanation of a POST that it cut.
      throw this.#end === undefined ? error : asUncertain(this.#end);
    } finally {
      this.#posts.delete(asked);
    }
  }

  close(): Promise<void> {
    const { name } = this.#remote.server;
    this.#finish(new ProxyError('UPSTREAM_CLOSED', `the session with server ${name} was closed`));
    return Promise.resolve();
  }

  #onEvent(event: SseEvent): void {
    if (this.#end !== undefined) return;
    if (event.event !== 'endpoint') {
      for (const { message } of messagesOfEvent(this.#remote, event)) this.#events.onMessage({ ...message }, undefined);
      return;
    }
    // A second one would move the conversation elsewhere in its middle.
    if (this.#endpoint !== undefined) return;
    const { server, upstream } = this.#remote;
    try {
      this.#endpoint = endpointPath(event.data, upstream.url, server.name);
      this.#onEndpoint();
    } catch (error) {
      this.#onEndpoint(error as ProxyError);
    }
  }

  #finish(error: ProxyError): void {
    if (this.#end !== undefined) return;
    this.#end = error;
    this.#stream?.abort();
    for (const post of this.#posts) post.abort();
    // Whoever waits for the endpoint is told by the rejection; nobody has a conversation yet.
    if (this.#endpoint === undefined) this.#onEndpoint(error);
    else this.#events.onClose(error);
  }
}

function endedError(serverName: string): ProxyError {
  const text = `server ${serverName} ended the event stream; what it was asked and did not answer is lost`;
  return new ProxyError('UPSTREAM_CLOSED', text);
}

function sessionLost(serverName: string): ProxyError {
  const data = { sessionLost: true, notProcessed: true };
  return new ProxyError('UPSTREAM_CLOSED', `server ${serverName} has ended the session`, { data });
}
