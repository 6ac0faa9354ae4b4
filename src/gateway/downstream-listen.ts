/**
 * `subscriptions/listen` of 2026-07-28 over HTTP: an event stream that lasts until one of both ends it.
 *
 * Until the confirmation the answer can still be an error; from then on it is a stream. What is told on it, and that
 * it ends with a result where we end it, is in `downstream-listener`. Source: MCP 2026-07-28
 * basic/patterns/subscriptions.
 */
import { EventStream } from '../http/event-stream.ts';
import type { ModernClass } from '../mcp/classify.ts';
import type { McpOutcome } from '../mcp/waist.ts';
import type { DownstreamPost } from './downstream-context.ts';
import { Listener } from './downstream-listener.ts';
import { PostReply } from './downstream-reply.ts';
import { failed, failureOf, modernResponse } from './downstream-result.ts';

export function serveListen(modern: ModernClass, post: DownstreamPost): void {
  const { message } = modern;
  const { exchange, context, target } = post;
  const { requestId } = exchange.entry;
  const listener = new Listener(modern, { view: target.view, serverInfo: context.serverInfo, requestId });
  const reply = new PostReply(exchange, {
    count: 1,
    batch: false,
    // The stream begins with the confirmation.
    neverStream: true,
    heartbeatMs: 0,
    onGone: () => listener.end(),
    onStop: (error) => refuse(failed(error)),
  });

  function refuse(outcome: McpOutcome): void {
    listener.end();
    const to = { id: message.id, method: message.method, requestId };
    reply.respond(modernResponse(outcome, to, context.serverInfo));
  }

  listener.begin().then(
    () => {
      if (reply.release()) openStream(listener, post);
    },
    (thrown: unknown) => refuse(failureOf(thrown, context)),
  );
}

function openStream(listener: Listener, { exchange, context, listens, target }: DownstreamPost): void {
  const close = (): void => stream.finish(listener.closing());
  const listen = { principalId: target.principal.id, close };
  listens.add(listen);
  const stream = new EventStream(exchange, {
    heartbeatMs: context.heartbeatMs,
    openEnded: true,
    onStop: close,
    onClosed: () => undefined,
  });
  stream.onOver(() => {
    listens.delete(listen);
    listener.end();
  });
  listener.open(stream);
}
