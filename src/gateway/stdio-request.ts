/**
 * How one request from a pipe is served, by its era: what it comes to, and how it is ended early.
 *
 * The meaning is that of `downstream-legacy`, `downstream-modern-call` and `downstream-listener`, as over HTTP. Here
 * is what a pipe adds: an `initialize` changes the conversation itself, and a subscription ends with a notification
 * of its cancellation and then its result (MCP 2026-07-28 basic/patterns/subscriptions against
 * basic/utilities/cancellation, which want one each). Ids, the log and the pipe are `stdio`'s.
 */
import type { ProxyError } from '../errors.ts';
import type { ModernClass } from '../mcp/classify.ts';
import { result as resultMessage, type JsonRpcRequest, type JsonRpcResponse } from '../mcp/jsonrpc.ts';
import type { LegacyRevision } from '../mcp/protocol.ts';
import type { ServingContext } from './downstream-context.ts';
import { initializeResult, serveLegacy } from './downstream-legacy.ts';
import { Listener, type ListenSink } from './downstream-listener.ts';
import { beginModern } from './downstream-modern-call.ts';
import { failed, failureOf, legacyResponse, modernResponse } from './downstream-result.ts';
import type { Session } from './session.ts';

export interface Service {
  /** Undefined when it was given up: then nothing more is said. Never rejects. */
  readonly response: Promise<JsonRpcResponse | undefined>;
  /** Nobody waits for it any more. */
  cancel(reason: string | undefined): void;
  /** What to answer when it cannot be served to its end. */
  failure(error: ProxyError): JsonRpcResponse;
  /** Only for what lasts until it is ended: ends it in order, so that `response` follows. */
  readonly close?: () => void;
}

export function serveModernCall(modern: ModernClass, context: ServingContext): Service {
  const { message, method } = modern;
  const to = { id: message.id, method, requestId: context.requestId };
  const call = beginModern(modern, context);
  return {
    response: call.outcome.then((outcome) => outcome && modernResponse(outcome, to, context.serverInfo)),
    cancel: (reason) => call.cancel(reason),
    failure: (error) => modernResponse(failed(error), to, context.serverInfo),
  };
}

export function serveSubscription(modern: ModernClass, context: ServingContext, sink: ListenSink): Service {
  const { message, method } = modern;
  const to = { id: message.id, method, requestId: context.requestId };
  const listener = new Listener(modern, context);
  let settle: ((response: JsonRpcResponse | undefined) => void) | undefined;
  const response = new Promise<JsonRpcResponse | undefined>((resolve) => {
    settle = resolve;
  });
  let isOver = false;
  const end = (last: JsonRpcResponse | undefined): void => {
    if (isOver) return;
    isOver = true;
    listener.end();
    settle?.(last);
  };
  listener.begin().then(
    () => {
      if (!isOver) listener.open(sink);
    },
    (thrown: unknown) => end(modernResponse(failureOf(thrown, context), to, context.serverInfo)),
  );
  return {
    response,
    cancel: () => end(undefined),
    failure: (error) => modernResponse(failed(error), to, context.serverInfo),
    close() {
      if (isOver) return;
      sink.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: message.id } });
      end(listener.closing());
    },
  };
}

export function serveInSession(session: Session, message: JsonRpcRequest, context: ServingContext): Service {
  return {
    response: serveLegacy(session, message, context),
    cancel: (reason) => session.calls.get(message.id)?.cancel(reason),
    failure: (error) => legacyFailure(message, { error, revision: session.claims.revision, context }),
  };
}

/** The answer to `initialize`, which may not be cancelled. */
export function serveInitialize(message: JsonRpcRequest, revision: LegacyRevision, context: ServingContext): Service {
  const to = { id: message.id, method: message.method, params: message.params ?? {}, requestId: context.requestId };
  return {
    response: initializeResult(revision, context).then(
      (result) => resultMessage(message.id, result),
      (thrown: unknown) => legacyResponse(failureOf(thrown, context), to, revision),
    ),
    cancel: () => undefined,
    failure: (error) => legacyFailure(message, { error, revision, context }),
  };
}

function legacyFailure(
  { id, method, params = {} }: JsonRpcRequest,
  why: { readonly error: ProxyError; readonly revision: LegacyRevision; readonly context: ServingContext },
): JsonRpcResponse {
  return legacyResponse(failed(why.error), { id, method, params, requestId: why.context.requestId }, why.revision);
}
