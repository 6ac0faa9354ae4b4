/**
 * A message channel without a server: what is sent is recorded, what the server says is said by the test.
 */
import type { ChannelEvents, JsonObject, MessageChannel } from '../../src/mcp/waist.ts';

export interface ScriptedChannel extends MessageChannel {
  /** For the `open` of a peer. */
  readonly open: (events: ChannelEvents) => Promise<MessageChannel>;
  readonly sent: JsonObject[];
  readonly events: ChannelEvents;
  /** What `send` does besides recording; throws to refuse. */
  onSend: ((message: JsonObject) => void | Promise<void>) | undefined;
  /** The server says something. */
  say(message: JsonObject, relatedTo?: string | number): void;
  /** The requests of a method so far. */
  requests(method: string): JsonObject[];
}

export function scriptedChannel(): ScriptedChannel {
  let events: ChannelEvents | undefined;
  const sent: JsonObject[] = [];
  const channel: ScriptedChannel = {
    sent,
    onSend: undefined,
    get events() {
      if (events === undefined) throw new Error('the channel was not opened');
      return events;
    },
    async open(given) {
      events = given;
      return channel;
    },
    async send(message) {
      sent.push(message);
      await channel.onSend?.(message);
    },
    async close() {
      events?.onClose(new Error('closed'));
    },
    say: (message, relatedTo) => channel.events.onMessage({ jsonrpc: '2.0', ...message }, relatedTo),
    requests: (method) => sent.filter((each) => each['method'] === method),
  };
  return channel;
}

/** Lets everything that waits for nothing but promises happen. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve(); // oxlint-disable-line no-await-in-loop
}
