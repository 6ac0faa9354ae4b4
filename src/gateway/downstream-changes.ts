/**
 * Changes of a view on their way to a client of an older revision.
 *
 * List changes go to whoever has a stream open, updates only to who subscribed to the resource or to one above it.
 * Each message goes to one stream, the newest that has a connection; without a stream it is dropped, since it is only
 * a hint, and one that can be taken up again keeps it. Source: MCP
 * 2025-11-25 transports (Multiple Connections), server/resources.
 */
import { EventStream, type EventStreamOptions } from '../http/event-stream.ts';
import type { Exchange } from '../http/exchange.ts';
import { SESSION_STREAM_COUNT_MAX } from '../limits.ts';
import type { JsonObject } from '../mcp/waist.ts';
import { isWithin } from './resource-ownership.ts';
import type { ChangeStream, Session } from './session.ts';
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
  /** What to do when the process stops or the user is removed. */
  onStop(reason: 'shutdown' | 'revoked'): void;
  /** The stream is over, for whatever reason. */
  onOver(): void;
}

/** Opens a stream that ends with its connection, and sends the changes of the view to it until then. */
export function openChangeStream(exchange: Exchange, session: Session, options: ChangeStreamOptions): EventStream {
  const { view, heartbeatMs } = options;
  const stream = new EventStream(exchange, {
    heartbeatMs,
    openEnded: true,
    onStop: (reason) => options.onStop(reason),
    onClosed: () => undefined,
  });
  const unwatch = watchChanges(session, stream, view);
  stream.onOver(() => {
    unwatch();
    options.onOver();
  });
  return stream;
}

/** Sends the changes of the view to a stream of the session until what it returns is called. */
export function watchChanges(session: Session, stream: ChangeStream, view: GatewayView): () => void {
  const { streams } = session;
  streams.push(stream);
  if (streams.length > SESSION_STREAM_COUNT_MAX) (streams.find(({ open }) => !open) ?? streams[0])?.finish();
  const unwatch = view.onChange((change) => {
    // One that waits for its client to come back gets only what no other can carry.
    if ((streams.findLast(({ open }) => open) ?? streams.at(-1)) !== stream) return;
    const message = changeMessage(session, change);
    if (message !== undefined) stream.offer(message);
  });
  return () => {
    unwatch();
    const index = streams.indexOf(stream);
    if (index !== -1) streams.splice(index, 1);
  };
}
