/**
 * The client's side of the gateway: gives each exchange to the adapter of its transport.
 *
 * Owns what adapters keep between exchanges: sessions of older revisions, the streams of HTTP+SSE, open subscriptions.
 * Calls in progress are stopped through `exchange.stop` by whoever counts the exchanges. Authentication, routing and
 * the choice of the view are the caller's.
 */
import type { Exchange } from '../http/exchange.ts';
import { PRINCIPAL_COUNT_MAX } from '../limits.ts';
import { createBodyRoom } from './body-room.ts';
import type { DownstreamContext, DownstreamTarget, OpenListen } from './downstream-context.ts';
import { createLegacySse } from './legacy-sse.ts';
import { createSessions } from './sessions.ts';
import { serveStreamable } from './streamable.ts';

export type { DownstreamContext, DownstreamTarget } from './downstream-context.ts';

export interface Downstream {
  /** Sessions of older revisions that have a state in memory. */
  readonly sessionCount: number;
  /** Answers the exchange in every case. */
  serve(exchange: Exchange, target: DownstreamTarget & { readonly part: 'mcp' | 'sse' | 'messages' }): void;
  /** Ends all streams that wait for nobody, with their closing results; calls in progress may finish. */
  close(): void;
  /** The principal was removed: its sessions and their streams end. */
  endPrincipal(principalId: string): void;
}

export function createDownstream(context: DownstreamContext): Downstream {
  const sessions = createSessions(context);
  const legacySse = createLegacySse(context);
  // Bounded by EXCHANGE_COUNT_MAX.
  const listens = new Set<OpenListen>();
  const bodies = createBodyRoom();
  // Bounded by PRINCIPAL_COUNT_MAX.
  const told = new Set<string>();

  function tellOnce(principalId: string): void {
    if (told.has(principalId) || told.size >= PRINCIPAL_COUNT_MAX) return;
    told.add(principalId);
    const text =
      'a client sends no Mcp-Session-Id; its requests are served without a session, so it is never asked back';
    context.onDiag('info', text, { principal: principalId });
  }

  return {
    get sessionCount() {
      return sessions.count + legacySse.count;
    },
    serve(exchange, target) {
      const post = { exchange, target, context, listens, bodies, onNoSession: () => tellOnce(target.principal.id) };
      if (target.part === 'mcp') return serveStreamable(post, sessions);
      return target.part === 'sse' ? legacySse.open(post) : legacySse.receive(post);
    },
    close() {
      sessions.close();
      legacySse.close();
      for (const listen of listens) listen.close();
    },
    endPrincipal(principalId) {
      sessions.endPrincipal(principalId);
      legacySse.endPrincipal(principalId);
      for (const listen of listens) if (listen.principalId === principalId) listen.close();
    },
  };
}
