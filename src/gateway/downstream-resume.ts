/**
 * GET within a session of Streamable HTTP: a new general stream, or one that is taken up again.
 *
 * `Last-Event-ID` names the stream and what the client has of it; only that stream's later events follow, and then the
 * stream goes on. An id that is not known, because it is another session's, too old or from before a restart, replays
 * nothing. Where it names an answer of which nothing is left, 405 says that there is no stream to come back to: clients
 * come back after every stream that ended in an error or in nothing, and an empty stream would make them do it for ever.
 * Source: MCP 2025-11-25 transports#resumability-and-redelivery, #listening-for-messages-from-the-server.
 */
import { openChangeStream, watchChanges } from './downstream-changes.ts';
import type { DownstreamPost } from './downstream-context.ts';
import { writeEmpty } from './downstream-reply.ts';
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
  const stream = replay.open();
  stream.carry(exchange, { heartbeatMs, after: 0 });
  stream.onOver(watchChanges(session, stream, target.view));
}
