/**
 * What the end of a call says of the replica that had it, and whether another one may be asked the same.
 *
 * A replica is judged by what is its own fault: that it could not be reached, closed the connection, or answered no
 * MCP. A slow tool, a refused credential and a client that left say nothing. Moving a call needs that it provably did
 * not run, or that it only reads. Pure.
 */
import type { ProxyError } from '../errors.ts';
import { isObject } from '../mcp/jsonrpc.ts';
import { isReadOnlyMethod, RPC_ERROR } from '../mcp/protocol.ts';
import type { McpOutcome } from '../mcp/waist.ts';
import { isNotProcessed } from './peer-outcome.ts';
import type { Verdict } from './replica-health.ts';

/** Undefined when the outcome says nothing of the replica. */
export function verdictOf(outcome: McpOutcome): Verdict | undefined {
  switch (codeOf(outcome)) {
    case undefined:
      return 'well';
    case 'UPSTREAM_UNREACHABLE':
    case 'UPSTREAM_NOT_READY':
      return 'unreached';
    case 'UPSTREAM_CLOSED':
      return 'failed';
    case 'UPSTREAM_PROTOCOL':
      // Refused with 4xx: that may be the fault of what was asked.
      return isNotProcessed(outcome) ? undefined : 'failed';
    default:
      return undefined;
  }
}

/** What it says that a replica could not be made ready: only a credential is not its fault. */
export function verdictOfStart({ code }: ProxyError): Verdict | undefined {
  return code.startsWith('UPSTREAM_') && code !== 'UPSTREAM_CREDENTIAL' ? 'unreached' : undefined;
}

/** Whether another replica may be asked the same. A credential is the same everywhere. */
export function isMovable(outcome: McpOutcome, method: string): boolean {
  const code = codeOf(outcome);
  if (code === undefined || code === 'UPSTREAM_CREDENTIAL' || code === 'ISSUER_UNREACHABLE') return false;
  if (isNotProcessed(outcome)) return true;
  return isReadOnlyMethod(method) && (code === 'UPSTREAM_CLOSED' || code === 'UPSTREAM_PROTOCOL');
}

/** Marks what failed before anything was sent. */
export function notProcessed(outcome: McpOutcome): McpOutcome {
  if (outcome.kind !== 'error' || !isObject(outcome.data)) return outcome;
  return { ...outcome, data: { ...outcome.data, notProcessed: true } };
}

/** Never asked again silently: the first round may have had effects. */
export function askerGone(serverName: string, method: string): McpOutcome {
  const advice = method.startsWith('tasks/') ? 'Its tasks are lost.' : 'Make the request again without requestState.';
  const message = `The replica of server ${serverName} that this belongs to is no longer there. ${advice}`;
  return { kind: 'error', code: RPC_ERROR.invalidParams, message, data: undefined };
}

/** The code of a failure of ours; undefined for what the server answered. */
function codeOf(outcome: McpOutcome): unknown {
  const isOurs = outcome.kind === 'error' && isObject(outcome.data) && outcome.data['source'] === 'mcproxy';
  return isOurs && isObject(outcome.data) ? outcome.data['code'] : undefined;
}
