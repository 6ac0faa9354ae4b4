/**
 * The client's side of the gateway: gives each exchange to the adapter of its transport.
 *
 * Owns what adapters keep between exchanges: sessions of older revisions and the streams of HTTP+SSE. Streams that
 * belong to no session (`subscriptions/listen`, the answer of a POST) are ended through `exchange.stop` by whoever
 * counts the exchanges. Authentication, routing and the choice of the view are the caller's.
 */
import type { Exchange } from '../http/exchange.ts';
import type { DownstreamContext, DownstreamTarget } from './downstream-context.ts';
import { createLegacySse } from './legacy-sse.ts';
import { createSessions } from './session.ts';
import { serveStreamable } from './streamable.ts';

export type { DownstreamContext, DownstreamTarget } from './downstream-context.ts';

export interface Downstream {
  /** Answers the exchange in every case. */
  serve(exchange: Exchange, target: DownstreamTarget & { readonly part: 'mcp' | 'sse' | 'messages' }): void;
  /** Ends all sessions and their streams. */
  close(): void;
  /** The principal was removed: its sessions and their streams end. */
  endPrincipal(principalId: string): void;
}

export function createDownstream(context: DownstreamContext): Downstream {
  const sessions = createSessions(context);
  const legacySse = createLegacySse(context);
  return {
    serve(exchange, target) {
      const post = { exchange, target, context };
      if (target.part === 'mcp') return serveStreamable(post, sessions);
      return target.part === 'sse' ? legacySse.open(post) : legacySse.receive(post);
    },
    close() {
      sessions.close();
      legacySse.close();
    },
    endPrincipal(principalId) {
      sessions.endPrincipal(principalId);
      legacySse.endPrincipal(principalId);
    },
  };
}
