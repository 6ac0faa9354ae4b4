/**
 * A peer whose errors hold no secret of the operator's: what a server says when it fails often quotes what it was given.
 *
 * Everything that tells of a failure is searched: JSON-RPC errors, results that say `isError`, failures to start, the
 * reason of a loss, the last error. What a call brings when it succeeds is the server's own business and stays as it
 * came; searching it would cost every call, and change data.
 */
import { ProxyError } from '../errors.ts';
import type { JsonObject, McpOutcome, McpPeer } from '../mcp/waist.ts';
import type { PeerState } from './supervisor.ts';

type Peer = McpPeer & { state(): PeerState };

/** @param redact replaces each secret in a text, also where JSON escapes it */
export function redactedPeer(peer: Peer, redact: (text: string) => string): Peer {
  const attempt = async <T>(result: Promise<T>): Promise<T> => {
    try {
      return await result;
    } catch (error) {
      throw redactError(error, redact);
    }
  };
  return {
    describe: () => attempt(peer.describe()),
    call(request, events) {
      const inner = peer.call(request, events);
      const outcome = inner.outcome.then((found) => redactOutcome(found, redact));
      return { outcome, cancel: (reason) => inner.cancel(reason) };
    },
    onChange: (listener) =>
      peer.onChange((event) => listener(event.kind === 'lost' ? { ...event, reason: redact(event.reason) } : event)),
    subscribe: (uri) => attempt(peer.subscribe(uri)),
    unsubscribe: (uri) => attempt(peer.unsubscribe(uri)),
    listenTasks: (request, onTask) => attempt(peer.listenTasks(request, onTask)),
    state() {
      const state = peer.state();
      const { lastError, replicas } = state;
      return {
        ...state,
        lastError: lastError === undefined ? undefined : redact(lastError),
        ...(replicas === undefined
          ? {}
          : { replicas: replicas.map((one) => ({ ...one, last_error: one.last_error && redact(one.last_error) })) }),
      };
    },
    close: () => peer.close(),
  };
}

function redactOutcome(outcome: McpOutcome, redact: (text: string) => string): McpOutcome {
  if (outcome.kind === 'error')
    return { ...outcome, message: redact(outcome.message), data: redactValue(outcome.data, redact) };
  if (outcome.kind !== 'complete' || outcome.result['isError'] !== true) return outcome;
  const result = redactValue(outcome.result, redact);
  return result === outcome.result ? outcome : { kind: 'complete', result: result as JsonObject };
}

function redactError(error: unknown, redact: (text: string) => string): unknown {
  if (!(error instanceof ProxyError)) return error;
  const message = redact(error.message);
  if (message === error.message) return error;
  const { code, data, headers, cause } = error;
  return new ProxyError(code, message, { cause, ...(data && { data }), ...(headers && { headers }) });
}

/** The same value where nothing is found, which is nearly always. */
function redactValue(value: unknown, redact: (text: string) => string): unknown {
  if (value === undefined) return undefined;
  const text = printed(value);
  if (text === undefined) return value;
  const isSecret = (part: string): boolean => redact(part) !== part;
  if (!isSecret(text)) return value;
  return JSON.parse(text, (_, part: unknown) => {
    if (typeof part === 'string') return redact(part);
    if (typeof part === 'number') return isSecret(String(part)) ? redact(String(part)) : part;
    if (typeof part !== 'object' || part === null || Array.isArray(part)) return part;
    const names = Object.keys(part);
    if (!names.some(isSecret)) return part;
    return Object.fromEntries(Object.entries(part).map(([name, member]) => [redact(name), member as unknown]));
  });
}

/** Undefined for what is nested too deeply to be printed: that leaves nowhere. */
function printed(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined;
  }
}
