/**
 * What a legacy server asks its client, as the question that a modern result carries, and the answers back.
 *
 * A server is told one set of capabilities for all clients of its connection, so each question is checked against
 * the client whose call it belongs to; one that it cannot be asked is refused with the error that MCP 2025-11-25
 * gives for it, and the server finishes in its own way. What is meaningless beyond this hop (`task`, `elicitationId`,
 * protocol metadata) is taken off; `includeContext` would mean every server behind the gateway, so it becomes
 * `none`. Pure. Source: MCP 2025-11-25 client/*; 2026-07-28 basic/patterns/mrtr.
 */
import { isObject } from '../mcp/jsonrpc.ts';
import type { RpcErrorBody } from '../mcp/jsonrpc.ts';
import { META_PREFIX, META, RPC_ERROR } from '../mcp/protocol.ts';
import { mayAsk } from '../mcp/questions.ts';
import type { InputRequest, JsonObject } from '../mcp/waist.ts';

/** What every legacy server is told. Without `sampling.tools`: few clients have it, and servers do well without. */
export const LEGACY_CLIENT_CAPABILITIES: JsonObject = {
  elicitation: { form: {}, url: {} },
  sampling: {},
  roots: { listChanged: false },
};

/** The user said no to a sampling request (MCP 2025-11-25 client/sampling, Error Handling). */
const USER_REFUSED = -1;

export type Question =
  | { readonly kind: 'question'; readonly request: InputRequest }
  | { readonly kind: 'refused'; readonly error: RpcErrorBody };

/** The question for a client of these capabilities (2026-07-28 form), or the refusal for the server. */
export function readQuestion(method: InputRequest['method'], params: JsonObject, capabilities: JsonObject): Question {
  const request: InputRequest = { method, params: toModernParams(params) };
  return mayAsk(capabilities, request) ? { kind: 'question', request } : { kind: 'refused', error: REFUSALS[method] };
}

/** The refusal for a question that belongs to no call, or to none that its server may ask within. */
export function refuseUnrelated(): RpcErrorBody {
  const message = 'The question cannot be tied to one request of a client, so nobody can be asked.';
  return { code: RPC_ERROR.invalidParams, message };
}

/** What the server is told when nobody will answer any more: the client gave up or let the time pass. */
export function abandonAnswer(method: InputRequest['method']): { result: JsonObject } | { error: RpcErrorBody } {
  if (method === 'elicitation/create') return { result: { action: 'cancel' } };
  return { error: { code: USER_REFUSED, message: 'The client did not answer.' } };
}

/** An answer of a client in the form of the server's revision, which knew one content block where now a list may be. */
export function toLegacyAnswer(method: InputRequest['method'], answer: JsonObject, revision: string): JsonObject {
  const { content } = answer;
  if (method !== 'sampling/createMessage' || revision >= '2025-11-25' || !Array.isArray(content)) return answer;
  const texts = content.filter((block): block is JsonObject => isObject(block) && typeof block['text'] === 'string');
  const merged = { type: 'text', text: texts.map((block) => block['text']).join('\n') };
  return { ...answer, content: content.length === 1 ? (content as unknown[])[0] : merged };
}

/** As MCP 2025-11-25 client/* (Error Handling) numbers them. */
const REFUSALS: Readonly<Record<InputRequest['method'], RpcErrorBody>> = {
  'elicitation/create': {
    code: RPC_ERROR.invalidParams,
    message: 'The client does not support this mode of elicitation.',
  },
  'sampling/createMessage': { code: USER_REFUSED, message: 'The client does not support this kind of sampling.' },
  'roots/list': { code: RPC_ERROR.methodNotFound, message: 'The client does not support roots.' },
};

function toModernParams(params: JsonObject): JsonObject {
  const { task: _task, elicitationId: _elicitationId, _meta, ...rest } = params;
  const meta = vendorMeta(_meta);
  return {
    ...rest,
    ...(rest['includeContext'] === undefined ? {} : { includeContext: 'none' }),
    ...(meta === undefined ? {} : { _meta: meta }),
  };
}

/** The members of a `_meta` that survive a hop: not the protocol's own, no progress token. */
export function vendorMeta(meta: unknown): JsonObject | undefined {
  if (!isObject(meta)) return undefined;
  const kept = Object.entries(meta).filter(([key]) => !key.startsWith(META_PREFIX) && key !== META.progressToken);
  return kept.length === 0 ? undefined : Object.fromEntries(kept);
}
