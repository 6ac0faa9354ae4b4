/**
 * The gateway's side of a pipe over a view whose answers the test writes, with what was written and logged.
 *
 * `order` holds both in the order in which they happened, so that a test can see the log come first.
 */
import { beginPiped } from '../../src/app/begin.ts';
import type { ProxyError } from '../../src/errors.ts';
import { openStdio, type StdioConversation } from '../../src/gateway/stdio.ts';
import type { GatewayView } from '../../src/gateway/view.ts';
import type { Entry } from '../../src/model.ts';
import { META } from '../../src/mcp/protocol.ts';
import type { Json } from './downstream-clients.ts';
import { waitFor, type WaitOptions } from './wait.ts';

export type Message = Json;

export interface Piped {
  readonly conversation: StdioConversation;
  readonly lines: Message[];
  readonly entries: Entry[];
  readonly internal: unknown[];
  readonly order: string[];
  /** Bytes that the client has not read, as the test says. */
  waitingBytes: number;
  /** Why nothing is served. */
  refusal: ProxyError | undefined;
  send(message: unknown): void;
  /** The response to a request, when it is there. */
  answer(id: unknown): Promise<Message>;
}

export function openPiped(view: GatewayView): Piped {
  const clock = { wallMs: () => 1_000, monotonicMs: () => performance.now(), random: () => 0.5 };
  const lines: Message[] = [];
  const entries: Entry[] = [];
  const internal: unknown[] = [];
  const order: string[] = [];
  const conversation = openStdio({
    view,
    owner: { principalId: 'alice', scope: '' },
    serverInfo: { name: 'mcproxy', version: '0.0.0' },
    keepParams: undefined,
    output: {
      get waitingBytes() {
        return piped.waitingBytes;
      },
      write(line) {
        const message = JSON.parse(line) as Message | Message[];
        order.push(`line ${String(Array.isArray(message) ? 'batch' : (message['id'] ?? message['method']))}`);
        lines.push(message);
        return true;
      },
    },
    begin: () =>
      beginPiped('alice', {
        clock,
        append(entry, done) {
          setImmediate(() => {
            order.push(`entry ${entry.rpcMethod ?? entry.errorCode}`);
            entries.push(structuredClone(entry));
            done(true);
          });
        },
      }),
    refusal: () => piped.refusal,
    onInternal: (error) => internal.push(error),
  });
  const piped: Piped = {
    conversation,
    lines,
    entries,
    internal,
    order,
    waitingBytes: 0,
    refusal: undefined,
    send: (message) => conversation.receive(typeof message === 'string' ? message : JSON.stringify(message)),
    answer: (id) =>
      seen(() => lines.find((line) => line['id'] === id && !('method' in line)), {
        what: `the answer to ${String(id)}`,
      }),
  };
  return piped;
}

export function modern(id: unknown, method: string, params: Record<string, unknown> = {}): Message {
  const { _meta: meta, ...rest } = params as { _meta?: object };
  const envelope = {
    [META.protocolVersion]: '2026-07-28',
    [META.clientCapabilities]: { elicitation: { form: {} } },
  };
  return { jsonrpc: '2.0', id, method, params: { ...rest, _meta: { ...envelope, ...meta } } };
}

export function legacy(id: unknown, method: string, params: Record<string, unknown> = {}): Message {
  return { jsonrpc: '2.0', id, method, params };
}

export function notice(method: string, params: Record<string, unknown> = {}): Message {
  return { jsonrpc: '2.0', method, params };
}

/** Opens a conversation of an older revision and waits for the answer. */
export async function initialize(piped: Piped, protocolVersion = '2025-11-25', capabilities: object = {}) {
  piped.send(legacy('init', 'initialize', { protocolVersion, capabilities, clientInfo: { name: 't', version: '1' } }));
  const answer = await piped.answer('init');
  piped.send(notice('notifications/initialized'));
  return answer;
}

/** What the condition gives once it is there. */
export async function seen<T>(condition: () => T | undefined, options: WaitOptions = {}): Promise<T> {
  const found = await waitFor(condition, options);
  if (found === undefined) throw new Error(`${options.what ?? 'it'} is not there`);
  return found;
}
