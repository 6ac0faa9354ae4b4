/**
 * The `requestState` of a question on its way through a client: bound to who, where and what, with an end.
 *
 * What the server gave travels as it is behind a sealed part that holds its digest, so that it may be as long as the
 * server likes. The seal is bound to principal and server by its context and to method, params and time by its
 * content; whatever does not fit is -32602 and never reaches the server (MCP 2026-07-28 basic/patterns/mrtr, server
 * requirements). Each question is wrapped, also one without a state, so that every retry is checked.
 */
import { createHash } from 'node:crypto';
import type { Sealer } from '../auth/seal.ts';
import { ProxyError } from '../errors.ts';
import { REQUEST_STATE_MS_MAX } from '../limits.ts';
import { isObject } from '../mcp/jsonrpc.ts';
import type { JsonObject } from '../mcp/waist.ts';
import type { Clock } from '../model.ts';

/** What a state is bound to; `params` in the form that goes to the server. */
export interface StateBinding {
  readonly principalId: string;
  readonly serverName: string;
  readonly method: string;
  readonly params: JsonObject;
}

export interface StateSeal {
  wrap(inner: string | undefined, binding: StateBinding): string;
  /** What the server gave. @throws {ProxyError} RPC_PARAMS when the state is foreign, altered, old or of another request */
  unwrap(state: unknown, binding: StateBinding): string | undefined;
}

/** Members that differ between a request and its retry. */
const NOT_BOUND: ReadonlySet<string> = new Set(['inputResponses', 'requestState', '_meta']);

export function createStateSeal(sealer: Sealer, clock: Clock): StateSeal {
  return {
    wrap(inner, binding) {
      const content = [
        clock.wallMs() + REQUEST_STATE_MS_MAX,
        digestRequest(binding),
        inner === undefined ? '' : digest(inner),
      ];
      const seal = sealer.seal(JSON.stringify(content), contextOf(binding));
      return inner === undefined ? seal : `${seal}.${inner}`;
    },
    unwrap(state, binding) {
      if (typeof state !== 'string') throw refusal();
      const dot = state.indexOf('.');
      const inner = dot === -1 ? undefined : state.slice(dot + 1);
      const text = sealer.open(dot === -1 ? state : state.slice(0, dot), contextOf(binding));
      if (text === undefined) throw refusal();
      const [endMs, request, innerDigest]: unknown[] = JSON.parse(text);
      const fits = request === digestRequest(binding) && innerDigest === (inner === undefined ? '' : digest(inner));
      if (!fits || typeof endMs !== 'number' || endMs < clock.wallMs()) throw refusal();
      return inner;
    },
  };
}

/** One text for all causes: which check failed is nobody's business. */
function refusal(): ProxyError {
  return new ProxyError(
    'RPC_PARAMS',
    'the requestState does not belong to this request or has expired; send the request again without it',
  );
}

function contextOf({ principalId, serverName }: StateBinding): string {
  return `request-state\0${principalId}\0${serverName}`;
}

function digestRequest({ method, params }: StateBinding): string {
  const bound = Object.fromEntries(Object.entries(params).filter(([name]) => !NOT_BOUND.has(name)));
  return digest(`${method}\0${JSON.stringify(bound, sortMembers)}`);
}

/** A client may write the members of its retry in another order. */
function sortMembers(_key: string, value: unknown): unknown {
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}
