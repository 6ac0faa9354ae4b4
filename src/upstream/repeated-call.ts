/**
 * One call that may be made several times until somebody takes it, seen from outside as one.
 *
 * Whoever makes it again decides when that is safe. Cancelling reaches the attempt that is on its way, and nothing is
 * begun after it.
 */
import { ProxyError } from '../errors.ts';
import type { McpCall, McpOutcome } from '../mcp/waist.ts';
import { asProxyError } from './conversation.ts';
import { failureOutcome } from './peer-outcome.ts';

export interface Attempts {
  readonly isCancelled: boolean;
  /** Makes the call, unless nobody waits for it any more. @throws {ProxyError} CLIENT_GONE */
  begin(make: () => McpCall): Promise<McpOutcome>;
}

/** @param run what it throws becomes the outcome */
export function repeatedCall(serverName: string, run: (attempts: Attempts) => Promise<McpOutcome>): McpCall {
  let current: McpCall | undefined;
  let isCancelled = false;
  const attempts: Attempts = {
    get isCancelled() {
      return isCancelled;
    },
    async begin(make) {
      if (isCancelled) throw new ProxyError('CLIENT_GONE', 'the client cancelled the request');
      current = make();
      return current.outcome;
    },
  };
  return {
    outcome: run(attempts).catch((error: unknown) => failureOutcome(asProxyError(serverName, error))),
    cancel(reason) {
      isCancelled = true;
      current?.cancel(reason);
    },
  };
}
