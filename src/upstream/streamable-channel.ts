/**
 * A legacy Streamable HTTP session as a conversation: each message a POST, answers as JSON or as event streams, a
 * GET stream for what the server says by itself (MCP 2025-03-26 … 2025-11-25 basic/transports).
 *
 * The session id comes with the answer to `initialize` and goes with everything after it. A 404 to it means that the
 * session is over and the message refused did not run. A request ends in exactly one of three ways: its response, an
 * `onLost`, or a rejected `send` (`data.notProcessed` where that is certain). A dropped connection is no cancellation and is not repeated here. `notifications/
 * cancelled` also cuts the request's own stream. Ids, timeouts and the handshake belong to whoever opened it.
 */
import { ProxyError } from '../errors.ts';
import { REFUSAL_BYTES_MAX, SESSION_END_MS_MAX, SESSION_ID_CHARS_MAX } from '../limits.ts';
import { isRpcId, type RpcId, type SingleMessage } from '../mcp/jsonrpc.ts';
import type { ChannelEvents, JsonObject, MessageChannel } from '../mcp/waist.ts';
import { asNotProcessed, askHttp, asUncertain, statusError, type HttpAnswer, type RemoteOptions } from './mcp-http.ts';
import { cutError, drain, readMessages } from './mcp-reply.ts';
import { followStream, type Follower } from './streamable-stream.ts';

/** A conversation over HTTP. */
export type RemoteChannel = MessageChannel & {
  /** After `initialize`: `MCP-Protocol-Version` from now on, and what the server says by itself is listened to. */
  setRevision(revision: string): void;
};

/** Opens nothing by itself: the first message does. */
export function openStreamableChannel(options: RemoteOptions, events: ChannelEvents): RemoteChannel {
  return new StreamableChannel(options, events);
}

/** One message on its way and what answers it. */
interface Posting {
  /** Undefined for what is not answered. */
  readonly requestId: RpcId | undefined;
  readonly message: JsonObject;
  /** What is cut when nobody waits any more. */
  cut: () => void;
  done: boolean;
}

class StreamableChannel implements MessageChannel {
  readonly #remote: RemoteOptions;
  readonly #events: ChannelEvents;
  /** Bounded by EXCHANGE_COUNT_MAX: each belongs to one exchange in progress. */
  readonly #postings = new Set<Posting>();
  #sessionId: string | undefined;
  #revision: string | undefined;
  #isInitialized = false;
  #listening: Follower | undefined;
  #end: ProxyError | undefined;

  constructor(remote: RemoteOptions, events: ChannelEvents) {
    this.#remote = remote;
    this.#events = events;
  }

  setRevision(revision: string): void {
    this.#revision = revision;
    this.#listen();
  }

  async send(message: JsonObject): Promise<void> {
    if (this.#end !== undefined) throw asNotProcessed(this.#end);
    const isRequest = typeof message['method'] === 'string' && isRpcId(message['id']);
    const requestId = isRequest ? (message['id'] as RpcId) : undefined;
    const posting: Posting = { requestId, message, cut: () => undefined, done: false };
    this.#postings.add(posting);
    try {
      await this.#post(posting);
    } catch (error) {
      this.#settle(posting);
      throw error;
    }
    if (message['method'] === 'notifications/cancelled') this.#cutCancelled(message);
    if (message['method'] !== 'notifications/initialized') return;
    this.#isInitialized = true;
    this.#listen();
  }

  async close(): Promise<void> {
    if (this.#end !== undefined) return;
    const { name } = this.#remote.server;
    const fields = this.#fields();
    const hasSession = this.#sessionId !== undefined;
    this.#finish(new ProxyError('UPSTREAM_CLOSED', `the session with server ${name} was closed`));
    if (!hasSession) return;
    try {
      const asked = askHttp(this.#remote, { method: 'DELETE', fields, headMsMax: SESSION_END_MS_MAX });
      // Any status will do: servers may refuse to end sessions (405).
      drain(await asked.answer, REFUSAL_BYTES_MAX);
    } catch {
      // A server that is gone has no session left to end.
    }
  }

  async #post(posting: Posting): Promise<void> {
    const { message } = posting;
    const asked = askHttp(this.#remote, {
      method: 'POST',
      fields: this.#fields(),
      message,
      traceparent: traceparentOf(message),
    });
    posting.cut = () => asked.abort();
    let answer: HttpAnswer;
    try {
      answer = await asked.answer;
    } catch (error) {
      // The end of the session cut it: what ended it is the better explanation.
      throw this.#end === undefined ? error : asUncertain(this.#end);
    }
    if (posting.done || this.#end !== undefined) return answer.abort();
    posting.cut = () => answer.abort();
    if (answer.status >= 400) return this.#onRefusal(posting, answer);
    if (message['method'] === 'initialize') this.#sessionId = sessionIdOf(this.#remote.server.name, answer);
    if (posting.requestId === undefined) {
      drain(answer, REFUSAL_BYTES_MAX);
      return this.#settle(posting);
    }
    this.#readAnswer(posting, answer);
  }

  #readAnswer(posting: Posting, answer: HttpAnswer): void {
    if (answer.mediaType === 'text/event-stream') {
      const follower = followStream(
        {
          remote: this.#remote,
          kind: 'answer',
          fields: () => this.#fields(),
          onMessage: (message) => {
            if (this.#deliver(posting, message)) follower.finish();
          },
          onSessionLost: () => this.#finish(sessionLost(this.#remote.server.name, false)),
          onOver: (error) => this.#lose(posting, error),
        },
        answer,
      );
      posting.cut = () => follower.stop();
      return;
    }
    if (answer.mediaType !== 'application/json') {
      drain(answer, REFUSAL_BYTES_MAX);
      const text = `server ${this.#remote.server.name} answered a request with HTTP ${answer.status} and no message`;
      return this.#lose(posting, new ProxyError('UPSTREAM_PROTOCOL', text));
    }
    readMessages(this.#remote, answer).then(
      (messages) => {
        for (const message of messages ?? []) this.#deliver(posting, message);
        if (posting.done) return;
        const text = `server ${this.#remote.server.name} answered with something that is not the response`;
        this.#lose(posting, new ProxyError('UPSTREAM_PROTOCOL', text));
      },
      (error: ProxyError) => this.#lose(posting, error),
    );
  }

  /** A status of 400 and above; the reason may be a JSON-RPC error in the body. */
  async #onRefusal(posting: Posting, answer: HttpAnswer): Promise<void> {
    const { name } = this.#remote.server;
    const messages = await readMessages(this.#remote, answer, REFUSAL_BYTES_MAX).catch(() => undefined);
    const error = messages?.find((each) => each.kind === 'error')?.message;
    const text = error?.error.message ?? '';
    // Servers made after the reference examples say 400 where the specification says 404.
    const isSessionUnknown = answer.status === 404 || (answer.status === 400 && /session/i.test(text));
    const isAnswer = error !== undefined && error.id !== null && error.id === posting.requestId;
    if (this.#sessionId !== undefined && isSessionUnknown && !isAnswer) {
      const lost = sessionLost(name, true);
      // Whoever sent it learns that it did not run before everybody learns that the session is over.
      setImmediate(() => this.#finish(lost));
      throw lost;
    }
    if (error !== undefined && posting.requestId !== undefined) {
      this.#deliver(posting, { kind: 'error', message: error });
      return;
    }
    throw statusError(name, answer);
  }

  /** Hands a message on. True when it was the response. */
  #deliver(posting: Posting, message: SingleMessage): boolean {
    if (this.#end !== undefined || posting.done) return posting.done;
    const { requestId } = posting;
    // An error without an id on the stream of a request can only be about that request.
    const isResponse = message.kind === 'result' || message.kind === 'error';
    const isOurs = isResponse && (message.message.id === requestId || message.message.id == null);
    if (isOurs) this.#settle(posting);
    this.#events.onMessage(isOurs ? { ...message.message, id: requestId } : { ...message.message }, requestId);
    return isOurs;
  }

  #lose(posting: Posting, error: ProxyError | undefined): void {
    const { requestId } = posting;
    if (posting.done || this.#end !== undefined) return this.#settle(posting);
    this.#settle(posting);
    if (requestId !== undefined) this.#events.onLost(requestId, error ?? cutError(this.#remote.server.name));
  }

  #settle(posting: Posting): void {
    posting.done = true;
    this.#postings.delete(posting);
  }

  #cutCancelled(message: JsonObject): void {
    const id = (message['params'] as JsonObject | undefined)?.['requestId'];
    for (const posting of this.#postings) {
      if (posting.requestId === undefined || posting.requestId !== id) continue;
      this.#settle(posting);
      posting.cut();
    }
  }

  #listen(): void {
    if (!this.#isInitialized || this.#revision === undefined || this.#listening !== undefined || this.#end) return;
    this.#listening = followStream(
      {
        remote: this.#remote,
        kind: 'open',
        fields: () => this.#fields(),
        onMessage: (message) => this.#events.onMessage({ ...message.message }, undefined),
        onSessionLost: () => this.#finish(sessionLost(this.#remote.server.name, false)),
        onOver: (error) => {
          if (error === undefined) return;
          const { name } = this.#remote.server;
          this.#remote.onDiag('warn', 'what a server says by itself cannot be heard', {
            server: name,
            error: error.message,
          });
        },
      },
      undefined,
    );
  }

  #fields(): string[] {
    const fields = this.#revision === undefined ? [] : ['MCP-Protocol-Version', this.#revision];
    if (this.#sessionId !== undefined) fields.push('Mcp-Session-Id', this.#sessionId);
    return fields;
  }

  #finish(error: ProxyError): void {
    if (this.#end !== undefined) return;
    this.#end = error;
    this.#listening?.stop();
    for (const posting of this.#postings) {
      this.#settle(posting);
      posting.cut();
    }
    this.#events.onClose(error);
  }
}

/** @throws {ProxyError} UPSTREAM_PROTOCOL for an id outside visible ASCII (2025-03-26 session management) */
function sessionIdOf(serverName: string, answer: HttpAnswer): string | undefined {
  const id = answer.head.headers['mcp-session-id'];
  if (id === undefined) return undefined;
  if (typeof id === 'string' && id.length <= SESSION_ID_CHARS_MAX && /^[\x21-\x7e]+$/.test(id)) return id;
  answer.abort();
  throw new ProxyError('UPSTREAM_PROTOCOL', `server ${serverName} gave a session id that is not visible ASCII`);
}

function sessionLost(serverName: string, notProcessed: boolean): ProxyError {
  const text = `server ${serverName} has ended the session`;
  const data = notProcessed ? { sessionLost: true, notProcessed: true } : { sessionLost: true };
  return new ProxyError('UPSTREAM_CLOSED', text, { data });
}

function traceparentOf(message: JsonObject): unknown {
  const params = message['params'] as JsonObject | undefined;
  return (params?.['_meta'] as JsonObject | undefined)?.['traceparent'];
}
