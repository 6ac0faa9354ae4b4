/**
 * One request of 2026-07-28 through a view, the same for every transport.
 *
 * `server/discover` is answered from the view, everything else is a call through it, with what it tells meanwhile. A
 * call that was given up ends at once without an outcome, since the server may never answer then. How a client gives
 * up, and `subscriptions/listen`, belong to others. Source: MCP 2026-07-28 server/discover, basic/patterns.
 */
import type { ModernClass } from '../mcp/classify.ts';
import { MODERN_REVISIONS } from '../mcp/protocol.ts';
import type { JsonObject, McpCall, McpOutcome } from '../mcp/waist.ts';
import type { ServingContext } from './downstream-context.ts';
import { modernRequest, reachesLevel } from './downstream-request.ts';
import { failureOf } from './downstream-result.ts';
import type { GatewayView } from './view.ts';

export interface ModernCall {
  /** Undefined when it was given up. Never rejects. */
  readonly outcome: Promise<McpOutcome | undefined>;
  cancel(reason: string | undefined): void;
}

/** @param admit what has to be true before any server hears of it; throws a ProxyError otherwise */
export function beginModern(
  modern: ModernClass,
  context: ServingContext,
  admit: () => Promise<void> = async () => undefined,
): ModernCall {
  let call: McpCall | undefined;
  let isOver = false;
  let giveUp: (() => void) | undefined;
  const givenUp = new Promise<undefined>((resolve) => {
    giveUp = () => resolve(undefined);
  });
  const { request, progressToken } = modernRequest(modern, context.traceparent);
  const notify = (method: string, params: JsonObject): void => {
    if (!isOver) context.tell({ jsonrpc: '2.0', method, params });
  };

  async function serve(): Promise<McpOutcome | undefined> {
    if (modern.method === 'server/discover') return discover(context.view);
    await admit();
    if (isOver) return undefined;
    call = context.view.call(request, {
      onProgress(params) {
        if (progressToken !== undefined) notify('notifications/progress', { ...params, progressToken });
      },
      onLog(params) {
        if (reachesLevel(params, request.logLevel)) notify('notifications/message', params);
      },
      onAttempt: () => context.onAttempt(),
    });
    return call.outcome;
  }

  return {
    outcome: Promise.race([serve().catch((thrown: unknown) => failureOf(thrown, context)), givenUp]),
    cancel(reason) {
      isOver = true;
      call?.cancel(reason);
      giveUp?.();
    },
  };
}

async function discover(view: GatewayView): Promise<McpOutcome> {
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
