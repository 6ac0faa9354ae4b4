/**
 * HTTP with SSE (2024-11-05): a GET stream that carries everything to the client, and an endpoint to POST to.
 *
 * A session is its stream: it ends with it, and what was in progress is cancelled, because no answer could arrive.
 * The endpoint's handle opens only for the same principal and scope. A POST is answered 202 at once; the entry of a
 * request is written when its response is ready, before that leaves on the stream. Whatever legacy revision the client
 * negotiates is served. Source: MCP 2024-11-05 basic/transports; `sessionId` is what the reference SDK calls it.
 */
import { randomUUID } from 'node:crypto';
import { ProxyError } from '../errors.ts';
import type { EventStream } from '../http/event-stream.ts';
import { recordFailure } from '../http/exchange.ts';
import { sendFailure } from '../http/reply.ts';
import { SESSION_COUNT_MAX } from '../limits.ts';
import { hasEnvelope } from '../mcp/classify.ts';
import { decodeMessage, result as resultMessage } from '../mcp/jsonrpc.ts';
import type { JsonRpcRequest, JsonRpcResponse, ParsedMessage, SingleMessage } from '../mcp/jsonrpc.ts';
import { BATCH_REVISION, LATEST_LEGACY, MODERN_REVISIONS, negotiateLegacy } from '../mcp/protocol.ts';
import { encodeSseEvent } from '../text/sse.ts';
import { readMessageBody } from './downstream-body.ts';
import { openChangeStream } from './downstream-changes.ts';
import type { DownstreamContext, DownstreamPost } from './downstream-context.ts';
import { noteCancelled, noteDenials, noteMessage, noteResponse } from './downstream-entry.ts';
import { acceptLegacy, initializeResult, serveLegacy } from './downstream-legacy.ts';
import { sendAccepted, sendRefusal, writeEmpty } from './downstream-reply.ts';
import { claimsOf } from './downstream-request.ts';
import { failureOf, legacyResponse, reported } from './downstream-result.ts';
import { closeSession, createSession, type Session, type SessionOwner } from './session.ts';
import { createShares, type Shares } from './shares.ts';

export interface LegacySse {
  readonly count: number;
  /** GET: opens the stream. */
  open(post: DownstreamPost): void;
  /** POST to the announced endpoint. */
  receive(post: DownstreamPost): void;
  endPrincipal(principalId: string): void;
  close(): void;
}

interface Conversation {
  readonly session: Session;
  readonly stream: EventStream;
  /** Requests whose responses have not left. */
  waitingCount: number;
  /** The stream ends as soon as nothing waits. */
  closing: boolean;
}

type Conversations = ReadonlyMap<string, Conversation>;

/** A stop lets what is in progress be answered; it is cut with the connection when that takes too long. */
function drain(conversation: Conversation): void {
  conversation.closing = true;
  if (conversation.waitingCount === 0) conversation.stream.finish();
}

export function createLegacySse(context: DownstreamContext): LegacySse {
  // Bounded by SESSION_COUNT_MAX.
  const conversations = new Map<string, Conversation>();
  const shares = createShares();

  function open(post: DownstreamPost): void {
    const { exchange, target } = post;
    const owner = ownerOf(post);
    if (conversations.size >= SESSION_COUNT_MAX && !makeRoom(conversations, shares, owner.principalId))
      return sendFailure(exchange, new ProxyError('OVERLOADED', 'too many HTTP+SSE sessions are open'));
    const key = randomUUID();
    const session = createSession(owner, { revision: LATEST_LEGACY, capabilities: {}, clientInfo: undefined });
    const stream = openChangeStream(exchange, session, {
      view: target.view,
      heartbeatMs: context.heartbeatMs,
      onStop: (reason) => (reason === 'revoked' ? stream.finish() : drain(conversation)),
      onOver() {
        conversations.delete(key);
        shares.add(owner.principalId, -1);
        closeSession(session, 'the client closed its stream');
      },
    });
    const conversation: Conversation = { session, stream, waitingCount: 0, closing: false };
    conversations.set(key, conversation);
    shares.add(owner.principalId, 1);
    const path = `${context.pathPrefix}${target.scope === '' ? '' : `/${target.scope}`}/messages`;
    const handle = context.sealer.seal(key, contextOf(owner));
    stream.sendText(encodeSseEvent({ event: 'endpoint', data: `${path}?sessionId=${handle}` }));
  }

  return {
    get count() {
      return conversations.size;
    },
    open,
    receive(post) {
      const { exchange } = post;
      const conversation = find(post, conversations);
      if (conversation instanceof ProxyError) return sendFailure(exchange, conversation);
      readMessageBody(post, {
        onFailure: (error) => sendFailure(exchange, error),
        onBody(body, hold) {
          try {
            receiveBody(body, conversation, { ...post, hold });
          } catch (thrown) {
            // Called from a socket's event, where nobody above catches.
            sendFailure(exchange, reported(thrown, context));
          }
        },
      });
    },
    endPrincipal(principalId) {
      for (const { session, stream } of conversations.values())
        if (session.principalId === principalId) stream.finish();
    },
    close() {
      for (const conversation of conversations.values()) drain(conversation);
    },
  };
}

/** Whoever has most streams open gives the oldest one up; false when that is the user who wants one more. */
function makeRoom(conversations: Conversations, shares: Shares, principalId: string): boolean {
  const largest = shares.largest();
  if (largest === undefined || shares.of(principalId) >= shares.of(largest)) return false;
  const oldest = [...conversations.values()].find(({ session }) => session.principalId === largest);
  oldest?.stream.finish();
  return true;
}

function find(post: DownstreamPost, conversations: Conversations): Conversation | ProxyError {
  const handle = new URLSearchParams(post.exchange.query).get('sessionId');
  if (handle === null)
    return new ProxyError('SESSION_MISSING', 'sessionId is missing; POST to the URL of the endpoint event');
  const key = post.context.sealer.open(handle, contextOf(ownerOf(post)));
  const found = key === undefined ? undefined : conversations.get(key);
  return found ?? new ProxyError('SESSION_UNKNOWN', 'this session has ended; connect to the SSE URL again');
}

function ownerOf({ target }: DownstreamPost): SessionOwner {
  return { principalId: target.principal.id, scope: target.scope };
}

function contextOf({ principalId, scope }: SessionOwner): string {
  return JSON.stringify(['sse', principalId, scope]);
}

function receiveBody(body: unknown, conversation: Conversation, post: DownstreamPost): void {
  const { exchange, target, context } = post;
  if (body === undefined) return sendRefusal(exchange, { code: 'RPC_PARSE', message: 'The body is not JSON.' });
  const decoded = decodeMessage(body);
  if (decoded.kind === 'problem')
    return sendRefusal(exchange, { code: decoded.code, message: decoded.text, id: decoded.id });
  const contents = contentsOf(decoded, conversation.session);
  if (contents === undefined) {
    const message = `A batch is allowed only within a session of ${BATCH_REVISION}. Send each message by itself.`;
    return sendRefusal(exchange, { code: 'RPC_INVALID', message });
  }
  if (decoded.kind === 'batch') exchange.entry.rpcMethod = 'batch';
  else if (decoded.kind === 'request' || decoded.kind === 'notification')
    noteMessage(exchange.entry, decoded.message, { view: target.view, keepParams: context.keepParams });
  const requests = contents.flatMap((content) => (content.kind === 'request' ? [content.message] : []));
  if (requests.length > 1) target.charge?.(requests.length - 1);
  for (const content of contents) acceptLegacy(conversation.session, content);
  if (requests.length === 0) return sendAccepted(exchange);
  if (decoded.kind === 'batch') noteDenials(exchange.entry, requests, target.view);
  exchange.entry.httpStatus = 202;
  writeEmpty(exchange, 202);
  serveRequests(requests, conversation, post);
}

/** Undefined for a batch where none is allowed. */
function contentsOf(
  decoded: Exclude<ParsedMessage, { kind: 'problem' }>,
  { claims }: Session,
): readonly SingleMessage[] | undefined {
  if (decoded.kind !== 'batch') return [decoded];
  return claims.revision === BATCH_REVISION ? decoded.messages : undefined;
}

/** Sends each response when it is ready; the last one of the exchange waits for the entry. */
function serveRequests(requests: readonly JsonRpcRequest[], conversation: Conversation, post: DownstreamPost): void {
  const { exchange, context, hold } = post;
  const { stream } = conversation;
  hold?.retain();
  let waitingCount = requests.length;
  let cancelledCount = 0;
  conversation.waitingCount += requests.length;
  const send = (response: JsonRpcResponse | undefined): void => {
    if (response !== undefined) stream.send(response);
    conversation.waitingCount -= 1;
    if (conversation.closing) drain(conversation);
  };
  const finish = (response: JsonRpcResponse | undefined): void => {
    waitingCount -= 1;
    if (response === undefined) cancelledCount += 1;
    else noteResponse(exchange.entry, response);
    if (cancelledCount === requests.length) noteCancelled(exchange.entry);
    if (!stream.open) {
      recordFailure(
        exchange.entry,
        new ProxyError('CLIENT_GONE', 'the client closed its stream before it was answered'),
      );
    }
    if (waitingCount > 0) return send(response);
    hold?.release();
    exchange.commit(() => send(response));
  };
  for (const message of requests) {
    serveOne(message, conversation, post).then(finish, (thrown: unknown) => {
      context.onInternal(thrown);
      finish(undefined);
    });
  }
}

async function serveOne(
  message: JsonRpcRequest,
  { session, stream }: Conversation,
  { exchange, target, context }: DownstreamPost,
): Promise<JsonRpcResponse | undefined> {
  const { id, method, params = {} } = message;
  const { requestId } = exchange.entry;
  if (method !== 'initialize' && !hasEnvelope(message)) {
    return serveLegacy(session, message, {
      view: target.view,
      serverInfo: context.serverInfo,
      tell: (told) => stream.offer(told),
      requestId,
      traceparent: exchange.traceparent,
      onAttempt: () => {
        exchange.entry.attempts += 1;
      },
      onInternal: (error) => context.onInternal(error),
    });
  }
  const revision = negotiateLegacy(params['protocolVersion']);
  try {
    if (method !== 'initialize') {
      const data = { supported: [...MODERN_REVISIONS] };
      throw new ProxyError('VERSION_UNSUPPORTED', 'This transport is of older revisions; use the /mcp URL.', { data });
    }
    session.claims = { revision, ...claimsOf(params, revision) };
    return resultMessage(id, await initializeResult(revision, { view: target.view, serverInfo: context.serverInfo }));
  } catch (thrown) {
    return legacyResponse(failureOf(thrown, context), { id, method, params, requestId }, revision);
  }
}
