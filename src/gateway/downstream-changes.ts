/**
 * Changes of a view on their way to a client of an older revision.
 *
 * List changes go to whoever has a stream open, updates only to who subscribed to the resource or to one above it.
 * Each message goes to one stream, the newest; without a stream it is dropped, since it is only a hint. Source: MCP
 * 2025-11-25 transports (Multiple Connections), server/resources.
 */
import { EventStream, type EventStreamOptions } from '../http/event-stream.ts';
import type { Exchange } from '../http/exchange.ts';
import { SESSION_STREAM_COUNT_MAX } from '../limits.ts';
import type { JsonObject } from '../mcp/waist.ts';
import { isWithin } from './resource-ownership.ts';
import type { Session } from './session.ts';
import type { GatewayView } from './view.ts';

export type ViewChange = Parameters<Parameters<GatewayView['onChange']>[0]>[0];

/** The message for a change; undefined when this client did not ask for it. */
export function changeMessage(session: Session, change: ViewChange): JsonObject | undefined {
  if (change.kind !== 'resource') return { jsonrpc: '2.0', method: `notifications/${change.kind}/list_changed` };
  if (![...session.subscriptions.keys()].some((uri) => isWithin(change.uri, uri))) return undefined;
  return { jsonrpc: '2.0', method: 'notifications/resources/updated', params: { uri: change.uri } };
}

export interface ChangeStreamOptions extends Pick<EventStreamOptions, 'heartbeatMs'> {
  readonly view: GatewayView;
  /** What to do when the process stops or the user is removed; ends the stream when it is left out. */
  onStop?(reason: 'shutdown' | 'revoked'): void;
  /** The stream is over, for whatever reason. */
  onOver(): void;
}

/** Opens a stream of the session and sends the changes of the view to it until it ends. */
export function openChangeStream(exchange: Exchange, session: Session, options: ChangeStreamOptions): EventStream {
  const { view, heartbeatMs } = options;
  const stream = new EventStream(exchange, {
    heartbeatMs,
    openEnded: true,
    onStop: (reason) => (options.onStop === undefined ? stream.finish() : options.onStop(reason)),
    onClosed: () => undefined,
  });
  const { streams } = session;
  streams.push(stream);
  if (streams.length > SESSION_STREAM_COUNT_MAX) streams[0]?.finish();
  const unwatch = view.onChange((change) => {
    if (streams.at(-1) !== stream) return;
    const message = changeMessage(session, change);
    if (message !== undefined) stream.offer(message);
  });
  stream.onOver(() => {
    unwatch();
    const index = streams.indexOf(stream);
    if (index !== -1) streams.splice(index, 1);
    options.onOver();
  });
  return stream;
}
