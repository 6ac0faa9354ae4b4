/**
 * Requests of 2026-07-28 over HTTP: each stands for itself and is answered on its own POST.
 *
 * A client that closes the stream has cancelled. The status of an error speaks where the spec says so, as long as the
 * head has not left. `server/discover` is answered from the view; what the view does not serve is 404. Leaves
 * `subscriptions/listen` to its own file. Not done here: checking `Mcp-Param-*` against the tool's schema, which the
 * view does not tell yet. Source: MCP 2026-07-28 basic/transports/streamable-http, server/discover.
 */
import type { ModernClass } from '../mcp/classify.ts';
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
  const reply = new PostReply(exchange, {
    count: 1,
    batch: false,
    heartbeatMs: context.heartbeatMs,
    onGone: () => call?.cancel('the client closed the stream'),
    onStop(error) {
      call?.cancel(error.message);
      respond(failed(error));
    },
  });

  function respond(outcome: McpOutcome): void {
    const { message, method } = modern;
    const to = { id: message.id, method, requestId: exchange.entry.requestId };
    reply.respond(modernResponse(outcome, to, context.serverInfo), modernStatus(outcome));
  }

  if (modern.method === 'server/discover') {
    discover(target).then(respond, (thrown: unknown) => respond(failureOf(thrown, context)));
    return;
  }
  const { request, progressToken } = modernRequest(modern, exchange.traceparent);
  const notify = (method: string, params: JsonObject): void => {
    reply.tell({ jsonrpc: '2.0', method, params });
  };
  call = target.view.call(request, {
    onProgress(params) {
      if (progressToken !== undefined) notify('notifications/progress', { ...params, progressToken });
    },
    onLog(params) {
      if (reachesLevel(params, request.logLevel)) notify('notifications/message', params);
    },
  });
  call.outcome.then(respond, (thrown: unknown) => respond(failureOf(thrown, context)));
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
