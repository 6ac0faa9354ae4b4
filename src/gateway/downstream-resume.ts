/**
 * GET within a session of Streamable HTTP: a new general stream, or one that is taken up again.
 *
 * `Last-Event-ID` names the stream and what the client has of it; only that stream's later events follow, and then the
 * stream goes on. An id that is not known, because it is another session's, too old or from before a restart, replays
 * nothing. Where it names an answer of which nothing is left, 405 says that there is no stream to come back to: clients
 * come back after every stream that ended in an error or in nothing, and an empty stream would make them do it for ever.
 * Where another process had the request, that instance or the one before a restart, its answer is lost and the client
 * told so: to 405 the official client 1 stops coming back, but goes on to wait for the answer.
 * Source: MCP 2025-11-25 transports#resumability-and-redelivery, #listening-for-messages-from-the-server.
 */
import { ProxyError } from '../errors.ts';
import { EventStream } from '../http/event-stream.ts';
import { errorResponse } from '../mcp/jsonrpc.ts';
import { encodeSseEvent } from '../text/sse.ts';
import { openChangeStream, watchChanges } from './downstream-changes.ts';
import type { DownstreamPost } from './downstream-context.ts';
import { noteResponse } from './downstream-entry.ts';
import { writeEmpty } from './downstream-reply.ts';
import { failed } from './downstream-result.ts';
import type { Found } from './replay.ts';
import type { Session } from './session.ts';

export function serveStream(session: Session, lastEventId: string | undefined, post: DownstreamPost): void {
  const { exchange, target, context } = post;
  const { heartbeatMs } = context;
  const { replay } = session;
  if (replay === undefined) {
    const stream = openChangeStream(exchange, session, {
      view: target.view,
      heartbeatMs,
      onStop: () => stream.finish(),
      onOver: () => undefined,
    });
    return;
  }
  const found = lastEventId === undefined ? undefined : replay.find(lastEventId);
  if (found?.kind === 'stream') return found.stream.carry(exchange, { heartbeatMs, after: found.after });
  if (found?.kind === 'over') {
    exchange.entry.httpStatus = 405;
    return exchange.commit(() => writeEmpty(exchange, 405, { allow: 'GET, POST, DELETE' }));
  }
  if (found?.kind === 'lost') return sendLost(found, post);
  const stream = replay.open();
  stream.carry(exchange, { heartbeatMs, after: 0 });
  stream.onOver(watchChanges(session, stream, target.view));
}

/** An error for each request, with the id of a stream that is over: who comes back with it is told 405. */
function sendLost(
  { requestIds, endId }: Extract<Found, { kind: 'lost' }>,
  { exchange, context }: DownstreamPost,
): void {
  const text = 'the connection broke and the answer cannot be had here any more: the request may have been done or not';
  const { code, message, data } = failed(new ProxyError('UPSTREAM_CLOSED', text));
  const { requestId } = exchange.entry;
  const responses = requestIds.map((id) =>
    errorResponse(id, { code, message, data: { ...(data as object), request_id: requestId } }),
  );
  for (const response of responses) noteResponse(exchange.entry, response);
  const stream = new EventStream(exchange, {
    heartbeatMs: context.heartbeatMs,
    openEnded: false,
    first: '',
    onStop: () => undefined,
    onClosed: () => undefined,
  });
  stream.finishText(
    responses
      .map((response) => encodeSseEvent({ event: 'message', id: endId, data: JSON.stringify(response) }))
      .join(''),
  );
}
