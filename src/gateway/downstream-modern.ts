/**
 * Requests of 2026-07-28 over HTTP: each stands for itself and is answered on its own POST.
 *
 * A client that closes the stream has cancelled. The status of an error speaks where the spec says so, as long as the
 * head has not left. `server/discover` is answered from the view; what the view does not serve is 404. A call whose
 * `Mcp-Param-*` headers do not say what its arguments say is refused before any server hears of it. Leaves
 * `subscriptions/listen` to its own file. Source: MCP 2026-07-28 basic/transports/streamable-http, server/discover.
 */
import { ProxyError } from '../errors.ts';
import type { ModernClass } from '../mcp/classify.ts';
import { paramMismatch } from '../mcp/param-headers.ts';
import { MODERN_REVISIONS } from '../mcp/protocol.ts';
import type { JsonObject, McpCall, McpOutcome } from '../mcp/waist.ts';
import type { DownstreamPost, DownstreamTarget } from './downstream-context.ts';
import { noteMessage } from './downstream-entry.ts';
import { serveListen } from './downstream-listen.ts';
import { PostReply } from './downstream-reply.ts';
import { modernRequest, reachesLevel } from './downstream-request.ts';
import { failed, failureOf, modernResponse, modernStatus } from './downstream-result.ts';

export function serveModern(modern: ModernClass, post: DownstreamPost): void {
  const { exchange, target, context } = post;
  noteMessage(exchange.entry, modern.message, { view: target.view, keepParams: context.keepParams });
  if (modern.method === 'subscriptions/listen') return serveListen(modern, post);
  let call: McpCall | undefined;
  let isOver = false;
  const reply = new PostReply(exchange, {
    count: 1,
    batch: false,
    heartbeatMs: context.heartbeatMs,
    onGone: () => end('the client closed the stream'),
    onStop(error) {
      end(error.message);
      respond(failed(error));
    },
  });

  function end(reason: string): void {
    isOver = true;
    call?.cancel(reason);
  }

  function respond(outcome: McpOutcome): void {
    const { message, method } = modern;
    const to = { id: message.id, method, requestId: exchange.entry.requestId };
    reply.respond(modernResponse(outcome, to, context.serverInfo), modernStatus(outcome));
  }

  const { request, progressToken } = modernRequest(modern, exchange.traceparent);
  const notify = (method: string, params: JsonObject): void => {
    reply.tell({ jsonrpc: '2.0', method, params });
  };
  async function serve(): Promise<McpOutcome | undefined> {
    if (modern.method === 'server/discover') return discover(target);
    const mismatch = await findMismatch(modern, post);
    if (mismatch !== undefined) throw new ProxyError('HEADER_MISMATCH', mismatch);
    if (isOver) return undefined;
    call = target.view.call(request, {
      onProgress(params) {
        if (progressToken !== undefined) notify('notifications/progress', { ...params, progressToken });
      },
      onLog(params) {
        if (reachesLevel(params, request.logLevel)) notify('notifications/message', params);
      },
    });
    return call.outcome;
  }
  serve().then(
    (outcome) => {
      if (outcome !== undefined) respond(outcome);
    },
    (thrown: unknown) => respond(failureOf(thrown, context)),
  );
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

async function discover({ view }: DownstreamTarget): Promise<McpOutcome> {
  const { capabilities, instructions } = await view.discover();
  return {
    kind: 'complete',
    result: {
      supportedVersions: [...MODERN_REVISIONS],
      capabilities,
      ...(instructions === undefined ? {} : { instructions }),
    },
  };
}
