/**
 * One Streamable HTTP endpoint for every revision: POST, GET and DELETE on one URL.
 *
 * The era of a message is decided by `mcp/classify`; modern requests are served by themselves, all others within
 * their session. A client of an older revision that drops a connection has not cancelled anything and may take the
 * stream up again: one of 2025-11-25 always gets a stream, which begins with an id; the others JSON until there is
 * something to say before the response. A stream is never closed early to be polled (SEP-1699 allows it): heartbeats
 * keep it open, whatever cuts it all the same leaves an id to come back with, and clients that do not come back would
 * lose their answers. Source: MCP 2025-03-26 … 2026-07-28.
 */
import { ProxyError } from '../errors.ts';
import { sendFailure, sendJson } from '../http/reply.ts';
import { classifyHttp, type HttpClass, type LegacyClass } from '../mcp/classify.ts';
import { result as resultMessage, type RpcId, type SingleMessage } from '../mcp/jsonrpc.ts';
import { BATCH_REVISION, HEADER } from '../mcp/protocol.ts';
import { readMessageBody } from './downstream-body.ts';
import type { DownstreamPost } from './downstream-context.ts';
import { noteDenials, noteMessage, noteResponse } from './downstream-entry.ts';
import { acceptLegacy, initializeResult, serveLegacy } from './downstream-legacy.ts';
import { serveModern } from './downstream-modern.ts';
import { PostReply, sendAccepted, sendRefusal, writeEmpty } from './downstream-reply.ts';
import { claimsOf } from './downstream-request.ts';
import { serveStream } from './downstream-resume.ts';
import { failureOf, legacyResponse, reported } from './downstream-result.ts';
import { createSession, type Session, type SessionOwner } from './session.ts';
import type { Sessions } from './sessions.ts';

/** Answers one exchange on the endpoint, in every case. */
export function serveStreamable(post: DownstreamPost, sessions: Sessions): void {
  const { exchange } = post;
  if (exchange.request.method !== 'POST') return dispatch(classify(post, undefined), post, sessions);
  readMessageBody(post, {
    onFailure: (error) => sendFailure(exchange, error),
    onBody(body, hold) {
      try {
        dispatch(classify(post, body), { ...post, hold }, sessions);
      } catch (thrown) {
        // Called from a socket's event, where nobody above catches.
        sendFailure(exchange, reported(thrown, post.context));
      }
    },
  });
}

function classify({ exchange }: DownstreamPost, body: unknown): HttpClass {
  const { headers, method = '' } = exchange.request;
  const field = (name: string): string | undefined => {
    const value = headers[name];
    return typeof value === 'string' ? value : undefined;
  };
  return classifyHttp({
    httpMethod: method,
    headers: {
      protocolVersion: field(HEADER.protocolVersion),
      method: field(HEADER.method),
      name: field(HEADER.name),
      sessionId: field(HEADER.sessionId),
      lastEventId: field(HEADER.lastEventId),
    },
    body,
  });
}

function dispatch(found: HttpClass, post: DownstreamPost, sessions: Sessions): void {
  const { exchange } = post;
  switch (found.kind) {
    case 'modern':
      return serveModern(found, post);
    case 'reject':
      return sendRefusal(exchange, found);
    case 'drop':
      exchange.entry.rpcMethod = found.message.method;
      return sendAccepted(exchange);
    case 'legacy':
      return found.action === 'initialize' ? initialize(found, post, sessions) : serveInSession(found, post, sessions);
  }
}

function ownerOf({ target }: DownstreamPost): SessionOwner {
  return { principalId: target.principal.id, scope: target.scope };
}

type InitializeClass = Extract<LegacyClass, { action: 'initialize' }>;

function initialize(found: InitializeClass, post: DownstreamPost, sessions: Sessions): void {
  const { exchange, target, context } = post;
  const { message, revision } = found;
  const { view } = target;
  const { id, params = {} } = message;
  noteMessage(exchange.entry, message, { view, keepParams: context.keepParams });
  let isOver = false;
  exchange.response.on('close', () => {
    if (isOver) return;
    isOver = true;
    sendFailure(exchange, new ProxyError('CLIENT_GONE', 'the client closed the connection before it was answered'));
  });
  initializeResult(revision, { view, serverInfo: context.serverInfo }).then(
    (result) => {
      if (isOver) return;
      isOver = true;
      const { id: sessionId } = sessions.open(ownerOf(post), { revision, ...claimsOf(params, revision) });
      sendJson(exchange, 200, { body: resultMessage(id, result), headers: { [HEADER.sessionId]: sessionId } });
    },
    (thrown: unknown) => {
      if (isOver) return;
      isOver = true;
      const to = { id, method: message.method, params, requestId: exchange.entry.requestId };
      const response = legacyResponse(failureOf(thrown, context), to, revision);
      noteResponse(exchange.entry, response);
      sendJson(exchange, 200, { body: response });
    },
  );
}

type InSessionClass = Exclude<LegacyClass, { action: 'initialize' }>;

function serveInSession(found: InSessionClass, post: DownstreamPost, sessions: Sessions): void {
  const { exchange } = post;
  if (found.action === 'message') noteContent(found.content, post);
  else if (found.action === 'batch') exchange.entry.rpcMethod = 'batch';
  const id = found.action === 'message' && found.content.kind === 'request' ? found.content.message.id : undefined;
  if (found.sessionId === undefined) return serveWithoutSession(found, post, id);
  const session = sessions.find(found.sessionId, ownerOf(post));
  if (session === undefined) {
    const message = 'This session has ended or is not yours; send `initialize` without a session id.';
    return sendRefusal(exchange, { code: 'SESSION_UNKNOWN', message, id });
  }
  switch (found.action) {
    case 'delete':
      sessions.end(found.sessionId, ownerOf(post));
      exchange.entry.httpStatus = 200;
      return exchange.commit(() => writeEmpty(exchange, 200));
    case 'stream':
      return serveStream(session, found.lastEventId, post);
    case 'message':
      return serveContents(session, [found.content], { post, batch: false });
    case 'batch':
      if (session.claims.revision === BATCH_REVISION)
        return serveContents(session, found.content, { post, batch: true });
      return sendRefusal(exchange, {
        code: 'RPC_INVALID',
        message: `A batch is allowed only within a session of ${BATCH_REVISION}. Send each message by itself.`,
      });
  }
}

/** Requests that mean something only for later ones. */
const NEEDS_SESSION: ReadonlySet<string> = new Set([
  'logging/setLevel',
  'resources/subscribe',
  'resources/unsubscribe',
]);

/** Some clients lose the id. Who they are says their token, so that whatever needs nothing else is served. */
function serveWithoutSession(found: InSessionClass, post: DownstreamPost, id: RpcId | undefined): void {
  const content = found.action === 'message' ? found.content : undefined;
  // What it would tell has no session to be told to.
  if (content?.kind === 'notification') return sendAccepted(post.exchange);
  if (content?.kind === 'request' && !NEEDS_SESSION.has(content.message.method)) {
    post.onNoSession();
    const revision = found.headerRevision ?? BATCH_REVISION;
    const session = createSession(ownerOf(post), { revision, capabilities: {}, clientInfo: undefined });
    return serveContents(session, [content], { post, batch: false });
  }
  const message = 'Mcp-Session-Id is missing; send `initialize` first, and then the id that its answer has.';
  sendRefusal(post.exchange, { code: 'SESSION_MISSING', message, id });
}

function noteContent(content: SingleMessage, { exchange, target, context }: DownstreamPost): void {
  if (content.kind !== 'request' && content.kind !== 'notification') return;
  noteMessage(exchange.entry, content.message, { view: target.view, keepParams: context.keepParams });
}

function serveContents(
  session: Session,
  contents: readonly SingleMessage[],
  { post, batch }: { post: DownstreamPost; batch: boolean },
): void {
  const { exchange, target, context } = post;
  const requests = contents.flatMap((content) => (content.kind === 'request' ? [content.message] : []));
  if (requests.length > 1) target.charge?.(requests.length - 1);
  for (const content of contents) acceptLegacy(session, content);
  if (requests.length === 0) return sendAccepted(exchange);
  if (batch) noteDenials(exchange.entry, requests, target.view);
  const waiting = new Set(requests);
  // A client that leaves does not end what it asked for.
  post.hold?.retain();
  const { replay } = session;
  const { requestId, rpcMethod, rpcName, upstream } = exchange.entry;
  const reply = new PostReply(exchange, {
    count: requests.length,
    batch,
    heartbeatMs: context.heartbeatMs,
    resumable:
      replay &&
      (() =>
        replay.open(
          { requestId, rpcMethod, rpcName, upstream },
          requests.map(({ id }) => id),
        )),
    eager: replay?.primed ?? false,
    onGone: () => undefined,
    onStop(error) {
      for (const message of waiting) {
        session.calls.get(message.id)?.cancel(error.message);
        const { id, method, params = {} } = message;
        const to = { id, method, params, requestId: exchange.entry.requestId };
        respond(message, legacyResponse(failureOf(error, context), to, session.claims.revision));
      }
    },
  });

  function respond(message: (typeof requests)[number], response: Parameters<PostReply['respond']>[0]): void {
    if (!waiting.delete(message)) return;
    reply.respond(response);
    if (waiting.size === 0) post.hold?.release();
  }

  for (const message of requests) {
    const served = serveLegacy(session, message, {
      view: target.view,
      serverInfo: context.serverInfo,
      tell: (told) => reply.tell(told),
      requestId: exchange.entry.requestId,
      traceparent: exchange.traceparent,
      onAttempt: () => {
        exchange.entry.attempts += 1;
      },
      onInternal: (error) => context.onInternal(error),
    });
    served.then(
      (response) => respond(message, response),
      (thrown: unknown) => context.onInternal(thrown),
    );
  }
}
