/**
 * Requests of 2026-07-28 over HTTP: each stands for itself and is answered on its own POST.
 *
 * A client that closes the stream has cancelled. The status of an error speaks where the spec says so, as long as the
 * head has not left; what the view does not serve is 404. A call whose `Mcp-Param-*` headers do not say what its
 * arguments say is refused before any server hears of it. What a request means is in `downstream-modern-call`;
 * `subscriptions/listen` has its own file. Source: MCP 2026-07-28 basic/transports/streamable-http.
 */
import { ProxyError } from '../errors.ts';
import type { ModernClass } from '../mcp/classify.ts';
import { paramMismatch } from '../mcp/param-headers.ts';
import type { McpOutcome } from '../mcp/waist.ts';
import type { DownstreamPost } from './downstream-context.ts';
import { noteMessage } from './downstream-entry.ts';
import { serveListen } from './downstream-listen.ts';
import { beginModern } from './downstream-modern-call.ts';
import { PostReply } from './downstream-reply.ts';
import { failed, modernResponse, modernStatus } from './downstream-result.ts';

export function serveModern(modern: ModernClass, post: DownstreamPost): void {
  const { exchange, target, context } = post;
  noteMessage(exchange.entry, modern.message, { view: target.view, keepParams: context.keepParams });
  if (modern.method === 'subscriptions/listen') return serveListen(modern, post);
  const { requestId } = exchange.entry;
  const reply = new PostReply(exchange, {
    count: 1,
    batch: false,
    heartbeatMs: context.heartbeatMs,
    onGone: () => call.cancel('the client closed the stream'),
    onStop(error) {
      call.cancel(error.message);
      respond(failed(error));
    },
  });
  const serving = {
    view: target.view,
    serverInfo: context.serverInfo,
    tell: (message: unknown) => reply.tell(message),
    requestId,
    traceparent: exchange.traceparent,
    onAttempt: () => {
      exchange.entry.attempts += 1;
    },
    onInternal: (error: unknown) => context.onInternal(error),
  };
  const call = beginModern(modern, serving, () => refuseMismatch(modern, post));

  function respond(outcome: McpOutcome): void {
    const to = { id: modern.message.id, method: modern.method, requestId };
    reply.respond(modernResponse(outcome, to, context.serverInfo), modernStatus(outcome));
  }

  void call.outcome.then((outcome) => {
    if (outcome !== undefined) respond(outcome);
  });
}

/** @throws {ProxyError} HEADER_MISMATCH */
async function refuseMismatch(modern: ModernClass, post: DownstreamPost): Promise<void> {
  const mismatch = await findMismatch(modern, post);
  if (mismatch !== undefined) throw new ProxyError('HEADER_MISMATCH', mismatch);
}

/** What is wrong with the headers of a tool call. Nobody is refused for a list that has changed since it was read. */
async function findMismatch(
  { message }: ModernClass,
  { exchange, target }: DownstreamPost,
): Promise<string | undefined> {
  const { name, arguments: args } = message.params ?? {};
  if (message.method !== 'tools/call' || typeof name !== 'string') return undefined;
  const field = (header: string): string | undefined => {
    const value = exchange.request.headers[header];
    return typeof value === 'string' ? value : undefined;
  };
  const mismatch = paramMismatch(await target.view.paramHeaders(name, false), args, field);
  if (mismatch === undefined) return undefined;
  return paramMismatch(await target.view.paramHeaders(name, true), args, field);
}
