/**
 * What every downstream adapter is given: once for the process, and once for each exchange.
 *
 * Types only. The context lives as long as the process or the configuration; the target says who asks and for what,
 * decided by the routes before. Leaves the meaning of the exchange to the adapters.
 */
import type { Sealer } from '../auth/seal.ts';
import type { Exchange } from '../http/exchange.ts';
import type { JsonObject } from '../mcp/waist.ts';
import type { Clock, Principal } from '../model.ts';
import type { BodyHold, BodyRoom } from './body-room.ts';
import type { OnDiag } from './diag.ts';
import type { Tell } from './downstream-questions.ts';
import type { GatewayView } from './view.ts';

export interface DownstreamContext {
  readonly clock: Clock;
  readonly sealer: Sealer;
  readonly heartbeatMs: number;
  /** Empty, or `/a/b` without trailing slash; before the endpoint that HTTP+SSE announces. */
  readonly pathPrefix: string;
  readonly serverInfo: { readonly name: string; readonly version: string };
  /** What the log keeps of a request's params; undefined when it keeps none. */
  readonly keepParams: ((params: unknown) => unknown) | undefined;
  readonly onDiag: OnDiag;
  /** An error that nobody foresaw; the exchange is answered all the same. */
  onInternal(error: unknown): void;
}

export interface DownstreamTarget {
  readonly view: GatewayView;
  readonly principal: Principal;
  /** Empty for all servers, else the name of the one. */
  readonly scope: string;
  /** Counts requests that came with the first one, which was counted at the door. @throws {ProxyError} RATE_LIMITED */
  charge?(count: number): void;
}

/** What serving one request takes, whatever its era and transport. */
export interface ServingContext {
  readonly view: GatewayView;
  readonly serverInfo: JsonObject;
  /** Sends what belongs to the request to its client. */
  readonly tell: Tell;
  readonly requestId: string;
  readonly traceparent: string;
  /** A server is asked, for the first time or again. */
  onAttempt(): void;
  onInternal(error: unknown): void;
}

/** An open `subscriptions/listen`, which belongs to no session. */
export interface OpenListen {
  readonly principalId: string;
  /** Ends it with its closing result. */
  close(): void;
}

/** One exchange on its way through an adapter. */
export interface DownstreamPost {
  readonly exchange: Exchange;
  readonly target: DownstreamTarget;
  readonly context: DownstreamContext;
  readonly listens: Set<OpenListen>;
  readonly bodies: BodyRoom;
  /** Tells, once for each user, that a client lost the id of its session. */
  onNoSession(): void;
  /** The room that the message of a POST holds; undefined without one. */
  readonly hold?: BodyHold;
}
